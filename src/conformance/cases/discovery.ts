/** What a device says about itself, and which firmware it takes. */
import assert from 'node:assert/strict';
import { pino } from 'pino';
import { Administration } from '../../driver/administration.js';
import { boot, identify, readResources } from '../../driver/boot.js';
import { CardRegisters } from '../../driver/card-registers.js';
import {
  Device as CardDevice,
  FaultInjectingFunction,
  type FirmwareImage,
  type MtiaError,
} from '../../driver/index.js';
import { Watchdog } from '../../driver/watchdog.js';
import { firmwareVersionText, HOST_COMMAND, PROTOCOL_VERSION, registerOffset } from '../../hw/index.js';
import { category, conformanceCase } from '../case.js';
import { rejectsWith } from '../expectations.js';
import type { Fixture } from '../fixture.js';

/** No command has these opcodes. */
const UNKNOWN_CAPABILITIES = 0xf000_0000_0000_0000n;

/** The bundle under test with some bytes changed. */
function damaged(firmware: FirmwareImage, change: (bytes: Uint8Array) => void): FirmwareImage {
  const bytes = firmware.bytes.slice();
  change(bytes);
  return { ...firmware, bytes };
}

/** A booted card without a device above it: only its administration queue. */
async function administer(
  fixture: Fixture,
): Promise<{ readonly registers: CardRegisters; readonly queue: Administration['queue'] }> {
  const { pci } = fixture.card();
  const registers = new CardRegisters(pci);
  identify(pci, registers);
  await boot(pci, registers, fixture.firmware);
  const onLost = (error: MtiaError): void => administration.failAll(error);
  const watchdog = new Watchdog({
    deviceTime: () => registers.read64('DEVICE_TIME'),
    diagnose: () => undefined,
    onLost,
  });
  const parts = { pci, registers, watchdog, onLost, deadlineMs: 5_000, logger: pino({ level: 'silent' }) };
  const administration = new Administration({ ...parts, resources: readResources(pci, registers) });
  fixture.after(async () => {
    await administration.queue.close();
    watchdog.stop();
  });
  return { registers, queue: administration.queue };
}

async function open(fixture: Fixture, firmware: FirmwareImage): Promise<unknown> {
  return CardDevice.open(fixture.card().pci, firmware);
}

export const discoveryCases = category('discovery', {}, [
  conformanceCase('says which firmware runs', 'DISC-2', {}, async (fixture) => {
    const card = await fixture.driver();
    assert.equal(card.firmwareVersion, fixture.firmware.version);
  }),

  conformanceCase(
    'has a capability bit for every command that works, and no other',
    'DISC-2',
    { requires: ['memory'] },
    async (fixture) => {
      const card = await fixture.driver();
      const queue = await (await card.createContext()).createQueue();
      for (let opcode = 0; opcode < 16; opcode++) {
        const announced = (card.capabilities & (1n << BigInt(opcode))) !== 0n;
        const code = await queue.submit({ opcode, a: 0, b: 0, c: 0, d: 0 }).then(
          () => 'OK',
          (error: { code: string }) => error.code,
        );
        assert.equal(code !== 'UNSUPPORTED_COMMAND', announced, `command ${opcode}: ${code}`);
      }
    },
  ),

  conformanceCase('opens a card whose firmware can do more than this driver knows', 'DISC-2', {}, async (fixture) => {
    const faulty = new FaultInjectingFunction(fixture.card().pci);
    const at = registerOffset('BAR0', 'FIRMWARE_CAPABILITIES');
    faulty.faults.corruptRead = (offset, value) => (offset === at ? value | UNKNOWN_CAPABILITIES : value);
    const card = await fixture.driver({ card: { pci: faulty } });
    assert.equal(card.capabilities & UNKNOWN_CAPABILITIES, UNKNOWN_CAPABILITIES);
    const queue = await (await card.createContext()).createQueue();
    await queue.submit({ opcode: HOST_COMMAND.NOP });
  }),

  conformanceCase('refuses firmware of another protocol', 'DISC-3', {}, async (fixture) => {
    const other = { ...fixture.firmware, protocolVersion: PROTOCOL_VERSION + 1 };
    await rejectsWith('FIRMWARE_ABI_MISMATCH', open(fixture, other));
  }),

  conformanceCase('refuses firmware for another chip', 'DISC-3', {}, async (fixture) => {
    const other = fixture.backend.generation === 'v1' ? '2i' : 'v1';
    await rejectsWith('FIRMWARE_MISMATCH', open(fixture, { ...fixture.firmware, generations: [other] }));
  }),

  conformanceCase('refuses a bundle with a damaged header', 'DISC-3', { requires: ['boot'] }, async (fixture) => {
    const wrong = damaged(fixture.firmware, (bytes) => {
      bytes[0] = (bytes[0] ?? 0) ^ 1;
    });
    await rejectsWith('BOOT_BAD_BUNDLE', open(fixture, wrong));
  }),

  conformanceCase('refuses a bundle with a damaged section', 'DISC-3', { requires: ['boot'] }, async (fixture) => {
    const wrong = damaged(fixture.firmware, (bytes) => {
      const at = bytes.length - 2000;
      bytes[at] = (bytes[at] ?? 0) ^ 0x80;
    });
    await rejectsWith('BOOT_BAD_HASH', open(fixture, wrong));
  }),

  conformanceCase('refuses an empty bundle', 'DISC-3', { requires: ['boot'] }, async (fixture) => {
    await rejectsWith('BOOT_BAD_BUNDLE', open(fixture, { ...fixture.firmware, bytes: new Uint8Array(64) }));
  }),

  conformanceCase('answers QUERY as the registers do', 'DISC-4', { requires: ['boot'] }, async (fixture) => {
    const { registers, queue } = await administer(fixture);
    const { query } = await queue.submit({ opcode: HOST_COMMAND.QUERY });
    assert.deepEqual(query, {
      firmwareVersion: registers.read32('FIRMWARE_VERSION'),
      capabilities: registers.read64('FIRMWARE_CAPABILITIES'),
      kernels: fixture.firmware.kernels.size,
    });
    assert.equal(firmwareVersionText(query?.firmwareVersion ?? 0), fixture.firmware.version);
  }),

  conformanceCase('tells two cards apart', 'DISC-5', {}, async (fixture) => {
    const [first, second] = [await fixture.driver(), await fixture.driver()];
    const [one, other] = [await first.createContext(), await second.createContext()];
    await first.close();
    const queue = await other.createQueue();
    await queue.submit({ opcode: HOST_COMMAND.NOP });
    assert.equal(one.id, other.id);
  }),
]);
