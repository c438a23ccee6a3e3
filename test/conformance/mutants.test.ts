/** The suite can fail: it catches one mutant of each kind. All of them: `mtia conformance --mutants` (docs/testing.md). */
import { describe, expect, it } from 'vitest';
import { MUTANTS } from '../../src/conformance/index.js';
import { mtia } from '../cli/mtia.js';

const LEAST = 25;

describe('the mutants', () => {
  it('are many, and have names of their own', () => {
    expect(MUTANTS.length).toBeGreaterThanOrEqual(LEAST);
    expect(new Set(MUTANTS.map(({ name }) => name)).size).toBe(MUTANTS.length);
  });

  it.each([
    ['wrong-reset-value', 'config and BAR'],
    ['swallowed-error', 'queues'],
    ['statistics-drift', 'memory manager'],
    ['event-too-early', 'streams and events'],
    ['administration-for-all', 'discovery'],
  ])('%s is caught by %s', async (mutant, category) => {
    const options = ['--mutant', mutant, '--category', category, '--until-caught', '--seed', '1', '--reporter', 'json'];
    const { code, stdout } = await mtia(['conformance', ...options]);
    expect(code).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({ failed: 1 });
  });

  it('no defect, no failure', async () => {
    const options = ['--mutant', 'unchanged', '--category', 'discovery', '--seed', '1'];
    expect((await mtia(['conformance', ...options])).code).toBe(0);
  });
});
