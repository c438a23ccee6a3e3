/**
 * A service under load: clients that each send one row after the other. How many rows a second, and how long the event loop
 * that serves them stands still, with an executor, with a device directly, and with onnxruntime.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { compileModel } from '../src/compiler/index.js';
import { createExecutor, type Executor, type TensorData } from '../src/streaming-api/index.js';
import { type BenchmarkContext, openMeasuredDevice } from './context.js';
import { type DlrmInput, dlrmInputs, writeDlrm } from './dlrm.js';
import { median, percentile } from './measure.js';
import { type OpenModel, withOnnxModel } from './onnx-file.js';
import { ORT_NAME } from './onnxruntime.js';
import type { Measurement } from './result.js';

const CLIENTS = 64;
const ROUNDS = 5;
const ROUND_MS = 1500;
/** Requests of the first moments find cold caches. */
const WARM_UP_MS = 300;
/** Between two readings of the event loop's delay; it is part of the delay that is read. */
const RESOLUTION_MS = 1;
const REQUESTS = 256;

const DEVICE = 'device directly';
const EXECUTOR = 'executor';
const BASELINE = 'onnxruntime';
/** A loop without any work: what its delay is then, the rest of the machine did. */
const IDLE = 'idle event loop';

interface Server {
  readonly name: string;
  /** Answers request number `request`. */
  readonly serve: (request: number) => Promise<unknown>;
}

interface Load {
  readonly perSecond: number[];
  readonly loopP99Ms: number[];
  readonly latencyMs: number[];
}

/** Clients that send their next request when the last one is answered. */
async function loadFor(milliseconds: number, { serve }: Server, latencyMs: number[]): Promise<number> {
  const end = performance.now() + milliseconds;
  let answered = 0;
  const client = async (first: number): Promise<void> => {
    for (let request = first; performance.now() < end; request = (request + CLIENTS) % REQUESTS) {
      const start = performance.now();
      await serve(request);
      latencyMs.push(performance.now() - start);
      answered++;
    }
  };
  const start = performance.now();
  await Promise.all(Array.from({ length: CLIENTS }, (_, index) => client(index)));
  return (answered * 1000) / (performance.now() - start);
}

async function measureRound(server: Server, load: Load): Promise<void> {
  await loadFor(WARM_UP_MS, server, []);
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  delay.enable();
  load.perSecond.push(await loadFor(ROUND_MS, server, load.latencyMs));
  delay.disable();
  load.loopP99Ms.push(delay.percentile(99) / 1e6);
}

/** The servers take turns, so that whatever else the machine does hits all of them alike. */
async function measureLoads(servers: readonly Server[], signal: AbortSignal): Promise<ReadonlyMap<string, Load>> {
  const loads = new Map(servers.map(({ name }) => [name, { perSecond: [], loopP99Ms: [], latencyMs: [] } as Load]));
  for (let round = 0; round < ROUNDS; round++) {
    for (let turn = 0; turn < servers.length; turn++) {
      const server = servers[(round + turn) % servers.length];
      const load = server && loads.get(server.name);
      if (server === undefined || load === undefined) continue;
      signal.throwIfAborted();
      await measureRound(server, load);
    }
  }
  return loads;
}

function row(inputs: readonly DlrmInput[], request: number): Record<string, TensorData> {
  const entries = inputs.map(({ name, data }) => {
    const width = data.length / REQUESTS;
    return [name, data.slice(request * width, (request + 1) * width)] as const;
  });
  return Object.fromEntries(entries);
}

/** All servers answer with the same bits or nearly so; that they answer at all is what a benchmark must not take on trust. */
async function checkAnswers(executor: Executor, expected: TensorData, rows: readonly Record<string, TensorData>[]) {
  const answers = await Promise.all(rows.map((inputs) => executor.run(inputs)));
  const scores = answers.map(({ outputs }) => Number(outputs.score?.[0]));
  const wrong = scores.findIndex((score, index) => score !== Number(expected[index]));
  if (wrong >= 0)
    throw new Error(`the executor answers request ${wrong} with ${scores[wrong]}, not ${expected[wrong]}`);
}

