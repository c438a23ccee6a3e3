/** What an executor is made with, and what it says about itself. */
import { availableParallelism } from 'node:os';
import type { ComputeType } from '../../compiler/index.js';
import { type FirmwareImage, invalidArgument } from '../../driver/index.js';
import type { Generation } from '../../hw/index.js';

export interface ExecutorOptions {
  /**
   * Worker threads, each with a card of its own; half of the processors when absent, and one at least. Each keeps one of
   * libuv's pool threads busy while it works: for more than three, start the process with a larger UV_THREADPOOL_SIZE (4).
   */
  readonly threads?: number;
  /** Batches that one worker thread has in flight: while one computes, the next is copied; 2 when absent. */
  readonly instances?: number;
  /** Rows that run together at most; 32 when absent, and 1 for a model of a fixed shape. */
  readonly maxBatch?: number;
  /** Milliseconds that a request waits for others while an instance is free; 0 when absent: none waits for company. */
  readonly maxDelay?: number;
  /** Requests that may wait; 1024 when absent. */
  readonly queueLimit?: number;
  /** What run() does when the queue is full: fail with EXECUTOR_FULL, or wait for room. 'reject' when absent. */
  readonly whenFull?: 'reject' | 'wait';
  /** For requests that name no deadline of their own; none when absent. */
  readonly deadlineMs?: number;
  /** Which chip to emulate; '2i' when absent. */
  readonly generation?: Generation;
  /** A bundle file, its bytes, or an image that was read already; the bundle of this package when absent. */
  readonly firmware?: string | Uint8Array | FirmwareImage;
  readonly allowUnsignedFirmware?: boolean;
  /** Type in which matrices are multiplied; what suits the model when absent. */
  readonly dtype?: ComputeType;
  /** Host threads that execute the PEs of each card; the processors divided among the cards when absent. */
  readonly peThreads?: number;
}

export interface ExecutorStats {
  /** Requests that wait in the queue. */
  readonly queued: number;
  /** Calls that wait for room in the queue. */
  readonly heldBack: number;
  /** Requests that a worker thread has. */
  readonly running: number;
  readonly completed: number;
  /** Requests that ended with an error, cancelled and late ones included. */
  readonly failed: number;
  readonly batches: number;
  /** Rows of a batch, on average. */
  readonly meanBatchRows: number;
  /** Milliseconds from the call to the result, of completed requests. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Worker threads that are ready. */
  readonly workers: number;
  /** Worker threads that ended and were replaced. */
  readonly workersLost: number;
}

export interface ExecutorLimits {
  readonly threads: number;
  readonly instances: number;
  readonly maxDelay: number;
  readonly queueLimit: number;
  readonly whenFull: 'reject' | 'wait';
  readonly deadlineMs: number | undefined;
  readonly peThreads: number;
}

/** Options with their defaults. Throws INVALID_ARGUMENT, naming the option, where one is out of range. */
export function limitsOf(options: ExecutorOptions): ExecutorLimits {
  const processors = availableParallelism();
  const threads = count('threads', options.threads ?? Math.max(1, Math.floor(processors / 2)));
  if (options.maxBatch !== undefined) count('maxBatch', options.maxBatch);
  const { whenFull = 'reject', maxDelay = 0, deadlineMs } = options;
  if (whenFull !== 'reject' && whenFull !== 'wait')
    throw invalidArgument(`whenFull is 'reject' or 'wait', got ${whenFull}`);
  if (!(maxDelay >= 0)) throw invalidArgument(`maxDelay is a number of milliseconds, got ${maxDelay}`);
  checkDeadline(deadlineMs);
  return {
    threads,
    instances: count('instances', options.instances ?? 2),
    maxDelay,
    queueLimit: count('queueLimit', options.queueLimit ?? 1024),
    whenFull,
    deadlineMs,
    peThreads: count('peThreads', options.peThreads ?? Math.max(1, Math.floor(processors / threads))),
  };
}

export function checkDeadline(deadlineMs: number | undefined): void {
  if (deadlineMs === undefined || deadlineMs > 0) return;
  throw invalidArgument(`deadlineMs is a positive number of milliseconds, got ${deadlineMs}`);
}

function count(name: string, value: number): number {
  if (Number.isInteger(value) && value >= 1) return value;
  throw invalidArgument(`${name} is a positive integer, got ${value}`);
}
