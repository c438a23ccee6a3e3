/** What a capture takes, and what it must leave alone. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Device, DeviceBuffer, Stream } from '../../src/streaming-api/index.js';
import { ONE_PE, openTestDevice } from './test-device.js';
import { copyGraph } from './test-graph.js';

let device: Device;
let stream: Stream;
let buffer: DeviceBuffer;

beforeAll(async () => {
  device = await openTestDevice();
  stream = device.defaultStream;
  buffer = await device.allocate(8);
});
afterAll(() => device.close());

const word = async (): Promise<number | undefined> => {
  const words = new Uint32Array(2);
  await stream.copyToHost(words, buffer);
  return words[0];
};

it('refuses the upload of a model on a stream that is captured, which would be captured with it', async () => {
  const graph = device.createGraph();
  graph.captureBegin(stream);
  await expect(device.loadModel(copyGraph())).rejects.toMatchObject({ code: 'CAPTURE_UNSUPPORTED' });
  expect(() => graph.captureEnd()).toThrow(expect.objectContaining({ code: 'CAPTURE_INVALIDATED' }));
  await graph.close();
  await using model = await device.loadModel(copyGraph());
  expect(model.name).toBe(copyGraph().name);
});

it('refuses to instantiate a graph through a stream that is captured', async () => {
  await using other = await device.createStream();
  const graph = device.createGraph();
  graph.captureBegin(other);
  other.fill(buffer, 5);
  graph.captureEnd();
  stream.beginCapture();
  await expect(graph.instantiate()).rejects.toMatchObject({ code: 'CAPTURE_UNSUPPORTED' });
  expect(graph.instantiated).toBe(false);
  expect(() => stream.endCapture()).toThrow(expect.objectContaining({ code: 'CAPTURE_INVALIDATED' }));
  await graph.instantiate();
  await graph.replay(other);
  expect(await word()).toBe(5);
  await graph.close();
});

it('instantiates a graph once however often it is asked at the same time, and not before it is there', async () => {
  const before = device.memoryStats().dram.num_allocs;
  const graph = device.createGraph();
  graph.captureBegin(stream);
  stream.fill(buffer, 6);
  graph.captureEnd();
  const both = [graph.instantiate(), graph.instantiate()];
  await expect(graph.replay(stream)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  await Promise.all(both);
  await stream.synchronize().catch(() => undefined);
  await graph.replay(stream);
  expect(await word()).toBe(6);
  await graph.close();
  expect(device.memoryStats().dram.num_allocs).toBe(before);
});

it('says whether a stream is captured, and whether a graph can come of it', async () => {
  await using drawn = await device.createStream();
  const statuses = () => [stream.captureStatus, drawn.captureStatus];
  expect(statuses()).toEqual(['none', 'none']);
  stream.beginCapture();
  drawn.waitEvent(stream.recordEvent());
  expect(statuses()).toEqual(['active', 'active']);
  expect(() => drawn.query()).toThrow(expect.objectContaining({ code: 'CAPTURE_UNSUPPORTED' }));
  expect(statuses()).toEqual(['invalidated', 'invalidated']);
  expect(() => stream.endCapture()).toThrow(expect.objectContaining({ code: 'CAPTURE_INVALIDATED' }));
  expect(statuses()).toEqual(['none', 'none']);
});

it('refuses a signal, which no replay would listen to', async () => {
  const graph = device.createGraph();
  graph.captureBegin(stream);
  const { signal } = new AbortController();
  await expect(stream.launch(device.kernel('null'), { grid: ONE_PE, signal })).rejects.toMatchObject({
    code: 'CAPTURE_UNSUPPORTED',
  });
  expect(() => graph.captureEnd()).toThrow(expect.objectContaining({ code: 'CAPTURE_INVALIDATED' }));
  await graph.close();
});

it('refuses a function that goes on when the capture is over', async () => {
  const late = device.capture(stream, async () => {
    await Promise.resolve();
    throw new Error('too late');
  });
  await expect(late).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  expect(stream.isCapturing).toBe(false);
});

it('is over when its stream is disposed of, and a stream that was drawn in leaves it', async () => {
  const first = await device.createStream();
  const second = await device.createStream();
  first.beginCapture();
  second.waitEvent(first.recordEvent());
  await second[Symbol.asyncDispose]();
  expect(second.closed).toBe(true);
  expect(() => first.endCapture()).toThrow(expect.objectContaining({ code: 'CAPTURE_INVALIDATED' }));
  first.beginCapture();
  await first[Symbol.asyncDispose]();
  expect(first.closed).toBe(true);
});

it('gives back what it kept where its graph cannot be made', async () => {
  const before = device.memoryStats().pinned.num_allocs;
  const lost = await device.allocate(8);
  stream.beginCapture();
  stream.copyToDevice(lost, new Uint8Array(8));
  lost.free();
  expect(() => stream.endCapture()).toThrow(expect.objectContaining({ code: 'DEVICE_CLOSED' }));
  expect(device.memoryStats().pinned.num_allocs).toBe(before);
});
