/** The units as cases reach them: rows through CONVERT and UNARY, products through FULLY_CONNECTED. */
import {
  ACTIVATION,
  type ActivationName,
  CONVERT_ARGUMENTS,
  DATA_TYPE,
  encodeStruct,
  type FieldValue,
  FULLY_CONNECTED_ARGUMENTS,
  type Rectangle,
  type StructLayout,
} from '../hw/index.js';
import { PAGE_BYTES, type Session } from './session.js';

export type NumberType = 'INT8' | 'FP16' | 'BF16' | 'FP32' | 'INT32';
export const BYTES: Readonly<Record<NumberType, number>> = { INT8: 1, FP16: 2, BF16: 2, FP32: 4, INT32: 4 };

/** What MML takes at a time (docs/hardware.md): 64 bytes of k of 32 columns, 4 bytes of k of each column side by side. */
const BLOCK = { columns: 32, kBytes: 64, rowBytes: 4 } as const;

const words = (layout: StructLayout, values: Record<string, FieldValue>): readonly bigint[] => {
  const bytes = new Uint8Array(layout.size);
  encodeStruct(layout, new DataView(bytes.buffer), 0, values);
  return [...new BigUint64Array(bytes.buffer)];
};

export function pack(type: NumberType, bits: readonly number[]): Uint8Array {
  const size = BYTES[type];
  const bytes = new Uint8Array(bits.length * size);
  for (const [index, value] of bits.entries()) {
    for (let byte = 0; byte < size; byte++) bytes[index * size + byte] = value >>> (8 * byte);
  }
  return bytes;
}

export function unpack(type: NumberType, bytes: Uint8Array): number[] {
  const size = BYTES[type];
  return Array.from({ length: bytes.length / size }, (_, index) => {
    let value = 0;
    for (let byte = 0; byte < size; byte++) value += (bytes[index * size + byte] ?? 0) * 2 ** (8 * byte);
    return value;
  });
}

/** One row of values through CONVERT, or UNARY where a function is named; bytes in, bytes out. */
export async function transform(
  session: Session,
  from: NumberType,
  to: NumberType,
  values: Uint8Array,
  activation: ActivationName = 'NONE',
): Promise<Uint8Array> {
  const [input, output] = [session.memory, session.memory + BigInt(PAGE_BYTES)];
  const elements = values.byteLength / BYTES[from];
  await session.write(input, values);
  const args = words(CONVERT_ARGUMENTS, {
    input,
    output,
    rows: 1,
    elements,
    input_stride: values.byteLength,
    output_stride: elements * BYTES[to],
    input_type: DATA_TYPE[from],
    output_type: DATA_TYPE[to],
    function: ACTIVATION[activation],
    pad: 0,
  });
  await session.launch(activation === 'NONE' ? 'CONVERT' : 'UNARY', args);
  return session.read(output, elements * BYTES[to]);
}

/** weight[n][k] as FULLY_CONNECTED takes it; n and the bytes of k are multiples of what a block has. */
function weightBlocks(weight: Uint8Array, n: number): Uint8Array {
  const kBytes = weight.byteLength / n;
  const blocks = new Uint8Array(weight.byteLength);
  let at = 0;
  for (let column = 0; column < n; column += BLOCK.columns) {
    for (let k = 0; k < kBytes; k += BLOCK.rowBytes) {
      for (let inBlock = 0; inBlock < BLOCK.columns; inBlock++) {
        const from = (column + inBlock) * kBytes + k;
        blocks.set(weight.subarray(from, from + BLOCK.rowBytes), at);
        at += BLOCK.rowBytes;
      }
    }
  }
  return blocks;
}

export interface Product {
  readonly type: 'BF16' | 'FP16' | 'INT8';
  readonly m: number;
  readonly n: number;
  /** [m][k] and [n][k], as they lie in memory. */
  readonly input: Uint8Array;
  readonly weight: Uint8Array;
}

/** input times weight transposed, in FP32; INT8 with scales of one. */
export async function multiply(session: Session, product: Product, rectangle: Rectangle): Promise<Float32Array> {
  const { type, m, n, input, weight } = product;
  const kBytes = input.byteLength / m;
  const page = (index: number): bigint => session.memory + BigInt(index * PAGE_BYTES);
  await session.write(page(0), input);
  await session.write(page(1), weightBlocks(weight, n));
  const scaled = type === 'INT8';
  if (scaled) await session.write(page(3), new Uint8Array(new Float32Array(Math.max(m, n)).fill(1).buffer));
  const args = words(FULLY_CONNECTED_ARGUMENTS, {
    input: page(0),
    weight: page(1),
    bias: 0,
    output: page(2),
    m,
    n,
    k_bytes: kBytes,
    input_stride: kBytes,
    output_stride: n * BYTES.FP32,
    output_columns: n,
    type: DATA_TYPE[type],
    output_type: DATA_TYPE.FP32,
    activation: ACTIVATION.NONE,
    row_tile: 32,
    column_tile: 32,
    row_parts: 0,
    row_scale: scaled ? page(3) : 0,
    column_scale: scaled ? page(3) : 0,
  });
  await session.launch('FULLY_CONNECTED', args, { rectangle });
  return new Float32Array((await session.read(page(2), m * n * BYTES.FP32)).buffer);
}
