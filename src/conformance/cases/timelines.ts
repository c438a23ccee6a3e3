/** Timelines: values that streams and the host raise and wait for. */
import assert from 'node:assert/strict';
import { category, conformanceCase } from '../case.js';
import { rejectsWith } from '../expectations.js';
import { aWhile, twoStreams, twoStreamsAndTimeline } from '../two-streams.js';

export const timelineCases = category('streams and events', {}, [
  conformanceCase(
    'raises a timeline from host and stream, and never lowers it',
    'STR-6',
    { requires: ['queues'] },
    async (fixture) => {
      const { first, timeline } = await twoStreamsAndTimeline(fixture, 5n);
      assert.equal(timeline.value, 5n);
      await timeline.signal(9);
      await timeline.signal(7);
      assert.equal(timeline.value, 9n);
      await first.signalTimeline(timeline, 20n);
      await first.signalTimeline(timeline, 10n);
      assert.equal(timeline.value, 20n);
      first.waitTimeline(timeline, 20n);
      await first.synchronize();
      await timeline.wait(1);
    },
  ),

  conformanceCase(
    'gives new streams nothing of a timeline that was closed',
    'STR-6',
    { requires: ['queues', 'semaphores'] },
    async (fixture) => {
      const { device, first, timeline } = await twoStreamsAndTimeline(fixture);
      first.waitTimeline(timeline, 1);
      timeline.close();
      await rejectsWith('ABORTED', first.synchronize());
      await aWhile();
      const [producer, consumer] = [await device.createStream(), await device.createStream()];
      const order: string[] = [];
      let release = (): void => undefined;
      const held = new Promise<void>((resolve) => {
        release = resolve;
      });
      void producer.launchHostFunction(() => held);
      void producer.launchHostFunction(() => void order.push('producer'));
      consumer.waitStream(producer);
      void consumer.launchHostFunction(() => void order.push('consumer'));
      await aWhile();
      release();
      await Promise.all([producer.synchronize(), consumer.synchronize()]);
      assert.deepEqual(order, ['producer', 'consumer']);
    },
  ),

  conformanceCase('counts a timeline in 64 bits', 'STR-6', { requires: ['queues', 'semaphores'] }, async (fixture) => {
    const high = 2n ** 63n + 1n;
    const { first, second, timeline } = await twoStreamsAndTimeline(fixture, high);
    first.waitTimeline(timeline, high + 1n);
    const held = first.recordEvent();
    await aWhile();
    assert.equal(held.query(), false);
    await second.signalTimeline(timeline, high + 1n);
    await held.synchronize();
    assert.equal(timeline.value, high + 1n);
  }),

  conformanceCase(
    'starts a timeline anew, whatever became of earlier ones',
    'STR-6',
    { requires: ['queues'] },
    async (fixture) => {
      const { device, first } = await twoStreams(fixture);
      for (let times = 0; times < 5; times++) {
        const timeline = await device.createTimeline(BigInt(times));
        assert.equal(timeline.value, BigInt(times));
        first.waitTimeline(timeline, times);
        await timeline.signal(1000);
        await first.synchronize();
        timeline.close();
        await first.recordEvent().synchronize();
      }
    },
  ),

  conformanceCase('refuses values that a timeline cannot have', 'NEG-1', { requires: ['queues'] }, async (fixture) => {
    const { device, first, timeline } = await twoStreamsAndTimeline(fixture);
    for (const value of [-1, 0.5, 2 ** 53, -1n, 2n ** 64n - 1n, Number.NaN]) {
      await rejectsWith('INVALID_ARGUMENT', async () => timeline.signal(value));
      await rejectsWith('INVALID_ARGUMENT', async () => timeline.wait(value));
      await rejectsWith('INVALID_ARGUMENT', async () => first.waitTimeline(timeline, value));
      await rejectsWith('INVALID_ARGUMENT', async () => device.createTimeline(value));
    }
    await first.synchronize();
    assert.equal(timeline.value, 0n);
  }),

  conformanceCase(
    'gives a host wait up by signal and by deadline',
    'STR-6',
    { requires: ['queues'] },
    async (fixture) => {
      const { timeline } = await twoStreamsAndTimeline(fixture);
      const controller = new AbortController();
      const aborted = rejectsWith('ABORTED', timeline.wait(1, { signal: controller.signal }));
      const late = rejectsWith('DEADLINE_EXCEEDED', timeline.wait(1, { deadlineMs: 5 }));
      const patient = timeline.wait(1);
      controller.abort();
      await aborted;
      await late;
      await rejectsWith('ABORTED', timeline.wait(1, { signal: controller.signal }));
      await timeline.signal(1);
      await patient;
    },
  ),

  conformanceCase('settles waits for a timeline that closes', 'NEG-2', { requires: ['queues'] }, async (fixture) => {
    const { device, timeline } = await twoStreamsAndTimeline(fixture);
    const waiting = rejectsWith('ABORTED', timeline.wait(1));
    timeline.close();
    timeline.close();
    await waiting;
    await rejectsWith('DEVICE_CLOSED', async () => timeline.signal(1));
    const other = await device.createTimeline();
    const lost = rejectsWith('ABORTED', other.wait(1));
    await device.close();
    await lost;
  }),

  conformanceCase(
    'refuses events and timelines of another device',
    'MUL-2',
    { requires: ['queues'] },
    async (fixture) => {
      const here = await twoStreams(fixture);
      const there = await twoStreamsAndTimeline(fixture);
      const event = there.first.recordEvent();
      await event.synchronize();
      await rejectsWith('INVALID_ARGUMENT', async () => here.first.waitEvent(event));
      await rejectsWith('INVALID_ARGUMENT', async () => here.first.waitTimeline(there.timeline, 1));
      await rejectsWith('INVALID_ARGUMENT', here.first.signalTimeline(there.timeline, 1));
    },
  ),
]);