function ortServer({ ort }: OpenModel, inputs: readonly DlrmInput[], rows: readonly Record<string, TensorData>[]) {
  if (ort === undefined) return [];
  const feeds = rows.map((data) =>
    Object.fromEntries(
      inputs.map(({ name, type, shape }) => [
        name,
        new ort.runtime.Tensor(type, data[name] ?? new Float32Array(), [1, ...shape.slice(1)]),
      ]),
    ),
  );
  return [{ name: BASELINE, serve: (request: number) => ort.session.run(feeds[request] ?? {}) }];
}

async function measure(context: BenchmarkContext, open: OpenModel): Promise<readonly Measurement[]> {
  const { generation, threads, signal } = context;
  const inputs = dlrmInputs(REQUESTS);
  const rows = Array.from({ length: REQUESTS }, (_, request) => row(inputs, request));
  await using executor = await createExecutor(open.path, {
    generation,
    threads: 1,
    peThreads: threads,
    maxBatch: CLIENTS,
    queueLimit: REQUESTS,
  });
  await using measured = await openMeasuredDevice(context);
  const { device } = measured;
  await using all = await device.loadModel(compileModel(open.model, { generation, batch: REQUESTS }));
  const { outputs } = await all.run(Object.fromEntries(inputs.map(({ name, data }) => [name, data])));
  await checkAnswers(executor, outputs.score ?? new Float32Array(), rows);
  await using model = await device.loadModel(compileModel(open.model, { generation, batch: 1 }));
  // What a process does once and then has behind it is no part of a service's load.
  await sleep(WARM_UP_MS);
  const servers = [
    { name: EXECUTOR, serve: (request: number) => executor.run(rows[request] ?? {}) },
    { name: DEVICE, serve: (request: number) => model.run(rows[request] ?? {}) },
    ...ortServer(open, inputs, rows),
    { name: IDLE, serve: () => sleep(ROUND_MS) },
  ];
  const loads = await measureLoads(servers, signal);
  const baseline = loads.get(BASELINE);
  const measurements = [EXECUTOR, DEVICE].flatMap((name) =>
    toMeasurements(name, loads.get(name), baseline, open.missing),
  );
  const { meanBatchRows } = executor.stats();
  return [
    ...measurements,
    {
      name: 'idle process, p99 event-loop delay',
      value: median(loads.get(IDLE)?.loopP99Ms),
      unit: 'ms',
      better: 'lower',
      note: `what the machine itself adds; all delays include the ${RESOLUTION_MS} ms between two readings`,
    },
    { name: 'executor, rows of a batch, mean', value: meanBatchRows, unit: 'rows', better: 'higher' },
  ];
}

function toMeasurements(
  server: string,
  load: Load | undefined,
  baseline: Load | undefined,
  note: string | undefined,
): readonly Measurement[] {
  const compared = (of: (load: Load) => number | null) => ({
    value: load === undefined ? null : of(load),
    baseline: { name: ORT_NAME, value: baseline === undefined ? null : of(baseline) },
    note,
  });
  const name = (what: string): string => `${server}, ${CLIENTS} clients of one row, ${what}`;
  return [
    { name: name('throughput'), unit: 'rows/s', better: 'higher', ...compared((of) => median(of.perSecond)) },
    { name: name('p99 latency'), unit: 'ms', better: 'lower', ...compared((of) => percentile(of.latencyMs, 0.99)) },
    {
      name: name('p99 event-loop delay'),
      unit: 'ms',
      better: 'lower',
      bar: { of: 'value', limit: 5 },
      ...compared((of) => median(of.loopP99Ms)),
    },
  ];
}

export function benchmarkExecutor(context: BenchmarkContext): Promise<readonly Measurement[]> {
  return withOnnxModel('dlrm', writeDlrm(), context, (open) => measure(context, open));
}
