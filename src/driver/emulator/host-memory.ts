/** Page-aligned host memory from the C library, viewed once. */
import { closedError } from '../errors.js';
import { type HostPages, type SharedHostPages, wholePages } from '../pci-function.js';
import type { CLibrary } from './c-abi.js';
import type { EmulatedDevice } from './emulated-device.js';

interface NativePages {
  readonly library: CLibrary;
  readonly address: bigint;
  readonly bytes: number;
  /** This thread lets go; true where it was the last. */
  letGo(): boolean;
}

/**
 * Native memory is unmapped when the garbage collector has found that no view of it is left, never earlier: a view kept
 * beyond free() then reads stale bytes instead of ending the process. The registry belongs to the module because it must
 * outlive the device: a registry that is itself collected forgets its duties. Pages that threads share go with the last of
 * them. What a thread that has ended held, of its own or attached, it lets go of when nothing of a card reaches it any more
 * (worker-holdings.ts).
 */
const UNREACHABLE = new FinalizationRegistry<NativePages>(({ library, address, bytes, letGo }) => {
  if (letGo()) library.mtia_host_free(address, bytes);
});

export function allocateHostPages(device: EmulatedDevice, requested: number): HostPages {
  const { library, holdings } = device;
  const bytes = wholePages(requested);
  const pointer = new BigUint64Array(1);
  device.check(library.mtia_host_allocate(bytes, new Uint8Array(pointer.buffer)), 'mtia_host_allocate');
  const address = pointer[0] ?? 0n;
  const entry = holdings.enter('pages', address, bytes);
  let shared: Int32Array | undefined;
  const holders = (): Int32Array => {
    shared ??= holdings.share(entry);
    return shared;
  };
  return hold(device, { library, address, bytes, letGo: () => holdings.leave(entry) }, holders);
}

/** The pages of another thread, held by this one as well. */
export function attachHostPages(device: EmulatedDevice, { address, bytes, holders }: SharedHostPages): HostPages {
  const { library, holdings } = device;
  const entry = holdings.join(address, bytes, holders);
  if (entry === undefined) throw closedError(`the shared host memory of ${bytes} bytes`);
  return hold(device, { library, address, bytes, letGo: () => holdings.leave(entry) }, () => holders);
}

function hold({ binding }: EmulatedDevice, pages: NativePages, holders: () => Int32Array): HostPages {
  const { address, bytes } = pages;
  const view = binding.viewMemory(address, bytes);
  UNREACHABLE.register(view.buffer, pages);
  return {
    address,
    bytes,
    view,
    // Nothing to do: dropping the pages is what gives the memory back.
    free: () => undefined,
    share: () => ({ address, bytes, holders: holders() }),
  };
}
