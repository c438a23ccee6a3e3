/** Bundles as wholes: who signed them, which one runs, and what the firmware keeps to. */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { Device as CardDevice, FaultInjectingFunction } from '../../driver/index.js';
import { type Bundle, loadBundle, readBundle, writeBundle } from '../../firmware-emu/index.js';
import { HOST_COMMAND } from '../../hw/index.js';
import { category, conformanceCase } from '../case.js';
import { rejectsWith } from '../expectations.js';
import { Session } from '../session.js';

const { NOP } = HOST_COMMAND;

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
