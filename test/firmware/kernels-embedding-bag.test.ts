import { describe, test } from 'vitest';
import { DATA_TYPE, EMBEDDING_BAG_ARGUMENTS, EMBEDDING_TABLE, encodeStruct } from '../../src/hw/index.js';
import { benchesOfBothGenerations } from './kernel-bench.js';
import { Arena, type Expectation, expectFailure, expectJob, type Job } from './kernel-case.js';
import { type FloatType, load, randomNumbers, store } from './number-formats.js';

interface Table {
  rows: number;
  bag: number;
  /** Bytes of a table row beyond its elements rounded up to 32 bytes. */
  gap?: number;
}

interface Shape {
  tables: readonly Table[];
  batch: number;
  elements: number;
  type?: FloatType;
  sampleBlock?: number;
  rectangle?: readonly [columns: number, rows: number];
  /** Bytes by which the indices begin off a multiple of 64. */
  shift?: number;
  values?: Partial<Record<string, number>>;
  /** Replaces an index: [table, position, index]. */
  index?: readonly [number, number, bigint];
}

const BYTES = { FP16: 2, BF16: 2, FP32: 4 } as const;

function makeJob(shape: Shape): { job: Job; expectations: Expectation[] } {
  const type = shape.type ?? 'BF16';
  const width = Math.ceil((shape.elements * BYTES[type]) / 32) * 32;
  const outputStride = width * shape.tables.length;
  const arena = new Arena();
  const descriptors = arena.allocate(shape.tables.length * 64);
  const output = arena.allocate(shape.batch * outputStride);
  const random = randomNumbers(shape.batch * 131 + shape.elements);
  const expectations: Expectation[] = [];
  shape.tables.forEach((table, number) => {
    const rowBytes = width + (table.gap ?? 0);
    const rows = arena.allocate(table.rows * rowBytes, 64);
    const indices = arena.allocate(shape.batch * table.bag * 8, 64, shape.shift ?? 0);
    for (let row = 0; row < table.rows; row++) {
      for (let at = 0; at < width; at += BYTES[type]) {
        const value = at < shape.elements * BYTES[type] ? random() * 2 - 1 : 0;
        store(arena.view, rows + row * rowBytes + at, type, Math.fround(value));
      }
    }
    for (let position = 0; position < shape.batch * table.bag; position++) {
      const index = BigInt(Math.floor(random() * table.rows));
      arena.view.setBigInt64(indices + position * 8, index, true);
    }
    encodeStruct(EMBEDDING_TABLE, arena.view, descriptors + number * 64, {
      table_offset: rows,
      indices_offset: indices,
      output_offset: number * width,
      rows: table.rows,
      bag_length: table.bag,
      row_bytes: rowBytes,
    });
    const read = (sample: number, place: number, at: number): number => {
      const index = Number(arena.view.getBigInt64(indices + (sample * table.bag + place) * 8, true));
      return load(arena.view, rows + index * rowBytes + at, type);
    };
    for (let sample = 0; sample < shape.batch; sample++) {
      for (let at = 0; at < width; at += BYTES[type]) {
        let sum = 0;
        let magnitude = 0;
        for (let place = 0; place < table.bag; place++) {
          const value = read(sample, place, at);
          sum += value;
          magnitude += Math.abs(value);
        }
        // One row comes back bit by bit; sums are off by half a unit of each partial sum.
        const error = table.bag < 2 ? 0 : table.bag * 2 ** -24 * magnitude;
        expectations.push({ at: output + sample * outputStride + number * width + at, type, value: sum, error });
      }
    }
    if (shape.index !== undefined && shape.index[0] === number) {
      arena.view.setBigInt64(indices + shape.index[1] * 8, shape.index[2], true);
    }
  });
  const values = {
    descriptors,
    tables: 0,
    inputs: 0,
    output,
    table_count: shape.tables.length,
    batch: shape.batch,
    output_stride: outputStride,
    type: DATA_TYPE[type],
    elements: shape.elements,
    sample_block: shape.sampleBlock ?? 64,
    ...shape.values,
  };
  const [columns, rows] = shape.rectangle ?? [1, 1];
  return {
    job: {
      kernel: 'EMBEDDING_BAG',
      layout: EMBEDDING_BAG_ARGUMENTS,
      values,
      addresses: ['descriptors', 'tables', 'inputs', 'output'],
      rectangle: { columns, rows },
      arena,
    },
    expectations,
  };
}

