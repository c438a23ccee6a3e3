import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type MeasuredDevice, openMeasuredDevice } from '../../bench/context.js';
import { FIDELITY_ROWS } from '../../bench/fidelity.js';
import { FidelityDevice } from '../../bench/fidelity-device.js';
import { embeddingLaunch } from '../../bench/fidelity-embedding.js';
import { BATCHED } from '../../bench/fidelity-operators.js';
import { seededIndices } from '../../bench/seeded.js';
import { BENCHMARK_BUNDLE } from '../../src/firmware-emu/index.js';
import type { Generation } from '../../src/hw/index.js';
import { load, type NumberType, randomNumbers, store } from './number-formats.js';

const GENERATIONS = ['v1', '2i'] as const;
const [M, K, N] = [256, 128, 32] as const;

const measured = new Map<Generation, MeasuredDevice>();
const deviceOf = (generation: Generation): MeasuredDevice => {
  const device = measured.get(generation);
  if (device === undefined) throw new Error(`no ${generation}`);
  return device;
};

beforeAll(async () => {
  const context = { threads: 2, signal: new AbortController().signal, say: () => undefined };
  for (const generation of GENERATIONS) {
    measured.set(generation, await openMeasuredDevice({ ...context, generation }, { bundle: BENCHMARK_BUNDLE }));
  }
});
afterAll(async () => {
  for (const device of measured.values()) await device[Symbol.asyncDispose]();
});

/** Runs a kernel over zero-initialised output; operands in front, then output, then numbers. */
async function outputOf(
  generation: Generation,
  kernel: string,
  operands: readonly Uint8Array[],
  outputBytes: number,
  before: readonly number[],
  after: readonly number[],
): Promise<DataView> {
  const { device } = deviceOf(generation);
  const target = new FidelityDevice(deviceOf(generation));
  const inputs = [];
  for (const operand of operands) inputs.push(await target.allocateWith(operand, 'lpddr'));
  const output = await target.allocateWith(new Uint8Array(outputBytes), 'lpddr');
  await device.defaultStream.launch(device.kernel(kernel), { grid: { columns: 4, rows: 2 } }, [
    ...before,
    ...inputs,
    output,
    ...after,
  ]);
  const result = new Uint8Array(outputBytes);
  await device.defaultStream.copyToHost(result, output);
  target.release();
  return new DataView(result.buffer);
}

const BYTES: Readonly<Partial<Record<NumberType, number>>> = { INT8: 1, FP16: 2, FP32: 4 };
const bytesOf = (type: NumberType): number => BYTES[type] ?? 4;

interface Elements {
  readonly bytes: Uint8Array;
  readonly values: Float64Array;
}

/** Small whole numbers: every sum is exact. */
function numbers(count: number, type: NumberType, seed: number): Elements {
  const random = randomNumbers(seed);
  const bytes = new Uint8Array(count * bytesOf(type));
  const view = new DataView(bytes.buffer);
  const values = Float64Array.from({ length: count }, () => Math.floor(random() * 7) - 3);
  values.forEach((value, index) => {
    store(view, index * bytesOf(type), type, value);
  });
  return { bytes, values };
}

const at = ({ values }: Elements, index: number): number => values[index] ?? Number.NaN;

function expectElements(output: DataView, count: number, type: NumberType, expected: (index: number) => number): void {
  for (let index = 0; index < count; index++) {
    const value = load(output, index * bytesOf(type), type);
    if (value !== expected(index)) expect.fail(`element ${index} is ${value} instead of ${expected(index)}`);
  }
}

describe('device time of a published shape', () => {
  const within: Readonly<Record<string, number>> = {
    'FC INT8, SRAM, v1: 512 x 1024 x 1024': 1.15,
    'FC INT8, SRAM, v1: 2048 x 1024 x 1024': 1.15,
    'FC FP16, SRAM, v1: 1024 x 1024 x 1024': 1.15,
    'FC INT8, LPDDR, v1: 512 x 1024 x 1024': 1.15,
    'FC FP16, LPDDR, v1: 1024 x 1024 x 1024': 1.15,
    'TBE, LPDDR, v1: pooling 50, 1000000 rows of 64, batch 64': 1.15,
    'TBE, LPDDR, v1: pooling 20, 1000000 rows of 256, batch 64': 1.15,
    'TBE, SRAM, v1: pooling 50, 100 rows of 64, batch 64': 1.15,
    'operators, SRAM, v1: tanh': 1.15,
    '2i statements: 2048 x 2048 x 2048 FP16 from SRAM': 1.1,
    '2i statements: 512 x 26592 x 2048 FP16, weights from LPDDR': 1.1,
  };
  test.each(Object.entries(within))('%s stays within a factor of %d of the publication', async (name, factor) => {
    const row = FIDELITY_ROWS.find((candidate) => `${candidate.group}: ${candidate.name}` === name);
    if (row === undefined) throw new Error(`no row ${name}`);
    const target = new FidelityDevice(deviceOf(row.generation));
    const ratio = (await row.predict(target)) / row.published;
    target.release();
    expect(ratio).toBeLessThan(factor);
    expect(ratio).toBeGreaterThan(row.isBound === true ? 1 : 1 / factor);
  });

  test.each(['launch of a job', 'replacement of a job on its PE'])(
    '%s on 2i is below what is published',
    async (name) => {
      const row = FIDELITY_ROWS.find((candidate) => candidate.name === name);
      if (row === undefined) throw new Error(`no row ${name}`);
      const predicted = await row.predict(new FidelityDevice(deviceOf('2i')));
      expect(predicted).toBeLessThan(row.published);
      expect(predicted).toBeGreaterThan(0.8 * row.published);
    },
  );
});

