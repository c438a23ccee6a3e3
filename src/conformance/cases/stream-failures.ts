/** How the failure of a command travels from stream to stream: by events, timelines and functions of the host. */
import assert from 'node:assert/strict';
import { category, conformanceCase } from '../case.js';
import { rejectsWith } from '../expectations.js';
import { aWhile, FIRST_PE, failOn, SECOND_PE, twoStreams, twoStreamsAndTimeline } from '../two-streams.js';

export const streamFailureCases = category('streams and events', {}, [
  conformanceCase(
    'says by an event only what failed before it',
    'FAIL-1',
    { requires: ['queues'] },
    async (fixture) => {
      const { device, first, second } = await twoStreams(fixture);
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
      const { device, second } = await twoStreams(fixture);
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
      const { device, first, second } = await twoStreams(fixture);
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
    'aborts what waits for a timeline that is failed, and nothing else',
    'FAIL-2',
    { requires: ['queues', 'semaphores', 'memory'] },
    async (fixture) => {
      const { device, first, second, timeline } = await twoStreamsAndTimeline(fixture);
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
      const { device, first, second } = await twoStreams(fixture);
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
      const { device, first, second, timeline } = await twoStreamsAndTimeline(fixture);
      second.waitTimeline(timeline, 2);
      const aborted = second.launch(device.kernel('NULL'), { grid: SECOND_PE });
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
      const { device, first, second } = await twoStreams(fixture);
      for (let times = 0; times < 3; times++) {
        failOn(device, first);
        second.waitEvent(first.recordEvent());
        await rejectsWith('KERNEL_ERROR', first.synchronize());
        await rejectsWith('ABORTED', second.synchronize());
        second.waitEvent(first.recordEvent());
        await second.launch(device.kernel('NULL'), { grid: FIRST_PE });
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
      const { device, first, second } = await twoStreams(fixture);
      failOn(device, first);
      const event = first.recordEvent();
      await rejectsWith('KERNEL_ERROR', event.synchronize());
      second.waitEvent(event);
      await rejectsWith('ABORTED', second.launch(device.kernel('NULL'), { grid: SECOND_PE }));
      await rejectsWith('ABORTED', second.synchronize());
      await second.launch(device.kernel('NULL'), { grid: SECOND_PE });
    },
  ),

  conformanceCase(
    'fails a function of the host that throws as it fails a command',
    'STR-7',
    { requires: ['queues', 'semaphores', 'memory'] },
    async (fixture) => {
      const { device, first, second } = await twoStreams(fixture);
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
      const { first, timeline } = await twoStreamsAndTimeline(fixture);
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
]);
