/** One row of a benchmark: a figure, what it is compared with, and what it has to reach. */

export interface BenchmarkResult {
  readonly name: string;
  /** Null where it could not be measured; `note` says why. */
  readonly value: number | null;
  readonly unit: string;
  readonly baseline: number | null;
  readonly baselineName: string | null;
  /** How many times better than the baseline: above 1 is ahead, whichever way the unit counts. */
  readonly ratio: number | null;
  readonly bar: string | null;
  readonly meetsBar: boolean | null;
  /** Per cent by which a prediction is faster than what it predicts; absent where nothing is predicted. */
  readonly error?: number;
  readonly note?: string;
}

/** What a row has to reach: its value in its own unit, or without its sign, or its ratio to the baseline. */
export interface Bar {
  readonly of: 'value' | 'magnitude' | 'ratio';
  readonly limit: number;
}

export interface Measurement {
  readonly name: string;
  readonly value: number | null;
  readonly unit: string;
  /** Whether a larger value is the better one. */
  readonly better: 'higher' | 'lower';
  readonly baseline?: { readonly name: string; readonly value: number | null };
  readonly bar?: Bar;
  readonly note?: string | undefined;
  readonly error?: number;
}

function ratioOf({ value, better }: Measurement, baseline: number | null): number | null {
  if (value === null || baseline === null || value === 0 || baseline === 0) return null;
  return better === 'higher' ? value / baseline : baseline / value;
}

/** A limit that was computed, without the noise of its last places. */
const formatLimit = (limit: number): string => String(Number(limit.toPrecision(6)));

function barText({ bar, unit, better }: Measurement): string | null {
  if (bar === undefined) return null;
  if (bar.of === 'ratio') return `≥ ${bar.limit}x`;
  if (bar.of === 'magnitude') return `± ${bar.limit} ${unit}`;
  return `${better === 'higher' ? '≥' : '≤'} ${formatLimit(bar.limit)} ${unit}`;
}

function meets({ bar, value, better }: Measurement, ratio: number | null): boolean | null {
  if (bar === undefined) return null;
  if (bar.of === 'ratio') return ratio === null ? null : ratio >= bar.limit;
  if (value === null) return null;
  if (bar.of === 'magnitude') return Math.abs(value) <= bar.limit;
  return better === 'higher' ? value >= bar.limit : value <= bar.limit;
}

export function toResult(measurement: Measurement): BenchmarkResult {
  const { name, value, unit, baseline, note, error } = measurement;
  const ratio = ratioOf(measurement, baseline?.value ?? null);
  return {
    name,
    value,
    unit,
    baseline: baseline?.value ?? null,
    baselineName: baseline?.name ?? null,
    ratio,
    bar: barText(measurement),
    meetsBar: meets(measurement, ratio),
    ...(error === undefined ? {} : { error }),
    ...(note === undefined ? {} : { note }),
  };
}
