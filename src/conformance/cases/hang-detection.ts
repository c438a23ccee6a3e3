/** Firmware that traps, hangs or answers no more: noticed in bounded time, with what its hart was at. */
import assert from 'node:assert/strict';
import { CONTROL_CORE, FaultInjectingFunction, type MtiaError } from '../../driver/index.js';
import { HOST_COMMAND, MEMORY_MAP } from '../../hw/index.js';
import type { Card } from '../backend.js';
import { category, conformanceCase, unsupported } from '../case.js';
import { rejectsWith, settlesWithin } from '../expectations.js';
import type { Fixture } from '../fixture.js';

const { NOP } = HOST_COMMAND;

/** At the end of context SRAM, where no program lies. */
const PLACE = MEMORY_MAP.CONTEXT_SRAM.base + MEMORY_MAP.CONTEXT_SRAM.size - 4096n;
const CONTROL_HART = { core: CONTROL_CORE, hart: 0 };

/** All zeros, which RISC-V keeps illegal for ever; `j .`. */
const ILLEGAL = 0x0000_0000;
const LOOP = 0x0000_006f;
const ILLEGAL_INSTRUCTION = 2;

/** The chip's watchdog counts five seconds of its own. */
const NOTICED_WITHIN_MS = 15_000;

/** Has the control hart go on at one instruction that the firmware does not have. */
function derail({ debug }: Card, instruction: number): void {
  if (debug === undefined) unsupported('the card has no debug door');
  debug.halt();
  debug.writeMemory(CONTROL_HART, PLACE, new Uint8Array(Uint32Array.of(instruction).buffer));
  debug.writePc(CONTROL_HART, PLACE);
  debug.resume();
}

/** The device is lost for a reason of this code, everything outstanding says so, and a reset brings it back. */
async function expectLoss(
  fixture: Fixture,
  instruction: number,
  code: 'FIRMWARE_PANIC' | 'WATCHDOG_EXPIRED',
): Promise<MtiaError> {
  const card = fixture.card();
  const device = await fixture.driver({ card });
  const queue = await (await device.createContext()).createQueue();
  derail(card, instruction);
  const pending = Array.from({ length: 3 }, () => rejectsWith('DEVICE_LOST', queue.submit({ opcode: NOP })));
  await settlesWithin(NOTICED_WITHIN_MS, 'noticing', Promise.all(pending));
  const lost = await device.lost;
  assert.deepEqual([lost.code, (lost.cause as MtiaError).code], ['DEVICE_LOST', code]);
  await device.reset();
  await (await (await device.createContext()).createQueue()).submit({ opcode: NOP });
  return lost;
}

const DEBUG = { requires: ['boot', 'debug'], deadlineMs: 20_000 } as const;

export const hangDetectionCases = category('reset and recovery', {}, [
  conformanceCase('notices firmware that traps, and says at which instruction', 'RST-6', DEBUG, async (fixture) => {
    const { place } = await expectLoss(fixture, ILLEGAL, 'FIRMWARE_PANIC');
    assert.deepEqual([place?.pc, place?.cause], [PLACE, BigInt(ILLEGAL_INSTRUCTION)]);
  }),

  conformanceCase('notices firmware that hangs, and says what its hart is at', 'RST-6', DEBUG, async (fixture) => {
    const lost = await expectLoss(fixture, LOOP, 'WATCHDOG_EXPIRED');
    assert.match(lost.message, /control hart 0 runs and does not kick the watchdog/);
  }),

  conformanceCase('notices firmware that takes no more commands', 'RST-6', {}, async (fixture) => {
    const faulty = new FaultInjectingFunction(fixture.card().pci);
    const device = await fixture.driver({ card: { pci: faulty }, deadlineMs: 300 });
    faulty.faults.dropDoorbells = 1;
    const context = rejectsWith('DEVICE_TIMEOUT', device.createContext());
    await settlesWithin(NOTICED_WITHIN_MS, 'noticing', context);
    await context;
    assert.equal((await device.lost).code, 'DEVICE_LOST');
    faulty.heal();
    await device.reset();
    await (await (await device.createContext()).createQueue()).submit({ opcode: NOP });
  }),
]);
