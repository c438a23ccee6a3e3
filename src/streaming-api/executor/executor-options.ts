/** What an executor is made with, and what it says about itself. */
import { availableParallelism } from 'node:os';
import type { ComputeType } from '../../compiler/index.js';
import { checkDeadline, type FirmwareImage, invalidArgument } from '../../driver/index.js';
import type { Generation } from '../../hw/index.js';
import type { Device } from '../device.js';

const MOST_DEFAULT_THREADS = 4;

/** INVALID_ARGUMENT, naming the option, where one is out of range. */
export interface ExecutorOptions {
  /**
   * Worker threads, each with a context and a queue of its own on the card: 1 to 30, as long as the card has queues left (else
   * TOO_MANY). Half of the processors when absent, but 1 at least and 4 at most: one copies while another computes, and more
   * gain little. Each keeps one of libuv's pool threads busy while it works: for more than three, start the process with a
   * larger UV_THREADPOOL_SIZE (4). Weights are uploaded once for each thread.
   */
  readonly threads?: number;
  /** Batches that one worker thread has in flight, 1 or more: while one computes, the next is copied; 2 when absent. */
  readonly instances?: number;
  /**
   * Rows that run together at most, 1 or more; 32 when absent, and 1 for a model of a fixed shape, whose requests cannot be
   * batched (INVALID_ARGUMENT for more).
   */
  readonly maxBatch?: number;
  /** Milliseconds that a request waits for others while an instance is free; 0 when absent: none waits for company. */
  readonly maxDelay?: number;
  /** Requests that may wait, 1 or more; 1024 when absent. */
  readonly queueLimit?: number;
  /** What run() does when the queue is full: fail with EXECUTOR_FULL, or wait for room. 'reject' when absent. */
  readonly whenFull?: 'reject' | 'wait';
  /** Milliseconds, above 0, for requests that name no deadline of their own; none when absent. */
  readonly deadlineMs?: number;
  /**
   * The card to run on; the executor opens one of its own when absent, and closes that with itself. A device of the caller's
   * stays open, may be used beside the executor, and is the caller's to reset where it is lost: the executor then goes on.
   */
  readonly device?: Device;
  /** Which chip to emulate where there is no `device`; the first one of enumerateDevices() when absent. */
  readonly generation?: Generation;
  /**
   * Firmware where there is no `device`: a bundle file, its bytes, or an image that was read already; the bundle of this
   * package when absent. INVALID_BUNDLE or BAD_SIGNATURE where it cannot be booted.
   */
  readonly firmware?: string | Uint8Array | FirmwareImage;
  /** Boots a bundle that nobody signed; false when absent. */
  readonly allowUnsignedFirmware?: boolean;
  /** Type in which matrices are multiplied: 'auto', 'bf16', 'fp16' or 'int8'; what suits the model when absent. */
  readonly dtype?: ComputeType;
  /** Host threads that execute the PEs of the card where there is no `device`, 1 or more; the number of processors when absent. */
  readonly peThreads?: number;
}

/** What an executor has done and is doing. */
export interface ExecutorStats {
  /** Requests that wait in the queue. */
  readonly queued: number;
  /** Calls that wait for room in the queue. */
  readonly heldBack: number;
  /** Requests that a worker thread has. */
  readonly running: number;
  /** Requests that were answered. */
  readonly completed: number;
  /** Requests that ended with an error, cancelled and late ones included. */
  readonly failed: number;
  /** Batches that ran. */
  readonly batches: number;
  /** Rows of a batch, on average. */
  readonly meanBatchRows: number;
  /** Milliseconds from the call to the result, of completed requests. */
  readonly p50Ms: number;
  /** As p50Ms, of the slowest in a hundred. */
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
  /** As many as the card has by itself when undefined. */
  readonly peThreads: number | undefined;
}

/** Options with their defaults. Throws INVALID_ARGUMENT, naming the option, where one is out of range. */
export function limitsOf(options: ExecutorOptions): ExecutorLimits {
  const threads = count('threads', options.threads ?? defaultThreads());
  if (options.maxBatch !== undefined) count('maxBatch', options.maxBatch);
  const { whenFull = 'reject', maxDelay = 0, deadlineMs } = options;
  if (whenFull !== 'reject' && whenFull !== 'wait')
    throw invalidArgument(`whenFull is 'reject' or 'wait', got ${whenFull}`);
  if (typeof maxDelay !== 'number' || !(maxDelay >= 0))
    throw invalidArgument(`maxDelay is a number of milliseconds from 0, got ${maxDelay}`);
  if (deadlineMs !== undefined) checkDeadline(deadlineMs);
  return {
    threads,
    instances: count('instances', options.instances ?? 2),
    maxDelay,
    queueLimit: count('queueLimit', options.queueLimit ?? 1024),
    whenFull,
    deadlineMs,
    peThreads: options.peThreads === undefined ? undefined : count('peThreads', options.peThreads),
  };
}

/** NaN is before nobody and behind nobody. */
export function checkPriority(priority = 0): void {
  if (typeof priority === 'number' && !Number.isNaN(priority)) return;
  throw invalidArgument(`priority is ${priority}; give a number, the higher the sooner`);
}

function defaultThreads(): number {
  return Math.min(MOST_DEFAULT_THREADS, Math.max(1, Math.floor(availableParallelism() / 2)));
}

function count(name: string, value: number): number {
  if (Number.isInteger(value) && value >= 1) return value;
  throw invalidArgument(`${name} is a positive integer, got ${value}`);
}
