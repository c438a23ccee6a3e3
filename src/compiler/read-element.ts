/** Single elements of tensors as numbers, by type. Little-endian, as files and the device have them. */
import type { ElementType } from './compiled-graph.js';

/** Reads the element at byte `at`. Integers beyond 2^53 lose their lowest bits. */
export type ReadElement = (view: DataView, at: number) => number;

/** Value of an IEEE 754 binary format of at most 32 bits: sign, then exponent, then fraction. */
function smallFloat(bits: number, exponentBits: number, fractionBits: number): number {
  const sign = (bits >>> (exponentBits + fractionBits)) & 1 ? -1 : 1;
  const largest = 2 ** exponentBits - 1;
  const exponent = (bits >>> fractionBits) & largest;
  const fraction = bits & (2 ** fractionBits - 1);
  if (exponent === largest) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  const unit = 2 ** (Math.max(exponent, 1) - (largest >>> 1) - fractionBits);
  return sign * unit * (exponent === 0 ? fraction : fraction + 2 ** fractionBits);
}

export const READ_ELEMENT: Readonly<Record<ElementType | 'float64' | 'int16', ReadElement>> = {
  float32: (view, at) => view.getFloat32(at, true),
  float64: (view, at) => view.getFloat64(at, true),
  float16: (view, at) => smallFloat(view.getUint16(at, true), 5, 10),
  bfloat16: (view, at) => smallFloat(view.getUint16(at, true), 8, 7),
  int64: (view, at) => Number(view.getBigInt64(at, true)),
  int32: (view, at) => view.getInt32(at, true),
  int16: (view, at) => view.getInt16(at, true),
  int8: (view, at) => view.getInt8(at),
  uint8: (view, at) => view.getUint8(at),
  bool: (view, at) => (view.getUint8(at) === 0 ? 0 : 1),
};
