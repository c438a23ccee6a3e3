/** QUANTIZE and FULLY_CONNECTED in INT8, bit by bit against the arithmetic of docs/numerics.md. */
import { describe, test } from 'vitest';
import {
  ACTIVATION,
  type ActivationName,
  DATA_TYPE,
  FULLY_CONNECTED_ARGUMENTS,
  QUANTIZE_ARGUMENTS,
} from '../../src/hw/index.js';
import { benchesOfBothGenerations } from './kernel-bench.js';
import { Arena, type Expectation, expectFailure, expectJob, type Job } from './kernel-case.js';
import { type FloatType, load, randomNumbers, rounded, store } from './number-formats.js';

const f = Math.fround;
const BYTES = { FP16: 2, BF16: 2, FP32: 4 } as const;
/** Largest error of the sigmoid and tanh tables (scripts/generate-se-tables.mjs states it). */
const TABLE_ERROR = 1e-6;

interface Rows {
  readonly rows: number;
  readonly elements: number;
  readonly type?: 'FP16' | 'BF16';
  readonly rectangle?: readonly [columns: number, rows: number];
  /** What element (row, column) is, before it is rounded to the type. */
  readonly value?: (row: number, column: number) => number;
  readonly values?: Partial<Record<string, number>>;
}

/** Scale and values of a row as QUANTIZE makes them; `x` has the precision of the input type. */
function quantized(x: readonly number[]): { readonly scale: number; readonly values: number[] } {
  const largest = x.some(Number.isNaN) ? Number.NaN : Math.max(...x.map(Math.abs));
  const scale = f(largest / 127);
  const reciprocal = f(1 / scale);
  const values = x.map((value) => {
    const quotient = f(value * reciprocal);
    return Number.isNaN(quotient) ? 0 : Math.max(-127, rounded(quotient, 'INT8'));
  });
  return { scale, values };
}

function quantizeCase(shape: Rows): { readonly job: Job; readonly expectations: Expectation[] } {
  const { rows, elements } = shape;
  const type = shape.type ?? 'BF16';
  const inputStride = Math.ceil(elements / 32) * 64;
  const outputStride = Math.ceil(elements / 64) * 64;
  const arena = new Arena();
  const input = arena.allocate(rows * inputStride);
  const output = arena.allocate(rows * outputStride);
  const scales = arena.allocate(rows * 4);
  const random = randomNumbers(rows * 131 + elements);
  const expectations: Expectation[] = [];
  for (let row = 0; row < rows; row++) {
    const magnitude = 10 ** (row % 5);
    const x = Array.from({ length: elements }, (_, column) => {
      const at = input + row * inputStride + column * 2;
      store(arena.view, at, type, f(shape.value?.(row, column) ?? (random() * 2 - 1) * magnitude));
      return load(arena.view, at, type);
    });
    const { scale, values } = quantized(x);
    expectations.push({ at: scales + row * 4, type: 'FP32', value: scale, exact: true });
    for (let column = 0; column < outputStride; column++) {
      const at = output + row * outputStride + column;
      expectations.push({ at, type: 'INT8', value: values[column] ?? 0, exact: true });
    }
  }
  const [columnsOfPes, rowsOfPes] = shape.rectangle ?? [1, 1];
  const values = {
    input,
    output,
    scales,
    rows,
    elements,
    input_stride: inputStride,
    output_stride: outputStride,
    input_type: DATA_TYPE[type],
    ...shape.values,
  };
  const addresses = ['input', 'output', 'scales'];
  const rectangle = { columns: columnsOfPes, rows: rowsOfPes };
  return {
    job: { kernel: 'QUANTIZE', layout: QUANTIZE_ARGUMENTS, values, addresses, rectangle, arena },
    expectations,
  };
}

