/** Free pieces of memory in the order of best fit; neighbours join. */

export interface FreeRange {
  readonly start: number;
  readonly bytes: number;
  /** Where the stream that freed it stood; 0 where no stream matters. Ranges that join keep the later position. */
  readonly position: number;
}

const roundUp = (value: number, multiple: number): number => Math.ceil(value / multiple) * multiple;

/** By size, then by address, so that the first that fits is the best. */
function precedes(a: FreeRange, b: FreeRange): boolean {
  return a.bytes !== b.bytes ? a.bytes < b.bytes : a.start < b.start;
}

export class FreeRanges {
  /** In the order of `precedes`; no two of them touch. */
  readonly #ranges: FreeRange[] = [];
  readonly #byStart = new Map<number, FreeRange>();
  readonly #byEnd = new Map<number, FreeRange>();
  #bytes = 0;

  /** All free bytes. */
  get bytes(): number {
    return this.#bytes;
  }

  get largest(): number {
    return this.#ranges.at(-1)?.bytes ?? 0;
  }

  /** In no order that matters. */
  get all(): readonly FreeRange[] {
    return this.#ranges;
  }

  add(start: number, bytes: number, position = 0): void {
    const before = this.#byEnd.get(start);
    const after = this.#byStart.get(start + bytes);
    if (before !== undefined) this.#remove(before);
    if (after !== undefined) this.#remove(after);
    this.#insert({
      start: before?.start ?? start,
      bytes: (before?.bytes ?? 0) + bytes + (after?.bytes ?? 0),
      position: Math.max(position, before?.position ?? 0, after?.position ?? 0),
    });
  }

  /** Address of the best fit among the ranges of a position up to `limit`; undefined when nothing fits. */
  take(bytes: number, alignment: number, limit = Number.POSITIVE_INFINITY): number | undefined {
    for (let index = this.#indexOf({ start: 0, bytes, position: 0 }); index < this.#ranges.length; index++) {
      const range = this.#ranges[index];
      if (range === undefined) break;
      const start = roundUp(range.start, alignment);
      if (range.position <= limit && start + bytes <= range.start + range.bytes) return this.#cut(range, start, bytes);
    }
    return undefined;
  }

  /** Removes the ranges of a position up to `limit`. */
  drain(limit: number): readonly FreeRange[] {
    const drained = this.#ranges.filter(({ position }) => position <= limit);
    for (const range of drained) this.#remove(range);
    return drained;
  }

  #cut(range: FreeRange, start: number, bytes: number): number {
    this.#remove(range);
    const { position } = range;
    const end = start + bytes;
    const rest = range.start + range.bytes - end;
    if (start > range.start) this.#insert({ start: range.start, bytes: start - range.start, position });
    if (rest > 0) this.#insert({ start: end, bytes: rest, position });
    return start;
  }

  /** Index of the first range that does not precede `range`. */
  #indexOf(range: FreeRange): number {
    let low = 0;
    let high = this.#ranges.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const candidate = this.#ranges[middle];
      if (candidate !== undefined && precedes(candidate, range)) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #insert(range: FreeRange): void {
    this.#ranges.splice(this.#indexOf(range), 0, range);
    this.#byStart.set(range.start, range);
    this.#byEnd.set(range.start + range.bytes, range);
    this.#bytes += range.bytes;
  }

  #remove(range: FreeRange): void {
    this.#ranges.splice(this.#indexOf(range), 1);
    this.#byStart.delete(range.start);
    this.#byEnd.delete(range.start + range.bytes);
    this.#bytes -= range.bytes;
  }
}
