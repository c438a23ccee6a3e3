/** Streams, events, timelines, functions of the host: order, independence, and how failure travels. */
import assert from 'node:assert/strict';
import { type Device, Event, type Stream, type Timeline } from '../../streaming-api/index.js';
import { category, conformanceCase } from '../case.js';
import { rejectsWith, settlesWithin } from '../expectations.js';
import type { Fixture } from '../fixture.js';

const ONE_PE = { columns: 1, rows: 1 } as const;
const NEXT_PE = { column: 1, columns: 1, rows: 1 } as const;
/** Long enough for anything that could run by mistake to have run. */
const A_WHILE_MS = 15;

const aWhile = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, A_WHILE_MS));

async function two(fixture: Fixture): Promise<{ device: Device; first: Stream; second: Stream }> {
  const device = await fixture.device();
  return { device, first: device.defaultStream, second: await device.createStream() };
}

async function withTimeline(
  fixture: Fixture,
  initial?: bigint,
): Promise<{ device: Device; first: Stream; second: Stream; timeline: Timeline }> {
  const parts = await two(fixture);
  return { ...parts, timeline: await parts.device.createTimeline(initial) };
}

/** Fails the stream on the device itself. */
function failOn(device: Device, stream: Stream): Promise<unknown> {
  return stream.launch(device.kernel('RETURN_VALUE'), { grid: ONE_PE }, [99]);
}

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
      const { first, second, timeline } = await withTimeline(fixture);
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
      const { device, first, second, timeline } = await withTimeline(fixture);
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
      const { first } = await two(fixture);
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
      const { first, second, timeline } = await withTimeline(fixture);
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
    'raises a timeline from host and stream, and never lowers it',
    'STR-6',
    { requires: ['queues'] },
    async (fixture) => {
      const { first, timeline } = await withTimeline(fixture, 5n);
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
    'says by an event only what failed before it',
    'FAIL-1',
    { requires: ['queues'] },
    async (fixture) => {
      const { device, first, second } = await two(fixture);
      const buffer = await device.allocate(64);
      const sound = first.recordEvent();
      second.waitEvent(sound);
      const called = first.launchHostFunction(() => {
        throw new Error('too late for the second event');
      });
      const odd = first.fill(buffer, 0, { offset: 1 });
      const failed = first.recordEvent();
      await rejectsWith('HOST_FUNCTION_ERROR', called);
      await rejectsWith('INVALID_ARGUMENT', odd);
      await sound.synchronize();
      await second.synchronize();
      await rejectsWith('HOST_FUNCTION_ERROR', failed.synchronize());
      await rejectsWith('HOST_FUNCTION_ERROR', first.synchronize());
    },
  ),

  conformanceCase(
    'aborts what waits for the failure of a stream that was closed',
    'FAIL-2',
    { requires: ['queues', 'semaphores', 'memory'] },
    async (fixture) => {
      const { device, second } = await two(fixture);
      const buffer = await device.allocate(64);
      second.fill(buffer, 0, { offset: 1 });
      const failed = second.recordEvent();
      await second.close();
      const later = await device.createStream();
      later.waitEvent(failed);
      const { cause } = await rejectsWith('ABORTED', later.fill(buffer, 7));
      assert.equal((cause as { code?: string }).code, 'INVALID_ARGUMENT');
      await rejectsWith('ABORTED', later.synchronize());
    },
  ),

  conformanceCase(
    'aborts what waits for events of an aborted stream, and nothing that waits for later ones',
    'FAIL-4',
    { requires: ['queues', 'semaphores'] },
    async (fixture) => {
      const { device, first, second } = await two(fixture);
      const third = await device.createStream();
      for (let times = 0; times < 10; times++) {
        void first.launchHostFunction(() => aWhile());
        const events = Array.from({ length: 3 }, () => first.recordEvent());
        for (const event of events) second.waitEvent(event);
        await first.abort('no longer wanted');
        third.waitStream(first);
        await third.synchronize();
        await rejectsWith('ABORTED', second.synchronize());
        second.waitStream(first);
        await second.synchronize();
      }
    },
  ),

  conformanceCase(
    'lets a stream go on that waits for one that was closed, whatever is made meanwhile',
    'STR-2',
    { requires: ['queues', 'semaphores'] },
    async (fixture) => {
      const { device, first, second } = await two(fixture);
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
    'gives new streams nothing of a timeline that was closed',
    'STR-6',
    { requires: ['queues', 'semaphores'] },
    async (fixture) => {
      const { device, first, timeline } = await withTimeline(fixture);
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
    const { first, second, timeline } = await withTimeline(fixture, high);
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
      const { device, first } = await two(fixture);
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
    const { device, first, timeline } = await withTimeline(fixture);
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
      const { timeline } = await withTimeline(fixture);
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
    const { device, timeline } = await withTimeline(fixture);
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
    'aborts what waits for a timeline that is failed, and nothing else',
    'FAIL-2',
    { requires: ['queues', 'semaphores', 'memory'] },
    async (fixture) => {
      const { device, first, second, timeline } = await withTimeline(fixture);
      const buffer = await device.allocate(4);
      await second.fill(buffer, 1);
      first.waitTimeline(timeline, 3);
      const aborted = first.fill(buffer, 2);
      const outcomes = [aborted, timeline.wait(8)].map((work) => rejectsWith('ABORTED', work));
      const reached = timeline.wait(1);
      await timeline.signal(1);
      const cause = new Error('out of ink');
      await timeline.fail(cause);
      await reached;
      outcomes.push(rejectsWith('ABORTED', first.synchronize()));
      for (const error of await Promise.all(outcomes)) {
        assert.ok(error.cause instanceof Error && error.cause.message.includes('out of ink'));
      }
      await second.synchronize();
      const result = new Uint32Array(1);
      await first.copyToHost(result, buffer);
      assert.equal(result[0], 1);
    },
  ),

  conformanceCase(
    'aborts what depends on a failed stream, with the failure as its cause',
    'FAIL-2',
    { requires: ['kernels', 'queues'] },
    async (fixture) => {
      const { device, first, second } = await two(fixture);
      const third = await device.createStream();
      const buffer = await device.allocate(4);
      await first.fill(buffer, 1);
      const failing = failOn(device, first);
      second.waitEvent(first.recordEvent());
      const aborted = second.fill(buffer, 2);
      third.waitStream(second);
      const further = third.fill(buffer, 3);
      await rejectsWith('KERNEL_ERROR', failing);
      for (const work of [aborted, further]) {
        let { cause } = (await rejectsWith('ABORTED', work)) as { cause?: unknown };
        while (cause instanceof Error && cause.cause instanceof Error) cause = cause.cause;
        assert.equal((cause as { code?: string }).code, 'KERNEL_ERROR');
      }
      await rejectsWith('ABORTED', third.synchronize());
      await rejectsWith('ABORTED', second.synchronize());
      const result = new Uint32Array(1);
      await second.copyToHost(result, buffer);
      assert.equal(result[0], 1);
    },
  ),

  conformanceCase(
    'passes the failure of a stream through a timeline',
    'FAIL-2',
    { requires: ['kernels', 'queues'] },
    async (fixture) => {
      const { device, first, second, timeline } = await withTimeline(fixture);
      second.waitTimeline(timeline, 2);
      const aborted = second.launch(device.kernel('NULL'), { grid: NEXT_PE });
      await first.signalTimeline(timeline, 1);
      failOn(device, first);
      first.signalTimeline(timeline, 2);
      const error = await rejectsWith('ABORTED', aborted);
      assert.equal((error.cause as { code?: string }).code, 'KERNEL_ERROR');
      await timeline.wait(1);
      await rejectsWith('ABORTED', timeline.wait(5));
    },
  ),

  conformanceCase(
    'goes on after a failure is reported, and its events are sound again',
    'FAIL-3',
    { requires: ['kernels', 'queues'] },
    async (fixture) => {
      const { device, first, second } = await two(fixture);
      for (let times = 0; times < 3; times++) {
        failOn(device, first);
        second.waitEvent(first.recordEvent());
        await rejectsWith('KERNEL_ERROR', first.synchronize());
        await rejectsWith('ABORTED', second.synchronize());
        second.waitEvent(first.recordEvent());
        await second.launch(device.kernel('NULL'), { grid: ONE_PE });
        await second.synchronize();
        await first.synchronize();
      }
    },
  ),

  conformanceCase(
    'aborts at once what waits for an event that has failed already',
    'FAIL-2',
    { requires: ['kernels', 'queues'] },
    async (fixture) => {
      const { device, first, second } = await two(fixture);
      failOn(device, first);
      const event = first.recordEvent();
      await rejectsWith('KERNEL_ERROR', event.synchronize());
      second.waitEvent(event);
      await rejectsWith('ABORTED', second.launch(device.kernel('NULL'), { grid: NEXT_PE }));
      await rejectsWith('ABORTED', second.synchronize());
      await second.launch(device.kernel('NULL'), { grid: NEXT_PE });
    },
  ),

  conformanceCase(
    'calls functions of the host in order, and holds only their stream up',
    'STR-7',
    { requires: ['queues', 'semaphores', 'memory'] },
    async (fixture) => {
      const { device, first, second } = await two(fixture);
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
    'fails a function of the host that throws as it fails a command',
    'STR-7',
    { requires: ['queues', 'semaphores', 'memory'] },
    async (fixture) => {
      const { device, first, second } = await two(fixture);
      const buffer = await device.allocate(4);
      const thrown = new Error('no');
      const failed = first.launchHostFunction(() => {
        throw thrown;
      });
      const behind = first.fill(buffer, 2);
      second.waitEvent(first.recordEvent());
      const dependent = second.fill(buffer, 3);
      assert.equal((await rejectsWith('HOST_FUNCTION_ERROR', failed)).cause, thrown);
      await behind;
      await rejectsWith('ABORTED', dependent);
      await rejectsWith('HOST_FUNCTION_ERROR', first.synchronize());
      let called = false;
      await first.launchHostFunction(() => {
        called = true;
      });
      assert.ok(called);
      await first.synchronize();
    },
  ),

  conformanceCase(
    'does not call a function of the host that depends on a failure',
    'STR-7',
    { requires: ['queues', 'semaphores'] },
    async (fixture) => {
      const { first, timeline } = await withTimeline(fixture);
      let called = false;
      first.waitTimeline(timeline, 1);
      const aborted = first.launchHostFunction(() => {
        called = true;
      });
      await timeline.fail(new Error('no'));
      await rejectsWith('ABORTED', aborted);
      await rejectsWith('ABORTED', first.synchronize());
      assert.equal(called, false);
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
      const { device, first, timeline } = await withTimeline(fixture);
      first.waitTimeline(timeline, 1);
      const behind = first.recordEvent();
      const synchronized = first.synchronize();
      await settlesWithin(2000, 'closing the device', device.close());
      await rejectsWith('DEVICE_CLOSED', synchronized);
      await rejectsWith('DEVICE_CLOSED', behind.synchronize());
    },
  ),

  conformanceCase(
    'refuses events and timelines of another device',
    'MUL-2',
    { requires: ['queues'] },
    async (fixture) => {
      const here = await two(fixture);
      const there = await withTimeline(fixture);
      const event = there.first.recordEvent();
      await event.synchronize();
      await rejectsWith('INVALID_ARGUMENT', async () => here.first.waitEvent(event));
      await rejectsWith('INVALID_ARGUMENT', async () => here.first.waitTimeline(there.timeline, 1));
      await rejectsWith('INVALID_ARGUMENT', here.first.signalTimeline(there.timeline, 1));
    },
  ),
]);

async function openDevice(fixture: Fixture): Promise<Pick<Device, 'allocate' | 'defaultStream'>> {
  const device = await fixture.device();
  return { defaultStream: device.defaultStream, allocate: (...args) => device.allocate(...args) };
}
