/** Copies of rows at a distance from each other. */
import { invalidArgument } from '../driver/index.js';
import type { CopyOptions, CopyRange } from './copy-range.js';

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}

function checkExtent(what: string, total: number, offset: number, stride: number, rows: number, bytes: number): void {
  if (!isCount(offset) || !isCount(stride)) {
    throw invalidArgument(`${what}Offset is ${offset}, ${what}Stride ${stride}; give whole numbers of bytes from 0`);
  }
  if (rows > 1 && stride < bytes) {
    throw invalidArgument(`${what}Stride is ${stride}, less than a row of ${bytes} bytes`);
  }
  const end = rows === 0 ? offset : offset + (rows - 1) * stride + bytes;
  if (end > total) throw invalidArgument(`${rows} rows every ${stride} bytes leave the ${what} of ${total} bytes`);
}

/** The ranges of a copy with `rows`, at least one: rows that follow each other on both sides are one, and so is none. */
export function copyRows(destinationBytes: number, sourceBytes: number, options: CopyOptions): readonly CopyRange[] {
  const { rows = 1, bytes = 0, destinationOffset = 0, sourceOffset = 0 } = options;
  const { destinationStride = bytes, sourceStride = bytes } = options;
  if (!isCount(rows)) throw invalidArgument(`rows is ${rows}; give a whole number from 0`);
  if (options.bytes === undefined || !isCount(bytes)) {
    throw invalidArgument(`bytes is ${options.bytes}; a copy of rows needs the bytes of one row`);
  }
  checkExtent('destination', destinationBytes, destinationOffset, destinationStride, rows, bytes);
  checkExtent('source', sourceBytes, sourceOffset, sourceStride, rows, bytes);
  const empty = rows * bytes === 0;
  if (empty || (destinationStride === bytes && sourceStride === bytes)) {
    return [{ destinationOffset, sourceOffset, bytes: rows * bytes }];
  }
  return Array.from({ length: rows }, (_, row) => ({
    destinationOffset: destinationOffset + row * destinationStride,
    sourceOffset: sourceOffset + row * sourceStride,
    bytes,
  }));
}

/** Throws where a row of the destination lies on one of the source: which is read first would decide. */
export function checkRowsApart(ranges: readonly CopyRange[]): void {
  if (ranges.length < 2) return;
  const sources = ranges.map(({ sourceOffset }) => sourceOffset);
  let next = 0;
  for (const { destinationOffset, bytes } of ranges) {
    while ((sources[next] ?? Number.POSITIVE_INFINITY) + bytes <= destinationOffset) next++;
    if ((sources[next] ?? Number.POSITIVE_INFINITY) < destinationOffset + bytes) {
      throw invalidArgument(`rows of the destination lie on rows of the source, at byte ${destinationOffset}`);
    }
  }
}
