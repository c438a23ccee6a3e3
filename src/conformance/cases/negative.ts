/** Wrong use of the public API: refused by name, and nothing has been sent. */
import assert from 'node:assert/strict';
import { FaultInjectingFunction, MtiaError } from '../../driver/index.js';
import { type ErrorName, PCI, registerOffset } from '../../hw/index.js';
import {
  Device,
  type DeviceBuffer,
  Event,
  f32,
  type HostBuffer,
  type Kernel,
  type SharedHostBuffer,
  type Stream,
  type Timeline,
} from '../../streaming-api/index.js';
import type { Capability } from '../capabilities.js';
import { category, conformanceCase } from '../case.js';
import { rejectsWith } from '../expectations.js';
import type { Fixture } from '../fixture.js';
import { copyGraph, ROW_ELEMENTS } from '../programs/copy-graph.js';

const BYTES = 256;
const TAIL = registerOffset('QUEUE_PAGE', 'SUBMISSION_TAIL');

interface Parts {
  readonly device: Device;
  readonly stream: Stream;
  readonly buffer: DeviceBuffer;
  readonly host: HostBuffer;
  readonly kernel: Kernel;
  /** Of the same kind, of another device. */
  readonly foreign: {
    readonly buffer: DeviceBuffer;
    readonly host: HostBuffer;
    readonly event: Event;
    readonly kernel: Kernel;
    readonly stream: Stream;
  };
  readonly freed: { readonly buffer: DeviceBuffer; readonly host: HostBuffer };
}

interface Misuse {
  readonly what: string;
  readonly code: ErrorName;
  /** What the message must name. */
  readonly names?: RegExp;
  readonly requires?: readonly Capability[];
  readonly call: (parts: Parts) => unknown;
}

const wrong = (what: string, call: Misuse['call'], names?: RegExp): Misuse => ({
  what,
  code: 'INVALID_ARGUMENT',
  call,
  ...(names === undefined ? {} : { names }),
});

const four = new Uint8Array(4);
const grid = { columns: 1, rows: 1 };

/** Every way to give a method what it does not take. */
const ARGUMENTS: readonly Misuse[] = [
  ...[0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY].flatMap((bytes) => [
    wrong(`device.allocate(${bytes})`, ({ device }) => device.allocate(bytes), /byte/),
    wrong(`device.allocateHost(${bytes})`, ({ device }) => device.allocateHost(bytes), /byte/),
  ]),
  ...[0, 3, -64, 1.5].map((alignment) =>
    wrong(`an alignment of ${alignment}`, ({ device }) => device.allocate(BYTES, { alignment }), /alignment|align/),
  ),
  ...[-1, BYTES + 1, 1.5, Number.NaN].flatMap((destinationOffset) => [
    wrong(`copyToDevice at offset ${destinationOffset}`, ({ stream, buffer }) =>
      stream.copyToDevice(buffer, four, { destinationOffset }),
    ),
    wrong(`copyToHost at offset ${destinationOffset}`, ({ stream, buffer }) =>
      stream.copyToHost(new Uint8Array(BYTES), buffer, { destinationOffset }),
    ),
    wrong(`copy at offset ${destinationOffset}`, ({ stream, buffer }) =>
      stream.copy(buffer, buffer, { destinationOffset, bytes: 4 }),
    ),
  ]),
  ...[-4, 2, 1.5].map((offset) =>
    wrong(`a fill at offset ${offset}`, ({ stream, buffer }) => stream.fill(buffer, 0, { offset, bytes: 4 })),
  ),
  wrong('a copy of more bytes than there are', ({ stream, buffer }) =>
    stream.copyToDevice(buffer, new Uint8Array(BYTES + 1)),
  ),
  wrong('a copy of less than nothing', ({ stream, buffer }) => stream.copyToDevice(buffer, four, { bytes: -1 })),
  wrong('a copy of part of a byte', ({ stream, buffer }) => stream.copyToHost(four, buffer, { bytes: 0.5 })),
  wrong('a copy that leaves pinned memory', ({ stream, buffer, host }) =>
    stream.copyToDevice(buffer, host, { sourceOffset: 8, bytes: BYTES }),
  ),
  wrong('a fill of no whole words', ({ stream, buffer }) => stream.fill(buffer, 0, { bytes: 6 })),
  ...[-1, 256, 1.5].map((columns) =>
    wrong(`a rectangle of ${columns} columns`, ({ stream, kernel }) =>
      stream.launch(kernel, { grid: { columns, rows: 1 } }),
    ),
  ),
  ...[0, -5, Number.NaN].map((deadlineMs) =>
    wrong(
      `a deadline of ${deadlineMs} ms`,
      ({ stream, kernel }) => stream.launch(kernel, { grid, deadlineMs }),
      /deadline/,
    ),
  ),
  wrong(
    '65 launch arguments',
    ({ stream, kernel }) => stream.launch(kernel, { grid }, new Array(65).fill(0)),
    /512|argument/,
  ),
  wrong('a launch argument of 65 bits', ({ stream, kernel }) => stream.launch(kernel, { grid }, [1n << 64n])),
  wrong('half a launch argument', ({ stream, kernel }) => stream.launch(kernel, { grid }, [0.5])),
  wrong('a part of pinned memory that is not aligned', ({ host }) => host.as(Float32Array, 2)),
  wrong('more of pinned memory than there is', ({ host }) => host.as(Float32Array, 0, BYTES)),
  wrong('times of an event that was not recorded', () => new Event().elapsedTime(new Event()), /record/),
  wrong(
    'a concurrency of 0',
    ({ device }) => device.loadModel(copyGraph(device.properties.generation, 1), { concurrency: 0 }),
    /concurrency/,
  ),
  wrong('null as the name of a kernel', ({ device }) => device.kernel(null as unknown as string), /kernel/),
  {
    what: 'a kernel that there is not',
    code: 'UNKNOWN_KERNEL',
    call: ({ device }) => device.kernel('nothing'),
    names: /nothing/,
  },
];

