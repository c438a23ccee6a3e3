/** Cards with less than their generation has. Of emulated ones only where that shows; `mtia conformance --backend` runs all of it. */
import { describe, expect, it } from 'vitest';
import {
  type Backend,
  loopbackBackend,
  noBroadcastBackend,
  nullBackend,
  oneQueueBackend,
  oneVectorBackend,
} from '../../src/conformance/index.js';
import { expectNoFailure, SUITE_DEADLINE_MS } from './suite-run.js';

const REDUCED: readonly (readonly [Backend, readonly string[] | undefined])[] = [
  [loopbackBackend('2i'), undefined],
  [nullBackend('v1'), undefined],
  [oneQueueBackend('2i'), ['config and BAR', 'discovery', 'queues', 'streams and events', 'reduced devices']],
  [oneVectorBackend('2i'), ['discovery', 'interrupts', 'reduced devices']],
  [noBroadcastBackend('2i'), ['kernel launch', 'graph', 'reduced devices']],
];

describe.each(REDUCED)('the conformance suite on $name', (backend, categories) => {
  it('fails nowhere, and says what it cannot run', { timeout: SUITE_DEADLINE_MS }, async () => {
    const { passed, unsupported } = await expectNoFailure(backend, categories);
    expect(passed).toBeGreaterThan(20);
    expect(unsupported).toBeGreaterThan(0);
  });
});
