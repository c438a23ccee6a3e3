/** Random numbers that are the same everywhere. */
import { randomNumbers } from '../../src/conformance/random.js';

export type Random = (below: number) => number;

/** Whole numbers from 0 to below. */
export function randomFrom(seed: number): Random {
  const next = randomNumbers(seed);
  return (below) => (next() * below) | 0;
}

export function pick<T>(random: Random, items: readonly T[]): T {
  const item = items[random(items.length)];
  if (item === undefined) throw new Error('nothing to pick from');
  return item;
}