/** What is not there, and what is something else: a mistake that types would find, where there are types. */
const NOTHING = [null, undefined, {}, 7, 'memory'] as readonly unknown[];
const shown = (value: unknown): string => JSON.stringify(value) ?? 'undefined';

const NULLS: readonly Misuse[] = NOTHING.flatMap((nothing) => [
  wrong(`${shown(nothing)} as a buffer to copy to`, ({ stream }) => stream.copyToDevice(nothing as DeviceBuffer, four)),
  wrong(`${shown(nothing)} as a source`, ({ stream, buffer }) => stream.copyToDevice(buffer, nothing as Uint8Array)),
  wrong(`${shown(nothing)} as a destination`, ({ stream, buffer }) => stream.copyToHost(nothing as Uint8Array, buffer)),
  wrong(`${shown(nothing)} as a buffer to read`, ({ stream }) => stream.copyToHost(four, nothing as DeviceBuffer)),
  wrong(`${shown(nothing)} as a source on the device`, ({ stream, buffer }) =>
    stream.copy(buffer, nothing as DeviceBuffer),
  ),
  wrong(`${shown(nothing)} as a buffer to fill`, ({ stream }) => stream.fill(nothing as DeviceBuffer, 0)),
  wrong(`${shown(nothing)} as an event`, ({ stream }) => stream.waitEvent(nothing as Event)),
  wrong(`${shown(nothing)} as a stream`, ({ stream }) => stream.waitStream(nothing as Stream)),
  wrong(`${shown(nothing)} as a buffer to free`, ({ stream }) => stream.free(nothing as DeviceBuffer)),
  wrong(`${shown(nothing)} as a list`, ({ stream }) => stream.copyList(nothing as [])),
  wrong(`${shown(nothing)} as a timeline to wait for`, ({ stream }) => stream.waitTimeline(nothing as Timeline, 1)),
  wrong(`${shown(nothing)} as a timeline to signal`, ({ stream }) => stream.signalTimeline(nothing as Timeline, 1)),
  wrong(`${shown(nothing)} as the stream of an event`, () => new Event().record(nothing as Stream)),
  wrong(`${shown(nothing)} as the stream of another device`, ({ stream, buffer }) =>
    stream.copyToPeer(nothing as Stream, buffer, buffer),
  ),
  ...(nothing === undefined
    ? []
    : [
        wrong(`${shown(nothing)} as a stream to capture`, ({ device }) =>
          device.createGraph().captureBegin(nothing as Stream),
        ),
      ]),
  wrong(`${shown(nothing)} as a kernel`, ({ stream }) => stream.launch(nothing as Kernel, { grid })),
  wrong(`${shown(nothing)} as a function of the host`, ({ stream }) =>
    stream.launchHostFunction(nothing as () => undefined),
  ),
  wrong(`${shown(nothing)} as shared memory`, ({ device }) => device.attachHost(nothing as SharedHostBuffer)),
]);

