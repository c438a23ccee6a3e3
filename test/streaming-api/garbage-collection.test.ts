import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Device, Event } from '../../src/streaming-api/index.js';
import { ONE_PE, openTestDevice } from './test-device.js';
import { copyGraph } from './test-graph.js';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

const TIMES = 3;

/** What a service makes and closes over and over on a device that it keeps for weeks. Answers the object after its use. */
const LIVES: Readonly<Record<string, (device: Device) => Promise<object>>> = {
  'a stream': async (device) => {
    const stream = await device.createStream();
    await stream.launch(device.kernel('NULL'), { grid: ONE_PE });
    await stream.close();
    return stream;
  },
  'a device buffer': async (device) => {
    const buffer = await device.allocate(4096);
    await device.defaultStream.fill(buffer, 7);
    buffer.free();
    return buffer;
  },
  'a device buffer in the order of a stream': async (device) => {
    const buffer = await device.defaultStream.allocate(4096);
    await device.defaultStream.free(buffer);
    return buffer;
  },
  'a host buffer': async (device) => {
    const buffer = device.allocateHost(65_536);
    await device.defaultStream.copyToHost(buffer, await device.allocate(65_536));
    buffer.free();
    return buffer;
  },
  'an event': async (device) => {
    const event = new Event();
    event.record(device.defaultStream);
    await event.synchronize();
    return event;
  },
  'a timeline': async (device) => {
    const timeline = await device.createTimeline();
    await timeline.signal(1);
    timeline.close();
    return timeline;
  },
  'a graph': async (device) => {
    const graph = device.createGraph();
    graph.captureBegin(device.defaultStream);
    device.defaultStream.launch(device.kernel('NULL'), { grid: ONE_PE });
    graph.captureEnd();
    await graph.instantiate();
    await graph.replay(device.defaultStream);
    await graph.close();
    return graph;
  },
  'a model': async (device) => {
    const model = await device.loadModel(copyGraph());
    await model.run({ x: new Float32Array(16), half: new Uint16Array(16) });
    await model.close();
    return model;
  },
  'the default stream from before a reset': async (device) => {
    const stream = device.defaultStream;
    await device.reset('once more');
    return stream;
  },
  'a host function': async (device) => {
    const called = (): undefined => undefined;
    await device.defaultStream.launchHostFunction(called);
    return called;
  },
};

describe('A device that stays open keeps nothing of', () => {
  let device: Device;
  beforeAll(async () => {
    device = await openTestDevice();
  });
  afterAll(() => device.close());

  it.each(Object.keys(LIVES))('%s', async (name) => {
    const ended: WeakRef<object>[] = [];
    for (let time = 0; time < TIMES; time++) ended.push(new WeakRef((await LIVES[name]?.(device)) as object));
    // The latest may still be reached by what the last turns of the event loop have left.
    const left = (): number => {
      collectGarbage();
      return ended.filter((reference) => reference.deref() !== undefined).length;
    };
    await expect.poll(left, { timeout: 10_000, interval: 20 }).toBeLessThanOrEqual(1);
  });
});
