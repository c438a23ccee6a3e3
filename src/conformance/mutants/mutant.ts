/** Deliberate defects: a suite that lets one of them pass does not check what it claims to check. */
import type { Bundle } from '../../firmware-emu/index.js';
import type { Backend } from '../backend.js';

/** What the suite runs against. */
export interface Subject {
  readonly backend: Backend;
  readonly firmware: Bundle;
}

/** One defect. */
export interface Mutant {
  readonly name: string;
  readonly breaks: 'chip' | 'device' | 'driver' | 'memory manager' | 'Streaming API' | 'executor' | 'firmware';
  /** The defect, in a sentence. */
  readonly doc: string;
  /** Categories that promise what it breaks, and so must catch it. */
  readonly promisedBy: readonly string[];
  /** Name of a reduced card or the other chip, where the defect shows on that only. */
  readonly backend?: 'one-queue' | 'one-vector' | 'v1';
  /** Why it cannot be had here; undefined where it can. */
  readonly unavailable?: () => string | undefined;
  /** May change this process for good: each mutant has a process of its own. */
  readonly apply: (subject: Subject) => Subject | Promise<Subject>;
}

type Method<T, K extends keyof T> = T[K] extends (...args: infer A) => infer R ? (this: T, ...args: A) => R : never;

/** Replaces a method of every object of a class. */
export function patch<T extends object, K extends keyof T>(
  prototype: T,
  method: K,
  replace: (original: Method<T, K>) => Method<T, K>,
): void {
  const original = prototype[method] as Method<T, K>;
  Object.defineProperty(prototype, method, { value: replace(original), configurable: true, writable: true });
}
