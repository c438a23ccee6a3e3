/** What the process holds, and whether that grows. */
import { readdirSync } from 'node:fs';

export interface ProcessResources {
  readonly residentBytes: number;
  /** Objects of JavaScript. */
  readonly heapBytes: number;
  /** Memory that objects of JavaScript hold outside of the heap. */
  readonly externalBytes: number;
  readonly descriptors: number;
  readonly threads: number;
}

export function processResources(): ProcessResources {
  const { rss, heapUsed, external } = process.memoryUsage();
  return {
    residentBytes: rss,
    heapBytes: heapUsed,
    externalBytes: external,
    descriptors: readdirSync('/proc/self/fd').length,
    threads: readdirSync('/proc/self/task').length,
  };
}

type Choose = (...values: readonly number[]) => number;

function combined(samples: readonly ProcessResources[], choose: Choose): ProcessResources {
  const each = (key: keyof ProcessResources): number => choose(...samples.map((sample) => sample[key]));
  return {
    residentBytes: each('residentBytes'),
    heapBytes: each('heapBytes'),
    externalBytes: each('externalBytes'),
    descriptors: each('descriptors'),
    threads: each('threads'),
  };
}

export function greatest(...samples: readonly ProcessResources[]): ProcessResources {
  return combined(samples, Math.max);
}

/** How much more than at first is no leak: caches, buffers of the allocator, threads of Node that start when they are needed. */
const TOLERANCE: ProcessResources = {
  residentBytes: 192 * 2 ** 20,
  heapBytes: 48 * 2 ** 20,
  externalBytes: 64 * 2 ** 20,
  descriptors: 8,
  threads: 6,
};

/** What a card holds comes and goes with it: several samples together say what stays. */
const WINDOW = 4;

/** Compares what the process holds all the time with the most that it held at first. Samples are taken with garbage collected. */
export class GrowthWatch {
  readonly #first: ProcessResources[] = [];
  readonly #recent: ProcessResources[] = [];

  /** The most of the first samples; undefined before there is one. */
  get atFirst(): ProcessResources | undefined {
    return this.#first.length === 0 ? undefined : greatest(...this.#first);
  }

  /** Says what has leaked; undefined where nothing stays above what there was at first. */
  add(sample: ProcessResources): string | undefined {
    if (this.#first.length < WINDOW) {
      this.#first.push(sample);
      return undefined;
    }
    this.#recent.push(sample);
    if (this.#recent.length > WINDOW) this.#recent.shift();
    if (this.#recent.length < WINDOW) return undefined;
    const [first, least] = [greatest(...this.#first), combined(this.#recent, Math.min)];
    for (const key of Object.keys(TOLERANCE) as (keyof ProcessResources)[]) {
      if (least[key] > first[key] + TOLERANCE[key]) return `a leak: ${key} rose from ${first[key]} to ${least[key]}`;
    }
    return undefined;
  }
}
