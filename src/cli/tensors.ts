/** Tensors at the edge of a model as the command line handles them: made, read element by element, shown, compared. */
import { createHash } from 'node:crypto';
import { ELEMENT_BYTES, type ElementType } from '../compiler/compiled-graph.js';

export interface Tensor {
  readonly name: string;
  readonly type: ElementType;
  readonly shape: readonly number[];
  /** Row-major, little-endian. */
  readonly data: Uint8Array;
}

export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

export function formatShape(shape: readonly (number | string)[]): string {
  return `[${shape.join(', ')}]`;
}

/** Significand and exponent of IEEE binary16. */
function halfToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >>> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0x1f) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

const bits = new DataView(new ArrayBuffer(4));
/** BF16 is the upper half of a float32. */
function bfloat16ToNumber(upper: number): number {
  bits.setUint32(0, upper << 16);
  return bits.getFloat32(0);
}

const READ: Readonly<Record<ElementType, (view: DataView, offset: number) => number>> = {
  float32: (view, offset) => view.getFloat32(offset, true),
  float16: (view, offset) => halfToNumber(view.getUint16(offset, true)),
  bfloat16: (view, offset) => bfloat16ToNumber(view.getUint16(offset, true)),
  int64: (view, offset) => Number(view.getBigInt64(offset, true)),
  int32: (view, offset) => view.getInt32(offset, true),
  int8: (view, offset) => view.getInt8(offset),
  uint8: (view, offset) => view.getUint8(offset),
  bool: (view, offset) => view.getUint8(offset),
};

/** The first `limit` elements as numbers. */
export function elements(tensor: Tensor, limit = Number.POSITIVE_INFINITY): Float64Array {
  const { data, type } = tensor;
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const size = ELEMENT_BYTES[type];
  const values = new Float64Array(Math.min(limit, Math.floor(data.byteLength / size)));
  const read = READ[type];
  for (let i = 0; i < values.length; i++) values[i] = read(view, i * size);
  return values;
}

export const SHOWN_VALUES = 4;

export function shownValues(tensor: Tensor): number[] {
  return [...elements(tensor, SHOWN_VALUES)].map((value) => Number(value.toPrecision(6)));
}

export function firstValues(tensor: Tensor): string {
  const shown = shownValues(tensor).join('  ');
  return elementCount(tensor.shape) > SHOWN_VALUES ? `${shown}  …` : shown;
}

/** SHA-256 of the raw bytes, in order. */
export function digestOf(tensors: Iterable<Tensor>): string {
  const hash = createHash('sha256');
  for (const tensor of tensors) hash.update(tensor.data);
  return hash.digest('hex');
}
