/** Rectangles of processing elements: what a launch, a job of a graph and the work queue engine name. */

/** A rectangle of the grid of processing elements. */
export interface Rectangle {
  /** First column; 0 when absent. */
  readonly column?: number;
  /** First row; 0 when absent. */
  readonly row?: number;
  /** Number of columns, at least 1. */
  readonly columns: number;
  /** Number of rows, at least 1. */
  readonly rows: number;
}

function isByte(value: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= 255;
}

/**
 * The word that LAUNCH carries and WORK_QUEUE_ENGINE.RECTANGLE takes. Whether the rectangle lies on the grid is for the firmware to
 * judge; throws a RangeError where a number does not fit its byte.
 */
export function encodeRectangle({ column = 0, row = 0, columns, rows }: Rectangle): number {
  if (!isByte(column) || !isByte(row) || !isByte(columns) || !isByte(rows)) {
    throw new RangeError(
      `a rectangle of ${columns} x ${rows} processing elements at ${column}, ${row}; give whole numbers from 0 to 255`,
    );
  }
  return column + row * 0x100 + columns * 0x1_0000 + rows * 0x100_0000;
}

/** The rectangle of an encoded word. */
export function decodeRectangle(word: number): Required<Rectangle> {
  return { column: word & 0xff, row: (word >>> 8) & 0xff, columns: (word >>> 16) & 0xff, rows: (word >>> 24) & 0xff };
}
