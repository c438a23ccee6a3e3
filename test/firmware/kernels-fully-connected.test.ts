import { describe, expect, test } from 'vitest';
import { DROP_BIAS_BUNDLE } from '../../src/firmware-emu/index.js';
import { ACTIVATION, type ActivationName, DATA_TYPE, FULLY_CONNECTED_ARGUMENTS } from '../../src/hw/index.js';
import { benchesOfBothGenerations, KernelBench } from './kernel-bench.js';
import { Arena, type Expectation, expectFailure, expectJob, type Job } from './kernel-case.js';
import { type FloatType, load, randomNumbers, store } from './number-formats.js';

interface Shape {
  m: number;
  n: number;
  /** Elements of a row of input, padding included. */
  k: number;
  /** Columns stored; n when absent. */
  columns?: number;
  type?: 'FP16' | 'BF16';
  outputType?: FloatType;
  activation?: ActivationName;
  tile?: readonly [number, number];
  rectangle?: readonly [columns: number, rows: number];
  /** First column and row of the rectangle. */
  origin?: readonly [column: number, row: number];
  inputGap?: number;
  outputGap?: number;
  noBias?: boolean;
  values?: Partial<Record<string, number>>;
}

interface Operands {
  readonly job: Job;
  readonly expectations: Expectation[];
}

const BYTES = { FP16: 2, BF16: 2, FP32: 4 } as const;
/** Largest error of the sigmoid and tanh tables (scripts/generate-se-tables.mjs states it). */
const TABLE_ERROR = 1e-6;

const functions: Record<ActivationName, (x: number) => number> = {
  NONE: (x) => x,
  RELU: (x) => Math.max(0, x),
  SIGMOID: (x) => 1 / (1 + Math.exp(-x)),
  TANH: Math.tanh,
};

/** Where element k of column n lies in the blocks of the weights: 64 bytes of k for 32 columns, in groups of 4 bytes. */
function weightOffset(column: number, kByte: number, kBytes: number): number {
  const block = Math.floor(column / 32) * (kBytes / 64) + Math.floor(kByte / 64);
  return block * 2048 + Math.floor((kByte % 64) / 4) * 128 + (column % 32) * 4 + (kByte % 4);
}

function makeOperands(shape: Shape): Operands {
  const { m, n, k } = shape;
  const type = shape.type ?? 'BF16';
  const outputType = shape.outputType ?? 'FP32';
  const activation = shape.activation ?? 'NONE';
  const columns = shape.columns ?? n;
  const kBytes = k * 2;
  const inputStride = kBytes + (shape.inputGap ?? 0);
  const outputStride = Math.ceil((columns * BYTES[outputType]) / 32) * 32 + (shape.outputGap ?? 0);
  const arena = new Arena();
  const input = arena.allocate(m * inputStride);
  const weight = arena.allocate(n * kBytes);
  const bias = arena.allocate(n * 4);
  const output = arena.allocate(m * outputStride);
  const random = randomNumbers(m * 7919 + n * 31 + k);
  const x = fillMatrix(
    m,
    k,
    () => random() * 2 - 1,
    (row, column) => input + row * inputStride + column * 2,
    arena,
    type,
  );
  const w = fillMatrix(
    n,
    k,
    () => (random() * 2 - 1) / Math.sqrt(k),
    (row, column) => weight + weightOffset(row, column * 2, kBytes),
    arena,
    type,
  );
  const b = fillMatrix(
    1,
    n,
    () => random() * 4 - 2,
    (_, column) => bias + column * 4,
    arena,
    'FP32',
  );
  const expectations: Expectation[] = [];
  for (let row = 0; row < m; row++) {
    for (let column = 0; column < columns; column++) {
      let sum = shape.noBias ? 0 : (b[column] ?? 0);
      let magnitude = Math.abs(sum);
      for (let i = 0; i < k; i++) {
        const product = (x[row * k + i] ?? 0) * (w[column * k + i] ?? 0);
        sum += product;
        magnitude += Math.abs(product);
      }
      // k additions in FP32, each off by at most half a unit of a partial sum that `magnitude` bounds.
      const error =
        (k + 1) * 2 ** -24 * magnitude + (activation === 'SIGMOID' || activation === 'TANH' ? TABLE_ERROR : 0);
      const at = output + row * outputStride + column * BYTES[outputType];
      expectations.push({ at, type: outputType, value: functions[activation](sum), error });
    }
  }
  const [columnsOfPes, rowsOfPes] = shape.rectangle ?? [1, 1];
  const [rowTile, columnTile] = shape.tile ?? [64, 64];
  const values = {
    input,
    weight,
    bias,
    output,
    m,
    n,
    k_bytes: kBytes,
    input_stride: inputStride,
    output_stride: outputStride,
    output_columns: columns,
    type: DATA_TYPE[type],
    output_type: DATA_TYPE[outputType],
    activation: ACTIVATION[activation],
    row_tile: rowTile,
    column_tile: columnTile,
    ...shape.values,
  };
  if (shape.noBias) values.bias = 0;
  const addresses = ['input', 'weight', 'output', ...(shape.noBias ? [] : ['bias'])];
  const [column, row] = shape.origin ?? [0, 0];
  const rectangle = { column, row, columns: columnsOfPes, rows: rowsOfPes };
  return {
    job: { kernel: 'FULLY_CONNECTED', layout: FULLY_CONNECTED_ARGUMENTS, values, addresses, rectangle, arena },
    expectations,
  };
}