describe('QUANTIZE', () => {
  const benches = benchesOfBothGenerations();
  const shapes: Record<string, Rows> = {
    'one element': { rows: 1, elements: 1 },
    'one row': { rows: 1, elements: 480 },
    '9 rows of an odd length': { rows: 9, elements: 45 },
    FP16: { rows: 40, elements: 100, type: 'FP16' },
    'more rows than a block': { rows: 75, elements: 64 },
    'rows dealt to 8x8 PEs': { rows: 999, elements: 32, rectangle: [8, 8] },
    'more PEs than blocks': { rows: 5, elements: 33, rectangle: [4, 2] },
    'rows so long that v1 takes few at a time': { rows: 19, elements: 4000 },
    'the longest rows': { rows: 3, elements: 16384 },
    'rows of zeros': { rows: 3, elements: 64, value: () => 0 },
    'a NaN in a row': { rows: 2, elements: 40, value: (row, column) => (row === 1 && column === 7 ? Number.NaN : 1) },
    'an infinity in a row': {
      rows: 2,
      elements: 40,
      value: (row, column) => (row === 1 && column === 7 ? -Infinity : 1),
    },
    ties: { rows: 1, elements: 64, value: (_, column) => (column === 0 ? 127 : column - 32.5) },
  };
  for (const [name, shape] of Object.entries(shapes)) {
    test(name, async () => {
      const { job, expectations } = quantizeCase(shape);
      await expectJob(benches, job, expectations);
    });
  }

  const refused: Record<string, Record<string, number>> = {
    'no elements': { elements: 0 },
    'rows that are too long': { elements: 16385, output_stride: 16448 },
    'FP32 input': { input_type: DATA_TYPE.FP32 },
    'an unaligned output stride': { output_stride: 96 },
    'an output stride with more than padding': { output_stride: 192 },
  };
  for (const [name, values] of Object.entries(refused)) {
    test(`refuses ${name}`, async () => {
      await expectFailure(benches, quantizeCase({ rows: 4, elements: 64, values }).job, 'INVALID_COMMAND');
    });
  }
});

interface Product {
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly columns?: number;
  readonly outputType?: FloatType;
  readonly activation?: ActivationName;
  readonly tile?: readonly [number, number];
  readonly rectangle?: readonly [columns: number, rows: number];
  readonly noBias?: boolean;
  readonly values?: Partial<Record<string, number>>;
}

const FUNCTIONS: Record<ActivationName, (x: number) => number> = {
  NONE: (x) => x,
  RELU: (x) => Math.max(x, 0),
  SIGMOID: (x) => 1 / (1 + Math.exp(-x)),
  TANH: Math.tanh,
};

/** Where byte k of column n lies in the blocks of the weights: 64 bytes of k for 32 columns, in groups of 4 bytes. */
function weightOffset(column: number, at: number, k: number): number {
  const block = Math.floor(column / 32) * (k / 64) + Math.floor(at / 64);
  return block * 2048 + Math.floor((at % 64) / 4) * 128 + (column % 32) * 4 + (at % 4);
}

