/**
 * A best-fit heap over a range of addresses. It keeps no bookkeeping inside the memory that it manages, so the memory may
 * lie on a device.
 */

export interface HeapRange {
  /** First address. Device addresses stay below 2^53, so they are numbers here. */
  readonly base: number;
  readonly bytes: number;
  /** Sizes and addresses are multiples of this power of two. */
  readonly granule: number;
}

export interface HeapStatistics {
  readonly totalBytes: number;
  readonly usedBytes: number;
  readonly peakBytes: number;
  readonly freeBytes: number;
  readonly largestFreeBytes: number;
  readonly allocations: number;
}

interface Block {
  readonly start: number;
  readonly bytes: number;
}

function isPowerOfTwo(value: number): boolean {
  return Number.isSafeInteger(value) && value > 0 && 2 ** Math.round(Math.log2(value)) === value;
}

const roundUp = (value: number, multiple: number): number => Math.ceil(value / multiple) * multiple;

/** Order of the free list: by size, then by address, so that the first that fits is the best. */
function precedes(a: Block, b: Block): boolean {
  return a.bytes !== b.bytes ? a.bytes < b.bytes : a.start < b.start;
}

export class Heap {
  readonly #range: HeapRange;
  /** Free blocks in the order of `precedes`; no two of them touch. */
  readonly #free: Block[];
  readonly #freeByStart = new Map<number, Block>();
  readonly #freeByEnd = new Map<number, Block>();
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
    this.#free = [];
    if (bytes > 0) this.#addFree({ start: base, bytes });
  }

  /** Address of a new allocation; undefined when nothing fits. */
  allocate(bytes: number, alignment = this.#range.granule): number | undefined {
    if (!Number.isSafeInteger(bytes) || bytes <= 0) throw new RangeError(`cannot allocate ${bytes} bytes`);
    if (!isPowerOfTwo(alignment)) throw new RangeError(`an alignment is a power of two, got ${alignment}`);
    const size = roundUp(bytes, this.#range.granule);
    for (let index = this.#position({ start: 0, bytes: size }); index < this.#free.length; index++) {
      const block = this.#free[index];
      if (block === undefined) break;
      const start = roundUp(block.start, alignment);
      if (start + size <= block.start + block.bytes) return this.#take(block, start, size);
    }
    return undefined;
  }

  /** Gives an allocation back; returns its size. */
  free(address: number): number {
    const bytes = this.#used.get(address);
    if (bytes === undefined) throw new RangeError(`nothing is allocated at 0x${address.toString(16)}`);
    this.#used.delete(address);
    this.#usedBytes -= bytes;
    const before = this.#freeByEnd.get(address);
    const after = this.#freeByStart.get(address + bytes);
    if (before !== undefined) this.#removeFree(before);
    if (after !== undefined) this.#removeFree(after);
    this.#addFree({ start: before?.start ?? address, bytes: (before?.bytes ?? 0) + bytes + (after?.bytes ?? 0) });
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
      largestFreeBytes: this.#free.at(-1)?.bytes ?? 0,
      allocations: this.#used.size,
    };
  }

  #take(block: Block, start: number, bytes: number): number {
    this.#removeFree(block);
    const end = start + bytes;
    if (start > block.start) this.#addFree({ start: block.start, bytes: start - block.start });
    if (end < block.start + block.bytes) this.#addFree({ start: end, bytes: block.start + block.bytes - end });
    this.#used.set(start, bytes);
    this.#usedBytes += bytes;
    this.#peakBytes = Math.max(this.#peakBytes, this.#usedBytes);
    return start;
  }

  /** Index of the first free block that does not precede `block`. */
  #position(block: Block): number {
    let low = 0;
    let high = this.#free.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const candidate = this.#free[middle];
      if (candidate !== undefined && precedes(candidate, block)) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #addFree(block: Block): void {
    this.#free.splice(this.#position(block), 0, block);
    this.#freeByStart.set(block.start, block);
    this.#freeByEnd.set(block.start + block.bytes, block);
  }

  #removeFree(block: Block): void {
    this.#free.splice(this.#position(block), 1);
    this.#freeByStart.delete(block.start);
    this.#freeByEnd.delete(block.start + block.bytes);
  }
}
