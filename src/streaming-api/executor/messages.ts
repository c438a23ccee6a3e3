/** What the main thread and worker threads say to each other. Tensors and weights lie in shared memory and stay there. */
import type { CompiledGraph } from '../../compiler/compiled-graph.js';
import { type FaultPlace, MtiaError } from '../../driver/errors.js';
import type { FirmwareImage } from '../../driver/index.js';
import type { ErrorName, Generation } from '../../hw/index.js';

/** An MtiaError on its way between threads: structured clones lose its class and code. */
interface ErrorMessage {
  readonly code: ErrorName;
  readonly message: string;
  readonly place?: FaultPlace;
  readonly cause?: unknown;
}

export type Answer<T> = { readonly value: T } | { readonly error: ErrorMessage };

/** What a worker thread opens its card with, as soon as it runs. */
export interface CardSetup {
  readonly generation: Generation;
  readonly firmware: FirmwareImage;
  readonly peThreads: number;
}

export interface PrepareTask {
  /** For each size of a batch, the smallest first. */
  readonly graphs: readonly CompiledGraph[];
  /** One for each instance. */
  readonly slabs: readonly SharedArrayBuffer[];
  /** Whether to prove that rows do not depend on each other. */
  readonly checkRows: boolean;
}

/** Runs graph `graph` on the inputs in slab `slab`, and leaves the outputs there. */
export interface RunTask {
  readonly slab: number;
  readonly graph: number;
  readonly deadlineMs: number;
}

/** Ends the run that uses slab `slab`, if there is one. */
export interface AbortTask {
  readonly slab: number;
}

export interface RunReport {
  readonly deviceUs: number;
  readonly graphUs: number;
  readonly jobs: number;
}

/** The result of `work`, or the typed error with which it failed. Other errors are defects and end the task. */
export async function answer<T>(work: () => T | Promise<T>): Promise<Answer<T>> {
  try {
    return { value: await work() };
  } catch (error) {
    if (!(error instanceof MtiaError)) throw error;
    const { code, message, place, cause } = error;
    return {
      error: {
        code,
        message,
        ...(place === undefined ? {} : { place }),
        ...(cause === undefined ? {} : { cause: cause instanceof Error ? new Error(cause.message) : cause }),
      },
    };
  }
}

/** What the other thread answered. */
export function unwrap<T>(answered: Answer<T>): T {
  if ('value' in answered) return answered.value;
  const { code, message, place, cause } = answered.error;
  throw new MtiaError(code, message, {
    ...(place === undefined ? {} : { place }),
    ...(cause === undefined ? {} : { cause }),
  });
}

/** The same bytes where every thread sees them. */
export function toSharedMemory(bytes: Uint8Array): Uint8Array {
  if (bytes.buffer instanceof SharedArrayBuffer) return bytes;
  const shared = new Uint8Array(new SharedArrayBuffer(bytes.byteLength));
  shared.set(bytes);
  return shared;
}

/** A graph that costs next to nothing to send to another thread. */
export function shareGraph(graph: CompiledGraph): CompiledGraph {
  return { ...graph, weights: toSharedMemory(graph.weights), image: toSharedMemory(graph.image) };
}
