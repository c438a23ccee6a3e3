/** Cards of one process beside each other, and what a device leaves to the process. */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { FaultInjectingFunction } from '../../driver/index.js';
import { HOST_COMMAND } from '../../hw/index.js';
import { category, conformanceCase } from '../case.js';
import { rejectsWith } from '../expectations.js';

const { NOP, WAIT } = HOST_COMMAND;

/** How many things keep the event loop going, always counted in the same phase of it: behind a timer. */
async function alive(afterMs = 1): Promise<number> {
  await sleep(afterMs);
  return process.getActiveResourcesInfo().length;
}

/** The watchdog looks once more before it rests. */
const REST_MS = 300;

export const severalDeviceCases = category('several devices', {}, [
  conformanceCase('loses one card, and no other', 'MUL-1', {}, async (fixture) => {
    const faulty = new FaultInjectingFunction(fixture.card().pci);
    const [lost, well] = [
      await fixture.session({ on: await fixture.driver({ card: { pci: faulty } }) }),
      await fixture.session(),
    ];
    const behind = Array.from({ length: 20 }, () => well.submit({ opcode: NOP }));
    faulty.faults.ejected = true;
    await rejectsWith('DEVICE_LOST', lost.submit({ opcode: NOP }));
    await Promise.all([...behind, well.submit({ opcode: NOP })]);
  }),

  conformanceCase('runs kernels on two cards at once', 'MUL-1', { requires: ['kernels'] }, async (fixture) => {
    const sessions = await Promise.all([fixture.session(), fixture.session()]);
    await Promise.all(
      sessions.map(async (session) => {
        for (let times = 0; times < 5; times++) await session.expectWorking();
      }),
    );
  }),

  conformanceCase('is DEVICE_LOST when it is reset behind the driver', 'RST-7', {}, async (fixture) => {
    const { pci } = fixture.card();
    const card = await fixture.driver({ card: { pci } });
    const session = await fixture.session({ on: card });
    pci.functionReset();
    await rejectsWith('DEVICE_LOST', session.submit({ opcode: NOP }));
    assert.equal((await card.lost).code, 'DEVICE_LOST');
  }),

  conformanceCase(
    'keeps the process alive while a command is outstanding, and no longer',
    'LIFE-6',
    { requires: ['semaphores'] },
    async (fixture) => {
      const before = await alive();
      const session = await fixture.session();
      assert.ok((await alive(REST_MS)) <= before, 'an idle device keeps the process alive');
      const waiting = session.submit({ opcode: WAIT, a: 9, b: 1 });
      assert.ok((await alive()) > before, 'a device at work does not keep the process alive');
      const other = await session.context.createQueue();
      await other.submit({ opcode: HOST_COMMAND.SIGNAL, a: 9, b: 1 });
      await waiting;
      assert.ok((await alive(REST_MS)) <= before, 'a device keeps the process alive after its work');
    },
  ),
]);

export const firmwareCases = category('firmware', { requires: ['kernels', 'debug'] }, [
  conformanceCase('reads no host memory while it runs', 'FW-3', {}, async (fixture) => {
    const card = fixture.card();
    const session = await fixture.session({ on: await fixture.driver({ card }) });
    const before = card.debug?.chipCounters().readCompletions;
    await session.roundTrip(session.memory, fixture.random.bytes(5000));
    await session.expectWorking();
    await session.submit({ opcode: NOP });
    assert.equal(card.debug?.chipCounters().readCompletions, before);
  }),
]);
