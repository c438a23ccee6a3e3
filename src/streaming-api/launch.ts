/** What a launch takes besides the kernel. */
import { invalidArgument } from '../driver/index.js';
import type { DeviceBuffer } from './device-buffer.js';

/** A rectangle of the grid of processing elements. */
export interface Rectangle {
  /** First column; 0 when absent. */
  readonly column?: number;
  /** First row; 0 when absent. */
  readonly row?: number;
  readonly columns: number;
  readonly rows: number;
}

export interface LaunchOptions {
  readonly grid: Rectangle;
  /** Milliseconds from its start after which the device ends the kernel with KERNEL_TIMEOUT; none when absent. */
  readonly deadlineMs?: number;
  /** Aborts the kernel, before it starts or while it runs: its processing elements are free again. */
  readonly signal?: AbortSignal;
}

/** A 32-bit float among launch arguments; see `f32`. */
export interface Float32Argument {
  readonly type: 'f32';
  readonly value: number;
}

/** One 64-bit word: an integer as it is, a float's bits in the lower half, a buffer's address. */
export type LaunchArgument = number | bigint | Float32Argument | DeviceBuffer;

/** Marks a launch argument as a 32-bit float: `stream.launch(scale, { grid }, [buffer, f32(0.5)])`. */
export function f32(value: number): Float32Argument {
  return { type: 'f32', value };
}

function isByte(value: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= 255;
}

/** The rectangle as the work queue engine reads it. Whether it lies on the grid is for the firmware to judge. */
export function encodeRectangle({ column = 0, row = 0, columns, rows }: Rectangle): number {
  if (!isByte(column) || !isByte(row) || !isByte(columns) || !isByte(rows)) {
    throw invalidArgument(
      `a rectangle of ${columns} x ${rows} processing elements at ${column}, ${row} does not exist`,
    );
  }
  return column + row * 0x100 + columns * 0x1_0000 + rows * 0x100_0000;
}

/** Milliseconds of the API as microseconds of a command; 0 = none. */
export function deadlineUs(deadlineMs: number | undefined): number {
  if (deadlineMs === undefined) return 0;
  if (!(deadlineMs > 0)) throw invalidArgument(`a deadline is a positive number of milliseconds, got ${deadlineMs}`);
  return deadlineMs * 1000;
}
