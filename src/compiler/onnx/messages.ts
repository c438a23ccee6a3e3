/** The ONNX messages that the compiler reads and writes, typed over the generated decoders. */
import protobuf from 'protobufjs/minimal.js';
import { guardFile } from '../errors.js';
import { onnx } from './generated/onnx-proto.js';

/** A protobuf int64: an object where the value came from a file. */
export type Int64 = number | { toNumber(): number };

export interface StringEntry {
  readonly key: string;
  readonly value: string;
}

export interface TensorMessage {
  readonly name: string;
  readonly dims: readonly Int64[];
  readonly dataType: number;
  readonly rawData: Uint8Array;
  readonly floatData: readonly number[];
  readonly int32Data: readonly number[];
  readonly int64Data: readonly Int64[];
  readonly doubleData: readonly number[];
  readonly dataLocation: number;
  readonly externalData: readonly StringEntry[];
}

export interface AttributeMessage {
  readonly name: string;
  readonly type: number;
  readonly f: number;
  readonly i: Int64;
  readonly s: Uint8Array;
  readonly t: TensorMessage | null;
  readonly floats: readonly number[];
  readonly ints: readonly Int64[];
}

export interface NodeMessage {
  readonly name: string;
  readonly opType: string;
  readonly domain: string;
  readonly input: readonly string[];
  readonly output: readonly string[];
  readonly attribute: readonly AttributeMessage[];
}

export interface DimensionMessage {
  readonly dimValue?: Int64 | null;
  readonly dimParam?: string | null;
}

export interface ValueInfoMessage {
  readonly name: string;
  readonly type: {
    readonly tensorType?: {
      readonly elemType: number;
      readonly shape: { readonly dim: readonly DimensionMessage[] } | null;
    } | null;
  } | null;
}

export interface GraphMessage {
  readonly name: string;
  readonly node: readonly NodeMessage[];
  readonly initializer: readonly TensorMessage[];
  readonly sparseInitializer: readonly unknown[];
  readonly input: readonly ValueInfoMessage[];
  readonly output: readonly ValueInfoMessage[];
}

export interface ModelMessage {
  readonly irVersion: Int64;
  readonly opsetImport: readonly { readonly domain: string; readonly version: Int64 }[];
  readonly producerName: string;
  readonly graph: GraphMessage | null;
}

/** What may be left out when a message is written. */
export type Partially<T> = T extends readonly (infer E)[]
  ? readonly Partially<E>[]
  : T extends Uint8Array | Int64
    ? T
    : T extends object
      ? { readonly [K in keyof T]?: Partially<T[K]> }
      : T;

interface Codec<M> {
  decode(reader: protobuf.Reader): M;
  encode(message: Partially<M>): protobuf.Writer;
}

const MESSAGES = onnx as unknown as {
  readonly ModelProto: Codec<ModelMessage>;
  readonly TensorProto: Codec<TensorMessage>;
};

export const DATA_LOCATION_EXTERNAL = 1;
export const ATTRIBUTE_TYPE = { FLOAT: 1, INT: 2, STRING: 3, TENSOR: 4, FLOATS: 6, INTS: 7 } as const;

/** A Buffer over the same memory: protobufjs slices Buffers without copying, so weights stay views of the file. */
function readerOf(bytes: Uint8Array): protobuf.Reader {
  return protobuf.Reader.create(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
}

export function decodeModelMessage(bytes: Uint8Array): ModelMessage {
  return guardFile('ONNX ModelProto', () => MESSAGES.ModelProto.decode(readerOf(bytes)));
}

export function encodeModelMessage(message: Partially<ModelMessage>): Uint8Array {
  return MESSAGES.ModelProto.encode(message).finish();
}

export function decodeTensorMessage(bytes: Uint8Array): TensorMessage {
  return guardFile('ONNX TensorProto', () => MESSAGES.TensorProto.decode(readerOf(bytes)));
}

export function encodeTensorMessage(message: Partially<TensorMessage>): Uint8Array {
  return MESSAGES.TensorProto.encode(message).finish();
}

export function toNumber(value: Int64): number {
  return typeof value === 'number' ? value : value.toNumber();
}
