import { expect, it } from 'vitest';
import { emulatorBackend } from '../../src/conformance/index.js';
import { expectNoFailure, SUITE_DEADLINE_MS } from './suite-run.js';

it('the conformance suite fails nowhere on the emulated 2i', { timeout: SUITE_DEADLINE_MS }, async () => {
  const { passed } = await expectNoFailure(emulatorBackend('2i'));
  expect(passed).toBeGreaterThan(600);
});
