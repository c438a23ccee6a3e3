/** Weights as the kernels read them. */
import { type ConstantTensor, constantFloats } from '../tensor.js';
import { convertToHalf, type HalfType } from './half-types.js';

/** Columns of a block of the DPE. */
export const BLOCK_COLUMNS = 32;
const HALF_BYTES = 2;

/** Columns source..source + count of a weight go to columns target.. of the input that it meets. */
export interface ColumnRun {
  readonly source: number;
  readonly target: number;
  readonly count: number;
}

export function roundUp(value: number, multiple: number): number {
  return Math.ceil(value / multiple) * multiple;
}

export function packedWeightBytes(columns: number, kBytes: number): number {
  return roundUp(columns, BLOCK_COLUMNS) * kBytes;
}

/** A tensor times `scale` in FP32, row-major. */
export function scaledFloats(tensor: ConstantTensor, scale: number): Float32Array {
  const floats = constantFloats(tensor);
  return scale === 1 ? floats : floats.map((value) => value * scale);
}

function scaledBits(tensor: ConstantTensor, scale: number): Uint32Array {
  const scaled = scaledFloats(tensor, scale);
  return new Uint32Array(scaled.buffer, scaled.byteOffset, scaled.length);
}

/** Writes the k of one column, in groups of 4 bytes, to where the DPE blocks have them: 32 groups apart. */
export function placeColumn(groups: Uint32Array, column: number, target: Uint32Array): void {
  let at = Math.floor(column / BLOCK_COLUMNS) * BLOCK_COLUMNS * groups.length + (column % BLOCK_COLUMNS);
  for (let index = 0; index < groups.length; index++) {
    target[at] = groups[index] as number;
    at += BLOCK_COLUMNS;
  }
}

/**
 * A weight of columns x k as DPE blocks: for every 32 columns, for every 64 bytes of k, 16 rows of 32 groups of 4 bytes,
 * group n holding 4 bytes of k of column n. `runs` says where the columns of the input lie; what no run covers is zero.
 */
export function packWeight(
  weight: ConstantTensor,
  scale: number,
  kBytes: number,
  runs: readonly ColumnRun[],
  type: HalfType,
  target: Uint8Array,
): void {
  const [columns = 0, k = 0] = weight.shape;
  const bits = scaledBits(weight, scale);
  const row = new Uint16Array(kBytes / HALF_BYTES);
  const pairs = new Uint32Array(row.buffer);
  const words = new Uint32Array(target.buffer, target.byteOffset, target.byteLength / 4);
  for (let column = 0; column < columns; column++) {
    for (const run of runs) convertToHalf(bits, column * k + run.source, run.count, row, run.target, type);
    placeColumn(pairs, column, words);
  }
}

/** A table with rows of `rowBytes`, padded with zeros; the padding row is zero. */
export function packTable(
  table: ConstantTensor,
  scale: number,
  paddingIndex: number | undefined,
  rowBytes: number,
  type: HalfType,
  target: Uint8Array,
): void {
  const [rows = 0, elements = 0] = table.shape;
  const bits = scaledBits(table, scale);
  const halves = new Uint16Array(target.buffer, target.byteOffset, target.byteLength / HALF_BYTES);
  const stride = rowBytes / HALF_BYTES;
  if (stride === elements) convertToHalf(bits, 0, rows * elements, halves, 0, type);
  else for (let row = 0; row < rows; row++) convertToHalf(bits, row * elements, elements, halves, row * stride, type);
  if (paddingIndex !== undefined) halves.fill(0, paddingIndex * stride, (paddingIndex + 1) * stride);
}
