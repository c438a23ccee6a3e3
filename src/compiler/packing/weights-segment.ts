/** The weights segment: everything constant that jobs read, packed side by side. */
import { roundUp } from './pack-weights.js';

const ALIGNMENT = 64;

export class WeightsSegment {
  readonly #fills: { readonly offset: number; readonly bytes: number; readonly fill: (target: Uint8Array) => void }[] =
    [];
  readonly #known = new Map<string, number>();
  readonly #storages = new Map<Uint8Array, number>();
  #bytes = 0;

  /** Reserves room that `fill` writes once all sizes are known. Room under the same key is reserved once. */
  reserve(bytes: number, fill: (target: Uint8Array) => void, key?: string): number {
    const known = key === undefined ? undefined : this.#known.get(key);
    if (known !== undefined) return known;
    const offset = this.#bytes;
    this.#bytes = roundUp(offset + bytes, ALIGNMENT);
    this.#fills.push({ offset, bytes, fill });
    if (key !== undefined) this.#known.set(key, offset);
    return offset;
  }

  /** Tells the elements of one tensor from those of another, in keys. */
  numberOf(storage: Uint8Array): number {
    const number = this.#storages.get(storage) ?? this.#storages.size;
    this.#storages.set(storage, number);
    return number;
  }

  get bytes(): number {
    return this.#bytes;
  }

  build(): Uint8Array {
    const segment = new Uint8Array(this.#bytes);
    for (const { offset, bytes, fill } of this.#fills) fill(segment.subarray(offset, offset + bytes));
    return segment;
  }
}