/** One binary of a kernel for both generations: what was written for v1 runs unchanged on 2i. */
describe.each(GENERATIONS)('benchmark kernels compute, on %s', (generation) => {
  test.each([
    [1, 64],
    [20, 32],
    [50, 96],
  ])('TABLE_BATCHED_EMBEDDING adds up bags of %d rows of %d bytes', async (pooling, elements) => {
    const [TABLES, ROWS, SAMPLES] = [3, 40, 37] as const;
    const tables = numbers(TABLES * ROWS * elements, 'INT8', 11);
    const random = randomNumbers(12);
    const indices = seededIndices(TABLES * SAMPLES * pooling, ROWS, random);
    const job = { tables: TABLES, rows: ROWS, pooling, elements, batch: SAMPLES };
    const target = new FidelityDevice(deviceOf(generation));
    const output = await target.allocate(SAMPLES * TABLES * elements * 2, 'lpddr');
    const launch = await embeddingLaunch(target, 'TABLE_BATCHED_EMBEDDING', job, {
      tables: await target.allocateWith(tables.bytes, 'lpddr'),
      indices: await target.allocateWith(indices, 'sram'),
      output,
    });
    await target.launchUs(launch);
    const result = new Uint8Array(output.bytes);
    await target.device.defaultStream.copyToHost(result, output);
    target.release();
    expectElements(new DataView(result.buffer), SAMPLES * TABLES * elements, 'FP16', (index) => {
      const [element, bag] = [index % elements, Math.floor(index / elements)];
      const [table, sample] = [bag % TABLES, Math.floor(bag / TABLES)];
      let sum = 0;
      for (let i = 0; i < pooling; i++) {
        const row = Number(indices[(table * SAMPLES + sample) * pooling + i]);
        sum += at(tables, (table * ROWS + row) * elements + element);
      }
      return sum;
    });
  });

  const BATCH = 9;
  const run = (name: keyof typeof BATCHED, first: Elements, second: Elements): Promise<DataView> => {
    const { operation, output } = BATCHED[name];
    return outputOf(generation, 'BATCHED_MATRICES', [first.bytes, second.bytes], output * BATCH, [operation], [BATCH]);
  };
  const none = numbers(64, 'INT8', 0);

  test('BATCHED_MATRICES multiplies', async () => {
    const first = numbers(BATCH * M * K, 'FP16', 3);
    const second = numbers(BATCH * N * K, 'FP16', 4);
    expectElements(await run('batchMatMul', first, second), BATCH * M * N, 'FP16', (index) => {
      const row = Math.floor(index / N);
      const column = Math.floor(row / M) * N + (index % N);
      let sum = 0;
      for (let k = 0; k < K; k++) sum += at(first, row * K + k) * at(second, column * K + k);
      return sum;
    });
  });

  test('BATCHED_MATRICES transposes', async () => {
    const first = numbers(BATCH * M * K, 'FP16', 5);
    expectElements(await run('transpose', first, none), BATCH * M * K, 'FP16', (index) => {
      const matrix = Math.floor(index / (M * K));
      const [row, column] = [Math.floor(index / M) % K, index % M];
      return at(first, (matrix * M + column) * K + row);
    });
  });

  test('BATCHED_MATRICES concatenates', async () => {
    const first = numbers(BATCH * M * K, 'FP16', 6);
    const second = numbers(BATCH * M * N, 'FP16', 7);
    expectElements(await run('concat', first, second), BATCH * M * (K + N), 'FP16', (index) => {
      const [row, column] = [Math.floor(index / (K + N)), index % (K + N)];
      return column < K ? at(first, row * K + column) : at(second, row * N + column - K);
    });
  });

  test('BATCHED_MATRICES quantizes by 1/2 and dequantizes by 2', async () => {
    const values = numbers(BATCH * M * K, 'FP16', 8);
    const halves = new Map([
      [-3, -2],
      [-2, -1],
      [-1, 0],
      [0, 0],
      [1, 0],
      [2, 1],
      [3, 2],
    ]);
    const count = BATCH * M * K;
    expectElements(await run('quantize', values, none), count, 'INT8', (i) => halves.get(at(values, i)) ?? NaN);
    const bytes = numbers(count, 'INT8', 9);
    expectElements(await run('dequantize', bytes, none), count, 'FP32', (i) => 2 * at(bytes, i));
  });
});
