/** Capture, instantiation, replay: what a graph does, keeps, refuses. */
import assert from 'node:assert/strict';
import { FaultInjectingFunction } from '../../driver/index.js';
import type { Device, DeviceBuffer, Stream } from '../../streaming-api/index.js';
import { Event } from '../../streaming-api/index.js';
import { category, conformanceCase } from '../case.js';
import { equalBytes, rejectsWith, settlesWithin } from '../expectations.js';
import type { Fixture } from '../fixture.js';

const ONE_PE = { columns: 1, rows: 1 } as const;

async function setUp(fixture: Fixture) {
  const device = await fixture.device();
  return { device, stream: device.defaultStream };
}

async function words(stream: Stream, buffer: DeviceBuffer): Promise<number[]> {
  const result = new Uint32Array(buffer.bytes / 4);
  await stream.copyToHost(result, buffer);
  return [...result];
}

/** Adds 1 to the 64-bit word at the start of the buffer. */
function addOne(device: Device, stream: Stream, buffer: DeviceBuffer, times = 1): void {
  stream.launch(device.kernel('ADD_ONE'), { grid: ONE_PE }, [buffer, times]);
}

async function twoWords(device: Device): Promise<{ first: DeviceBuffer; second: DeviceBuffer }> {
  const [first, second] = [await device.allocate(8), await device.allocate(8)];
  await device.defaultStream.fill(first, 0);
  await device.defaultStream.fill(second, 0);
  return { first, second };
}

type Refused = (parts: { device: Device; stream: Stream; buffer: DeviceBuffer }) => unknown;

const REFUSED: Readonly<Record<string, Refused>> = {
  synchronize: ({ stream }) => stream.synchronize(),
  query: ({ stream }) => stream.query(),
  'a function of the host': ({ stream }) => stream.launchHostFunction(() => undefined),
  'a copy to an array': ({ stream, buffer }) => stream.copyToHost(new Uint8Array(8), buffer),
  'a copy that decompresses': ({ stream, buffer }) =>
    stream.copyToDevice(buffer, new Uint8Array(8), { decompress: 'gzip' }),
  allocate: ({ stream }) => stream.allocate(64),
  'a launch with a deadline': ({ device, stream }) =>
    stream.launch(device.kernel('NULL'), { grid: ONE_PE, deadlineMs: 5 }),
  'more than 32 argument words': ({ device, stream }) =>
    stream.launch(device.kernel('NULL'), { grid: ONE_PE }, new Array<number>(33).fill(0)),
};

function refusals() {
  return Object.entries(REFUSED).map(([what, refused]) =>
    conformanceCase(`refuses ${what} by name, and the stream works again`, 'GRA-5', {}, async (fixture) => {
      const { device, stream } = await setUp(fixture);
      const { first } = await twoWords(device);
      const graph = device.createGraph();
      graph.captureBegin(stream);
      await rejectsWith('CAPTURE_UNSUPPORTED', async () => refused({ device, stream, buffer: first }));
      addOne(device, stream, first);
      const error = await rejectsWith('CAPTURE_INVALIDATED', async () => graph.captureEnd());
      assert.equal((error.cause as { code?: string }).code, 'CAPTURE_UNSUPPORTED');
      assert.equal(stream.isCapturing, false);
      addOne(device, stream, first);
      await stream.synchronize();
      assert.deepEqual(await words(stream, first), [1, 0]);
    }),
  );
}

