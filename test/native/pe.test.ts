/** Runs the C tests of the processing element (native/test/pe_test*.c, matmul_test.c); each prints a line per case. */
import { spawnSync } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { compileNative, nativeSources, ROOT } from './compile.js';

describe('processing element', () => {
  let program = '';
  beforeAll(() => {
    // The memory outside of the processing element is the fixture's.
    const chip = nativeSources('processing-element', 'hart', 'arithmetic');
    const tests = readdirSync(join(ROOT, 'native', 'test')).filter((file) => /^(pe|matmul)_test\w*\.c$/.test(file));
    const sources = [...chip, ...tests.map((file) => `native/test/${file}`)];
    program = compileNative('pe_test', sources);
  }, 300_000);

  it.each([
    { suite: 'commands', cases: 5, what: 'refuses every illegal field before anything moves' },
    { suite: 'cache', cases: 7, what: 'hits and misses the SRAM cache, reports lost words, counts per memory' },
    { suite: 'order', cases: 17, what: 'checks elements and space, keeps order, reports faults, tells the time' },
    { suite: 'memory', cases: 7, what: 'reads by group, by index and ahead, and tells what the memories spared' },
    { suite: 'units', cases: 8, what: 'computes in every unit what the scalar definition says' },
    { suite: 'quantize', cases: 7, what: 'scales to INT8 and back, and finds the range of rows, bit by bit' },
    {
      suite: 'legality',
      cases: 3,
      what: 'refuses the smallest illegal value of every field of every command, and nothing moves',
    },
    { suite: 'operands', cases: 4, what: 'computes alike on elements apart, one a row, four bits each' },
    { suite: 'multiply', cases: 6, what: 'keeps contexts apart, advances offsets, takes operands through the MLU' },
    { suite: 'sparse', cases: 4, what: 'multiplies 2:4 sparse blocks as the dense ones, in half the time' },
    { suite: 'counters', cases: 2, what: 'counts commands and busy cycles of units, and stalls of harts' },
    { suite: 'links', cases: 7, what: 'passes blocks between PEs in order, each to the job that it is for' },
    { suite: 'programs', cases: 8, what: 'runs jobs on both harts, in the same device time on every run' },
    { suite: 'matmul', cases: 6, what: 'computes bit by bit alike on every path' },
  ])('$suite: $what', ({ suite, cases }) => {
    const result = spawnSync(program, [suite], { encoding: 'utf8' });
    const lines = result.stdout.split('\n').filter((line) => line !== '');
    expect(lines.filter((line) => !line.startsWith('ok '))).toEqual([]);
    expect(lines).toHaveLength(cases);
    expect(result.status).toBe(0);
  });

  it('computes alike on every path with other numbers in every run', () => {
    const seed = String(randomInt(2 ** 32));
    const { stdout } = spawnSync(program, ['matmul', seed], { encoding: 'utf8' });
    expect(
      stdout.split('\n').filter((line) => line !== '' && !line.startsWith('ok ')),
      `seed ${seed}`,
    ).toEqual([]);
  });
});
