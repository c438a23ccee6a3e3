/** Streams, events and functions of the host: order and independence. */
import assert from 'node:assert/strict';
import { type Device, Event } from '../../streaming-api/index.js';
import { category, conformanceCase } from '../case.js';
import { rejectsWith, settlesWithin } from '../expectations.js';
import type { Fixture } from '../fixture.js';
import { aWhile, twoStreams, twoStreamsAndTimeline } from '../two-streams.js';

export const streamCases = category('streams and events', {}, [
  conformanceCase('is first in, first out', 'STR-1', { requires: ['memory'] }, async (fixture) => {
    const { defaultStream: stream, ...device } = await openDevice(fixture);
    const buffer = await device.allocate(64);
    const order: number[] = [];
    for (let step = 0; step < 50; step++) {
      void stream.fill(buffer, step).then(() => order.push(step));
    }
    const result = new Uint32Array(16);
    await stream.copyToHost(result, buffer);
    assert.deepEqual(
      order,
      Array.from({ length: 50 }, (_, step) => step),
    );
    assert.ok(result.every((word) => word === 49));
  }),

  conformanceCase(
    'runs beside a stream that stands still',
    'STR-1',
    { requires: ['queues', 'semaphores'] },
    async (fixture) => {
      const { first, second, timeline } = await twoStreamsAndTimeline(fixture);
      first.waitTimeline(timeline, 1);
      first.recordEvent();
      await second.recordEvent().synchronize();
      assert.equal(first.query(), false);
      await timeline.signal(1);
      await first.synchronize();
    },
  ),

  conformanceCase(
    'holds back what is behind a wait, and nothing before it',
    'STR-2',
    { requires: ['queues', 'semaphores', 'memory'] },
    async (fixture) => {
      const { device, first, second, timeline } = await twoStreamsAndTimeline(fixture);
      const buffer = await device.allocate(4);
      first.waitTimeline(timeline, 1);
      first.fill(buffer, 7);
      const event = first.recordEvent();
      const before = second.fill(buffer, 3);
      second.waitEvent(event);
      const result = new Uint32Array(1);
      const read = second.copyToHost(result, buffer);
      await before;
      await aWhile();
      assert.equal(event.query(), false);
      await timeline.signal(1);
      await read;
      assert.equal(result[0], 7);
      assert.equal(event.query(), true);
    },
  ),

  conformanceCase(
    'is not held up by an event that was never recorded',
    'STR-2',
    { requires: ['queues'] },
    async (fixture) => {
      const { first } = await twoStreams(fixture);
      const event = new Event();
      assert.equal(event.query(), true);
      first.waitEvent(event);
      await first.synchronize();
      await event.synchronize();
    },
  ),

  conformanceCase(
    'waits for the record that an event had at the time of the call',
    'STR-3',
    { requires: ['queues', 'semaphores'] },
    async (fixture) => {
      const { first, second, timeline } = await twoStreamsAndTimeline(fixture);
      const event = first.recordEvent();
      second.waitEvent(event);
      first.waitTimeline(timeline, 1);
      event.record(first);
      await second.synchronize();
      assert.equal(event.query(), false);
      await timeline.signal(1);
      await event.synchronize();
    },
  ),

  conformanceCase(
    'never says done too early, at any length of work',
    'STR-4',
    { requires: ['memory'] },
    async (fixture) => {
      const { defaultStream: stream, ...device } = await openDevice(fixture);
      const buffer = await device.allocate(4096);
      for (const commands of [1, 2, 63, 300]) {
        let done = 0;
        for (let index = 0; index < commands; index++) {
          void stream.fill(buffer, index).then(() => done++);
        }
        assert.equal(stream.query(), false);
        await stream.synchronize();
        assert.equal(done, commands);
        assert.equal(stream.query(), true);
      }
    },
  ),

  conformanceCase(
    'gives device time that repeats and does not depend on host threads',
    'STR-5',
    { requires: ['kernels'] },
    async (fixture) => {
      const times: number[] = [];
      for (const threads of [1, 2, 4]) {
        const device = await fixture.device({ card: fixture.card({ threads }) });
        const stream = device.defaultStream;
        const buffer = await device.allocate(4096);
        const start = stream.recordEvent();
        stream.fill(buffer, 1);
        stream.launch(device.kernel('RECORD'), { grid: { columns: 8, rows: 8 } }, [buffer, 5]);
        const end = stream.recordEvent();
        await end.synchronize();
        assert.ok(start.elapsedTime(end) >= 0);
        times.push(start.elapsedDeviceUs(end));
      }
      assert.deepEqual(times, [times[0], times[0], times[0]]);
      assert.ok((times[0] ?? 0) > 0);
    },
  ),

  conformanceCase(
    'lets a stream go on that waits for one that was closed, whatever is made meanwhile',
    'STR-2',
    { requires: ['queues', 'semaphores'] },
    async (fixture) => {
      const { device, first, second } = await twoStreams(fixture);
      let release = (): void => undefined;
      const held = new Promise<void>((resolve) => {
        release = resolve;
      });
      void first.launchHostFunction(() => held);
      first.waitStream(second);
      await second.close();
      const timelines = [await device.createTimeline(), await device.createTimeline()];
      release();
      await settlesWithin(2000, 'the stream that waits', first.synchronize());
      for (const timeline of timelines) timeline.close();
    },
  ),

  conformanceCase(
    'calls functions of the host in order, and holds only their stream up',
    'STR-7',
    { requires: ['queues', 'semaphores', 'memory'] },
    async (fixture) => {
      const { device, first, second } = await twoStreams(fixture);
      const buffer = await device.allocate(4);
      const order: string[] = [];
      void first.fill(buffer, 1).then(() => order.push('fill'));
      let goOn: () => void = () => undefined;
      const called = new Promise<void>((resolve) => {
        void first.launchHostFunction(() => {
          order.push('function');
          resolve();
          return new Promise((done) => {
            goOn = done;
          });
        });
      });
      const behind = first.fill(buffer, 2).then(() => order.push('behind'));
      await called;
      const result = new Uint32Array(1);
      await second.copyToHost(result, buffer);
      await aWhile();
      assert.equal(result[0], 1);
      assert.deepEqual(order, ['fill', 'function']);
      goOn();
      await behind;
      await first.synchronize();
      assert.deepEqual(order, ['fill', 'function', 'behind']);
    },
  ),

  conformanceCase(
    'makes ten thousand streams one after another',
    'STR-8',
    { requires: ['queues'], deadlineMs: 90_000 },
    async (fixture) => {
      const device = await fixture.device();
      for (let times = 0; times < 10_000; times++) {
        const stream = await device.createStream();
        if (times % 100 === 0) await stream.recordEvent().synchronize();
        await stream.close();
      }
    },
  ),

  conformanceCase('takes priorities from 0 to 3', 'STR-9', { requires: ['queues'] }, async (fixture) => {
    const device = await fixture.device();
    for (const priority of [0, 3]) {
      const stream = await device.createStream({ priority });
      await stream.recordEvent().synchronize();
      await stream.close();
    }
    for (const priority of [-1, 4, 0.5]) await rejectsWith('INVALID_ARGUMENT', device.createStream({ priority }));
  }),

  conformanceCase('records ten thousand events', 'STR-8', {}, async (fixture) => {
    const { defaultStream: stream } = await openDevice(fixture);
    let last = stream.recordEvent();
    for (let times = 1; times < 10_000; times++) last = stream.recordEvent();
    await last.synchronize();
    assert.equal(stream.query(), true);
  }),

  conformanceCase(
    'ends a stream that waits for ever with the device',
    'LIFE-3',
    { requires: ['queues', 'semaphores'] },
    async (fixture) => {
      const { device, first, timeline } = await twoStreamsAndTimeline(fixture);
      first.waitTimeline(timeline, 1);
      const behind = first.recordEvent();
      const synchronized = first.synchronize();
      await settlesWithin(2000, 'closing the device', device.close());
      await rejectsWith('DEVICE_CLOSED', synchronized);
      await rejectsWith('DEVICE_CLOSED', behind.synchronize());
    },
  ),
]);

async function openDevice(fixture: Fixture): Promise<Pick<Device, 'allocate' | 'defaultStream'>> {
  const device = await fixture.device();
  return { defaultStream: device.defaultStream, allocate: (...args) => device.allocate(...args) };
}
