/**
 * Device time against published performance: kernels of the published shapes run on the emulated chips, and the chip's
 * time model says what they would take. Deterministic, so neither load nor host matter. docs/performance.md has the rest.
 */
import { BENCHMARK_BUNDLE } from '../src/firmware-emu/index.js';
import type { Generation } from '../src/hw/index.js';
import { type BenchmarkContext, openMeasuredDevice } from './context.js';
import { STATEMENT_ROWS } from './fidelity-2i.js';
import { type ChartRow, chartOf } from './fidelity-chart.js';
import { FidelityDevice } from './fidelity-device.js';
import { EMBEDDING_ROWS } from './fidelity-embedding.js';
import { FULLY_CONNECTED_ROWS } from './fidelity-fully-connected.js';
import { OPERATOR_ROWS } from './fidelity-operators.js';
import type { FidelityRow } from './fidelity-rows.js';
import type { Measurement } from './result.js';

export const FIDELITY_ROWS: readonly FidelityRow[] = [
  ...FULLY_CONNECTED_ROWS,
  ...EMBEDDING_ROWS,
  ...OPERATOR_ROWS,
  ...STATEMENT_ROWS,
];

/** Of the groups of I23's charts with --quick. */
const QUICK_STEP = 5;

/** The rows of a run: all, or of each group every fifth one, and of what is published in words all. */
export function chosenRows(quick: boolean): readonly FidelityRow[] {
  const seen = new Map<string, number>();
  return FIDELITY_ROWS.filter(({ group, isBound }) => {
    const before = seen.get(group) ?? 0;
    seen.set(group, before + 1);
    return !quick || isBound === true || before % QUICK_STEP === 0;
  });
}

interface Prediction {
  readonly row: FidelityRow;
  readonly predicted: number;
  /** Predicted over published speed: 1 is exact, above 1 the model is too fast. 1 where a bound is kept. */
  readonly ratio: number;
}

function compare(row: FidelityRow, predicted: number): Prediction {
  const ratio = row.better === 'higher' ? predicted / row.published : row.published / predicted;
  return { row, predicted, ratio: row.isBound === true && ratio > 1 ? 1 : ratio };
}

async function predictOn(context: BenchmarkContext, generation: Generation): Promise<Prediction[]> {
  await using measured = await openMeasuredDevice({ ...context, generation }, { bundle: BENCHMARK_BUNDLE });
  const predictions: Prediction[] = [];
  for (const row of chosenRows(context.quick === true).filter((candidate) => candidate.generation === generation)) {
    context.signal.throwIfAborted();
    const target = new FidelityDevice(measured);
    try {
      predictions.push(compare(row, await row.predict(target)));
    } finally {
      target.release();
    }
    await measured.device.emptyCache();
  }
  return predictions;
}

const exponentOfMean = (logs: readonly number[]): number =>
  Math.exp(logs.reduce((sum, log) => sum + log, 0) / logs.length);

/** Typical factor by which a row is off, whichever way: 1.15 is 15 %. */
function meanErrorFactor(ratios: readonly number[]): number {
  return exponentOfMean(ratios.map((ratio) => Math.abs(Math.log(ratio))));
}

function summary(name: string, ratios: readonly number[]): Measurement {
  const bias = exponentOfMean(ratios.map(Math.log));
  return {
    name,
    value: (bias - 1) * 100,
    unit: '%',
    better: 'lower',
    note: `${ratios.length} rows; geometric mean of predicted / published ${bias.toFixed(2)}, of the error of a row ${((meanErrorFactor(ratios) - 1) * 100).toFixed(0)} %`,
  };
}

function measurementOf({ row, predicted, ratio }: Prediction): Measurement {
  const { group, name, unit, better, published, source, isBound } = row;
  return {
    name: `${group}: ${name}`,
    value: predicted,
    unit,
    better,
    baseline: { name: `${isBound === true ? 'bound, ' : ''}published (${source})`, value: published },
    ...(isBound === true ? { bar: { of: 'value', limit: published } as const } : {}),
    error: (ratio - 1) * 100,
  };
}

function groupsOf(predictions: readonly Prediction[]): ReadonlyMap<string, number[]> {
  const groups = new Map<string, number[]>();
  for (const { row, ratio } of predictions) {
    const ratios = groups.get(row.group) ?? [];
    ratios.push(ratio);
    groups.set(row.group, ratios);
  }
  return groups;
}

export async function benchmarkFidelity(context: BenchmarkContext): Promise<readonly Measurement[]> {
  const predictions = [...(await predictOn(context, 'v1')), ...(await predictOn(context, '2i'))];
  const chart: ChartRow[] = predictions.map(({ row, ratio }) => ({ group: row.group, name: row.name, ratio }));
  await context.writeChart?.(chartOf(chart));
  return [
    ...predictions.map(measurementOf),
    ...[...groupsOf(predictions)].map(([name, ratios]) => summary(`mean error, ${name}`, ratios)),
    {
      ...summary(
        context.quick === true
          ? `mean error, ${predictions.length} of ${FIDELITY_ROWS.length} rows`
          : 'mean error, all rows',
        predictions.map(({ ratio }) => ratio),
      ),
      bar: { of: 'magnitude', limit: 15 },
    },
  ];
}
