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

export function greatest(a: ProcessResources, b: ProcessResources): ProcessResources {
  return {
    residentBytes: Math.max(a.residentBytes, b.residentBytes),
    heapBytes: Math.max(a.heapBytes, b.heapBytes),
    externalBytes: Math.max(a.externalBytes, b.externalBytes),
    descriptors: Math.max(a.descriptors, b.descriptors),
    threads: Math.max(a.threads, b.threads),
  };
}

/** How much more than at first is no leak: caches, buffers of the allocator, threads of Node that start when they are needed. */
const TOLERANCE: ProcessResources = {
  residentBytes: 192 * 2 ** 20,
  heapBytes: 48 * 2 ** 20,
  externalBytes: 64 * 2 ** 20,
  descriptors: 8,
  threads: 6,
};

/** Says what has leaked; undefined where all is as at first. Both are measured with garbage collected. */
export function leakOf(first: ProcessResources, now: ProcessResources): string | undefined {
  for (const key of Object.keys(TOLERANCE) as (keyof ProcessResources)[]) {
    if (now[key] > first[key] + TOLERANCE[key]) return `a leak: ${key} rose from ${first[key]} to ${now[key]}`;
  }
  return undefined;
}
