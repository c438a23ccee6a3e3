/** How full the memories of a device are, where every thread that uses it can read it. */
import { MEMORY_KINDS, type MemoryKind } from './memory-kind.js';

/** How full one memory is, in bytes. */
export interface Occupancy {
  readonly totalBytes: number;
  /** Bytes that no context holds. */
  readonly freeBytes: number;
  readonly largestFreeBytes: number;
}

const FIELDS = ['totalBytes', 'freeBytes', 'largestFreeBytes'] as const;

/** Occupancy of each memory in shared memory: one thread writes it, every other reads it. */
export class HeapOccupancy {
  readonly memory: SharedArrayBuffer;
  readonly #numbers: BigInt64Array;

  constructor(memory = new SharedArrayBuffer(MEMORY_KINDS.length * FIELDS.length * BigInt64Array.BYTES_PER_ELEMENT)) {
    this.memory = memory;
    this.#numbers = new BigInt64Array(memory);
  }

  write(memory: MemoryKind, occupancy: Occupancy): void {
    for (const [index, field] of FIELDS.entries()) {
      Atomics.store(this.#numbers, this.#place(memory) + index, BigInt(occupancy[field]));
    }
  }

  read(memory: MemoryKind): Occupancy {
    const [totalBytes = 0, freeBytes = 0, largestFreeBytes = 0] = FIELDS.map((_, index) =>
      Number(Atomics.load(this.#numbers, this.#place(memory) + index)),
    );
    return { totalBytes, freeBytes, largestFreeBytes };
  }

  #place(memory: MemoryKind): number {
    return MEMORY_KINDS.indexOf(memory) * FIELDS.length;
  }
}
