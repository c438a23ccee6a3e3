/** The suite can fail: it catches one mutant of each kind. All of them: `mtia conformance --mutants` (docs/testing.md). */
import { readdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { CATEGORIES } from '../../src/conformance/index.js';
import { MUTANTS } from '../../src/conformance/mutants/index.js';
import { mtia, temporaryFolder } from '../cli/mtia.js';

const LEAST = 90;

describe('the mutants', () => {
  it('are many, and have names of their own', () => {
    expect(MUTANTS.length).toBeGreaterThanOrEqual(LEAST);
    expect(new Set(MUTANTS.map(({ name }) => name)).size).toBe(MUTANTS.length);
  });

  it('name categories that exist as those that must catch them', () => {
    const promised = MUTANTS.flatMap(({ promisedBy }) => promisedBy);
    expect(promised.filter((category) => !CATEGORIES.includes(category))).toEqual([]);
    expect(MUTANTS.filter(({ promisedBy }) => promisedBy.length === 0).map(({ name }) => name)).toEqual([]);
  });

  it('are caught only by what passes without them, and reported with the categories', async () => {
    const options = ['--mutants', 'wrong-reset-value', 'event-too-early', '--category', 'config and BAR'];
    const { code, stdout } = await mtia(['conformance', ...options, '--seed', '1', '--reporter', 'json']);
    expect(code).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({
      failed: 0,
      cases: expect.arrayContaining([expect.objectContaining({ category: 'config and BAR', status: 'pass' })]),
      mutants: [
        { name: 'wrong-reset-value', caughtBy: ['config and BAR'], missedBy: [] },
        { name: 'event-too-early', caughtBy: [] },
      ],
      survivors: 1,
    });
  });

  it.each([
    ['wrong-reset-value', 'config and BAR'],
    ['swallowed-error', 'queues'],
    ['statistics-drift', 'memory manager'],
    ['event-too-early', 'streams and events'],
    ['administration-for-all', 'queues'],
    ['local-memory-survives', 'failure propagation'],
  ])('%s is caught by %s', async (mutant, category) => {
    const options = ['--mutant', mutant, '--category', category, '--until-caught', '--seed', '1', '--reporter', 'json'];
    const { code, stdout } = await mtia(['conformance', ...options]);
    expect(code).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({ failed: 1 });
  });

  it('leave no temporary file, though their processes are killed', async () => {
    const { path, remove } = await temporaryFolder();
    const options = ['--mutants', 'flipped-bits-pass', '--category', 'discovery', '--jobs', '1'];
    const { code } = await mtia(['conformance', ...options], { env: { TMPDIR: path } });
    expect(code).toBe(1);
    expect(readdirSync(path)).toEqual([]);
    await remove();
  });

  it('no defect, no failure', async () => {
    const options = ['--mutant', 'unchanged', '--category', 'discovery', '--seed', '1'];
    expect((await mtia(['conformance', ...options])).code).toBe(0);
  });
});
