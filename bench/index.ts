/** The benchmarks of `mtia bench`. */
import { availableParallelism } from 'node:os';
import type { Generation } from '../src/hw/index.js';
import { type BenchmarkContext, openMeasuredDevice } from './context.js';
import { benchmarkCopy } from './copy.js';
import { benchmarkExecutor } from './executor.js';
import { benchmarkFidelity } from './fidelity.js';
import { benchmarkGraph } from './graph.js';
import { benchmarkHarts } from './harts.js';
import { benchmarkLaunch } from './launch.js';
import { describeMachine, type Machine } from './machine.js';
import { benchmarkMatmul } from './matmul.js';
import { benchmarkModels } from './models.js';
import { type BenchmarkResult, type Measurement, toResult } from './result.js';
import { benchmarkScaling } from './scaling.js';

export type { Machine } from './machine.js';
export type { BenchmarkResult } from './result.js';

export const BENCHMARKS = [
  'harts',
  'matmul',
  'launch',
  'copy',
  'graph',
  'models',
  'scaling',
  'executor',
  'fidelity',
] as const;
export type BenchmarkName = (typeof BENCHMARKS)[number];

const RUN: Readonly<Record<BenchmarkName, (context: BenchmarkContext) => Promise<readonly Measurement[]>>> = {
  harts: benchmarkHarts,
  matmul: benchmarkMatmul,
  launch: benchmarkLaunch,
  copy: benchmarkCopy,
  graph: benchmarkGraph,
  models: benchmarkModels,
  scaling: benchmarkScaling,
  executor: benchmarkExecutor,
  fidelity: benchmarkFidelity,
};

export interface BenchmarkOptions {
  readonly generation: Generation;
  /** The processors of this machine when absent. */
  readonly threads?: number;
  readonly signal: AbortSignal;
  /** Only a part of the rows of a benchmark that has many. */
  readonly quick?: boolean;
  readonly onStart: (name: BenchmarkName) => void;
  readonly say: (line: string) => void;
  /** Takes the chart of a benchmark that draws one. */
  readonly writeChart?: (svg: string) => Promise<void>;
}

export interface BenchmarkReport {
  readonly machine: Machine;
  readonly results: readonly BenchmarkResult[];
}

async function matmulPath(context: BenchmarkContext): Promise<string> {
  await using measured = await openMeasuredDevice(context);
  return measured.debug.matmulPath();
}

/** Runs benchmarks one after another: two at once would measure each other. */
export async function runBenchmarks(
  names: readonly BenchmarkName[],
  options: BenchmarkOptions,
): Promise<BenchmarkReport> {
  const { threads = availableParallelism() } = options;
  const context = { ...options, threads };
  const machine = describeMachine(threads, await matmulPath(context));
  const results: BenchmarkResult[] = [];
  for (const name of names) {
    options.onStart(name);
    results.push(...(await RUN[name](context)).map(toResult));
  }
  return { machine, results };
}
