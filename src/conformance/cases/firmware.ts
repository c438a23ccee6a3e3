/** Bundles as wholes: who signed them, which one runs, and what the firmware keeps to. */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { Device as CardDevice, FaultInjectingFunction } from '../../driver/index.js';
import { type Bundle, loadBundle, readBundle, writeBundle } from '../../firmware-emu/index.js';
import { HOST_COMMAND } from '../../hw/index.js';
import { category, conformanceCase } from '../case.js';
import { rejectsWith } from '../expectations.js';
import { Session } from '../session.js';

const { NOP, COPY_HOST_TO_DEVICE } = HOST_COMMAND;

/** A card that stays powered when its device is closed. */
class KeptFunction extends FaultInjectingFunction {
  override close(): void {
    // The fixture closes it.
  }
}

export const firmwareCases = category('firmware', { requires: ['kernels', 'boot'] }, [
  conformanceCase('refuses an unsigned bundle unless it is allowed by name', 'FW-1', {}, async (fixture) => {
    const bundle = fixture.firmware as Bundle;
    const sections = bundle.sections.filter(({ kind }) => kind !== 'MANIFEST' && kind !== 'SIGNATURE');
    const unsigned = writeBundle({ manifest: bundle.manifest, sections });
    await rejectsWith('BAD_SIGNATURE', () => readBundle(unsigned));
    readBundle(unsigned, { allowUnsigned: true });
  }),

  conformanceCase('refuses a bundle that an unknown key signed', 'FW-1', {}, async (fixture) => {
    const bundle = fixture.firmware as Bundle;
    const sections = bundle.sections.filter(({ kind }) => kind !== 'MANIFEST' && kind !== 'SIGNATURE');
    const signed = writeBundle({ manifest: bundle.manifest, sections }, generateKeyPairSync('ed25519').privateKey);
    await rejectsWith('BAD_SIGNATURE', () => readBundle(signed));
    await rejectsWith('BAD_SIGNATURE', () => readBundle(signed, { allowUnsigned: true }));
  }),

  conformanceCase('boots the same card with other firmware and the first again', 'FW-2', {}, async (fixture) => {
    const slot = new KeptFunction(fixture.card().pci);
    for (const firmware of [fixture.firmware, loadBundle(), fixture.firmware]) {
      const card = await CardDevice.open(slot, firmware);
      const session = await Session.open(card, firmware);
      await session.launch('NULL');
      await card.close();
    }
  }),

  conformanceCase('boots other firmware while the first is at work', 'FW-2', {}, async (fixture) => {
    const slot = new KeptFunction(fixture.card().pci);
    for (const firmware of [fixture.firmware, loadBundle(), fixture.firmware]) {
      const card = await CardDevice.open(slot, firmware);
      const session = await Session.open(card, firmware);
      await session.roundTrip(session.memory, fixture.random.bytes(5000));
      const endless = await session.startLaunch(firmware === fixture.firmware ? 'ENDLESS' : 'NULL');
      const copies = Array.from({ length: 20 }, () =>
        session.submit({ opcode: COPY_HOST_TO_DEVICE, a: session.iova, b: session.memory, c: 2 ** 20 }),
      );
      const outcomes = Promise.allSettled([endless.done, ...copies]);
      await card.close();
      for (const outcome of await outcomes) {
        if (outcome.status === 'rejected') assert.equal(outcome.reason.code, 'DEVICE_CLOSED');
      }
    }
    const card = await fixture.driver({ card: { pci: slot } });
    await (await fixture.session({ on: card })).expectWorking();
  }),

  conformanceCase('boots good firmware on a card that has refused a bad one', 'FW-2', {}, async (fixture) => {
    const slot = new KeptFunction(fixture.card().pci);
    const bytes = fixture.firmware.bytes.slice();
    const at = bytes.length - 2000;
    bytes[at] = (bytes[at] ?? 0) ^ 1;
    const bad = { ...fixture.firmware, bytes };
    for (let time = 0; time < 3; time++) {
      await rejectsWith('BOOT_BAD_HASH', CardDevice.open(slot, bad));
      const card = await CardDevice.open(slot, fixture.firmware);
      await (await Session.open(card, fixture.firmware)).launch('NULL');
      await card.close();
    }
  }),

  conformanceCase('reads no host memory while it runs', 'FW-3', { requires: ['debug'] }, async (fixture) => {
    const card = fixture.card();
    const session = await fixture.session({ on: await fixture.driver({ card }) });
    const before = card.debug?.chipCounters().readCompletions;
    await session.roundTrip(session.memory, fixture.random.bytes(5000));
    await session.expectWorking();
    await session.submit({ opcode: NOP });
    assert.equal(card.debug?.chipCounters().readCompletions, before);
  }),
]);