function productCase(shape: Product): { readonly job: Job; readonly expectations: Expectation[] } {
  const { m, n, k } = shape;
  const outputType = shape.outputType ?? 'FP32';
  const activation = shape.activation ?? 'NONE';
  const columns = shape.columns ?? n;
  const outputStride = Math.ceil((columns * BYTES[outputType]) / 32) * 32;
  const arena = new Arena();
  const random = randomNumbers(m * 7919 + n * 31 + k);
  const integers = (count: number, place: (index: number) => number): Int8Array =>
    Int8Array.from({ length: count }, (_, index) => {
      const value = Math.floor(random() * 255) - 127;
      arena.view.setInt8(place(index), value);
      return value;
    });
  const floats = (count: number, next: () => number): { readonly at: number; readonly values: Float32Array } => {
    const at = arena.allocate(count * 4);
    const values = Float32Array.from({ length: count }, next);
    for (const [index, value] of values.entries()) arena.view.setFloat32(at + index * 4, value, true);
    return { at, values };
  };
  const input = arena.allocate(m * k);
  const weight = arena.allocate(n * k);
  const output = arena.allocate(m * outputStride);
  const rowScales = floats(m, () => random() * 0.02);
  const columnScales = floats(n, () => random() * 0.01);
  const bias = floats(n, () => random() * 4 - 2);
  const x = integers(m * k, (index) => input + index);
  const w = integers(n * k, (index) => weight + weightOffset(Math.floor(index / k), index % k, k));
  const expectations: Expectation[] = [];
  for (let row = 0; row < m; row++) {
    for (let column = 0; column < columns; column++) {
      let sum = 0;
      for (let at = 0; at < k; at++) sum += (x[row * k + at] as number) * (w[column * k + at] as number);
      const scaled = f(f(f(sum) * (rowScales.values[row] ?? 0)) * (columnScales.values[column] ?? 0));
      const value = FUNCTIONS[activation](shape.noBias ? scaled : f(scaled + (bias.values[column] ?? 0)));
      const at = output + row * outputStride + column * BYTES[outputType];
      const isExact = activation === 'NONE' || activation === 'RELU';
      expectations.push(
        isExact
          ? { at, type: outputType, value: rounded(value, outputType), exact: true }
          : { at, type: outputType, value, error: TABLE_ERROR },
      );
    }
  }
  const [rowTile, columnTile] = shape.tile ?? [64, 64];
  const [columnsOfPes, rowsOfPes] = shape.rectangle ?? [1, 1];
  const values = {
    input,
    weight,
    bias: shape.noBias ? 0 : bias.at,
    output,
    m,
    n,
    k_bytes: k,
    input_stride: k,
    output_stride: outputStride,
    output_columns: columns,
    type: DATA_TYPE.INT8,
    output_type: DATA_TYPE[outputType],
    activation: ACTIVATION[activation],
    row_tile: rowTile,
    column_tile: columnTile,
    row_scale: rowScales.at,
    column_scale: columnScales.at,
    ...shape.values,
  };
  const addresses = ['input', 'weight', 'output', 'row_scale', 'column_scale', 'bias'].filter(
    (name) => values[name as keyof typeof values] !== 0,
  );
  const rectangle = { columns: columnsOfPes, rows: rowsOfPes };
  return {
    job: { kernel: 'FULLY_CONNECTED', layout: FULLY_CONNECTED_ARGUMENTS, values, addresses, rectangle, arena },
    expectations,
  };
}

describe('FULLY_CONNECTED in INT8', () => {
  const benches = benchesOfBothGenerations();
  const shapes: Record<string, Product> = {
    'one tile': { m: 64, n: 64, k: 64 },
    'the smallest': { m: 1, n: 32, k: 64 },
    'a single row of a long k': { m: 1, n: 64, k: 2048, rectangle: [2, 2] },
    '33 rows': { m: 33, n: 32, k: 128 },
    '65 rows, 3 blocks of columns': { m: 65, n: 96, k: 192 },
    'weights that stay, input streamed': { m: 200, n: 128, k: 1024 },
    'sums beyond the integers of FP32': { m: 4, n: 32, k: 65536 },
    'rectangle 3x5': { m: 333, n: 224, k: 64, outputType: 'FP16', rectangle: [3, 5] },
    'tiles of 32': { m: 97, n: 96, k: 64, tile: [32, 32], rectangle: [2, 3] },
    '47 columns stored': { m: 35, n: 64, k: 64, columns: 47, outputType: 'BF16' },
    ReLU: { m: 40, n: 64, k: 64, activation: 'RELU', outputType: 'BF16' },
    sigmoid: { m: 65, n: 96, k: 64, activation: 'SIGMOID', rectangle: [2, 2] },
    'no bias': { m: 40, n: 64, k: 64, noBias: true },
  };
  for (const [name, shape] of Object.entries(shapes)) {
    test(name, async () => {
      const { job, expectations } = productCase(shape);
      await expectJob(benches, job, expectations);
    });
  }

  const refused: Record<string, Record<string, number>> = {
    'INT8 without row scales': { row_scale: 0 },
    'INT8 without column scales': { column_scale: 0 },
    'scales of BF16': { type: DATA_TYPE.BF16 },
  };
  for (const [name, values] of Object.entries(refused)) {
    test(`refuses ${name}`, async () => {
      await expectFailure(benches, productCase({ m: 4, n: 64, k: 64, values }).job, 'INVALID_COMMAND');
    });
  }
});
