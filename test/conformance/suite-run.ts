/** Runs the suite on a backend as `mtia conformance` does. */
import { expect } from 'vitest';
import { type Backend, CASES, runConformance, summarize, withTestKernels } from '../../src/conformance/index.js';
import { loadBundle } from '../../src/firmware-emu/index.js';

const SEED = 20_261_124;
/** A backend takes four minutes on a machine with a load of ten. */
export const SUITE_DEADLINE_MS = 600_000;

/** Expects that no case fails, and returns how the cases ended; categories: all where absent. */
export async function expectNoFailure(
  backend: Backend,
  categories?: readonly string[],
): Promise<ReturnType<typeof summarize>> {
  const cases = categories === undefined ? CASES : CASES.filter(({ category }) => categories.includes(category));
  const results = await runConformance({ backend, firmware: withTestKernels(loadBundle()), cases, seed: SEED });
  expect(results.filter(({ status }) => status === 'fail' || status === 'unexpected-pass')).toEqual([]);
  return summarize(results);
}
