import { expect, it } from 'vitest';
import { emulatorBackend } from '../../src/conformance/index.js';
import { expectNoFailure, SUITE_DEADLINE_MS } from './suite-run.js';

it('the conformance suite fails nowhere on the emulated v1', { timeout: SUITE_DEADLINE_MS }, async () => {
  const { passed } = await expectNoFailure(emulatorBackend('v1'));
  expect(passed).toBeGreaterThan(600);
});
