/** Between the raw bytes of files and the typed arrays of the Streaming API. */
import type { ElementType, GraphTensor } from '../compiler/compiled-graph.js';
import type { TensorData } from '../streaming-api/index.js';
import { InputError } from './errors.js';
import type { Tensor } from './tensors.js';

const ARRAY: Readonly<Record<ElementType, new (buffer: ArrayBuffer) => TensorData>> = {
  float32: Float32Array,
  float16: Uint16Array,
  bfloat16: Uint16Array,
  int64: BigInt64Array,
  int32: Int32Array,
  int8: Int8Array,
  uint8: Uint8Array,
  bool: Uint8Array,
};

/** A copy: bytes of a file need not be aligned. */
export function toTypedArray({ type, data }: Tensor): TensorData {
  return new ARRAY[type](Uint8Array.from(data).buffer);
}

export function fromTypedArray({ name, type, shape }: GraphTensor, array: TensorData | undefined): Tensor {
  if (array === undefined) throw new InputError(`the device returned no output "${name}"`);
  return { name, type, shape, data: new Uint8Array(array.buffer, array.byteOffset, array.byteLength) };
}
