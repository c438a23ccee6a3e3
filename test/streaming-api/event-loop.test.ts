/** Reports how long the event loop is held up while the device is busy. Machines differ, so nothing is asserted of time. */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { describe, expect, it } from 'vitest';
import { openTestDevice } from './test-device.js';
import { copyGraph, endlessGraph, inputsOf } from './test-graph.js';

const RESOLUTION_MS = 1;
const DURATION_MS = 1000;

async function delayDuring(work: () => Promise<unknown>): Promise<{ p99: number; max: number }> {
  const monitor = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  monitor.enable();
  await work();
  monitor.disable();
  return { p99: monitor.percentile(99) / 1e6, max: monitor.max / 1e6 };
}

describe('event loop delay', () => {
  it('is reported', async ({ annotate }) => {
    await using device = await openTestDevice();
    await using model = await device.loadModel(copyGraph());
    await using endless = await device.loadModel(endlessGraph());
    const upload = new Uint8Array(16 * 1024 * 1024);
    using buffer = await device.allocate(upload.byteLength);
    const end = (): number => performance.now() + DURATION_MS;
    const cases: Readonly<Record<string, () => Promise<void>>> = {
      'runs of a small model, eight in flight': async () => {
        for (const stop = end(); performance.now() < stop; ) {
          await Promise.all(Array.from({ length: 8 }, (_, run) => model.run(inputsOf(run))));
        }
      },
      'one long kernel': async () => {
        await endless.run(inputsOf(0), { deadlineMs: DURATION_MS }).catch(() => undefined);
      },
      'copies of 16 MiB': async () => {
        using host = device.allocateHost(upload.byteLength);
        for (const stop = end(); performance.now() < stop; ) await device.defaultStream.copyToDevice(buffer, host);
      },
    };
    for (const [name, work] of Object.entries(cases)) {
      const { p99, max } = await delayDuring(work);
      expect(p99).toBeGreaterThan(0);
      await annotate(`${name}: p99 ${p99.toFixed(2)} ms, longest ${max.toFixed(2)} ms`);
    }
    await device.synchronize().catch(() => undefined);
  });
});
