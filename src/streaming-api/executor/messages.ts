/** What the main thread and worker threads say to each other. Tensors and weights lie in shared memory and stay there. */
import type { CompiledGraph } from '../../compiler/compiled-graph.js';
import { decodeError, type ErrorMessage, encodeError, MtiaError } from '../../driver/index.js';
import type { SharedDevice } from '../shared-device.js';

export type Answer<T> = { readonly value: T } | { readonly error: ErrorMessage };

export interface PrepareTask {
  /** The card, for this thread to attach. What it has attached before it closes first. */
  readonly device: SharedDevice;
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
    return { error: encodeError(error) };
  }
}

/** What the other thread answered. */
export function unwrap<T>(answered: Answer<T>): T {
  if ('value' in answered) return answered.value;
  throw decodeError(answered.error);
}

/** The same bytes where every thread sees them. */
export function toSharedMemory(bytes: Uint8Array): Uint8Array {
  if (bytes.buffer instanceof SharedArrayBuffer) return bytes;
  const shared = new Uint8Array(new SharedArrayBuffer(bytes.byteLength));
  shared.set(bytes);
  return shared;
}

/** Graphs that cost next to nothing to send to another thread. Those that had the same weights have the same still. */
export function shareGraphs(graphs: readonly CompiledGraph[]): readonly CompiledGraph[] {
  const shared = new Map<Uint8Array, Uint8Array>();
  return graphs.map((graph) => {
    const weights = shared.get(graph.weights) ?? toSharedMemory(graph.weights);
    shared.set(graph.weights, weights);
    return { ...graph, weights, image: toSharedMemory(graph.image) };
  });
}
