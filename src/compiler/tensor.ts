/** Constant tensors: strided views of bytes that stay where the file put them. */
import { ELEMENT_BYTES, type ElementType } from './compiled-graph.js';
import { READ_ELEMENT } from './read-element.js';

/** Types that constants may have beyond those at the edge of a model. */
export type ConstantType = ElementType | 'float64' | 'int16';

export const CONSTANT_BYTES: Readonly<Record<ConstantType, number>> = { ...ELEMENT_BYTES, float64: 8, int16: 2 };

/** A constant of a model: a strided view of bytes that stay where the file put them. */
export interface ConstantTensor {
  readonly type: ConstantType;
  readonly shape: readonly number[];
  /** Elements from entry to entry of each dimension. */
  readonly strides: readonly number[];
  /** First element, in elements from the start of `storage`. */
  readonly offset: number;
  readonly storage: Uint8Array;
}

export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, dimension) => product * dimension, 1);
}

function contiguousStrides(shape: readonly number[]): number[] {
  const strides = new Array<number>(shape.length);
  let stride = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    strides[axis] = stride;
    stride *= shape[axis] ?? 1;
  }
  return strides;
}

export function isContiguous(tensor: ConstantTensor): boolean {
  const expected = contiguousStrides(tensor.shape);
  return tensor.shape.every((dimension, axis) => dimension === 1 || tensor.strides[axis] === expected[axis]);
}

export function denseConstant(type: ConstantType, shape: readonly number[], storage: Uint8Array): ConstantTensor {
  return { type, shape, strides: contiguousStrides(shape), offset: 0, storage };
}

export function integerConstant(values: readonly number[], shape: readonly number[] = [values.length]): ConstantTensor {
  const storage = new BigInt64Array(values.map((value) => BigInt(value)));
  return denseConstant('int64', shape, new Uint8Array(storage.buffer));
}

/** True where every element that the view can reach lies inside its storage. */
export function fitsStorage(tensor: ConstantTensor): boolean {
  if (tensor.offset < 0 || tensor.shape.some((dimension) => dimension < 0)) return false;
  if (elementCount(tensor.shape) === 0) return true;
  let last = tensor.offset;
  for (const [axis, dimension] of tensor.shape.entries()) {
    const stride = tensor.strides[axis] ?? 0;
    if (stride < 0) return false;
    last += (dimension - 1) * stride;
  }
  return Number.isSafeInteger(last) && (last + 1) * CONSTANT_BYTES[tensor.type] <= tensor.storage.byteLength;
}

export function permuteConstant(tensor: ConstantTensor, dims: readonly number[]): ConstantTensor {
  return {
    ...tensor,
    shape: dims.map((axis) => tensor.shape[axis] ?? 1),
    strides: dims.map((axis) => tensor.strides[axis] ?? 0),
  };
}

/** Same elements under another shape; a copy where the strides do not allow a view. */
export function reshapeConstant(tensor: ConstantTensor, shape: readonly number[]): ConstantTensor {
  if (isContiguous(tensor)) return { ...tensor, shape, strides: contiguousStrides(shape) };
  const width = CONSTANT_BYTES[tensor.type];
  const storage = new Uint8Array(elementCount(shape) * width);
  let at = 0;
  forEachElement(tensor, (element) => {
    storage.set(tensor.storage.subarray(element * width, (element + 1) * width), at);
    at += width;
  });
  return denseConstant(tensor.type, shape, storage);
}

/** Entries start, start + step, ... of one axis; `count` of them. */
export function sliceConstant(
  tensor: ConstantTensor,
  axis: number,
  start: number,
  step: number,
  count: number,
): ConstantTensor {
  const stride = tensor.strides[axis] ?? 0;
  return {
    ...tensor,
    offset: tensor.offset + start * stride,
    shape: tensor.shape.with(axis, count),
    strides: tensor.strides.with(axis, stride * step),
  };
}

/** Calls `visit` with the element index of every element, row-major. */
function forEachElement(tensor: ConstantTensor, visit: (element: number) => void): void {
  const walk = (axis: number, at: number): void => {
    if (axis === tensor.shape.length) {
      visit(at);
      return;
    }
    const stride = tensor.strides[axis] ?? 0;
    for (let index = 0; index < (tensor.shape[axis] ?? 0); index++) walk(axis + 1, at + index * stride);
  };
  walk(0, tensor.offset);
}

/** All elements as numbers, row-major. For the small integers of shapes and selections, and for biases. */
export function constantNumbers(tensor: ConstantTensor): number[] {
  const view = new DataView(tensor.storage.buffer, tensor.storage.byteOffset, tensor.storage.byteLength);
  const width = CONSTANT_BYTES[tensor.type];
  const read = READ_ELEMENT[tensor.type];
  const numbers: number[] = [];
  forEachElement(tensor, (element) => numbers.push(read(view, element * width)));
  return numbers;
}

/**
 * All elements as FP32, row-major. A contiguous float32 tensor comes back as a view where the file aligned it, because
 * weights are most of a model.
 */
export function constantFloats(tensor: ConstantTensor): Float32Array {
  const count = elementCount(tensor.shape);
  if (tensor.type === 'float32' && isContiguous(tensor)) {
    const start = tensor.storage.byteOffset + tensor.offset * 4;
    if (start % 4 === 0) return new Float32Array(tensor.storage.buffer, start, count);
    const bytes = tensor.storage.subarray(tensor.offset * 4, (tensor.offset + count) * 4);
    return new Float32Array(new Uint8Array(bytes).buffer, 0, count);
  }
  const view = new DataView(tensor.storage.buffer, tensor.storage.byteOffset, tensor.storage.byteLength);
  const width = CONSTANT_BYTES[tensor.type];
  const read = READ_ELEMENT[tensor.type];
  const floats = new Float32Array(count);
  let at = 0;
  forEachElement(tensor, (element) => {
    floats[at++] = read(view, element * width);
  });
  return floats;
}
