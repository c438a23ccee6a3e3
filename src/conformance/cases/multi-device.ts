/** Several cards of one process. */
import assert from 'node:assert/strict';
import {
  addDeviceProvider,
  Device as CardDevice,
  deviceCount,
  enumerateDevices,
  FaultInjectingFunction,
} from '../../driver/index.js';
import { loadBundle } from '../../firmware-emu/index.js';
import { HOST_COMMAND } from '../../hw/index.js';
import { Device } from '../../streaming-api/index.js';
import { category, conformanceCase } from '../case.js';
import { equalBytes, rejectsWith } from '../expectations.js';
import type { Fixture } from '../fixture.js';
import { copyGraph, ROW_ELEMENTS } from '../programs/copy-graph.js';
import { Session, WHOLE_GRID } from '../session.js';

const { NOP, WAIT } = HOST_COMMAND;
/** Every driver listens to it. */
const ADMINISTRATION_VECTOR = 0;

/** Makes the cards of the backend the last ones that enumerateDevices lists; the index of the first. */
function provide(fixture: Fixture, count: number): number {
  const before = deviceCount();
  const { name, generation } = fixture.backend;
  const card = { name, generation, open: () => fixture.backend.openCard({ threads: 1 }).pci };
  fixture.after(addDeviceProvider(() => Array.from({ length: count }, () => card)));
  return before;
}

