/** Seeded arrays for models and inputs. */
import type { OnnxTensor } from '../src/compiler/index.js';

/** Values in -limit..limit. */
export function seededFloats(count: number, limit: number, random: () => number): Float32Array {
  const values = new Float32Array(count);
  for (let i = 0; i < count; i++) values[i] = (2 * random() - 1) * limit;
  return values;
}

export function seededIndices(count: number, rows: number, random: () => number): BigInt64Array {
  const values = new BigInt64Array(count);
  for (let i = 0; i < count; i++) values[i] = BigInt(Math.floor(random() * rows));
  return values;
}

export function floatTensor(name: string, shape: readonly number[], values: Float32Array): OnnxTensor {
  return { name, type: 'float32', shape, data: new Uint8Array(values.buffer) };
}

export function integerTensor(name: string, shape: readonly number[], values: readonly number[]): OnnxTensor {
  return { name, type: 'int64', shape, data: new Uint8Array(BigInt64Array.from(values, BigInt).buffer) };
}
