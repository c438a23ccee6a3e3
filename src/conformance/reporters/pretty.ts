/** For people: a line for each category while all is well, a line for each case that did not pass. */
import type { CaseResult, CaseStatus } from '../runner.js';
import { type Reporter, summaryLine } from './reporter.js';

const MARK: Readonly<Record<CaseStatus, string>> = {
  pass: 'ok  ',
  fail: 'FAIL',
  unsupported: 'n/a ',
  'expected-fail': 'xfail',
  'unexpected-pass': 'XPASS',
};

function caseLine(result: CaseResult): string {
  const reason = result.reason === null ? '' : `\n         ${result.reason.replaceAll('\n', '\n         ')}`;
  return `  ${MARK[result.status]} ${result.contract.padEnd(8)} ${result.name}${reason}\n`;
}

function measurementLines({ measurements = [] }: CaseResult): string {
  return measurements.map(({ name, value, unit }) => `  ${value.toFixed(1)} ${unit}  ${name}\n`).join('');
}

/** @param verbose every case, instead of those that did not pass */
export function prettyReporter(verbose: boolean): Reporter {
  let category = '';
  const heading = (result: CaseResult): string => {
    if (result.category === category) return '';
    category = result.category;
    return `${category}\n`;
  };
  return {
    begin: ({ backend, firmware, seed, cases }) => `${backend}, firmware ${firmware}, ${cases} cases, seed ${seed}\n\n`,
    result: (result) => {
      const quiet = !verbose && (result.status === 'pass' || result.status === 'unsupported');
      return heading(result) + (quiet ? '' : caseLine(result)) + measurementLines(result);
    },
    end: (_results, summary) => `\n${summaryLine(summary)}\n`,
  };
}
