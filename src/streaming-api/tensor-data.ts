/** Tensors at the edge of a model: checked, packed into a segment, taken out of one. */
import type { ElementType, GraphTensor } from '../compiler/compiled-graph.js';
import { invalidArgument, MtiaError } from '../driver/index.js';
import type { TensorData } from './model-types.js';
import { bytesOf, deliver } from './typed-array.js';

interface ArrayType {
  readonly name: string;
  readonly BYTES_PER_ELEMENT: number;
  new (buffer: ArrayBufferLike, byteOffset?: number, length?: number): TensorData;
}

/** float16 and bfloat16 have no typed array of their own on every supported Node: their bits travel. */
const ARRAY_TYPE: Readonly<Record<ElementType, ArrayType>> = {
  float32: Float32Array,
  float16: Uint16Array,
  bfloat16: Uint16Array,
  int64: BigInt64Array,
  int32: Int32Array,
  int8: Int8Array,
  uint8: Uint8Array,
  bool: Uint8Array,
};

/**
 * Bytes of a tensor, row-major and little-endian, as the array that CompiledModel.run takes and gives. A copy: bytes of a
 * file need not be aligned.
 */
export function typedArrayOf(type: ElementType, bytes: Uint8Array): TensorData {
  return new ARRAY_TYPE[type](Uint8Array.from(bytes).buffer);
}

/** A tensor that lies `offset` bytes into a segment, as a view of it. */
export function typedArrayOver(type: ElementType, segment: Uint8Array, offset: number, bytes: number): TensorData {
  const Type = ARRAY_TYPE[type];
  return new Type(segment.buffer, segment.byteOffset + offset, bytes / Type.BYTES_PER_ELEMENT);
}

function mismatch(message: string): MtiaError {
  return new MtiaError('SHAPE_MISMATCH', message);
}

const list = (names: readonly string[]): string => (names.length === 0 ? 'none' : names.join(', '));

function describe({ type, shape }: GraphTensor): string {
  return `${type} [${shape.join(', ')}]`;
}

/** The inputs in the order of the model. Throws SHAPE_MISMATCH, naming the input, where one does not fit. */
export function checkInputs(
  inputs: Readonly<Record<string, TensorData>>,
  declared: readonly GraphTensor[],
): readonly TensorData[] {
  if (typeof inputs !== 'object' || inputs === null) throw invalidArgument('run takes an object of inputs by name');
  const names = Object.keys(inputs);
  // Every run comes through here, and models have dozens of inputs: names are searched for only where they cannot all fit.
  if (names.length !== declared.length || !declared.every(({ name }) => Object.hasOwn(inputs, name))) {
    const known = declared.map(({ name }) => name);
    const unknown = names.find((name) => !known.includes(name));
    if (unknown !== undefined) throw mismatch(`the model has no input "${unknown}"; its inputs are ${list(known)}`);
  }
  return declared.map((tensor) => {
    const data = inputs[tensor.name];
    if (data === undefined) throw mismatch(`input "${tensor.name}" is missing; pass ${describe(tensor)}`);
    return checkArray(data, tensor, 'input');
  });
}

/** Throws SHAPE_MISMATCH, naming the output, where an array that is to take one does not fit. */
export function checkOutputs(outputs: Readonly<Record<string, TensorData>>, declared: readonly GraphTensor[]): void {
  for (const [name, data] of Object.entries(outputs)) {
    const tensor = declared.find((one) => one.name === name);
    if (tensor === undefined) {
      throw mismatch(`the model has no output "${name}"; its outputs are ${list(declared.map((one) => one.name))}`);
    }
    checkArray(data, tensor, 'output');
  }
}

function checkArray(data: TensorData, tensor: GraphTensor, what: 'input' | 'output'): TensorData {
  const { name, type } = tensor;
  const expected = ARRAY_TYPE[type];
  if (!(data instanceof expected)) {
    const given = (data as object | null)?.constructor?.name ?? typeof data;
    throw mismatch(`${what} "${name}" takes ${expected.name} for ${type}, got ${given}`);
  }
  if (data.byteLength !== tensor.bytes) {
    const elements = tensor.shape.reduce((product, dimension) => product * dimension, 1);
    throw mismatch(`${what} "${name}" has ${data.length} elements; ${describe(tensor)} takes ${elements}`);
  }
  return data;
}

/** Writes every tensor to its place in the segment. */
export function pack(data: readonly TensorData[], tensors: readonly GraphTensor[], segment: Uint8Array): void {
  for (const [index, tensor] of tensors.entries()) {
    const array = data[index];
    if (array !== undefined) segment.set(bytesOf(array), tensor.offset);
  }
}

/** Copies every tensor out of the segment, into the array of its name or else into a new one. */
export function unpack(
  tensors: readonly GraphTensor[],
  segment: Uint8Array,
  into: Readonly<Record<string, TensorData>> = {},
): Record<string, TensorData> {
  const entries = tensors.map(({ name, type, offset, bytes }) => {
    const given = into[name];
    if (given !== undefined) {
      deliver(segment.subarray(offset, offset + bytes), given);
      return [name, given] as const;
    }
    // slice() of a typed array copies into a buffer of its own.
    const copy = segment.slice(offset, offset + bytes);
    return [name, new ARRAY_TYPE[type](copy.buffer as ArrayBuffer)] as const;
  });
  return Object.fromEntries(entries);
}
