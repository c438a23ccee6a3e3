/** What a launch takes besides the kernel. */
import { checkDeadline, invalidArgument } from '../driver/index.js';
import { encodeRectangle, type Rectangle } from '../hw/index.js';
import type { DeviceBuffer } from './device-buffer.js';

/** Where a kernel runs, and who may end it. */
export interface LaunchOptions {
  /** Processing elements that run it; INVALID_GRID where they are not all on the grid. */
  readonly grid: Rectangle;
  /** Milliseconds, up to 4,294,967, from its start after which the device ends the kernel with KERNEL_TIMEOUT; none when absent. */
  readonly deadlineMs?: number;
  /** Aborts the kernel, before it starts or while it runs: its processing elements are free again. */
  readonly signal?: AbortSignal;
}

/** A 32-bit float among launch arguments; see `f32`. */
export interface Float32Argument {
  /** What tells it from a buffer. */
  readonly type: 'f32';
  /** Rounded to the nearest 32-bit float. */
  readonly value: number;
}

/** One 64-bit word: an integer as it is, a float's bits in the lower half, a buffer's address. */
export type LaunchArgument = number | bigint | Float32Argument | DeviceBuffer;

/** Marks a launch argument as a 32-bit float: `stream.launch(scale, { grid }, [buffer, f32(0.5)])`. */
export function f32(value: number): Float32Argument {
  return { type: 'f32', value };
}

/** The grid as commands carry it; a number that does not fit is an INVALID_ARGUMENT. */
export function encodeGrid(grid: Rectangle): number {
  try {
    return encodeRectangle(grid);
  } catch (error) {
    throw error instanceof RangeError ? invalidArgument(error.message) : error;
  }
}

/** Commands carry 32 bits of microseconds. */
const LONGEST_DEADLINE_MS = (2 ** 32 - 1) / 1000;

/** Milliseconds of the API as microseconds of a command; 0 = none. */
export function deadlineUs(deadlineMs: number | undefined): number {
  if (deadlineMs === undefined || deadlineMs === Number.POSITIVE_INFINITY) return 0;
  checkDeadline(deadlineMs);
  if (deadlineMs <= LONGEST_DEADLINE_MS) return deadlineMs * 1000;
  throw invalidArgument(
    `deadlineMs is ${deadlineMs}; a device takes ${Math.floor(LONGEST_DEADLINE_MS)} at most, or none`,
  );
}
