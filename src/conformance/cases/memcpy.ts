/** Copies of the Streaming API: strided, in lists, between devices, when arrays are taken, what is refused. */
import assert from 'node:assert/strict';
import type { Device, Stream } from '../../streaming-api/index.js';
import { category, conformanceCase } from '../case.js';
import { equalBytes, rejectsWith } from '../expectations.js';
import type { Fixture } from '../fixture.js';

async function setUp(fixture: Fixture) {
  const device = await fixture.device();
  return { device, stream: device.defaultStream };
}

async function filled(device: Device, bytes: Uint8Array) {
  const buffer = await device.allocate(bytes.length);
  await device.defaultStream.copyToDevice(buffer, bytes);
  return buffer;
}

async function contents(device: Device, buffer: Awaited<ReturnType<typeof filled>>): Promise<Uint8Array> {
  const bytes = new Uint8Array(buffer.bytes);
  await device.defaultStream.copyToHost(bytes, buffer);
  return bytes;
}

/** Holds a stream up until `release` is called, be it before the stream gets there. */
function hold(stream: Stream) {
  let release: () => void = () => undefined;
  const gate = new Promise<void>((resolve) => {
    release = resolve;
  });
  return { held: stream.launchHostFunction(() => gate), release };
}

interface Shape {
  readonly rows: number;
  readonly bytes: number;
  readonly sourceStride: number;
  readonly destinationStride: number;
  readonly sourceOffset: number;
  readonly destinationOffset: number;
}

function shapeOf({ random }: Fixture): Shape {
  const bytes = random.integer(1, 40);
  return {
    rows: random.integer(1, 12),
    bytes,
    sourceStride: bytes + random.integer(0, 30),
    destinationStride: bytes + random.integer(0, 30),
    sourceOffset: random.integer(0, 9),
    destinationOffset: random.integer(0, 9),
  };
}

function reference(destination: Uint8Array, source: Uint8Array, shape: Shape): Uint8Array {
  const result = destination.slice();
  for (let row = 0; row < shape.rows; row++) {
    const from = shape.sourceOffset + row * shape.sourceStride;
    result.set(source.subarray(from, from + shape.bytes), shape.destinationOffset + row * shape.destinationStride);
  }
  return result;
}

const SIZE = 1024;
const TIMES = 5;

