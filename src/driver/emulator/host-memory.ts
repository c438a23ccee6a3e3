/** Page-aligned host memory from the C library, viewed once. */
import { closedError } from '../errors.js';
import { type HostPages, type SharedHostPages, wholePages } from '../pci-function.js';
import type { CLibrary } from './c-abi.js';
import type { EmulatedDevice } from './emulated-device.js';

interface NativePages {
  readonly library: CLibrary;
  readonly address: bigint;
  readonly bytes: number;
  /** Threads that hold the pages. */
  readonly holders: Int32Array;
  /** This thread lets go; true where it was the last. */
  letGo(): boolean;
}

/**
 * Native memory is unmapped when the garbage collector has found that no view of it is left, never earlier: a view kept
 * beyond free() then reads stale bytes instead of ending the process. The registry belongs to the module because it must
 * outlive the device: a registry that is itself collected forgets its duties. Pages that threads share go with the last of
 * them. Those of a thread that has ended go when nothing of a card reaches them any more (worker-holdings.ts); what it had
 * attached counts as held until the process ends.
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
  return hold(device, { library, address, bytes, holders: entry.holders, letGo: () => holdings.leave(entry) });
}

/** The pages of another thread, held by this one as well. */
export function attachHostPages(device: EmulatedDevice, { address, bytes, holders }: SharedHostPages): HostPages {
  const { library } = device;
  const letGo = (): boolean => Atomics.sub(holders, 0, 1) === 1;
  for (let count = Atomics.load(holders, 0); ; ) {
    if (count <= 0) throw closedError(`the shared host memory of ${bytes} bytes`);
    const found = Atomics.compareExchange(holders, 0, count, count + 1);
    if (found === count) return hold(device, { library, address, bytes, holders, letGo });
    count = found;
  }
}

function hold({ binding }: EmulatedDevice, pages: NativePages): HostPages {
  const { address, bytes, holders } = pages;
  const view = binding.viewMemory(address, bytes);
  UNREACHABLE.register(view.buffer, pages);
  return {
    address,
    bytes,
    view,
    // Nothing to do: dropping the pages is what gives the memory back.
    free: () => undefined,
    share: () => ({ address, bytes, holders }),
  };
}
