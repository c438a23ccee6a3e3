import { describe, expect, it } from 'vitest';
import { chosenRows, FIDELITY_ROWS } from '../../bench/fidelity.js';
import { takeTurns } from '../../bench/measure.js';
import { toResult } from '../../bench/result.js';
import { threadCounts } from '../../bench/scaling.js';
import { linesOf, mtia, notBuilt, skipReason } from './mtia.js';
import { benchSchema } from './schemas.js';

describe('rows of a benchmark', () => {
  it('count a ratio so that above 1 is ahead', () => {
    const faster = toResult({
      name: 'a',
      value: 30,
      unit: 'GB/s',
      better: 'higher',
      baseline: { name: 'b', value: 10 },
    });
    const shorter = toResult({ name: 'a', value: 10, unit: 'µs', better: 'lower', baseline: { name: 'b', value: 30 } });
    expect([faster.ratio, shorter.ratio]).toEqual([3, 3]);
  });

  it('judge a bar by value or ratio, and not at all where nothing was measured', () => {
    const row = { name: 'a', unit: 'µs', better: 'lower', bar: { of: 'value', limit: 25 } } as const;
    expect(toResult({ ...row, value: 24 })).toMatchObject({ bar: '≤ 25 µs', meetsBar: true });
    expect(toResult({ ...row, value: 26 })).toMatchObject({ meetsBar: false });
    expect(toResult({ ...row, value: null, note: 'why' })).toMatchObject({ meetsBar: null, note: 'why' });
    const ratio = { ...row, value: 10, bar: { of: 'ratio', limit: 2 } } as const;
    expect(toResult({ ...ratio, baseline: { name: 'b', value: 10 } })).toMatchObject({ bar: '≥ 2x', meetsBar: false });
    expect(toResult({ ...ratio, baseline: { name: 'b', value: null } })).toMatchObject({ ratio: null, meetsBar: null });
  });

  it('let contenders take turns, another one first in each round', async () => {
    const order: string[] = [];
    const contender = (name: string) => ({ name, run: async () => order.push(name) });
    const { signal } = new AbortController();
    const samples = await takeTurns([contender('a'), contender('b')], { rounds: 2, block: 2, warmUp: 0, signal });
    expect(order.join('')).toBe('aabbbbaa');
    expect(samples.get('a')).toHaveLength(4);
  });
});

describe('what a benchmark runs', () => {
  it('is every row of fidelity, or with --quick some of every group and all statements', () => {
    expect(chosenRows(false)).toEqual(FIDELITY_ROWS);
    const quick = chosenRows(true);
    const groups = (rows: typeof quick): Set<string> => new Set(rows.map(({ group }) => group));
    expect(quick.length).toBeLessThan(FIDELITY_ROWS.length / 3);
    expect(groups(quick)).toEqual(groups(FIDELITY_ROWS));
    expect(quick.filter(({ isBound }) => isBound)).toEqual(FIDELITY_ROWS.filter(({ isBound }) => isBound));
  });

  it('is every number of threads, or of many only some, but one and all of them', () => {
    expect(threadCounts(1)).toEqual([1]);
    expect(threadCounts(4)).toEqual([1, 2, 3, 4]);
    expect(threadCounts(24)).toEqual([1, 2, 4, 8, 16, 24]);
  });
});

describe.skipIf(notBuilt !== undefined)(`mtia bench${skipReason}`, () => {
  it('launch prints one JSON object with machine and results', async () => {
    const { code, stdout } = await mtia(['bench', 'launch', '--json', '--threads', '2']);
    const { machine, results } = benchSchema.parse(JSON.parse(stdout));
    expect(code).toBe(0);
    expect(machine.threads).toBe(2);
    const latency = results.find((result) => result.bar === '≤ 25 µs');
    expect(latency?.value).toBeGreaterThan(0);
    expect(latency?.meetsBar).toBe((latency?.value ?? 0) <= 25);
    expect(results.find((result) => result.bar === '≤ 100 ms')?.value).toBeGreaterThan(1);
  });

  it('ends at Ctrl-C with exit code 130, and says so', async () => {
    const { code, stderr, stdout } = await mtia(['bench', 'harts'], { signal: 'SIGINT', afterMs: 1500 });
    expect(code).toBe(130);
    expect(linesOf(stderr)).toEqual(['mtia: interrupted']);
    expect(stdout).toBe('');
  });
});
