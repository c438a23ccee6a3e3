/** Repeatable random numbers: the same on every machine. Seed and name of a case decide everything that it draws. */
import { createHash } from 'node:crypto';

/** Mulberry32: 32 bits of state are plenty for inputs that only have to differ. Values in 0..1, 1 excluded. */
export function randomNumbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export class Random {
  /** 0 <= x < 1. */
  readonly next: () => number;

  constructor(seed: number, name: string) {
    this.next = randomNumbers(createHash('sha256').update(`${seed}\0${name}`).digest().readUInt32LE(0));
  }

  /** least <= n <= most. */
  integer(least: number, most: number): number {
    return least + Math.floor(this.next() * (most - least + 1));
  }

  bytes(count: number): Uint8Array {
    const bytes = new Uint8Array(count);
    for (let index = 0; index < count; index++) bytes[index] = this.integer(0, 255);
    return bytes;
  }

  pick<T>(list: readonly T[]): T {
    const found = list[this.integer(0, list.length - 1)];
    if (found === undefined) throw new RangeError('nothing to pick from');
    return found;
  }

  /** A new array in random order. */
  shuffle<T>(list: readonly T[]): T[] {
    const shuffled = [...list];
    for (let index = shuffled.length - 1; index > 0; index--) {
      const other = this.integer(0, index);
      [shuffled[index], shuffled[other]] = [shuffled[other] as T, shuffled[index] as T];
    }
    return shuffled;
  }
}