export const graphCases = category('graph', { requires: ['kernels'] }, [
  conformanceCase('runs nothing while it captures', 'GRA-1', {}, async (fixture) => {
    const { device, stream } = await setUp(fixture);
    const { first, second } = await twoWords(device);
    const graph = device.createGraph();
    assert.equal(stream.isCapturing, false);
    graph.captureBegin(stream);
    assert.equal(stream.isCapturing, true);
    addOne(device, stream, first);
    stream.fill(second, 7);
    stream.copy(second, first);
    graph.captureEnd();
    assert.equal(stream.isCapturing, false);
    assert.equal(graph.nodeCount, 3);
    await graph.instantiate();
    assert.deepEqual(await words(stream, first), [0, 0]);
    assert.deepEqual(await words(stream, second), [0, 0]);
  }),

  conformanceCase('replays what eager commands would have done', 'GRA-1', {}, async (fixture) => {
    const { device, stream } = await setUp(fixture);
    const steps = Array.from({ length: 30 }, () => fixture.random.integer(0, 2));
    const run = (a: DeviceBuffer, b: DeviceBuffer): void => {
      for (const [index, step] of steps.entries()) {
        if (step === 0) addOne(device, stream, index % 2 === 0 ? a : b, index);
        if (step === 1) stream.copy(a, b);
        if (step === 2) stream.fill(b, index, { offset: 4, bytes: 4 });
      }
    };
    const eager = await twoWords(device);
    run(eager.first, eager.second);
    const { first, second } = await twoWords(device);
    const graph = await device.capture(stream, () => run(first, second));
    await graph.replay(stream);
    assert.deepEqual(await words(stream, first), await words(stream, eager.first));
    assert.deepEqual(await words(stream, second), await words(stream, eager.second));
  }),

  conformanceCase('replays in the order of the stream', 'GRA-1', {}, async (fixture) => {
    const { device, stream } = await setUp(fixture);
    const { first } = await twoWords(device);
    const graph = await device.capture(stream, () => addOne(device, stream, first, 3));
    stream.fill(first, 10, { bytes: 4 });
    graph.replay(stream);
    addOne(device, stream, first);
    graph.replay(stream);
    assert.deepEqual(await words(stream, first), [17, 0]);
  }),

  conformanceCase('counts jobs and device time of a replay', 'GRA-1', {}, async (fixture) => {
    const { device, stream } = await setUp(fixture);
    const { first, second } = await twoWords(device);
    const graph = await device.capture(stream, () => {
      for (let times = 0; times < 5; times++) addOne(device, stream, first);
      stream.copy(second, first);
    });
    const { jobs, deviceUs } = await graph.replay(stream);
    assert.equal(jobs, 5);
    assert.ok(deviceUs > 0);
  }),

  conformanceCase('captures copies across the host interface', 'GRA-1', {}, async (fixture) => {
    const { device, stream } = await setUp(fixture);
    const { first } = await twoWords(device);
    const [input, output] = [device.allocateHost(8), device.allocateHost(8)];
    const graph = await device.capture(stream, () => {
      stream.copyToDevice(first, input);
      addOne(device, stream, first);
      stream.copyToHost(output, first);
      stream.copyToDevice(first, Uint32Array.of(40, 0));
      addOne(device, stream, first);
    });
    for (const value of [5, 9]) {
      input.as(Uint32Array).set([value, 0]);
      await graph.replay(stream);
      assert.deepEqual([...output.as(Uint32Array)], [value + 1, 0]);
      assert.deepEqual(await words(stream, first), [41, 0]);
    }
  }),

  conformanceCase('captures rows and lists', 'GRA-1', {}, async (fixture) => {
    const { device, stream } = await setUp(fixture);
    const source = fixture.random.bytes(64);
    const [from, to] = [await device.allocate(64), await device.allocate(64)];
    await stream.copyToDevice(from, source);
    await stream.fill(to, 0);
    const graph = await device.capture(stream, () => {
      stream.copy(to, from, { rows: 4, bytes: 4, sourceStride: 16, destinationStride: 8 });
      stream.copyList([{ destination: to, source: from, destinationOffset: 40, bytes: 3 }]);
    });
    await graph.replay(stream);
    const expected = new Uint8Array(64);
    for (let row = 0; row < 4; row++) expected.set(source.subarray(16 * row, 16 * row + 4), 8 * row);
    expected.set(source.subarray(0, 3), 40);
    const result = new Uint8Array(64);
    await stream.copyToHost(result, to);
    equalBytes(result, expected, 'the destination');
  }),

  conformanceCase('carries capture to other streams by events', 'GRA-2', { requires: ['queues'] }, async (fixture) => {
    const { device, stream } = await setUp(fixture);
    const other = await device.createStream();
    const { first, second } = await twoWords(device);
    const graph = await device.capture(stream, () => {
      addOne(device, stream, first, 2);
      other.waitEvent(stream.recordEvent());
      assert.equal(other.isCapturing, true);
      other.copy(second, first);
      addOne(device, other, second, 10);
      stream.waitStream(other);
      stream.copy(first, second);
    });
    assert.equal(other.isCapturing, false);
    assert.equal(graph.nodeCount, 4);
    await graph.replay(stream);
    assert.deepEqual(await words(stream, first), [12, 0]);
    await other.synchronize();
  }),

  conformanceCase(
    'refuses the end where a stream was not joined',
    'GRA-2',
    { requires: ['queues'] },
    async (fixture) => {
      const { device, stream } = await setUp(fixture);
      const other = await device.createStream();
      const { first } = await twoWords(device);
      await rejectsWith('CAPTURE_UNJOINED', () =>
        device.capture(stream, () => {
          other.waitStream(stream);
          addOne(device, other, first);
        }),
      );
      for (const again of [stream, other]) {
        assert.equal(again.isCapturing, false);
        addOne(device, again, first);
        await again.synchronize();
      }
    },
  ),

  conformanceCase('uses other buffers where a replay binds them', 'GRA-3', {}, async (fixture) => {
    const { device, stream } = await setUp(fixture);
    const { first, second } = await twoWords(device);
    const others = await twoWords(device);
    const graph = await device.capture(stream, () => {
      addOne(device, stream, first, 5);
      stream.copy(second, first);
    });
    await graph.replay(stream, { bindings: new Map([[first, others.first]]) });
    assert.deepEqual(await words(stream, first), [0, 0]);
    assert.deepEqual(await words(stream, others.first), [5, 0]);
    assert.deepEqual(await words(stream, second), [5, 0]);
    await graph.replay(stream, { bindings: [[second, others.second]] });
    assert.deepEqual(await words(stream, first), [5, 0]);
    assert.deepEqual(await words(stream, second), [5, 0]);
    assert.deepEqual(await words(stream, others.second), [5, 0]);
  }),

  conformanceCase('refuses bindings that do not fit', 'GRA-3', {}, async (fixture) => {
    const { device, stream } = await setUp(fixture);
    const elsewhere = await (await fixture.device()).allocate(8);
    const { first, second } = await twoWords(device);
    const graph = await device.capture(stream, () => addOne(device, stream, first));
    const small = await device.allocate(4);
    await rejectsWith('INVALID_ARGUMENT', graph.replay(stream, { bindings: [[second, first]] }));
    await rejectsWith('INVALID_ARGUMENT', graph.replay(stream, { bindings: [[first, small]] }));
    await rejectsWith('INVALID_ARGUMENT', graph.replay(stream, { bindings: [[first, elsewhere]] }));
    second.free();
    await rejectsWith('DEVICE_CLOSED', graph.replay(stream, { bindings: [[first, second]] }));
    await rejectsWith('INVALID_ARGUMENT', stream.synchronize());
    await graph.replay(stream);
    assert.deepEqual(await words(stream, first), [1, 0]);
  }),

  conformanceCase('binds each of sixty-four buffers', 'GRA-3', {}, async (fixture) => {
    const { device, stream } = await setUp(fixture);
    const buffers = await Promise.all(Array.from({ length: 70 }, () => device.allocate(4)));
    const graph = await device.capture(stream, () => {
      for (const [index, buffer] of buffers.entries()) stream.fill(buffer, index);
    });
    const other = await device.allocate(4);
    await graph.replay(stream, { bindings: [[buffers[63] as DeviceBuffer, other]] });
    assert.deepEqual(await words(stream, other), [63]);
    assert.deepEqual(await words(stream, buffers[69] as DeviceBuffer), [69]);
    const late = graph.replay(stream, { bindings: [[buffers[64] as DeviceBuffer, other]] });
    await rejectsWith('INVALID_ARGUMENT', late);
  }),

  conformanceCase('keeps buffers that are freed until it is closed', 'GRA-4', {}, async (fixture) => {
    const { device, stream } = await setUp(fixture);
    const { first, second } = await twoWords(device);
    const before = device.memoryStats().dram.allocated_bytes;
    const graph = await device.capture(stream, () => {
      addOne(device, stream, first);
      stream.copy(second, first);
    });
    const address = first.address;
    first.free();
    for (let times = 0; times < 5; times++) {
      const other = await device.allocate(8);
      assert.notEqual(other.address, address);
    }
    await graph.replay(stream);
    assert.deepEqual(await words(stream, second), [1, 0]);
    await graph.close();
    assert.ok(device.memoryStats().dram.allocated_bytes <= before + 5 * 4096);
    await rejectsWith('DEVICE_CLOSED', graph.replay(stream));
  }),

  conformanceCase('closes with a device that is lost while it replays', 'LIFE-3', {}, async (fixture) => {
    const faulty = new FaultInjectingFunction(fixture.card().pci);
    const device = await fixture.device({ card: { pci: faulty } });
    const { first } = await twoWords(device);
    const endless = await device.capture(device.defaultStream, (stream) => {
      addOne(device, stream, first);
      stream.launch(device.kernel('ENDLESS'), { grid: ONE_PE });
    });
    const lost = rejectsWith('DEVICE_LOST', endless.replay());
    faulty.faults.ejected = true;
    device.defaultStream.recordEvent();
    await lost;
    await settlesWithin(2000, 'close', device.close());
  }),

  conformanceCase('copies across the host interface to buffers that are freed', 'GRA-4', {}, async (fixture) => {
    const { device, stream } = await setUp(fixture);
    const { first, second } = await twoWords(device);
    const output = device.allocateHost(8);
    const graph = await device.capture(stream, () => {
      stream.copyToDevice(first, Uint32Array.of(7, 8));
      stream.copy(second, first);
      stream.copyToHost(output, first);
    });
    first.free();
    const other = await device.allocate(8);
    await graph.replay(stream);
    await graph.replay(stream, { bindings: [[second, other]] });
    assert.deepEqual([...output.as(Uint32Array)], [7, 8]);
    assert.deepEqual(await words(stream, second), [7, 8]);
    assert.deepEqual(await words(stream, other), [7, 8]);
  }),

  conformanceCase('refuses the end where a buffer was freed in the capture', 'GRA-5', {}, async (fixture) => {
    const { device, stream } = await setUp(fixture);
    const { first } = await twoWords(device);
    const graph = device.createGraph();
    graph.captureBegin(stream);
    stream.fill(first, 1);
    first.free();
    await rejectsWith('DEVICE_CLOSED', async () => graph.captureEnd());
    assert.equal(stream.isCapturing, false);
    await stream.synchronize();
  }),

  conformanceCase('closes once its replays are done', 'GRA-4', {}, async (fixture) => {
    const { device, stream } = await setUp(fixture);
    const { first } = await twoWords(device);
    const graph = await device.capture(stream, () => addOne(device, stream, first, 100));
    const replays = Array.from({ length: 20 }, () => graph.replay(stream));
    await graph.close();
    await Promise.all(replays);
    assert.deepEqual(await words(stream, first), [2000, 0]);
  }),

  ...refusals(),

  conformanceCase(
    'refuses events of outside, and gives none of inside',
    'GRA-5',
    { requires: ['queues'] },
    async (fixture) => {
      const { device, stream } = await setUp(fixture);
      const other = await device.createStream();
      const outside = other.recordEvent();
      await rejectsWith('CAPTURE_UNSUPPORTED', () => device.capture(stream, () => stream.waitEvent(outside)));
      const inside = new Event();
      const graph = await device.capture(stream, () => inside.record(stream));
      await rejectsWith('CAPTURE_UNSUPPORTED', async () => other.waitEvent(inside));
      await rejectsWith('CAPTURE_UNSUPPORTED', async () => inside.query());
      inside.record(stream);
      await inside.synchronize();
      assert.equal(graph.nodeCount, 0);
      await graph.replay(stream);
    },
  ),

  conformanceCase('refuses calls in the wrong state', 'NEG-2', {}, async (fixture) => {
    const { device, stream } = await setUp(fixture);
    const { first } = await twoWords(device);
    const graph = device.createGraph();
    await rejectsWith('INVALID_ARGUMENT', async () => graph.captureEnd());
    await rejectsWith('INVALID_ARGUMENT', graph.instantiate());
    await rejectsWith('INVALID_ARGUMENT', graph.replay(stream));
    graph.captureBegin(stream);
    await rejectsWith('INVALID_ARGUMENT', async () => graph.captureBegin(stream));
    await rejectsWith('INVALID_ARGUMENT', async () => stream.beginCapture());
    addOne(device, stream, first);
    graph.captureEnd();
    await rejectsWith('INVALID_ARGUMENT', graph.replay(stream));
    await graph.instantiate();
    await graph.instantiate();
    const elsewhere = await fixture.device();
    await rejectsWith('INVALID_ARGUMENT', graph.replay(elsewhere.defaultStream));
    graph.reset();
    await rejectsWith('INVALID_ARGUMENT', graph.replay(stream));
    stream.beginCapture();
    addOne(device, stream, first);
    const another = stream.endCapture();
    await rejectsWith('INVALID_ARGUMENT', stream.synchronize());
    await another.instantiate();
    await another.replay(stream);
    assert.deepEqual(await words(stream, first), [1, 0]);
  }),

  conformanceCase('replays ten thousand times', 'GRA-6', { deadlineMs: 30_000 }, async (fixture) => {
    const { device, stream } = await setUp(fixture);
    const { first } = await twoWords(device);
    const graph = await device.capture(stream, () => addOne(device, stream, first));
    let last = graph.replay(stream);
    for (let times = 1; times < 10_000; times++) {
      const next = graph.replay(stream);
      if (times % 100 === 0) await last;
      last = next;
    }
    assert.deepEqual(await words(stream, first), [10_000, 0]);
  }),

  conformanceCase('takes other parameters in place', 'GRA-6', {}, async (fixture) => {
    const { device, stream } = await setUp(fixture);
    const { first, second } = await twoWords(device);
    const graph = await device.capture(stream, () => addOne(device, stream, first, 1));
    graph.replay(stream);
    stream.beginCapture();
    addOne(device, stream, second, 20);
    await graph.update(stream.endCapture(), stream);
    await graph.replay(stream);
    assert.deepEqual(await words(stream, first), [1, 0]);
    assert.deepEqual(await words(stream, second), [20, 0]);
    stream.beginCapture();
    stream.fill(first, 0);
    await rejectsWith('INVALID_ARGUMENT', graph.update(stream.endCapture(), stream));
    await graph.replay(stream);
    assert.deepEqual(await words(stream, second), [40, 0]);
  }),

  conformanceCase('names the node that failed, and works again', 'GRA-7', {}, async (fixture) => {
    const { device, stream } = await setUp(fixture);
    const { first, second } = await twoWords(device);
    const graph = await device.capture(stream, () => {
      addOne(device, stream, first);
      stream.copy(second, first);
      stream.launch(device.kernel('RETURN_VALUE'), { grid: ONE_PE }, [99]);
      addOne(device, stream, first);
    });
    for (let times = 1; times <= 2; times++) {
      const error = await rejectsWith('KERNEL_ERROR', graph.replay(stream));
      assert.equal(error.place?.jobIndex, 2);
      await rejectsWith('KERNEL_ERROR', stream.synchronize());
      assert.deepEqual(await words(stream, first), [times, 0]);
    }
  }),

  conformanceCase('names a node of a stream that was drawn in', 'GRA-7', { requires: ['queues'] }, async (fixture) => {
    const { device, stream } = await setUp(fixture);
    const other = await device.createStream();
    const { first } = await twoWords(device);
    const graph = await device.capture(stream, () => {
      const fork = stream.recordEvent();
      addOne(device, stream, first);
      addOne(device, stream, first);
      other.waitEvent(fork);
      other.launch(device.kernel('RETURN_VALUE'), { grid: { column: 3, columns: 1, rows: 1 } }, [99]);
      stream.waitStream(other);
    });
    const error = await rejectsWith('KERNEL_ERROR', graph.replay(stream));
    assert.equal(error.place?.jobIndex, 2);
  }),

  conformanceCase('aborts what depends on a failed replay', 'FAIL-2', { requires: ['queues'] }, async (fixture) => {
    const { device, stream } = await setUp(fixture);
    const other = await device.createStream();
    const { first } = await twoWords(device);
    const graph = await device.capture(stream, () => {
      stream.launch(device.kernel('RETURN_VALUE'), { grid: ONE_PE }, [99]);
    });
    const failed = rejectsWith('KERNEL_ERROR', graph.replay(stream));
    other.waitStream(stream);
    const error = await rejectsWith('ABORTED', other.fill(first, 1));
    await failed;
    assert.equal((error.cause as { code?: string }).code, 'KERNEL_ERROR');
  }),

  conformanceCase('is of no use after a reset, and a new one is', 'RST-4', {}, async (fixture) => {
    const { device, stream } = await setUp(fixture);
    const { first } = await twoWords(device);
    const timeline = await device.createTimeline();
    const graph = await device.capture(stream, () => addOne(device, stream, first));
    const waiting = rejectsWith('ABORTED', timeline.wait(1));
    await device.reset();
    await waiting;
    await rejectsWith('DEVICE_RESET', graph.replay(device.defaultStream));
    await graph.close();
    timeline.close();
    await rejectsWith('DEVICE_RESET', device.defaultStream.synchronize());
    const fresh = await twoWords(device);
    const again = await device.capture(device.defaultStream, () => addOne(device, device.defaultStream, fresh.first));
    await again.replay(device.defaultStream);
    assert.deepEqual(await words(device.defaultStream, fresh.first), [1, 0]);
  }),

  conformanceCase('ends a replay by deadline and by signal', 'FAIL-4', {}, async (fixture) => {
    const { device, stream } = await setUp(fixture);
    const { first } = await twoWords(device);
    const graph = await device.capture(stream, () => {
      stream.copy(first, first);
      stream.launch(device.kernel('ENDLESS'), { grid: { columns: 8, rows: 8 } });
    });
    await rejectsWith('KERNEL_TIMEOUT', graph.replay(stream, { deadlineMs: 20 }));
    const controller = new AbortController();
    const aborted = rejectsWith('ABORTED', graph.replay(stream, { signal: controller.signal }));
    setTimeout(() => controller.abort(), 5);
    await aborted;
    await stream.launch(device.kernel('NULL'), { grid: { columns: 8, rows: 8 } });
  }),
]);
