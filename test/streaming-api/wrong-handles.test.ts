/** Handles of the wrong kind or of another device: one typed error that says what to give. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compileModel } from '../../src/compiler/index.js';
import { createExecutor, Device, type DeviceBuffer, Event, type Stream } from '../../src/streaming-api/index.js';
import { ONE_PE, openTestDevice } from './test-device.js';

let device: Device;
let other: Device;
let stream: Stream;
let buffer: DeviceBuffer;
const none = null as never;
const bytes = new Uint8Array(8);

beforeAll(async () => {
  device = await openTestDevice();
  other = await openTestDevice();
  stream = device.defaultStream;
  buffer = await device.allocate(64);
});
afterAll(async () => {
  await Promise.all([device.close(), other.close()]);
});

const WRONG_KIND: Readonly<Record<string, () => unknown>> = {
  'stream.waitEvent': () => stream.waitEvent(none),
  'stream.waitEvent of an event of the DOM': () => stream.waitEvent(new globalThis.Event('done') as never),
  'stream.recordEvent': () => stream.recordEvent({} as never),
  'stream.waitStream': () => stream.waitStream(none),
  'stream.free': () => stream.free(none),
  'stream.signalTimeline': () => stream.signalTimeline(none, 1),
  'stream.waitTimeline': () => stream.waitTimeline({} as never, 1),
  'stream.launchHostFunction': () => stream.launchHostFunction(none),
  'stream.copyList': () => stream.copyList(none),
  'stream.copyToDevice with null as its options': () => stream.copyToDevice(buffer, bytes, none),
  'stream.launch with null as its arguments': () => stream.launch(device.kernel('null'), { grid: ONE_PE }, none),
  'stream.fill with a pattern of 40 bits': () => stream.fill(buffer, 2 ** 40),
  'stream.copyToPeer': () => stream.copyToPeer(none, buffer, buffer),
  'stream.copyToPeer without a source': () => stream.copyToPeer(other.defaultStream, buffer, none),
  'event.record': () => new Event().record(none),
  'event.wait': () => new Event().wait(none),
  'event.elapsedTime': () => new Event().elapsedTime(none),
  'graph.captureBegin': () => device.createGraph().captureBegin({} as never),
  'graph.replay': () => device.createGraph().replay(none),
  'Device.attach': () => Device.attach(none),
  compileModel: () => compileModel({} as never, { generation: '2i' }),
  'compileModel without options': () => compileModel({ nodes: [], inputs: [], outputs: [] } as never, none),
  'a signal that is none': () => stream.fill(buffer, 0, { signal: {} as never }),
  'stream.launch with null as its grid': () => stream.launch(device.kernel('null'), { grid: none }),
  'device.allocate with an alignment of 2^60': () => device.allocate(64, { alignment: 2 ** 60 }),
  'device.allocate with null as its options': () => device.allocate(64, none),
  'device.createMemoryPool with null as its options': () => device.createMemoryPool(none),
  'device.createMemoryPool with a threshold as text': () => device.createMemoryPool({ releaseThreshold: '5' as never }),
  'device.createStream with null as its options': () => device.createStream(none),
  'device.allocateHost with null as its options': () => device.allocateHost(64, none),
  'device.attachHost': () => device.attachHost(none),
  'device.attachHost of more than there is': () => {
    const { pages } = device.allocateHost(64, { shared: true }).share();
    return device.attachHost({ bytes: pages.bytes + 1, pages });
  },
  'device.recordMemoryHistory': () => device.recordMemoryHistory({ enabled: 'some' as never }),
  'device.attachOutOfMemoryObserver': () => device.attachOutOfMemoryObserver(none),
  'device.on': () => device.on('closed' as never, () => undefined),
  'device.loadModels': () => device.loadModels(none),
  'device.capture': () => device.capture(stream, none),
  'host.as': () => device.allocateHost(64).as(none),
  'host.as of half an element': () => device.allocateHost(64).as(Float32Array, 0, 1.5),
  'graph.replay with a binding to nothing': async () => {
    await using graph = await device.capture(stream, () => stream.fill(buffer, 0));
    await graph.replay(stream, { bindings: [[buffer, none]] });
  },
  'Device.attach, a second time': async () => {
    const shared = device.share();
    const attached = await Device.attach(shared);
    await Device.attach(shared).finally(() => attached.close());
  },
  'device.memoryInfo': () => device.memoryInfo('hbm' as never),
  'device.defaultMemoryPool': () => device.defaultMemoryPool('hbm' as never),
  'device.allocate from no pool': () => device.allocate(64, { pool: {} as never }),
  'createExecutor with null as its options': () => createExecutor('model.pt2', none),
  'createExecutor on no device': () => createExecutor('model.pt2', { device: {} as never }),
  'createExecutor with a delay as text': () => createExecutor('model.pt2', { maxDelay: '5' as never }),
};

describe('a handle of the wrong kind', () => {
  it.each(Object.entries(WRONG_KIND))('is refused by name: %s', async (_, call) => {
    await expect((async () => call())()).rejects.toMatchObject({ name: 'MtiaError', code: 'INVALID_ARGUMENT' });
    await stream.synchronize().catch(() => undefined);
    await expect(stream.fill(buffer, 0)).resolves.toBeDefined();
  });
});

describe('a handle of another device', () => {
  const belongs = { code: 'INVALID_ARGUMENT', message: expect.stringContaining('another device') };

  it('is refused where it is a kernel, at a launch and in a capture', async () => {
    const kernel = other.kernel('null');
    await expect(stream.launch(kernel, { grid: ONE_PE })).rejects.toMatchObject(belongs);
    await expect(
      device.capture(stream, () => {
        stream.launch(kernel, { grid: ONE_PE }).catch(() => undefined);
        throw new Error('not taken');
      }),
    ).rejects.toThrow('not taken');
    await stream.synchronize().catch(() => undefined);
  });

  it('is refused where it is a stream that a graph shall capture', async () => {
    const graph = device.createGraph();
    expect(() => graph.captureBegin(other.defaultStream)).toThrow(expect.objectContaining(belongs));
    expect(other.defaultStream.isCapturing).toBe(false);
    await graph.close();
  });

  it('does not draw a stream into a capture of another device', async () => {
    const graph = device.createGraph();
    graph.captureBegin(stream);
    const event = stream.recordEvent();
    expect(() => other.defaultStream.waitEvent(event)).toThrow(expect.objectContaining(belongs));
    expect(other.defaultStream.isCapturing).toBe(false);
    graph.captureEnd();
    await graph.close();
  });

  it('is refused where it is the graph of an update, and so is the graph itself', async () => {
    const fill = (on: Device, target: DeviceBuffer) =>
      on.capture(on.defaultStream, (captured) => void captured.fill(target, 1));
    const theirs = await other.allocate(64);
    const [mine, foreign] = await Promise.all([fill(device, buffer), fill(other, theirs)]);
    await expect(mine.update(foreign)).rejects.toMatchObject(belongs);
    await expect(mine.update(mine)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    await expect(mine.replay()).resolves.toBeDefined();
    await expect(foreign.replay()).resolves.toBeDefined();
    await Promise.all([mine.close(), foreign.close()]);
  });

  it('stays good over a reset where it is a kernel of the same one', async () => {
    const card = await openTestDevice();
    const kernel = card.kernel('null');
    await card.reset();
    await expect(card.defaultStream.launch(kernel, { grid: ONE_PE })).resolves.toBeDefined();
    await card.close();
  });
});
