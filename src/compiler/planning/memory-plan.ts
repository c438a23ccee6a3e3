/** Addresses in the workspace: buffers whose lives do not overlap share memory. */
import { roundUp } from '../packing/pack-weights.js';

const ALIGNMENT = 64;

/** Something that needs memory from level `first` to level `last`, both included. */
export interface Lifetime {
  readonly bytes: number;
  readonly first: number;
  readonly last: number;
}

export interface MemoryPlan {
  /** Offset of every lifetime, multiples of 64. */
  readonly offsets: readonly number[];
  readonly bytes: number;
}

/** Places the largest first, each at the lowest offset that is free during its whole life. */
export function planMemory(lifetimes: readonly Lifetime[]): MemoryPlan {
  const offsets = new Array<number>(lifetimes.length).fill(0);
  const order = [...lifetimes.entries()].sort(([a, left], [b, right]) => right.bytes - left.bytes || a - b);
  const placed: { readonly life: Lifetime; readonly start: number; readonly end: number }[] = [];
  let total = 0;
  for (const [index, life] of order) {
    const neighbours = placed
      .filter(({ life: other }) => other.first <= life.last && life.first <= other.last)
      .sort((a, b) => a.start - b.start);
    const bytes = roundUp(life.bytes, ALIGNMENT);
    let start = 0;
    for (const neighbour of neighbours) {
      if (start + bytes <= neighbour.start) break;
      start = Math.max(start, neighbour.end);
    }
    offsets[index] = start;
    placed.push({ life, start, end: start + bytes });
    total = Math.max(total, start + bytes);
  }
  return { offsets, bytes: total };
}
