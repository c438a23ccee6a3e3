/** Page-aligned host memory from the C library, viewed once. */
import { type HostPages, wholePages } from '../pci-function.js';
import type { CLibrary } from './c-abi.js';
import type { EmulatedDevice } from './emulated-device.js';

interface NativePages {
  readonly library: CLibrary;
  readonly address: bigint;
  readonly bytes: number;
}

/**
 * Native memory is unmapped when the garbage collector has found that no view of it is left, never earlier: a view kept
 * beyond free() then reads stale bytes instead of ending the process. The registry belongs to the module because it must
 * outlive the device: a registry that is itself collected forgets its duties.
 */
const UNREACHABLE = new FinalizationRegistry<NativePages>((pages) => {
  pages.library.mtia_host_free(pages.address, pages.bytes);
});

export function allocateHostPages(device: EmulatedDevice, requested: number): HostPages {
  const { binding, library } = device;
  const bytes = wholePages(requested);
  const pointer = new BigUint64Array(1);
  device.check(library.mtia_host_allocate(bytes, new Uint8Array(pointer.buffer)), 'mtia_host_allocate');
  const address = pointer[0] ?? 0n;
  const view = binding.viewMemory(address, bytes);
  UNREACHABLE.register(view.buffer, { library, address, bytes });
  // free() has nothing to do here: dropping the pages is what gives the memory back.
  return { address, bytes, view, free: () => undefined };
}
