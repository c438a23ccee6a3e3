/** Between the raw bytes of files and the typed arrays of the Streaming API. */
import type { GraphTensor } from '../compiler/compiled-graph.js';
import type { TensorData } from '../streaming-api/index.js';
import { InputError } from './errors.js';
import type { Tensor } from './tensors.js';

export function fromTypedArray({ name, type, shape }: GraphTensor, array: TensorData | undefined): Tensor {
  if (array === undefined) throw new InputError(`the device returned no output "${name}"`);
  return { name, type, shape, data: new Uint8Array(array.buffer, array.byteOffset, array.byteLength) };
}
