/** I/O virtual addresses of one context: where its host memory is mapped. */
import { invalidArgument } from './errors.js';
import { type DmaRights, HOST_PAGE_BYTES, type HostPages, type PciFunction } from './pci-function.js';

/** Away from zero, so that a null pointer is a fault. */
const FIRST_IOVA = 0x1_0000_0000n;
/** An unmapped page behind every mapping, so that an overrun is a fault. */
const GUARD_BYTES = BigInt(HOST_PAGE_BYTES);

export class AddressSpace {
  readonly #pci: PciFunction;
  readonly #context: number;
  readonly #mapped = new Map<bigint, HostPages>();
  /** Addresses of unmapped ranges by their size, for mappings of the same size. */
  readonly #reusable = new Map<number, bigint[]>();
  #next = FIRST_IOVA;

  constructor(pci: PciFunction, context: number) {
    this.#pci = pci;
    this.#context = context;
  }

  map(pages: HostPages, rights: DmaRights): bigint {
    const iova = this.#reusable.get(pages.bytes)?.shift() ?? this.#take(pages.bytes);
    this.#pci.dmaMap(this.#context, iova, pages, rights);
    this.#mapped.set(iova, pages);
    return iova;
  }

  unmap(iova: bigint): void {
    const pages = this.#mapped.get(iova);
    if (pages === undefined) {
      throw invalidArgument(`context ${this.#context} has no host memory mapped at 0x${iova.toString(16)}`);
    }
    this.#pci.dmaUnmap(this.#context, iova, pages.bytes);
    this.#mapped.delete(iova);
    const reusable = this.#reusable.get(pages.bytes);
    if (reusable === undefined) this.#reusable.set(pages.bytes, [iova]);
    else reusable.push(iova);
  }

  unmapAll(): void {
    for (const iova of [...this.#mapped.keys()]) this.unmap(iova);
  }

  #take(bytes: number): bigint {
    const iova = this.#next;
    this.#next += BigInt(bytes) + GUARD_BYTES;
    return iova;
  }
}