function fillMatrix(
  rows: number,
  columns: number,
  next: () => number,
  place: (row: number, column: number) => number,
  arena: Arena,
  type: FloatType,
): Float64Array {
  const values = new Float64Array(rows * columns);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      store(arena.view, place(row, column), type, Math.fround(next()));
      values[row * columns + column] = load(arena.view, place(row, column), type);
    }
  }
  return values;
}

describe('FULLY_CONNECTED', () => {
  const benches = benchesOfBothGenerations();

  const shapes: Record<string, Shape> = {
    'one tile': { m: 64, n: 64, k: 64 },
    'a single row': { m: 1, n: 96, k: 32, rectangle: [2, 1] },
    'a single row of a long k': { m: 1, n: 64, k: 2048, rectangle: [2, 2] },
    'the smallest': { m: 1, n: 32, k: 32 },
    '33 rows': { m: 33, n: 32, k: 96 },
    '65 rows, 3 blocks of columns': { m: 65, n: 96, k: 160 },
    'weights that stay, input streamed': { m: 200, n: 128, k: 512 },
    'neither stays (v1)': { m: 130, n: 64, k: 1536 },
    'neither stays': { m: 66, n: 32, k: 6400 },
    'input that stays': { m: 40, n: 320, k: 128 },
    'everything stays': { m: 150, n: 192, k: 64, outputType: 'BF16' },
    'row tile 32': { m: 100, n: 100 + 28, k: 128, tile: [32, 64] },
    'column tile 32': { m: 100, n: 96, k: 128, tile: [64, 32] },
    'both 32': { m: 97, n: 96, k: 96, tile: [32, 32], rectangle: [2, 3] },
    'rectangle 8x8': { m: 512, n: 256, k: 64, outputType: 'BF16', rectangle: [8, 8] },
    'rectangle 3x5': { m: 333, n: 224, k: 64, outputType: 'FP16', type: 'FP16', rectangle: [3, 5] },
    'a rectangle inside the grid': { m: 100, n: 96, k: 64, rectangle: [2, 2], origin: [3, 5] },
    'bands of rows side by side': {
      m: 100,
      n: 480,
      k: 96,
      tile: [32, 32],
      rectangle: [3, 8],
      values: { row_parts: 2 },
    },
    'one row of all PEs': { m: 40, n: 416, k: 64, tile: [32, 32], rectangle: [4, 4], values: { row_parts: 1 } },
    'bands, fewer tiles than PEs': {
      m: 100,
      n: 160,
      k: 64,
      tile: [64, 32],
      rectangle: [2, 8],
      values: { row_parts: 2 },
    },
    'more PEs than tiles': { m: 3, n: 32, k: 64, rectangle: [8, 8] },
    FP16: { m: 70, n: 64, k: 416, type: 'FP16', outputType: 'FP16' },
    'FP16 to FP32': { m: 70, n: 64, k: 416, type: 'FP16' },
    'gaps between rows': { m: 70, n: 64, k: 64, inputGap: 128, outputGap: 96 },
    'one column stored': { m: 70, n: 32, k: 64, columns: 1 },
    '47 columns stored': { m: 35, n: 64, k: 64, columns: 47, outputType: 'BF16' },
    ReLU: { m: 40, n: 64, k: 64, activation: 'RELU', outputType: 'BF16' },
    sigmoid: { m: 65, n: 96, k: 64, activation: 'SIGMOID', rectangle: [2, 2] },
    tanh: { m: 40, n: 64, k: 64, activation: 'TANH', outputType: 'FP16', type: 'FP16' },
    'no bias': { m: 40, n: 64, k: 64, noBias: true },
  };
  for (const [name, shape] of Object.entries(shapes)) {
    test(name, async () => {
      const { job, expectations } = makeOperands(shape);
      await expectJob(benches, job, expectations);
    });
  }

  test('shapes drawn at random', async () => {
    const random = randomNumbers(20);
    const upTo = (limit: number): number => 1 + Math.floor(random() * limit);
    const oneOf = <T>(...values: readonly [T, ...T[]]): T => values[upTo(values.length) - 1] ?? values[0];
    for (let turn = 0; turn < 40; turn++) {
      const n = 32 * upTo(8);
      const rowParts = upTo(3);
      const shape: Shape = {
        m: upTo(180),
        n,
        k: 32 * upTo(oneOf(4, 40)),
        columns: n - upTo(32) + 1,
        type: oneOf('FP16', 'BF16'),
        outputType: oneOf('FP16', 'BF16', 'FP32'),
        activation: oneOf('NONE', 'RELU', 'SIGMOID', 'TANH'),
        tile: oneOf([32, 32], [32, 64], [64, 32], [64, 64]),
        rectangle: [upTo(4), rowParts * upTo(2)],
        values: { row_parts: oneOf(0, rowParts) },
        noBias: oneOf(true, false),
      };
      const { job, expectations } = makeOperands(shape);
      await expectJob(benches, job, expectations);
    }
  });

  const groups: Record<string, Shape> = {
    'a full grid': { m: 512, n: 512, k: 64, rectangle: [8, 8] },
    'columns and rows whose last tiles few PEs have': { m: 320, n: 192, k: 96, tile: [64, 64], rectangle: [2, 3] },
    'one PE': { m: 128, n: 128, k: 64 },
  };
  for (const [name, shape] of Object.entries(groups)) {
    test(`memory delivers every operand once for all PEs that need it: ${name}`, async () => {
      const { job, expectations } = makeOperands(shape);
      const operands = (shape.m + shape.n) * shape.k * 2 + shape.n * 4;
      for (const bench of benches) {
        const before = bench.debug.memoryCounters().lpddrReadBytes;
        await expectJob([bench], job, expectations);
        const read = Number(bench.debug.memoryCounters().lpddrReadBytes - before);
        expect(read).toBeGreaterThanOrEqual(operands);
        // The share of a member is rounded up to a byte.
        expect(read).toBeLessThan(operands + 256);
      }
    });
  }

  const refused: Record<string, Record<string, number>> = {
    'INT8 input without scales': { type: DATA_TYPE.INT8 },
    'INT8 output': { output_type: DATA_TYPE.INT8 },
    'an unknown activation': { activation: 9 },
    'a row tile of 48': { row_tile: 48 },
    'n that is no multiple of 32': { n: 40 },
    'k that is no multiple of 64 bytes': { k_bytes: 32 },
    'no rows': { m: 0 },
    'row parts that do not divide the rows of the rectangle': { row_parts: 2 },
    'columns beyond n': { output_columns: 65 },
    'an unaligned output stride': { output_stride: 100 },
  };
  for (const [name, values] of Object.entries(refused)) {
    test(`refuses ${name}`, async () => {
      await expectFailure(benches, makeOperands({ m: 4, n: 64, k: 64, values }).job, 'INVALID_COMMAND');
    });
  }

  test('answers come from the firmware: without its bias step they are wrong', async () => {
    const bench = await KernelBench.open('2i', DROP_BIAS_BUNDLE);
    try {
      const biased = makeOperands({ m: 5, n: 64, k: 64 });
      await expect(expectJob([bench], biased.job, biased.expectations)).rejects.toThrow('instead of');
      const plain = makeOperands({ m: 5, n: 64, k: 64, noBias: true });
      await expectJob([bench], plain.job, plain.expectations);
    } finally {
      await bench.close();
    }
  });
});