export const multiDeviceCases = category('multi-device', {}, [
  conformanceCase('lists the cards of every provider', 'DISC-5', {}, async (fixture) => {
    const first = provide(fixture, 3);
    assert.equal(deviceCount(), first + 3);
    const names = enumerateDevices()
      .slice(first)
      .map(({ name }) => name);
    assert.deepEqual(names, Array(3).fill(fixture.backend.name));
  }),

  conformanceCase('opens a card by its index', 'DISC-5', {}, async (fixture) => {
    const first = provide(fixture, 2);
    for (const index of [first, first + 1]) {
      const device = await Device.open({ index, firmware: fixture.firmware });
      fixture.after(() => device.close());
      assert.equal(device.properties.generation, fixture.backend.generation);
      await device.synchronize();
    }
  }),

  conformanceCase('refuses an index that no card has, or another generation', 'NEG-1', {}, async (fixture) => {
    const first = provide(fixture, 1);
    for (const index of [first + 1, -1, 0.5, Number.NaN]) await rejectsWith('INVALID_ARGUMENT', Device.open({ index }));
    const other = fixture.backend.generation === 'v1' ? '2i' : 'v1';
    await rejectsWith('INVALID_ARGUMENT', Device.open({ index: first, generation: other }));
  }),

  conformanceCase('works eight cards side by side', 'DISC-5', {}, async (fixture) => {
    const cards = await Promise.all(Array.from({ length: 8 }, () => fixture.driver()));
    const queues = await Promise.all(cards.map(async (card) => (await card.createContext()).createQueue()));
    await Promise.all(queues.flatMap((queue) => Array.from({ length: 300 }, () => queue.submit({ opcode: NOP }))));
    for (const card of fixture.random.shuffle(cards)) await card.close();
  }),

  conformanceCase('keeps the memory of cards apart', 'MUL-1', { requires: ['memory'] }, async (fixture) => {
    const sessions = [await fixture.session(), await fixture.session()] as const;
    const data = sessions.map(() => fixture.random.bytes(10_000));
    for (const [index, session] of sessions.entries())
      await session.write(session.memory, data[index] ?? new Uint8Array());
    for (const [index, session] of sessions.entries()) {
      equalBytes(await session.read(session.memory, 10_000), data[index] ?? new Uint8Array(), `card ${index}`);
    }
  }),

  conformanceCase('runs kernels on two cards at once', 'MUL-1', { requires: ['kernels'] }, async (fixture) => {
    const sessions = await Promise.all([fixture.session(), fixture.session()]);
    await Promise.all(
      sessions.map(async (session) => {
        for (let times = 0; times < 5; times++) await session.expectWorking();
      }),
    );
  }),

  conformanceCase(
    'works cards with different firmware side by side',
    'MUL-1',
    { requires: ['kernels', 'boot'] },
    async (fixture) => {
      const firmwares = [fixture.firmware, loadBundle()];
      const sessions = await Promise.all(
        firmwares.map(async (firmware) => {
          const card = await CardDevice.open(fixture.card().pci, firmware);
          fixture.after(() => card.close());
          return Session.open(card, firmware);
        }),
      );
      const data = fixture.random.bytes(70_000);
      await Promise.all(
        sessions.map(async (session) => {
          for (let times = 0; times < 5; times++) {
            await session.roundTrip(session.memory, data);
            await session.launch('NULL', [], { rectangle: WHOLE_GRID });
          }
        }),
      );
    },
  ),

  conformanceCase(
    'works beside a card of the other generation',
    'MUL-1',
    { requires: ['kernels', 'executor'] },
    async (fixture) => {
      const { generation } = fixture.backend;
      const here = await fixture.device();
      const there = await Device.open({ generation: generation === 'v1' ? '2i' : 'v1', threads: 1 });
      fixture.after(() => there.close());
      const x = Float32Array.from({ length: 4 * ROW_ELEMENTS }, () => fixture.random.next());
      await Promise.all(
        [here, there].map(async (device) => {
          await using model = await device.loadModel(copyGraph(device.properties.generation, 4));
          for (let times = 0; times < 5; times++) assert.deepEqual((await model.run({ x })).outputs.y, x);
        }),
      );
      const bytes = fixture.random.bytes(100_001);
      const [from, to] = [await here.allocate(bytes.length), await there.allocate(bytes.length)];
      here.defaultStream.copyToDevice(from, bytes);
      here.defaultStream.copyToPeer(there.defaultStream, to, from);
      const back = new Uint8Array(bytes.length);
      await there.defaultStream.copyToHost(back, to);
      equalBytes(back, bytes, 'what went to the other card');
      await here.close();
      await there.defaultStream.fill(to, 0, { bytes: 4 });
    },
  ),

  conformanceCase('keeps the kernels of cards apart', 'MUL-1', { requires: ['kernels'] }, async (fixture) => {
    const [stuck, well] = [await fixture.session(), await fixture.session()];
    const { done } = await stuck.startLaunch('ENDLESS');
    for (let times = 0; times < 5; times++) await well.expectWorking();
    await stuck.queue.abort();
    await rejectsWith('ABORTED', done);
  }),

  conformanceCase('loses one card and no other', 'MUL-1', {}, async (fixture) => {
    const faulty = new FaultInjectingFunction(fixture.card().pci);
    const lost = await fixture.driver({ card: { pci: faulty } });
    const well = await fixture.driver();
    const queues = [
      await (await lost.createContext()).createQueue(),
      await (await well.createContext()).createQueue(),
    ] as const;
    faulty.faults.ejected = true;
    const refused = rejectsWith('DEVICE_LOST', queues[0].submit({ opcode: NOP }));
    const done = Array.from({ length: 300 }, () => queues[1].submit({ opcode: NOP }));
    await Promise.all([refused, lost.lost, ...done]);
    await well.createContext();
  }),

  conformanceCase('resets one card and no other', 'MUL-1', { requires: ['semaphores'] }, async (fixture) => {
    const [first, second] = [await fixture.driver(), await fixture.driver()];
    let told = 0;
    second.on('resetting', () => told++);
    const queues = [
      await (await first.createContext()).createQueue(),
      await (await second.createContext()).createQueue(),
    ] as const;
    const waits = queues.map((queue) => queue.submit({ opcode: WAIT, a: 1, b: 1 }));
    const refused = rejectsWith('DEVICE_RESET', waits[0] ?? Promise.resolve());
    const aborted = rejectsWith('ABORTED', waits[1] ?? Promise.resolve());
    await first.reset();
    await refused;
    assert.deepEqual([told, second.resets, queues[1].outstanding], [0, 0, 1]);
    await queues[1].abort();
    await aborted;
  }),

  conformanceCase('closes one card and no other', 'MUL-1', {}, async (fixture) => {
    const { pci } = fixture.backend.openCard({ threads: 1 });
    const closing = await CardDevice.open(pci, fixture.firmware);
    const queue = await (await (await fixture.driver()).createContext()).createQueue();
    const done = Array.from({ length: 300 }, () => queue.submit({ opcode: NOP }));
    await closing.close();
    await Promise.all(done);
  }),

  conformanceCase('refuses buffers and events of another device', 'MUL-2', {}, async (fixture) => {
    const [first, second] = [await fixture.device(), await fixture.device()];
    const [own, foreign] = [await first.allocate(4096), await second.allocate(4096)];
    const host = second.allocateHost(4096);
    const stream = first.defaultStream;
    await rejectsWith('INVALID_ARGUMENT', () => stream.fill(foreign, 1));
    await rejectsWith('INVALID_ARGUMENT', () => stream.copyToDevice(own, host));
    const event = second.defaultStream.recordEvent();
    await rejectsWith('INVALID_ARGUMENT', () => stream.waitEvent(event));
    await second.synchronize();
  }),

  conformanceCase(
    'refuses models and graphs of another device',
    'MUL-2',
    { requires: ['kernels'] },
    async (fixture) => {
      const [first, second] = [await fixture.device(), await fixture.device()];
      const foreign = second.defaultStream;
      await using model = await first.loadModel(copyGraph(fixture.backend.generation, 1));
      const buffer = await first.allocate(4096);
      await using graph = await first.capture(first.defaultStream, (stream) => stream.fill(buffer, 3));
      const x = new Float32Array(ROW_ELEMENTS);
      const refusals = [
        await rejectsWith('INVALID_ARGUMENT', () => model.run({ x }, { stream: foreign })),
        await rejectsWith('INVALID_ARGUMENT', () => graph.replay(foreign)),
      ];
      assert.deepEqual(
        refusals.map(({ message }) => /the (model|graph) belongs to another device/.test(message)),
        [true, true],
      );
      await model.run({ x });
      await graph.replay(first.defaultStream);
      await second.synchronize().catch(() => undefined);
      await foreign.fill(await second.allocate(4096), 1);
    },
  ),

  conformanceCase(
    'refuses a context to a second driver of the same card',
    'MUL-1',
    { requires: ['boot'] },
    async (fixture) => {
      const { pci } = fixture.card();
      const first = await fixture.driver({ card: { pci } });
      const queue = await (await first.createContext()).createQueue();
      await queue.submit({ opcode: NOP });
      await rejectsWith('INVALID_ARGUMENT', () => pci.onInterrupt(ADMINISTRATION_VECTOR, () => undefined));
    },
  ),
]);
