/**
 * A `PciFunction` of one's own under the conformance suite: `npx mtia conformance --backend dist/examples/card-under-test.js`.
 * This one reaches an emulated card and counts what goes over the link; where `#link` is used, another would talk to its
 * hardware, to a simulator, or over a network.
 */
import { ALL_CAPABILITIES, type Backend } from 'mtia-runtime/conformance';
import {
  type DmaRights,
  type HostPages,
  type InterruptSubscription,
  openEmulator,
  type PciFunction,
  type RegisterWidth,
} from 'mtia-runtime/driver';

class CountingCard implements PciFunction {
  readonly name = 'counting card';
  readonly #link = openEmulator({ generation: '2i', threads: 1, lpddrBytes: 256 * 1024 * 1024 });
  /** Register reads and writes so far. */
  accesses = 0;

  configRead(offset: number, width: 1 | 2 | 4): number {
    return this.#link.configRead(offset, width);
  }

  configWrite(offset: number, width: 1 | 2 | 4, value: number): void {
    this.#link.configWrite(offset, width, value);
  }

  barRead(bar: number, offset: number, width: RegisterWidth): bigint {
    this.accesses++;
    return this.#link.barRead(bar, offset, width);
  }

  barWrite(bar: number, offset: number, width: RegisterWidth, value: bigint | number): void {
    this.accesses++;
    this.#link.barWrite(bar, offset, width, value);
  }

  barReadBlock(bar: number, offset: number, bytes: number): Uint8Array {
    return this.#link.barReadBlock(bar, offset, bytes);
  }

  barWriteBlock(bar: number, offset: number, data: Uint8Array): void {
    this.#link.barWriteBlock(bar, offset, data);
  }

  /** Page-aligned, and it stays where it is: the device writes to it. */
  allocateHost(bytes: number): HostPages {
    return this.#link.allocateHost(bytes);
  }

  dmaMap(context: number, iova: bigint, pages: HostPages, rights: DmaRights): void {
    this.#link.dmaMap(context, iova, pages, rights);
  }

  dmaUnmap(context: number, iova: bigint, bytes: number): void {
    this.#link.dmaUnmap(context, iova, bytes);
  }

  /** Calls the listener on the event loop of this thread. */
  onInterrupt(vector: number, listener: () => void): InterruptSubscription {
    return this.#link.onInterrupt(vector, listener);
  }

  functionReset(): void {
    this.#link.functionReset();
  }

  close(): void {
    this.#link.close();
  }
}

/** What it leaves out: a debug door, memory that other threads attach, and ways to flip bits or to be opened by workers. */
const MISSING: ReadonlySet<string> = new Set([
  'debug',
  'error correction',
  'shared host memory',
  'workers',
  'executor',
]);

export const backend: Backend = {
  name: 'counting card',
  generation: '2i',
  capabilities: new Set([...ALL_CAPABILITIES].filter((capability) => !MISSING.has(capability))),
  openCard: () => ({ pci: new CountingCard() }),
};
