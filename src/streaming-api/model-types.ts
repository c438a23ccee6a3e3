/** What a compiled model is loaded with, run with, and gives back. */
import type { ComputeType, InputShapes } from '../compiler/index.js';
import type { Stream } from './stream.js';

/** Elements of a tensor; float16 and bfloat16 are Uint16Arrays of their bits, bool is a Uint8Array of 0 and 1. */
export type TensorData = Float32Array | Uint16Array | BigInt64Array | Int32Array | Int8Array | Uint8Array;

/**
 * How a model is compiled and kept on the device. The first three are for the compiler: INVALID_ARGUMENT with a graph that
 * is compiled already.
 */
export interface LoadOptions {
  /**
   * Type in which matrices are multiplied: 'auto', 'bf16', 'fp16' or 'int8' (products with constant matrices; all else stays
   * bf16). What suits the model when absent, as 'auto'.
   */
  readonly dtype?: ComputeType;
  /**
   * What the symbolic dimensions stand for that `inputShapes` leaves open, 1 or more. SHAPE_MISMATCH where neither of the two
   * binds a dimension.
   */
  readonly batch?: number;
  /**
   * Shapes that bind the model's symbolic dimensions, by name of the input or in the order of the inputs; none when absent.
   * SHAPE_MISMATCH where they do not fit the model.
   */
  readonly inputShapes?: InputShapes;
  /**
   * Runs that may be in flight at once, 1 or more (else INVALID_ARGUMENT), each with its own inputs, outputs and workspace on the
   * device; 4 when absent. Fewer where memory has room for fewer.
   */
  readonly concurrency?: number;
}

/** How one run of a model is ordered, bounded and answered. */
export interface RunOptions {
  /** Where the run is enqueued, a stream of the same device; the device's default stream when absent. */
  readonly stream?: Stream;
  /** Rejects the run with ABORTED when it aborts, and has the device end it where it has begun; none when absent. */
  readonly signal?: AbortSignal;
  /** Milliseconds that the graph may take on the device, above 0, before it ends with KERNEL_TIMEOUT; no limit when absent. */
  readonly deadlineMs?: number;
  /**
   * Arrays that take outputs, by name; the other outputs come in new ones. Worth it for large outputs: new memory costs a
   * page fault every 4 KiB, several times the copy itself. Untouched where the run fails.
   */
  readonly outputs?: Readonly<Record<string, TensorData>>;
}

/** What a run of a model gives back. */
export interface RunResult {
  /** By name; the caller's own. */
  readonly outputs: Readonly<Record<string, TensorData>>;
  /** Device time of the whole request, copies included, by the chip's time model. */
  readonly deviceUs: number;
  /** The part of it that the graph took. */
  readonly graphUs: number;
  /** From the call to the result, on this host. */
  readonly wallMs: number;
  /** Jobs that the graph handed to processing elements. */
  readonly jobs: number;
}
