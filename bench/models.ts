/** A whole ranking model: throughput in large batches, latency of one request. */
import { type BenchmarkContext, openMeasuredDevice } from './context.js';
import { dlrmInputs, writeDlrm } from './dlrm.js';
import { type DeviceResult, difference, holdContest } from './model-contest.js';
import { type OpenModel, withOnnxModel } from './onnx-file.js';
import { ORT_NAME } from './onnxruntime.js';
import type { Bar, Measurement } from './result.js';

const DTYPES = ['bf16', 'fp16'] as const;

interface BatchPlan {
  readonly batch: number;
  readonly rounds: number;
  readonly block: number;
  readonly bar?: Bar;
}

/** Small batches run often: their single runs are short beside what a machine with other work does to them. */
const PLANS: readonly BatchPlan[] = [
  { batch: 512, rounds: 9, block: 3, bar: { of: 'ratio', limit: 2 } },
  { batch: 64, rounds: 9, block: 10 },
  { batch: 1, rounds: 15, block: 40, bar: { of: 'ratio', limit: 1 } },
];

function speed(plan: BatchPlan, { dtype, medianMs }: DeviceResult, ortMs: number | null, note?: string): Measurement {
  const name = `DLRM, batch ${plan.batch}, ${dtype}`;
  const common = { note, ...(plan.bar === undefined ? {} : { bar: plan.bar }) };
  const scale = (ms: number | null, of: (ms: number) => number): number | null => (ms === null ? null : of(ms));
  if (plan.batch === 1) {
    const us = (ms: number): number => ms * 1000;
    const baseline = { name: ORT_NAME, value: scale(ortMs, us) };
    return { name: `${name}, p50`, value: scale(medianMs, us), unit: 'µs', better: 'lower', baseline, ...common };
  }
  const perSecond = (ms: number): number => (plan.batch * 1000) / ms;
  const baseline = { name: ORT_NAME, value: scale(ortMs, perSecond) };
  return { name, value: scale(medianMs, perSecond), unit: 'samples/s', better: 'higher', baseline, ...common };
}

function details(batch: number, { dtype, deviceUs, maxDifference }: DeviceResult): Measurement[] {
  const name = `DLRM, batch ${batch}, ${dtype}`;
  return [
    { name: `${name}, device time`, value: deviceUs, unit: 'µs', better: 'lower' },
    ...difference(name, maxDifference),
  ];
}

async function measureBatch(context: BenchmarkContext, open: OpenModel, plan: BatchPlan): Promise<Measurement[]> {
  await using measured = await openMeasuredDevice(context);
  const { devices, ortMs } = await holdContest({
    device: measured.device,
    model: open.model,
    inputs: dlrmInputs(plan.batch),
    dtypes: DTYPES,
    ...(open.ort === undefined ? {} : { ort: open.ort }),
    rounds: plan.rounds,
    block: plan.block,
    signal: context.signal,
  });
  return devices.flatMap((result) => [speed(plan, result, ortMs, open.missing), ...details(plan.batch, result)]);
}

export function benchmarkModels(context: BenchmarkContext): Promise<readonly Measurement[]> {
  return withOnnxModel('dlrm', writeDlrm(), context, async (open) => {
    const measurements: Measurement[] = [];
    for (const plan of PLANS) measurements.push(...(await measureBatch(context, open, plan)));
    return measurements;
  });
}
