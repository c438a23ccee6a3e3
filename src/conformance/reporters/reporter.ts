/** How results are told. A reporter is given each case as it starts and ends, and the end; it returns what to print. */
import type { ConformanceCase } from '../case.js';
import type { CaseResult, Summary } from '../runner.js';

export interface RunHeader {
  readonly backend: string;
  readonly firmware: string;
  readonly seed: number;
  readonly cases: number;
}

/** Writes results as they come. */
export interface Reporter {
  begin(header: RunHeader): string;
  start?(declared: ConformanceCase): string;
  result(result: CaseResult): string;
  end(results: readonly CaseResult[], summary: Summary): string;
}

export function summaryLine(summary: Summary): string {
  const { passed, failed, unsupported, expectedFailures, unexpectedPasses } = summary;
  const parts = [`${passed} passed`, `${failed} failed`, `${unsupported} unsupported`];
  if (expectedFailures > 0) parts.push(`${expectedFailures} expected failures`);
  if (unexpectedPasses > 0) parts.push(`${unexpectedPasses} unexpected passes`);
  return parts.join(', ');
}
