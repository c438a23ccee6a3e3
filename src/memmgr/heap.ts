/**
 * A best-fit heap over a range of addresses. It keeps no bookkeeping inside the memory that it manages, so the memory may
 * lie on a device.
 */
import { FreeRanges } from './free-ranges.js';

/** A range of a heap. */
export interface HeapRange {
  /** First address. Device addresses stay below 2^53, so they are numbers here. */
  readonly base: number;
  readonly bytes: number;
  /** Sizes and addresses are multiples of this power of two. */
  readonly granule: number;
}

/** What a heap holds, in bytes. */
export interface HeapStatistics {
  readonly totalBytes: number;
  readonly usedBytes: number;
  readonly peakBytes: number;
  readonly freeBytes: number;
  readonly largestFreeBytes: number;
  readonly allocations: number;
}

function isPowerOfTwo(value: number): boolean {
  return Number.isSafeInteger(value) && value > 0 && 2 ** Math.round(Math.log2(value)) === value;
}

/** Free and used ranges of one memory, in whole granules. */
export class Heap {
  readonly #range: HeapRange;
  readonly #free = new FreeRanges();
  readonly #used = new Map<number, number>();
  #usedBytes = 0;
  #peakBytes = 0;

  constructor(range: HeapRange) {
    const { base, bytes, granule } = range;
    if (!isPowerOfTwo(granule)) throw new RangeError(`the granule of a heap is a power of two, got ${granule}`);
    if (!Number.isSafeInteger(base + bytes) || base < 0 || base % granule !== 0 || bytes % granule !== 0 || bytes < 0) {
      throw new RangeError(`a heap of ${bytes} bytes at ${base} is not a range of whole granules of ${granule} bytes`);
    }
    this.#range = range;
    if (bytes > 0) this.#free.add(base, bytes);
  }

  /** Address of a new allocation; undefined when nothing fits. */
  allocate(bytes: number, alignment = this.#range.granule): number | undefined {
    if (!Number.isSafeInteger(bytes) || bytes <= 0) throw new RangeError(`cannot allocate ${bytes} bytes`);
    if (!isPowerOfTwo(alignment)) throw new RangeError(`an alignment is a power of two, got ${alignment}`);
    const { granule } = this.#range;
    const size = Math.ceil(bytes / granule) * granule;
    const start = this.#free.take(size, alignment);
    if (start === undefined) return undefined;
    this.#used.set(start, size);
    this.#usedBytes += size;
    this.#peakBytes = Math.max(this.#peakBytes, this.#usedBytes);
    return start;
  }

  /** Gives an allocation back; returns its size. */
  free(address: number): number {
    const bytes = this.#used.get(address);
    if (bytes === undefined) throw new RangeError(`nothing is allocated at 0x${address.toString(16)}`);
    this.#used.delete(address);
    this.#usedBytes -= bytes;
    this.#free.add(address, bytes);
    return bytes;
  }

  get empty(): boolean {
    return this.#used.size === 0;
  }

  statistics(): HeapStatistics {
    return {
      totalBytes: this.#range.bytes,
      usedBytes: this.#usedBytes,
      peakBytes: this.#peakBytes,
      freeBytes: this.#range.bytes - this.#usedBytes,
      largestFreeBytes: this.#free.largest,
      allocations: this.#used.size,
    };
  }
}
