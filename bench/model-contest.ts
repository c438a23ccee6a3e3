/**
 * One ONNX model, on the device in several types and in onnxruntime, with the same inputs. Either side writes its outputs into
 * arrays that it has written before: what new memory costs is not what is compared.
 */
import { type CompiledGraph, compileModel, type ModelGraph } from '../src/compiler/index.js';
import type { CompiledModel, Device, RunResult, TensorData } from '../src/streaming-api/index.js';
import { median, takeTurns } from './measure.js';
import type { OnnxRuntime, OrtSession } from './onnxruntime.js';
import type { Measurement } from './result.js';

export type Dtype = 'bf16' | 'fp16' | 'int8';

export interface ContestInput {
  readonly name: string;
  readonly type: 'float32' | 'int64';
  readonly shape: readonly number[];
  readonly data: TensorData;
}

export interface Contest {
  readonly device: Device;
  readonly model: ModelGraph;
  readonly inputs: readonly ContestInput[];
  readonly dtypes: readonly Dtype[];
  readonly ort?: { readonly runtime: OnnxRuntime; readonly session: OrtSession };
  readonly rounds: number;
  readonly block: number;
  readonly signal: AbortSignal;
}

export interface DeviceResult {
  readonly dtype: Dtype;
  readonly medianMs: number | null;
  readonly deviceUs: number;
  /** Largest difference from onnxruntime's output; null without it. */
  readonly maxDifference: number | null;
}

export interface ContestResult {
  readonly devices: readonly DeviceResult[];
  readonly ortMs: number | null;
}

interface Entrant {
  readonly dtype: Dtype;
  readonly loaded: CompiledModel;
  readonly run: () => Promise<RunResult>;
}

async function enter({ device, model, inputs }: Contest, dtype: Dtype): Promise<Entrant> {
  const inputShapes = inputs.map(({ shape }) => shape);
  const graph: CompiledGraph = await compileModel(model, {
    generation: device.properties.generation,
    dtype,
    inputShapes,
  });
  const loaded = await device.loadModel(graph, { concurrency: 1 });
  const named = Object.fromEntries(inputs.map(({ name, data }) => [name, data]));
  const { outputs } = await loaded.run(named);
  return { dtype, loaded, run: () => loaded.run(named, { outputs }) };
}

function firstOutput(outputs: Readonly<Record<string, TensorData>>): TensorData {
  return Object.values(outputs)[0] ?? new Float32Array();
}

function maxDifference(a: TensorData, b: TensorData): number {
  let widest = 0;
  for (let i = 0; i < b.length; i++) widest = Math.max(widest, Math.abs(Number(a[i]) - Number(b[i])));
  return widest;
}

/** The row that tells how far two answers lie apart; none where there is only one. */
export function difference(name: string, value: number | null): Measurement[] {
  if (value === null) return [];
  return [{ name: `${name}, max difference from onnxruntime`, value, unit: 'absolute', better: 'lower' }];
}

export async function holdContest(contest: Contest): Promise<ContestResult> {
  const { dtypes, inputs, ort, rounds, block, signal } = contest;
  const entrants: Entrant[] = [];
  try {
    for (const dtype of dtypes) entrants.push(await enter(contest, dtype));
    const feeds =
      ort && Object.fromEntries(inputs.map((i) => [i.name, new ort.runtime.Tensor(i.type, i.data, i.shape)]));
    const expected = ort && feeds && (await ort.session.run(feeds));
    const runOrt =
      ort && feeds && expected ? [{ name: 'onnxruntime', run: () => ort.session.run(feeds, expected) }] : [];
    const contenders = [...entrants.map(({ dtype, run }) => ({ name: dtype, run })), ...runOrt];
    const samples = await takeTurns(contenders, { rounds, block, warmUp: Math.min(block, 3), signal });
    const devices: DeviceResult[] = [];
    for (const { dtype, run } of entrants) {
      const { outputs, deviceUs } = await run();
      const wanted = expected && Object.values(expected)[0]?.data;
      devices.push({
        dtype,
        deviceUs,
        medianMs: median(samples.get(dtype)),
        maxDifference: wanted === undefined ? null : maxDifference(firstOutput(outputs), wanted),
      });
    }
    return { devices, ortMs: median(samples.get('onnxruntime')) };
  } finally {
    for (const { loaded } of entrants) await loaded.close();
  }
}