export const memcpyCases = category('async memcpy', { requires: ['memory'] }, [
  conformanceCase('copies rows to the device as single copies would', 'CPY-2', {}, async (fixture) => {
    const { device, stream } = await setUp(fixture);
    for (let times = 0; times < TIMES; times++) {
      const [before, source, shape] = [fixture.random.bytes(SIZE), fixture.random.bytes(SIZE), shapeOf(fixture)];
      const buffer = await filled(device, before);
      await stream.copyToDevice(buffer, source, shape);
      equalBytes(await contents(device, buffer), reference(before, source, shape), JSON.stringify(shape));
    }
  }),

  conformanceCase('copies rows from the device as single copies would', 'CPY-2', {}, async (fixture) => {
    const { device, stream } = await setUp(fixture);
    for (let times = 0; times < TIMES; times++) {
      const [before, source, shape] = [fixture.random.bytes(SIZE), fixture.random.bytes(SIZE), shapeOf(fixture)];
      const result = before.slice();
      await stream.copyToHost(result, await filled(device, source), shape);
      equalBytes(result, reference(before, source, shape), JSON.stringify(shape));
    }
  }),

  conformanceCase('copies rows on the device and with pinned memory', 'CPY-2', {}, async (fixture) => {
    const { device, stream } = await setUp(fixture);
    for (let times = 0; times < TIMES; times++) {
      const [before, source, shape] = [fixture.random.bytes(SIZE), fixture.random.bytes(SIZE), shapeOf(fixture)];
      const expected = reference(before, source, shape);
      const onDevice = await filled(device, before);
      await stream.copy(onDevice, await filled(device, source), shape);
      equalBytes(await contents(device, onDevice), expected, `on the device, ${JSON.stringify(shape)}`);
      const host = device.allocateHost(SIZE);
      host.view.set(source);
      const uploaded = await filled(device, before);
      await stream.copyToDevice(uploaded, host, shape);
      equalBytes(await contents(device, uploaded), expected, 'to the device');
      host.view.set(before);
      await stream.copyToHost(host, await filled(device, source), shape);
      equalBytes(host.view.slice(), expected, 'from the device');
    }
  }),

  conformanceCase('copies nothing where there are no rows or no bytes', 'CPY-2', {}, async (fixture) => {
    const { device, stream } = await setUp(fixture);
    const before = fixture.random.bytes(64);
    const buffer = await filled(device, before);
    const source = await filled(device, fixture.random.bytes(64));
    await stream.copy(buffer, source, { rows: 0, bytes: 8 });
    await stream.copy(buffer, source, { rows: 8, bytes: 0, sourceStride: 8 });
    await stream.copyToDevice(buffer, new Uint8Array(0));
    await stream.copyList([]);
    equalBytes(await contents(device, buffer), before, 'the buffer');
  }),

  conformanceCase('copies nothing in the order of the stream', 'CPY-1', {}, async (fixture) => {
    const { device, stream } = await setUp(fixture);
    const buffer = await filled(device, fixture.random.bytes(64));
    const { held, release } = hold(stream);
    let released = false;
    const copies = [
      stream.copyToDevice(buffer, new Uint8Array(0)),
      stream.copyToDevice(buffer, new Uint8Array(8), { rows: 0, bytes: 8, destinationStride: 16 }),
      stream.copyToHost(new Uint8Array(8), buffer, { rows: 0, bytes: 8, sourceStride: 16 }),
      stream.copy(buffer, buffer, { rows: 8, bytes: 0, sourceStride: 8 }),
    ].map((copy) => copy.then(() => assert.ok(released, 'a copy of nothing passed what was before it')));
    setTimeout(() => {
      released = true;
      release();
    }, 20);
    await Promise.all([held, ...copies]);
  }),

  conformanceCase('refuses rows that leave a side, overlap, or have no length', 'NEG-1', {}, async (fixture) => {
    const { device, stream } = await setUp(fixture);
    const buffer = await filled(device, new Uint8Array(64));
    const other = await filled(device, new Uint8Array(64));
    const wrong = [
      { rows: 2 },
      { rows: -1, bytes: 4 },
      { rows: 1.5, bytes: 4 },
      { rows: 3, bytes: 16, sourceStride: 32 },
      { rows: 3, bytes: 16, destinationStride: 32 },
      { rows: 2, bytes: 16, sourceStride: 8 },
      { rows: 2, bytes: 16, destinationStride: -16 },
      { rows: 2, bytes: 16, sourceOffset: 40 },
    ];
    for (const options of wrong) {
      await rejectsWith('INVALID_ARGUMENT', stream.copy(other, buffer, options));
      await rejectsWith('INVALID_ARGUMENT', stream.copyToDevice(other, new Uint8Array(64), options));
      await rejectsWith('INVALID_ARGUMENT', stream.copyToHost(new Uint8Array(64), buffer, options));
    }
    await rejectsWith(
      'INVALID_ARGUMENT',
      stream.copy(buffer, buffer, { rows: 2, bytes: 8, sourceStride: 16, destinationStride: 16, destinationOffset: 4 }),
    );
    await stream.copy(buffer, buffer, {
      rows: 2,
      bytes: 8,
      sourceStride: 16,
      destinationStride: 16,
      destinationOffset: 8,
    });
  }),

  conformanceCase('copies a list in its order', 'CPY-2', {}, async (fixture) => {
    const { device, stream } = await setUp(fixture);
    const source = fixture.random.bytes(64);
    const buffer = await filled(device, new Uint8Array(64));
    const other = await filled(device, source);
    const result = new Uint8Array(64);
    await stream.copyList([
      { destination: buffer, source: new Uint8Array(16).fill(9) },
      { destination: buffer, source: other, destinationOffset: 8, bytes: 16 },
      { destination: result, source: buffer },
    ]);
    const expected = new Uint8Array(64).fill(9, 0, 16);
    expected.set(source.subarray(0, 16), 8);
    equalBytes(result, expected, 'the result');
  }),

  conformanceCase('sends nothing of a list with a wrong copy', 'NEG-1', {}, async (fixture) => {
    const { device, stream } = await setUp(fixture);
    const before = fixture.random.bytes(16);
    const buffer = await filled(device, before);
    const good = { destination: buffer, source: new Uint8Array(16) };
    for (const bad of [
      { destination: buffer, source: new Uint8Array(17) },
      { destination: new Uint8Array(4), source: new Uint8Array(4) },
    ]) {
      await rejectsWith('INVALID_ARGUMENT', stream.copyList([good, bad]));
    }
    equalBytes(await contents(device, buffer), before, 'the buffer');
  }),

  conformanceCase('takes an array at the call and pinned memory at its turn', 'CPY-3', {}, async (fixture) => {
    const { device, stream } = await setUp(fixture);
    const timeline = await device.createTimeline();
    const [first, second] = [await device.allocate(4), await device.allocate(4)];
    const host = device.allocateHost(4);
    const array = Uint32Array.of(1);
    host.as(Uint32Array).set([1]);
    const { held, release } = hold(stream);
    stream.copyToDevice(first, array);
    stream.copyToDevice(second, host);
    await new Promise((resolve) => setTimeout(resolve, 5));
    array[0] = 2;
    host.as(Uint32Array).set([2]);
    release();
    await held;
    const values = [new Uint32Array(1), new Uint32Array(1)] as const;
    stream.copyToHost(values[0], first);
    await stream.copyToHost(values[1], second);
    assert.deepEqual([values[0][0], values[1][0]], [1, 2]);
    timeline.close();
  }),

  conformanceCase('returns at once, and settles when the bytes are there', 'CPY-1', {}, async (fixture) => {
    const { device, stream } = await setUp(fixture);
    const source = fixture.random.bytes(1 << 20);
    const buffer = await device.allocate(source.length);
    const result = new Uint8Array(source.length);
    let settled = false;
    stream.copyToDevice(buffer, source);
    const done = stream.copyToHost(result, buffer).then(() => (settled = true));
    assert.equal(settled, false);
    await done;
    equalBytes(result, source, 'the result');
  }),

  conformanceCase('leaves the event loop free while it copies', 'CPY-4', { requires: ['kernels'] }, async (fixture) => {
    const { device, stream } = await setUp(fixture);
    const bytes = 32 << 20;
    const [first, second] = [await device.allocate(bytes), await device.allocate(bytes)];
    let turns = 0;
    let busy = true;
    const turn = (): void => {
      turns++;
      if (busy) setImmediate(turn);
    };
    turn();
    await stream.copy(second, first);
    busy = false;
    assert.ok(turns > 1, `${turns} turns of the event loop`);
  }),

  conformanceCase('arrives whole at another device', 'CPY-5', {}, async (fixture) => {
    const [here, there] = [await fixture.device(), await fixture.device()];
    for (const bytes of [0, 1, 1000, 256 * 1024, 700_001]) {
      const source = fixture.random.bytes(Math.min(bytes, 4096));
      const whole = Uint8Array.from({ length: bytes }, (_, index) => (source[index % 4096] ?? 0) ^ (index >> 12));
      const from = await here.allocate(Math.max(bytes, 1));
      const to = await there.allocate(Math.max(bytes, 1) + 64);
      if (bytes > 0) here.defaultStream.copyToDevice(from, whole);
      there.defaultStream.fill(to, 0, { bytes: Math.floor(to.bytes / 4) * 4 });
      here.defaultStream.copyToPeer(there.defaultStream, to, from, { destinationOffset: 32, bytes });
      const result = new Uint8Array(bytes);
      await there.defaultStream.copyToHost(result, to, { sourceOffset: 32 });
      equalBytes(result, whole, `${bytes} bytes`);
      here.defaultStream.fill(from, 0, { bytes: Math.floor(from.bytes / 4) * 4 });
    }
    await here.synchronize();
    await there.synchronize();
  }),

  conformanceCase('refuses copies between the wrong devices', 'MUL-2', {}, async (fixture) => {
    const [here, there] = [await fixture.device(), await fixture.device()];
    const [ours, theirs] = [await here.allocate(4), await there.allocate(4)];
    await rejectsWith('INVALID_ARGUMENT', here.defaultStream.copyToPeer(there.defaultStream, ours, theirs));
    await rejectsWith('INVALID_ARGUMENT', here.defaultStream.copyToPeer(here.defaultStream, theirs, ours));
    await rejectsWith('INVALID_ARGUMENT', here.defaultStream.copy(theirs, ours));
    await rejectsWith('INVALID_ARGUMENT', here.defaultStream.copyList([{ destination: theirs, source: ours }]));
  }),

  conformanceCase('ends a copy that its signal aborts before it starts', 'FAIL-4', {}, async (fixture) => {
    const { device, stream } = await setUp(fixture);
    const before = fixture.random.bytes(16);
    const buffer = await filled(device, before);
    const controller = new AbortController();
    const { held, release } = hold(stream);
    const copy = stream.copyToDevice(buffer, new Uint8Array(16), { signal: controller.signal });
    const behind = stream.fill(buffer, 0, { offset: 0, bytes: 4 });
    controller.abort();
    await new Promise((resolve) => setTimeout(resolve, 5));
    release();
    await held;
    await rejectsWith('ABORTED', copy);
    await behind;
    await rejectsWith('ABORTED', stream.synchronize());
    const after = before.slice();
    after.fill(0, 0, 4);
    equalBytes(await contents(device, buffer), after, 'the buffer');
  }),

  conformanceCase(
    'ends everything on a stream that is aborted, and works again',
    'FAIL-4',
    { requires: ['kernels', 'queues'] },
    async (fixture) => {
      const { device, stream } = await setUp(fixture);
      const other = await device.createStream();
      const buffer = await device.allocate(4);
      await stream.fill(buffer, 1);
      const running = stream.launch(device.kernel('ENDLESS'), { grid: { columns: 8, rows: 8 } });
      const behind = stream.fill(buffer, 2);
      const event = stream.recordEvent();
      other.waitEvent(event);
      const dependent = other.fill(buffer, 3);
      const reason = new Error('enough');
      const outcomes = [running, behind, dependent].map((work) => rejectsWith('ABORTED', work));
      await new Promise((resolve) => setTimeout(resolve, 5));
      await stream.abort(reason);
      const [first] = await Promise.all(outcomes);
      assert.equal(first?.cause, reason);
      await stream.synchronize();
      await stream.launch(device.kernel('NULL'), { grid: { columns: 8, rows: 8 } });
      const result = new Uint32Array(1);
      await stream.copyToHost(result, buffer);
      assert.equal(result[0], 1);
      await rejectsWith('ABORTED', other.synchronize());
      other.waitEvent(stream.recordEvent());
      await other.fill(buffer, 4);
    },
  ),

  conformanceCase(
    'frees the processing elements of a launch that its signal aborts',
    'FAIL-4',
    { requires: ['kernels'] },
    async (fixture) => {
      const { device, stream } = await setUp(fixture);
      const controller = new AbortController();
      const grid = { columns: 8, rows: 8 };
      const endless = stream.launch(device.kernel('ENDLESS'), { grid, signal: controller.signal });
      const next = stream.launch(device.kernel('NULL'), { grid });
      setTimeout(() => controller.abort(), 5);
      await rejectsWith('ABORTED', endless);
      await next;
      await rejectsWith('ABORTED', stream.launch(device.kernel('NULL'), { grid, signal: controller.signal }));
    },
  ),
]);
