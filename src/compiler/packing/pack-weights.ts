/** Weights as the kernels read them. */
import { type ConstantTensor, constantFloats } from '../tensor.js';
import { convertToHalf, type HalfType } from './half-types.js';

/** Columns of a block of the DPE. */
export const BLOCK_COLUMNS = 32;
/** Bytes of k of a block. */
export const BLOCK_K_BYTES = 64;
const BLOCK_BYTES = BLOCK_COLUMNS * BLOCK_K_BYTES;
const HALF_BYTES = 2;
const BLOCK_K_ELEMENTS = BLOCK_K_BYTES / HALF_BYTES;

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

/** FP32 bits of a tensor times `scale`, row-major. */
function scaledBits(tensor: ConstantTensor, scale: number): Uint32Array {
  const floats = constantFloats(tensor);
  const scaled = scale === 1 ? floats : floats.map((value) => value * scale);
  return new Uint32Array(scaled.buffer, scaled.byteOffset, scaled.length);
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
  const groups = new Uint32Array(target.buffer, target.byteOffset, target.byteLength / 4);
  const blocksOfK = kBytes / BLOCK_K_BYTES;
  const pairsOfBlock = BLOCK_K_ELEMENTS / 2;
  for (let column = 0; column < columns; column++) {
    for (const run of runs) convertToHalf(bits, column * k + run.source, run.count, row, run.target, type);
    let at = ((Math.floor(column / BLOCK_COLUMNS) * blocksOfK * BLOCK_BYTES) >> 2) + (column % BLOCK_COLUMNS);
    let pair = 0;
    // A block's pairs are 32 groups apart, and the next block along k follows directly.
    for (let block = 0; block < blocksOfK; block++) {
      for (let index = 0; index < pairsOfBlock; index++) {
        groups[at] = pairs[pair++] as number;
        at += BLOCK_COLUMNS;
      }
    }
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