const HANDLES: readonly Misuse[] = [
  wrong('a buffer of another device in a copy', ({ stream, foreign }) => stream.copyToDevice(foreign.buffer, four)),
  wrong('a buffer of another device in a copy back', ({ stream, foreign }) =>
    stream.copyToHost(four, foreign.buffer, { bytes: 4 }),
  ),
  wrong('a buffer of another device as a source', ({ stream, buffer, foreign }) => stream.copy(buffer, foreign.buffer)),
  wrong('a buffer of another device in a fill', ({ stream, foreign }) => stream.fill(foreign.buffer, 0)),
  wrong('a buffer of another device as an argument', ({ stream, kernel, foreign }) =>
    stream.launch(kernel, { grid }, [foreign.buffer, f32(1)]),
  ),
  wrong('pinned memory of another device', ({ stream, buffer, foreign }) => stream.copyToDevice(buffer, foreign.host)),
  wrong('an event of another device', ({ stream, foreign }) => stream.waitEvent(foreign.event)),
  wrong('a kernel of another device', ({ stream, foreign }) => stream.launch(foreign.kernel, { grid })),
  wrong('a stream of another device in a capture', ({ device, foreign }) =>
    device.capture(foreign.stream, () => assert.fail('it is captured')),
  ),
  wrong('an event in a capture of another device', async ({ device, stream, foreign }) => {
    await using graph = device.createGraph();
    graph.captureBegin(stream);
    foreign.stream.waitEvent(stream.recordEvent());
  }),
  wrong('null as an event', ({ stream }) => stream.waitEvent(null as never), /Event/),
  { what: 'a buffer that was freed', code: 'DEVICE_CLOSED', call: ({ stream, freed }) => stream.fill(freed.buffer, 0) },
  { what: 'the address of a buffer that was freed', code: 'DEVICE_CLOSED', call: ({ freed }) => freed.buffer.address },
  { what: 'the bytes of pinned memory that was freed', code: 'DEVICE_CLOSED', call: ({ freed }) => freed.host.view },
  {
    what: 'pinned memory that was freed',
    code: 'DEVICE_CLOSED',
    call: ({ stream, buffer, freed }) => stream.copyToDevice(buffer, freed.host),
  },
  {
    what: 'a stream that was closed',
    requires: ['queues'],
    code: 'DEVICE_CLOSED',
    call: async ({ device, buffer }) => {
      const stream = await device.createStream();
      await stream.close();
      await stream.fill(buffer, 0);
    },
  },
];

/** Counts doorbells: what is refused rings none. */
class DoorbellCounter extends FaultInjectingFunction {
  doorbells = 0;

  override barWrite(...[bar, offset, width, value]: Parameters<FaultInjectingFunction['barWrite']>): void {
    if (bar === 0 && offset >= PCI.QUEUE_PAGE_OFFSET && offset % PCI.QUEUE_PAGE_BYTES === TAIL) this.doorbells++;
    super.barWrite(bar, offset, width, value);
  }
}

async function openParts(fixture: Fixture): Promise<Parts & { readonly counter: DoorbellCounter }> {
  const counter = new DoorbellCounter(fixture.card().pci);
  const device = await fixture.device({ card: { pci: counter } });
  const other = await fixture.device();
  const freed = { buffer: await device.allocate(BYTES), host: device.allocateHost(BYTES) };
  freed.buffer.free();
  freed.host.free();
  return {
    counter,
    device,
    stream: device.defaultStream,
    buffer: await device.allocate(BYTES),
    host: device.allocateHost(BYTES),
    kernel: device.kernel('NULL'),
    foreign: {
      buffer: await other.allocate(BYTES),
      host: other.allocateHost(BYTES),
      event: other.defaultStream.recordEvent(),
      kernel: other.kernel('NULL'),
      stream: other.defaultStream,
    },
    freed,
  };
}

