/** The device memory that contexts share, handed out in protection pages. One instance per device. */
import { MEMORY_MAP, PROTECTION_PAGE_BYTES, RESERVED } from '../hw/index.js';
import { Heap, type HeapStatistics } from './heap.js';

export type MemoryKind = 'lpddr' | 'sram';

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

export class DeviceHeaps {
  readonly #heaps: Readonly<Record<MemoryKind, Heap>>;

  constructor(sizes: MemorySizes) {
    this.#heaps = {
      lpddr: pageHeap(MEMORY_MAP.LPDDR, RESERVED.LPDDR_FIRMWARE_BYTES, sizes.lpddrBytes),
      sram: pageHeap(MEMORY_MAP.SRAM, RESERVED.SRAM_FIRMWARE_BYTES, sizes.sramBytes),
    };
  }

  /** Address of whole pages that hold `bytes`; undefined when no room is left. */
  take(memory: MemoryKind, bytes: number, alignment: number): number | undefined {
    return this.#heaps[memory].allocate(bytes, Math.max(alignment, PAGE));
  }

  give(memory: MemoryKind, address: number): void {
    this.#heaps[memory].free(address);
  }

  statistics(memory: MemoryKind): HeapStatistics {
    return this.#heaps[memory].statistics();
  }
}
