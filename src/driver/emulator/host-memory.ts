/** Page-aligned host memory from the C library, viewed once. */
import { closedError } from '../errors.js';
import { type HostPages, type SharedHostPages, wholePages } from '../pci-function.js';
import type { CLibrary, ForeignBinding } from './c-abi.js';
import type { EmulatedDevice } from './emulated-device.js';

interface NativePages {
  readonly library: CLibrary;
  readonly address: bigint;
  readonly bytes: number;
  /** Present once the pages are shared: threads that hold them. */
  holders: Int32Array | undefined;
}

/**
 * Native memory is unmapped when the garbage collector has found that no view of it is left, never earlier: a view kept
 * beyond free() then reads stale bytes instead of ending the process. The registry belongs to the module because it must
 * outlive the device: a registry that is itself collected forgets its duties. Pages that threads share go with the last of
 * them; a thread that is terminated never lets go, so that what a device may still reach stays mapped.
 */
const UNREACHABLE = new FinalizationRegistry<NativePages>((pages) => {
  const last = pages.holders === undefined || Atomics.sub(pages.holders, 0, 1) === 1;
  if (last) pages.library.mtia_host_free(pages.address, pages.bytes);
});

export function allocateHostPages(device: EmulatedDevice, requested: number): HostPages {
  const { binding, library } = device;
  const bytes = wholePages(requested);
  const pointer = new BigUint64Array(1);
  device.check(library.mtia_host_allocate(bytes, new Uint8Array(pointer.buffer)), 'mtia_host_allocate');
  return hold({ library, address: pointer[0] ?? 0n, bytes, holders: undefined }, binding);
}

/** The pages of another thread, held by this one as well. */
export function attachHostPages(device: EmulatedDevice, { address, bytes, holders }: SharedHostPages): HostPages {
  const { binding, library } = device;
  for (let count = Atomics.load(holders, 0); ; ) {
    if (count <= 0) throw closedError(`the shared host memory of ${bytes} bytes`);
    const found = Atomics.compareExchange(holders, 0, count, count + 1);
    if (found === count) return hold({ library, address, bytes, holders }, binding);
    count = found;
  }
}

function hold(pages: NativePages, binding: ForeignBinding): HostPages {
  const { address, bytes } = pages;
  const view = binding.viewMemory(address, bytes);
  UNREACHABLE.register(view.buffer, pages);
  return {
    address,
    bytes,
    view,
    // Nothing to do: dropping the pages is what gives the memory back.
    free: () => undefined,
    share: () => {
      pages.holders ??= new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT)).fill(1);
      return { address, bytes, holders: pages.holders };
    },
  };
}
