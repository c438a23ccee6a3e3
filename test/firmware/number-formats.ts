/** FP16, BF16 and FP32 as the chip stores them, for references computed in double precision. */
import type { DATA_TYPE } from '../../src/hw/index.js';

export type FloatType = 'FP16' | 'BF16' | 'FP32';
export type NumberType = keyof typeof DATA_TYPE;

const scratch = new DataView(new ArrayBuffer(8));

function bitsOf(value: number): number {
  scratch.setFloat32(0, value);
  return scratch.getUint32(0);
}

function ofBits(bits: number): number {
  scratch.setUint32(0, bits >>> 0);
  return scratch.getFloat32(0);
}

function roundToEven(value: number): number {
  const floor = Math.floor(value);
  const fraction = value - floor;
  if (fraction !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}

function encodeHalf(value: number): number {
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const magnitude = Math.abs(Math.fround(value));
  if (Number.isNaN(magnitude)) return 0x7e00;
  if (magnitude >= 65520) return sign | 0x7c00;
  const exponent = Math.max(-14, Math.floor(Math.log2(magnitude || 1)));
  // The mantissa in units of the last place; 1024 of them carry into the next exponent by themselves.
  const units = magnitude === 0 ? 0 : roundToEven(magnitude / 2 ** (exponent - 10));
  return magnitude === 0 ? sign : sign | (units < 1024 ? units : units + (exponent + 14) * 1024);
}

function decodeHalf(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const mantissa = bits & 1023;
  if (exponent === 31) return mantissa ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (exponent === 0 ? mantissa * 2 ** -24 : (1024 + mantissa) * 2 ** (exponent - 25));
}

/** Stores `value`, already rounded to FP32 where it is a float, as `type`. */
export function store(view: DataView, at: number, type: NumberType, value: number): void {
  if (type === 'FP32') view.setFloat32(at, value, true);
  else if (type === 'INT32') view.setInt32(at, saturate(value, 2 ** 31), true);
  else if (type === 'INT8') view.setInt8(at, saturate(value, 128));
  else if (type === 'FP16') view.setUint16(at, encodeHalf(value), true);
  else {
    const bits = bitsOf(value);
    view.setUint16(at, Number.isNaN(value) ? 0x7fc0 : (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16, true);
  }
}

function saturate(value: number, limit: number): number {
  return Number.isNaN(value) ? 0 : Math.min(limit - 1, Math.max(-limit, roundToEven(value)));
}

export function load(view: DataView, at: number, type: NumberType): number {
  switch (type) {
    case 'FP32':
      return view.getFloat32(at, true);
    case 'INT32':
      return view.getInt32(at, true);
    case 'INT8':
      return view.getInt8(at);
    case 'FP16':
      return decodeHalf(view.getUint16(at, true));
    case 'BF16':
      return ofBits(view.getUint16(at, true) << 16);
  }
}

export function rounded(value: number, type: NumberType): number {
  const view = new DataView(new ArrayBuffer(4));
  store(view, 0, type, value);
  return load(view, 0, type);
}

/** Largest error of storing a value of about this size as `type`: half a unit in the last place. */
export function roundingError(value: number, type: FloatType): number {
  const magnitude = Math.abs(value);
  if (type === 'FP32') return magnitude * 2 ** -24 + 2 ** -149;
  return type === 'FP16' ? magnitude * 2 ** -11 + 2 ** -25 : magnitude * 2 ** -8 + 2 ** -133;
}

/** Numbers that look random and are the same in every run. */
export function randomNumbers(seed: number): () => number {
  let state = seed >>> 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}
