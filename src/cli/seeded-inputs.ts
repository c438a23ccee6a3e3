/** Inputs for a model that is run without data: repeatable, and valid whatever the model. */

import { ELEMENT_BYTES, type ElementType, type GraphTensor } from '../compiler/compiled-graph.js';
import { elementCount } from '../compiler/tensor.js';
import { randomNumbers } from '../conformance/random.js';
import type { Tensor } from './tensors.js';

type Write = (view: DataView, offset: number, random: number) => void;

/** 1.0 in the float types that JavaScript cannot write. */
const HALF_ONE = 0x3c00;
const BFLOAT16_ONE = 0x3f80;

/**
 * float32 in -1..1. Integers are 0 or 1: they may be indices of an embedding table of any size. The 16-bit floats are 0
 * or 1 as well.
 */
const WRITE: Readonly<Record<ElementType, Write>> = {
  float32: (view, offset, random) => view.setFloat32(offset, 2 * random - 1, true),
  float16: (view, offset, random) => view.setUint16(offset, random < 0.5 ? 0 : HALF_ONE, true),
  bfloat16: (view, offset, random) => view.setUint16(offset, random < 0.5 ? 0 : BFLOAT16_ONE, true),
  int64: (view, offset, random) => view.setBigInt64(offset, random < 0.5 ? 0n : 1n, true),
  int32: (view, offset, random) => view.setInt32(offset, Math.round(random), true),
  int8: (view, offset, random) => view.setInt8(offset, Math.round(random)),
  uint8: (view, offset, random) => view.setUint8(offset, Math.round(random)),
  bool: (view, offset, random) => view.setUint8(offset, Math.round(random)),
};

export function seededInputs(declared: readonly GraphTensor[], seed: number): Tensor[] {
  const random = randomNumbers(seed);
  return declared.map(({ name, type, shape }) => {
    const size = ELEMENT_BYTES[type];
    const data = new Uint8Array(elementCount(shape) * size);
    const view = new DataView(data.buffer);
    for (let offset = 0; offset < data.byteLength; offset += size) WRITE[type](view, offset, random());
    return { name, type, shape, data };
  });
}
