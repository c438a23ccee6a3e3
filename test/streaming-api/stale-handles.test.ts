/** Handles that are older than the latest reset of their device, or closed: refused by name, whatever is done with them. */
import { expect, it } from 'vitest';
import { Event } from '../../src/streaming-api/index.js';
import { ONE_PE, openTestDevice } from './test-device.js';

it('refuses every use of a stream after a reset, with DEVICE_RESET', async () => {
  await using device = await openTestDevice();
  const stream = await device.createStream();
  const timeline = await device.createTimeline();
  const pool = device.createMemoryPool();
  const event = stream.recordEvent();
  await device.reset();
  const uses: Readonly<Record<string, () => unknown>> = {
    launch: () => stream.launch(device.kernel('null'), { grid: ONE_PE }),
    recordEvent: () => stream.recordEvent(),
    waitEvent: () => stream.waitEvent(event),
    'waitEvent of an event without a record': () => stream.waitEvent(new Event()),
    waitStream: () => stream.waitStream(stream),
    waitTimeline: () => stream.waitTimeline(timeline, 1),
    beginCapture: () => stream.beginCapture(),
    copyList: () => stream.copyList([]),
    synchronize: () => stream.synchronize(),
    'an allocation from a pool': () => device.allocate(64, { pool }),
  };
  const codes = Object.entries(uses).map(async ([name, use]) => {
    const code = await Promise.resolve()
      .then(use)
      .then(
        () => 'taken',
        (error: { readonly code: string }) => error.code,
      );
    return [name, code];
  });
  expect(Object.fromEntries(await Promise.all(codes))).toEqual(
    Object.fromEntries(Object.keys(uses).map((name) => [name, 'DEVICE_RESET'])),
  );
  expect(stream.isCapturing).toBe(false);
  await stream.close();
});

it('refuses every use of a graph that is closed, the end of its capture too', async () => {
  await using device = await openTestDevice();
  const graph = device.createGraph();
  graph.captureBegin();
  await graph.close();
  expect(device.defaultStream.isCapturing).toBe(false);
  for (const use of [() => graph.captureBegin(), () => graph.captureEnd()]) {
    expect(use).toThrow(expect.objectContaining({ code: 'DEVICE_CLOSED' }));
  }
});
