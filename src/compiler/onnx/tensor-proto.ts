/** ONNX TensorProto: constants of a model, and the .pb files of test data sets. */
import { ELEMENT_BYTES, type ElementType } from '../compiled-graph.js';
import { invalidModel, unsupported } from '../errors.js';
import { CONSTANT_BYTES, type ConstantTensor, type ConstantType, denseConstant, elementCount } from '../tensor.js';
import {
  DATA_LOCATION_EXTERNAL,
  decodeTensorMessage,
  encodeTensorMessage,
  type Partially,
  type TensorMessage,
  toNumber,
} from './messages.js';

/** ONNX's numbering of element types, as far as models on this chip need it. */
export const ONNX_TYPES: Readonly<Record<number, ConstantType>> = {
  1: 'float32',
  2: 'uint8',
  3: 'int8',
  5: 'int16',
  6: 'int32',
  7: 'int64',
  9: 'bool',
  10: 'float16',
  11: 'float64',
  16: 'bfloat16',
};

/** Types that ONNX defines beyond those, up to INT2. */
const LAST_ONNX_TYPE = 26;

/** A type that is no type at all is damage; one that exists is only not supported. */
export function unreadType(dataType: number, part: string): Error {
  if (dataType < 1 || dataType > LAST_ONNX_TYPE) return invalidModel(part, `data_type ${dataType} does not exist`);
  const name = ONNX_TYPES[dataType] ?? `data_type ${dataType}`;
  return unsupported(`${name} tensor`, part, 'tensors of this type are not read');
}

export function onnxTypeNumber(type: ConstantType): number {
  const found = Object.entries(ONNX_TYPES).find(([, name]) => name === type);
  return Number(found?.[0] ?? 0);
}

/** A tensor as test data sets hold it: row-major, little-endian. */
export interface OnnxTensor {
  readonly name: string;
  readonly type: ElementType;
  readonly shape: readonly number[];
  /** A view of the file where it allows one. */
  readonly data: Uint8Array;
}

/** Finds the bytes of a tensor that keeps them outside the file. */
export type ExternalData = (location: string, offset: number, length: number | undefined, part: string) => Uint8Array;

const refuseExternalData: ExternalData = (location, _offset, _length, part) => {
  throw invalidModel(part, `keeps its data in "${location}", which cannot be read from here`);
};

/** The constant of a message; weights stay views of the message's bytes. */
export function constantOfMessage(message: TensorMessage, part: string, external: ExternalData): ConstantTensor {
  const type = ONNX_TYPES[message.dataType];
  if (type === undefined) throw unreadType(message.dataType, part);
  const shape = message.dims.map(toNumber);
  const count = elementCount(shape);
  if (shape.some((dimension) => dimension < 0) || !Number.isSafeInteger(count)) {
    throw invalidModel(part, `dims [${shape}] are out of range`);
  }
  const bytes = count * CONSTANT_BYTES[type];
  const data = dataOfMessage(message, type, bytes, part, external);
  if (data.byteLength !== bytes) {
    throw invalidModel(part, `holds ${data.byteLength} bytes of data where dims [${shape}] need ${bytes}`);
  }
  return denseConstant(type, shape, data);
}

function dataOfMessage(
  message: TensorMessage,
  type: ConstantType,
  bytes: number,
  part: string,
  external: ExternalData,
): Uint8Array {
  if (message.dataLocation === DATA_LOCATION_EXTERNAL) return externalDataOf(message, part, external);
  if (message.rawData.byteLength > 0 || bytes === 0) return message.rawData;
  switch (type) {
    case 'float32':
      return bytesOf(Float32Array.from(message.floatData));
    case 'float64':
      return bytesOf(Float64Array.from(message.doubleData));
    case 'int64':
      return bytesOf(BigInt64Array.from(message.int64Data, (value) => BigInt(toNumber(value))));
    case 'int32':
      return bytesOf(Int32Array.from(message.int32Data));
    case 'int16':
    case 'float16':
    case 'bfloat16':
      return bytesOf(Uint16Array.from(message.int32Data));
    default:
      return Uint8Array.from(message.int32Data);
  }
}

const bytesOf = (array: ArrayBufferView): Uint8Array =>
  new Uint8Array(array.buffer, array.byteOffset, array.byteLength);

function externalDataOf(message: TensorMessage, part: string, external: ExternalData): Uint8Array {
  const entries = new Map(message.externalData.map((entry) => [entry.key, entry.value]));
  const location = entries.get('location');
  if (location === undefined) throw invalidModel(part, 'external_data has no location');
  const number = (key: string): number | undefined => {
    const text = entries.get(key);
    if (text === undefined) return undefined;
    const value = Number(text);
    if (!Number.isSafeInteger(value) || value < 0) throw invalidModel(part, `external_data ${key} is "${text}"`);
    return value;
  };
  return external(location, number('offset') ?? 0, number('length'), part);
}

/**
 * Reads a serialized TensorProto, as `input_0.pb` and `output_0.pb` of ONNX test data sets are.
 *
 * @example
 * const { name, shape, data } = readTensorProto(await readFile('test_data_set_0/input_0.pb'));
 */
export function readTensorProto(bytes: Uint8Array): OnnxTensor {
  const message = decodeTensorMessage(bytes);
  const part = message.name === '' ? 'TensorProto' : `TensorProto "${message.name}"`;
  const tensor = constantOfMessage(message, part, refuseExternalData);
  if (!Object.hasOwn(ELEMENT_BYTES, tensor.type)) {
    throw unreadType(message.dataType, part);
  }
  return { name: message.name, type: tensor.type as ElementType, shape: tensor.shape, data: tensor.storage };
}

export function tensorMessageOf(tensor: OnnxTensor): Partially<TensorMessage> {
  return { name: tensor.name, dims: tensor.shape, dataType: onnxTypeNumber(tensor.type), rawData: tensor.data };
}

/** Writes a TensorProto with raw data. */
export function writeTensorProto(tensor: OnnxTensor): Uint8Array {
  return encodeTensorMessage(tensorMessageOf(tensor));
}