describe('EMBEDDING_BAG', () => {
  const benches = benchesOfBothGenerations();

  const one = (rows: number, bag: number, gap = 0): Table[] => [{ rows, bag, gap }];
  const shapes: Record<string, Shape> = {
    'bags of one row': { tables: one(100, 1), batch: 70, elements: 128 },
    'bags of one row, FP32, long rows': { tables: one(20, 1), batch: 37, elements: 1000, type: 'FP32' },
    'bags of one row, odd blocks': { tables: one(50, 1), batch: 41, elements: 16, sampleBlock: 7, rectangle: [3, 2] },
    'bags of one row, more than a chunk': { tables: one(50, 1), batch: 1500, elements: 16, sampleBlock: 2000 },
    'bags of no row': { tables: one(3, 0), batch: 11, elements: 24 },
    'bags of no row, more than the buffer': { tables: one(3, 0), batch: 700, elements: 24, sampleBlock: 700 },
    'bags of 2': { tables: one(30, 2), batch: 9, elements: 8 },
    'bags of 3, FP16': { tables: one(30, 3), batch: 50, elements: 64, type: 'FP16', rectangle: [2, 2], sampleBlock: 8 },
    'bags of 31': { tables: one(30, 31), batch: 5, elements: 40 },
    'bags of 32': { tables: one(30, 32), batch: 5, elements: 40 },
    'bags of 33 (two pieces on v1)': { tables: one(30, 33), batch: 5, elements: 40 },
    'bags of 128': { tables: one(200, 128), batch: 6, elements: 64, type: 'FP32' },
    'bags of 130': { tables: one(200, 130), batch: 6, elements: 64 },
    'bags of 1100, longer than a chunk of indices': { tables: one(50, 1100), batch: 3, elements: 32, type: 'FP32' },
    'long rows that limit a piece (v1)': { tables: one(9, 12), batch: 4, elements: 8000, type: 'BF16' },
    'gaps between table rows': { tables: one(40, 2, 96), batch: 20, elements: 20 },
    'indices off alignment': {
      tables: one(40, 3),
      batch: 21,
      elements: 32,
      shift: 8,
      sampleBlock: 5,
      rectangle: [2, 1],
    },
    'indices off alignment, one row': { tables: one(40, 1), batch: 21, elements: 32, shift: 24, sampleBlock: 3 },
    'tables of every kind': {
      tables: [
        { rows: 10, bag: 1 },
        { rows: 1000, bag: 7 },
        { rows: 1, bag: 40, gap: 32 },
        { rows: 5, bag: 0 },
        { rows: 77, bag: 1 },
        { rows: 77, bag: 130 },
      ],
      batch: 33,
      elements: 48,
      sampleBlock: 10,
      rectangle: [2, 2],
    },
    '26 tables on the whole grid': {
      tables: Array.from({ length: 26 }, (_, number) => ({ rows: 20 + number * 9, bag: 1 })),
      batch: 128,
      elements: 128,
      rectangle: [8, 8],
    },
    'fewer items than PEs': { tables: one(9, 4), batch: 2, elements: 8, rectangle: [3, 5] },
  };
  for (const [name, shape] of Object.entries(shapes)) {
    test(name, async () => {
      const { job, expectations } = makeJob(shape);
      await expectJob(benches, job, expectations);
    });
  }

  test('tables drawn at random', async () => {
    const random = randomNumbers(21);
    const upTo = (limit: number): number => 1 + Math.floor(random() * limit);
    for (let turn = 0; turn < 40; turn++) {
      const tables = Array.from({ length: upTo(5) }, () => ({
        rows: upTo(50),
        bag: random() < 0.3 ? 1 : upTo(random() < 0.3 ? 150 : 5) - 1,
        gap: random() < 0.5 ? 0 : 32 * upTo(3),
      }));
      const { job, expectations } = makeJob({
        tables,
        batch: upTo(40),
        elements: upTo(150),
        type: (['FP16', 'BF16', 'FP32'] as const)[upTo(3) - 1] ?? 'BF16',
        sampleBlock: upTo(50),
        rectangle: [upTo(3), upTo(3)],
        shift: 8 * (upTo(4) - 1),
      });
      await expectJob(benches, job, expectations);
    }
  });

  const badIndices: Record<string, Shape> = {
    'the number of rows': { tables: one(30, 1), batch: 20, elements: 32, index: [0, 19, 30n] },
    'below zero': { tables: one(30, 1), batch: 20, elements: 32, index: [0, 0, -1n] },
    'in a long bag': { tables: one(30, 200), batch: 20, elements: 32, index: [0, 1999, 1n << 40n] },
    'on one PE of many': {
      tables: [...one(30, 4), ...one(30, 4)],
      batch: 128,
      elements: 32,
      rectangle: [2, 2],
      index: [1, 300, 31n],
    },
  };
  for (const [name, shape] of Object.entries(badIndices)) {
    test(`reports an index out of range: ${name}`, async () => {
      await expectFailure(benches, makeJob(shape).job, 'INDEX_OUT_OF_RANGE');
      // The PEs are as good as new.
      const { index: _, ...good } = shape;
      const { job, expectations } = makeJob(good);
      await expectJob(benches, job, expectations);
    });
  }

  test.each([1, 20, 70])('adds up bags of %i INT8 rows to FP16', async (bag) => {
    const [rows, elements, batch] = [9, 64, 40];
    const arena = new Arena();
    const descriptors = arena.allocate(64);
    const table = arena.allocate(rows * elements);
    const indices = arena.allocate(batch * bag * 8);
    const output = arena.allocate(batch * elements * 2);
    const random = randomNumbers(bag);
    for (let at = 0; at < rows * elements; at++) store(arena.view, table + at, 'INT8', random() * 256 - 128);
    const expectations: Expectation[] = [];
    for (let sample = 0; sample < batch; sample++) {
      const sums = new Array<number>(elements).fill(0);
      for (let place = 0; place < bag; place++) {
        const index = Math.floor(random() * rows);
        arena.view.setBigInt64(indices + (sample * bag + place) * 8, BigInt(index), true);
        sums.forEach((sum, at) => {
          sums[at] = sum + load(arena.view, table + index * elements + at, 'INT8');
        });
      }
      sums.forEach((value, at) => {
        expectations.push({ at: output + (sample * elements + at) * 2, type: 'FP16', value });
      });
    }
    encodeStruct(EMBEDDING_TABLE, arena.view, descriptors, {
      table_offset: table,
      indices_offset: indices,
      output_offset: 0,
      rows,
      bag_length: bag,
      row_bytes: elements,
    });
    const values = { descriptors, tables: 0, inputs: 0, output, table_count: 1, batch, sample_block: 16 };
    const job: Job = {
      kernel: 'EMBEDDING_BAG',
      layout: EMBEDDING_BAG_ARGUMENTS,
      values: { ...values, output_stride: elements * 2, type: DATA_TYPE.INT8, elements },
      addresses: ['descriptors', 'tables', 'inputs', 'output'],
      rectangle: { columns: 2, rows: 1 },
      arena,
    };
    await expectJob(benches, job, expectations);
  });

  const refused: Record<string, Record<string, number>> = {
    'INT32 rows': { type: DATA_TYPE.INT32 },
    'no elements': { elements: 0 },
    'blocks of no samples': { sample_block: 0 },
    'rows longer than those of the table': { elements: 64 },
    'an unaligned output stride': { output_stride: 40 },
  };
  for (const [name, values] of Object.entries(refused)) {
    test(`refuses ${name}`, async () => {
      const { job } = makeJob({ tables: one(8, 1), batch: 4, elements: 16, values });
      await expectFailure(benches, job, 'INVALID_COMMAND');
    });
  }
});