/** One device for many calls: each is refused, rings no doorbell, and leaves a stream that works. */
async function expectRefused(fixture: Fixture, misuses: readonly Misuse[]): Promise<void> {
  const parts = await openParts(fixture);
  for (const { what, code, names, call } of misuses) {
    await parts.stream.synchronize().catch(() => undefined);
    const before = parts.counter.doorbells;
    const failure = await Promise.resolve()
      .then(() => call(parts))
      .then(
        () => assert.fail(`${what} was taken`),
        (error: unknown) => error,
      );
    assert.ok(failure instanceof MtiaError, `${what}: ${failure}`);
    assert.equal(failure.code, code, `${what}: ${failure.message}`);
    if (names !== undefined) assert.match(failure.message, names, what);
    assert.ok(what.includes('closed') || parts.counter.doorbells === before, `${what}: a doorbell was rung`);
  }
  await parts.stream.synchronize().catch(() => undefined);
  await parts.stream.fill(parts.buffer, 0);
  await parts.stream.synchronize();
}

const KINDS: readonly (readonly [string, RegExp])[] = [
  ['amounts of memory', /allocate|alignment/],
  ['copies', /cop/],
  ['fills', /fill/],
  ['launches', /rectangle|deadline|launch argument|kernel/],
  ['views, events and models', /pinned memory th|part of pinned|event|concurrency/],
];

const tables = KINDS.map(([kind, pattern]) =>
  conformanceCase(`refuses wrong arguments by name: ${kind}`, 'NEG-1', {}, async (fixture) => {
    const chosen = ARGUMENTS.filter(({ what }) => pattern.test(what));
    assert.notEqual(chosen.length, 0);
    await expectRefused(fixture, chosen);
  }),
);

export const negativeCases = category('wrong use', {}, [
  ...tables,

  ...HANDLES.map((misuse) =>
    conformanceCase(`refuses ${misuse.what}`, 'NEG-2', { requires: misuse.requires ?? [] }, (fixture) =>
      expectRefused(fixture, [misuse]),
    ),
  ),

  conformanceCase('refuses what is no handle by name', 'NEG-2', {}, (fixture) => expectRefused(fixture, NULLS)),

  conformanceCase(
    'closes what is closed already, and does nothing',
    'NEG-2',
    { requires: ['queues'] },
    async (fixture) => {
      const device = await fixture.device();
      const stream = await device.createStream();
      const timeline = await device.createTimeline();
      const pool = device.createMemoryPool();
      const graph = device.createGraph();
      const model = await device.loadModel(copyGraph(device.properties.generation, 1));
      for (const handle of [stream, timeline, pool, graph, model]) {
        await handle.close();
        await handle.close();
      }
      const context = await (await fixture.driver()).createContext();
      const queue = await context.createQueue();
      for (const handle of [queue, queue, context, context]) await handle.close();
      await device.defaultStream.fill(await device.allocate(64), 0);
    },
  ),

  conformanceCase('refuses inputs of another shape, and those that are missing', 'EXE-2', {}, async (fixture) => {
    const device = await fixture.device();
    const model = await device.loadModel(copyGraph(fixture.backend.generation, 2));
    for (const inputs of [{ x: new Float32Array(ROW_ELEMENTS) }, {}, { y: new Float32Array(2 * ROW_ELEMENTS) }]) {
      const failure = await model.run(inputs as { x: Float32Array }).then(
        () => assert.fail('it ran'),
        (error: unknown) => error,
      );
      assert.ok(failure instanceof MtiaError, String(failure));
      assert.match(failure.message, /x/);
    }
  }),

  conformanceCase('refuses a model that was compiled for the other chip', 'NEG-1', {}, async (fixture) => {
    const device = await fixture.device();
    const other = fixture.backend.generation === 'v1' ? '2i' : 'v1';
    await assert.rejects(device.loadModel(copyGraph(other, 1)), MtiaError);
  }),

  conformanceCase('refuses a card that is no MTIA', 'NEG-1', {}, async (fixture) => {
    const faulty = new FaultInjectingFunction(fixture.card().pci);
    faulty.configRead = () => 0x1234;
    await rejectsWith('INVALID_ARGUMENT', Device.open({ pci: faulty, firmware: fixture.firmware }));
  }),
]);
