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
  readonly note?: string;
}

/** What a row has to reach: its value in its own unit, or its ratio to the baseline. */
export interface Bar {
  readonly of: 'value' | 'ratio';
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
}

function ratioOf({ value, better }: Measurement, baseline: number | null): number | null {
  if (value === null || baseline === null || value === 0 || baseline === 0) return null;
  return better === 'higher' ? value / baseline : baseline / value;
}

function barText({ bar, unit, better }: Measurement): string | null {
  if (bar === undefined) return null;
  if (bar.of === 'ratio') return `≥ ${bar.limit}x`;
  return `${better === 'higher' ? '≥' : '≤'} ${bar.limit} ${unit}`;
}

function meets({ bar, value, better }: Measurement, ratio: number | null): boolean | null {
  if (bar === undefined) return null;
  if (bar.of === 'ratio') return ratio === null ? null : ratio >= bar.limit;
  if (value === null) return null;
  return better === 'higher' ? value >= bar.limit : value <= bar.limit;
}

export function toResult(measurement: Measurement): BenchmarkResult {
  const { name, value, unit, baseline, note } = measurement;
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
    ...(note === undefined ? {} : { note }),
  };
}
