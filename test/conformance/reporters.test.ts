/** Reports as those read them who have never heard of this project: third-party parsers of TAP and JUnit XML. */
import { describe, expect, it } from 'vitest';
import {
  type CaseResult,
  type CaseStatus,
  REPORTERS,
  type ReporterName,
  summarize,
} from '../../src/conformance/index.js';
import { readJUnit, readTap } from './report-readers.js';

/** All that the two formats give a meaning to, and what XML cannot hold. */
const NASTY = 'a # b \\ c "d" \'e\' <f> & ]]> \u0007\u001b[31m é 😀 # SKIP not really';
const LINES = `${NASTY}\n  second line: [1, 2]\n...\nnot ok 7\n`;

const result = (category: string, status: CaseStatus, name: string, reason: string | null): CaseResult => ({
  category,
  name,
  contract: 'LIFE-1',
  status,
  reason,
  wallMs: 1234,
});

const RESULTS: readonly CaseResult[] = [
  result('first', 'pass', 'passes', null),
  result('first', 'pass', NASTY, null),
  result('first', 'fail', 'fails', LINES),
  result('second & last', 'unsupported', 'cannot run', LINES),
  result('second & last', 'expected-fail', 'fails as expected', 'a defect # of ours'),
  result('second & last', 'unexpected-pass', 'passes by surprise', LINES),
];

function report(name: ReporterName, results: readonly CaseResult[]): string {
  const reporter = REPORTERS[name]();
  const header = { backend: 'trial', firmware: '1.0', seed: 7, cases: results.length };
  return [
    reporter.begin(header),
    ...results.map((one) => reporter.result(one)),
    reporter.end(results, summarize(results)),
  ].join('');
}

const printable = (text: string): string => text.replaceAll('\u0007', '').replaceAll('\u001b', '');
const oneLine = (text: string): string => text.replaceAll(/\s+/g, ' ').trim();

describe('TAP', () => {
  it('keeps to the protocol, and says how each case ended', async () => {
    const { ok, violations, results } = await readTap(report('tap', RESULTS));
    expect(violations).toEqual([]);
    expect(ok).toBe(false);
    expect(results.map((one) => [one.id, one.ok, one.skip !== false, one.todo !== false])).toEqual([
      [1, true, false, false],
      [2, true, false, false],
      [3, false, false, false],
      [4, true, true, false],
      [5, false, false, true],
      [6, true, false, true],
    ]);
  });

  it('gives names and reasons back as they were', async () => {
    const { results } = await readTap(report('tap', RESULTS));
    expect(results[1]?.name).toContain(NASTY);
    expect(results[2]?.diag).toEqual({ message: LINES });
    expect(results[3]?.skip).toBe(oneLine(LINES));
    expect(results[4]?.todo).toBe('a defect # of ours');
  });

  it('is good where nothing failed', async () => {
    const { ok } = await readTap(
      report(
        'tap',
        RESULTS.filter(({ status }) => status !== 'fail'),
      ),
    );
    expect(ok).toBe(true);
  });
});

describe('JUnit XML', () => {
  it('has a suite for each category, whose counts are those of its cases', async () => {
    const suites = await readJUnit(report('junit', RESULTS));
    expect(suites.map(({ name, tests, failures, skipped }) => [name, tests, failures, skipped])).toEqual([
      ['first', 3, 1, 0],
      ['second & last', 3, 1, 2],
    ]);
    for (const { testcase = [], tests, failures, skipped } of suites) {
      expect(testcase).toHaveLength(tests ?? -1);
      expect(testcase.filter((one) => one.failure !== undefined)).toHaveLength(failures ?? -1);
      expect(testcase.filter((one) => one.skipped !== undefined)).toHaveLength(skipped ?? -1);
    }
  });

  it('gives names, times and reasons back as they were, but for what XML cannot hold', async () => {
    const cases = (await readJUnit(report('junit', RESULTS))).flatMap(({ testcase = [] }) => testcase);
    expect(cases.map(({ name }) => name)).toEqual(RESULTS.map(({ name }) => printable(`LIFE-1 ${name}`)));
    expect(cases.map(({ classname, time }) => [classname, time])).toEqual(
      RESULTS.map(({ category }) => [category, 1.234]),
    );
    expect(cases[2]?.failure?.[0]?.message).toBe(printable(LINES));
    expect(cases[4]?.skipped?.[0]?.message).toBe('a defect # of ours');
  });
});
