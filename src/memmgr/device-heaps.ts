/**
 * The device memory that contexts share, handed out in protection pages. One instance per device, in the thread that opened
 * it; other threads ask it (shared-heaps.ts).
 */
import { MEMORY_MAP, PROTECTION_PAGE_BYTES, RESERVED } from '../hw/index.js';
import { Heap } from './heap.js';
import { HeapOccupancy, type Occupancy } from './heap-occupancy.js';
import { MEMORY_KINDS, type MemoryKind } from './memory-kind.js';

/** The sizes of a device's memories; a Device has them. */
export interface MemorySizes {
  readonly lpddrBytes: number;
  /** Of the part that is addressable. */
  readonly sramBytes: number;
}

const PAGE = PROTECTION_PAGE_BYTES;

function pageHeap(region: { readonly base: bigint }, reserved: number, bytes: number): Heap {
  const usable = Math.floor((bytes - reserved) / PAGE) * PAGE;
  return new Heap({ base: Number(region.base) + reserved, bytes: Math.max(0, usable), granule: PAGE });
}

/** Where a context's pages come from. */
export interface PageSource {
  /** Address of whole pages that hold `bytes`; undefined when no room is left. */
  take(memory: MemoryKind, bytes: number, alignment: number): Promise<number | undefined>;
  give(memory: MemoryKind, address: number): void;
  occupancy(memory: MemoryKind): Occupancy;
}

/** The free pages of a card, one heap for each kind of memory. */
export class DeviceHeaps implements PageSource {
  readonly #heaps: Readonly<Record<MemoryKind, Heap>>;
  readonly #occupancy: HeapOccupancy;

  /** @param occupancy kept up to date, for other threads to read */
  constructor(sizes: MemorySizes, occupancy: HeapOccupancy = new HeapOccupancy()) {
    this.#heaps = {
      lpddr: pageHeap(MEMORY_MAP.LPDDR, RESERVED.LPDDR_FIRMWARE_BYTES, sizes.lpddrBytes),
      sram: pageHeap(MEMORY_MAP.SRAM, RESERVED.SRAM_FIRMWARE_BYTES, sizes.sramBytes),
    };
    this.#occupancy = occupancy;
    for (const memory of MEMORY_KINDS) this.#note(memory);
  }

  async take(memory: MemoryKind, bytes: number, alignment: number): Promise<number | undefined> {
    const address = this.#heaps[memory].allocate(bytes, Math.max(alignment, PAGE));
    this.#note(memory);
    return address;
  }

  give(memory: MemoryKind, address: number): void {
    this.#heaps[memory].free(address);
    this.#note(memory);
  }

  occupancy(memory: MemoryKind): Occupancy {
    return this.#occupancy.read(memory);
  }

  #note(memory: MemoryKind): void {
    this.#occupancy.write(memory, this.#heaps[memory].statistics());
  }
}
