/** FP32 weights → INT8 with one scale a column: symmetric and static, as the published scheme has it (I25). */
import type { ConstantTensor } from '../tensor.js';
import { type ColumnRun, placeColumn, scaledFloats } from './pack-weights.js';

/** Largest magnitude of a quantised value: -128 is not used, so that the range is symmetric. */
const INT8_LIMIT = 127;

/** Scale of every column (row of the columns x k tensor): max |w| / 127 in FP32. Undefined where a weight is not finite. */
export function columnScales(weight: ConstantTensor, scale: number): Float32Array | undefined {
  const [columns = 0, k = 0] = weight.shape;
  const floats = scaledFloats(weight, scale);
  const scales = new Float32Array(columns);
  for (let column = 0; column < columns; column++) {
    let largest = 0;
    for (let at = column * k; at < (column + 1) * k; at++) {
      const magnitude = Math.abs(floats[at] as number);
      if (!Number.isFinite(magnitude)) return undefined;
      if (magnitude > largest) largest = magnitude;
    }
    scales[column] = largest / INT8_LIMIT;
  }
  return scales;
}

/** To the nearest integer, ties to even, within the symmetric range. */
function quantize(value: number, scale: number): number {
  if (scale === 0) return 0;
  const quotient = value / scale;
  const nearest = Math.round(quotient);
  const even = Math.abs(quotient % 1) === 0.5 && nearest % 2 !== 0 ? nearest - 1 : nearest;
  return Math.max(-INT8_LIMIT, Math.min(INT8_LIMIT, even));
}

/** A weight of columns x k as DPE blocks of INT8 (see packWeight); `runs` count in elements, here bytes. */
export function packQuantizedWeight(
  weight: ConstantTensor,
  scale: number,
  scales: Float32Array,
  kBytes: number,
  runs: readonly ColumnRun[],
  target: Uint8Array,
): void {
  const [columns = 0, k = 0] = weight.shape;
  const floats = scaledFloats(weight, scale);
  const row = new Int8Array(kBytes);
  const groups = new Uint32Array(row.buffer);
  const words = new Uint32Array(target.buffer, target.byteOffset, target.byteLength / 4);
  for (let column = 0; column < columns; column++) {
    const columnScale = scales[column] as number;
    for (const run of runs) {
      const from = column * k + run.source;
      for (let index = 0; index < run.count; index++) {
        row[run.target + index] = quantize(floats[from + index] as number, columnScale);
      }
    }
    placeColumn(groups, column, words);
  }
}
