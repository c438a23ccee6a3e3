/**
 * A large matrix product through the FULLY_CONNECTED kernel: a model of one layer, copies and conversions included, and the
 * launch of the kernel alone, on operands that lie in the device's memory.
 */

import { writeOnnxModel } from '../src/compiler/index.js';
import { randomNumbers } from '../src/conformance/random.js';
import { MtiaError } from '../src/driver/index.js';
import { DeviceBuffer } from '../src/streaming-api/index.js';
import { type BenchmarkContext, openMeasuredDevice } from './context.js';
import { FidelityDevice } from './fidelity-device.js';
import { fullyConnectedLaunch } from './fidelity-fully-connected.js';
import { median, takeTurns } from './measure.js';
import { type Dtype, difference, holdContest } from './model-contest.js';
import { type OpenModel, withOnnxModel } from './onnx-file.js';
import { ORT_NAME } from './onnxruntime.js';
import type { Measurement } from './result.js';
import { floatTensor, seededFloats } from './seeded.js';

const SIZE = 2048;
const OPERATIONS = 2 * SIZE ** 3;
const SEED = 7;
const ROUNDS = 7;
const LIMIT = 0.05;

const PEAK_TYPE = { bf16: 'BF16', fp16: 'FP16', int8: 'INT8' } as const satisfies Readonly<Record<Dtype, string>>;
const UNIT: Readonly<Record<Dtype, string>> = { bf16: 'GFLOP/s', fp16: 'GFLOP/s', int8: 'GOP/s' };

function writeLayer(): Uint8Array {
  const weight = seededFloats(SIZE * SIZE, LIMIT, randomNumbers(SEED));
  return writeOnnxModel({
    name: 'matmul',
    inputs: [{ name: 'x', type: 'float32', shape: [SIZE, SIZE] }],
    outputs: [{ name: 'y', type: 'float32', shape: [SIZE, SIZE] }],
    initializers: [floatTensor('w', [SIZE, SIZE], weight)],
    nodes: [{ operator: 'MatMul', inputs: ['x', 'w'], outputs: ['y'] }],
  });
}

const giga = (ms: number | null): number | null => (ms === null ? null : OPERATIONS / ms / 1e6);
const nameOf = (dtype: Dtype): string => `matmul ${SIZE} x ${SIZE} x ${SIZE}, ${dtype}`;

async function measureType(context: BenchmarkContext, open: OpenModel, dtype: Dtype): Promise<Measurement[]> {
  await using measured = await openMeasuredDevice(context);
  const data = seededFloats(SIZE * SIZE, 1, randomNumbers(SEED + 1));
  const { devices, ortMs } = await holdContest({
    device: measured.device,
    model: open.model,
    inputs: [{ name: 'x', type: 'float32', shape: [SIZE, SIZE], data }],
    dtypes: [dtype],
    ...(open.ort === undefined ? {} : { ort: open.ort }),
    rounds: ROUNDS,
    block: 1,
    signal: context.signal,
  });
  return devices.flatMap(({ medianMs, deviceUs, maxDifference }) => [
    {
      name: nameOf(dtype),
      value: giga(medianMs),
      unit: UNIT[dtype],
      better: 'higher',
      baseline: { name: ORT_NAME, value: giga(ortMs) },
      bar: { of: 'ratio', limit: 3 },
      note: open.missing,
    },
    { name: `${nameOf(dtype)}, device time`, value: deviceUs, unit: 'µs', better: 'lower' },
    ...difference(nameOf(dtype), maxDifference),
  ]);
}

/** A type that compiler or kernels do not take yet is a row without a value, not the end of the run. */
async function measureIfSupported(context: BenchmarkContext, open: OpenModel, dtype: Dtype): Promise<Measurement[]> {
  try {
    return await measureType(context, open, dtype);
  } catch (error) {
    if (!(error instanceof MtiaError) || !isUnsupported(error)) throw error;
    const note = `unsupported: ${error.message}`;
    return [{ name: nameOf(dtype), value: null, unit: UNIT[dtype], better: 'higher', note }];
  }
}

function isUnsupported({ code }: MtiaError): boolean {
  return code === 'UNSUPPORTED_OPERATOR' || code === 'INVALID_ARGUMENT';
}

export function benchmarkMatmul(context: BenchmarkContext): Promise<readonly Measurement[]> {
  return withOnnxModel('matmul', writeLayer(), context, async (open) => {
    const measurements: Measurement[] = [];
    for (const dtype of ['bf16', 'fp16', 'int8'] as const) {
      measurements.push(...(await measureIfSupported(context, open, dtype)), await shareOfPeak(context, dtype));
    }
    return measurements;
  });
}

/** Ones, more or less, whatever the type: no number that a host's arithmetic treats apart. */
const filling = (bytes: number): Uint16Array => new Uint16Array(bytes / 2).map((_, index) => 0x3c00 + (index % 700));

/** One launch after the other against what the same instruction makes with its factors in registers. */
async function shareOfPeak(context: BenchmarkContext, dtype: Dtype): Promise<Measurement> {
  await using measured = await openMeasuredDevice(context);
  const target = new FidelityDevice(measured);
  const layer = { m: SIZE, k: SIZE, n: SIZE, type: PEAK_TYPE[dtype], memory: 'lpddr' } as const;
  const launch = await fullyConnectedLaunch(target, layer);
  for (const operand of [launch.values.input, launch.values.weight]) {
    if (operand instanceof DeviceBuffer) {
      await measured.device.defaultStream.copyToDevice(operand, filling(operand.bytes));
    }
  }
  const name = `${nameOf(dtype)}, kernel alone`;
  const contender = { name, run: () => target.launchUs(launch) };
  const samples = await takeTurns([contender], { rounds: ROUNDS, warmUp: 1, signal: context.signal });
  const { debug } = measured;
  const peak = (2 * debug.matmulPeak(PEAK_TYPE[dtype], context.threads)) / 1e9;
  return {
    name,
    value: giga(median(samples.get(name))),
    unit: UNIT[dtype],
    better: 'higher',
    baseline: {
      name: `bare ${debug.matmulPath()} instruction, ${context.threads} threads`,
      value: peak === 0 ? null : peak,
    },
    bar: { of: 'ratio', limit: 0.5 },
  };
}
