import { describe, expect, it } from 'vitest';
import { boot, identify } from '../../src/driver/boot.js';
import { CardRegisters } from '../../src/driver/card-registers.js';
import { CONTROL_CORE, Device, type FirmwareImage, openEmulatorWithDebug } from '../../src/driver/index.js';
import {
  bundlePath,
  FIRMWARE_VERSION,
  loadBundle,
  WITHOUT_GRAPH_LAUNCH_BUNDLE,
  writeBundle,
} from '../../src/firmware-emu/index.js';
import {
  BUNDLE_HEADER,
  BUNDLE_SECTION_RECORD,
  encodeRectangle,
  HOST_COMMAND,
  KERNEL_ID,
  placeFields,
} from '../../src/hw/index.js';
import { ONE_PE, openCard, openSession } from './card.js';

const image = loadBundle();

/** What the driver would hand to a card, without asking the reader of bundles. */
function changedImage(change: (view: DataView, bytes: Uint8Array) => void): FirmwareImage {
  const bytes = Uint8Array.from(image.bytes);
  change(new DataView(bytes.buffer), bytes);
  return { ...image, bytes };
}

const headerField = (name: string): number => placeFields(BUNDLE_HEADER).find((f) => f.name === name)?.offset ?? -1;
const recordField = (section: number, name: string): number =>
  BUNDLE_HEADER.size +
  section * BUNDLE_SECTION_RECORD.size +
  (placeFields(BUNDLE_SECTION_RECORD).find((f) => f.name === name)?.offset ?? -1);
const CONTROL_FIRMWARE_SECTION = image.sections.findIndex(({ kind }) => kind === 'CONTROL_FIRMWARE');

describe.each(['v1', '2i'] as const)('booting %s', (generation) => {
  it('ends with firmware that says what it is', async () => {
    const { device, debug } = await openCard(generation, image);
    await using _closing = device;
    expect(device.firmwareVersion).toBe(FIRMWARE_VERSION);
    // 2i introduced decompression (I25).
    const possible = Object.values(HOST_COMMAND).filter(
      (opcode) => generation === '2i' || opcode !== HOST_COMMAND.COPY_HOST_TO_DEVICE_GUNZIP,
    );
    const every = possible.reduce((bits, opcode) => bits | (1n << BigInt(opcode)), 0n);
    expect(device.capabilities).toBe(every);
    expect(debug.consoleRead()).toContain(
      `control firmware ${FIRMWARE_VERSION}, ${image.kernels.size} kernels, 64 PEs\n`,
    );
  });

  it('works again after a reset', async () => {
    const { pci } = openEmulatorWithDebug({ generation, lpddrBytes: 2 ** 30 });
    // A former owner that went away without closing: the driver resets the card.
    identify(pci, new CardRegisters(pci));
    await boot(pci, new CardRegisters(pci), image);
    const device = await Device.open(pci, image);
    await using _closing = device;
    const session = await openSession(device);
    await session.launch(KERNEL_ID.NULL);
  });

  it.each([
    ['a section that does not match its hash', recordField(CONTROL_FIRMWARE_SECTION, 'sha256'), 1, 'BOOT_BAD_HASH'],
    ['another chip', headerField('generations'), 1 << 5, 'BOOT_WRONG_CHIP'],
    ['a wrong magic', headerField('magic'), 1, 'BOOT_BAD_BUNDLE'],
    ['a wrong size', headerField('total_bytes'), 1, 'BOOT_BAD_BUNDLE'],
    ['too many sections', headerField('section_count'), 65, 'BOOT_BAD_BUNDLE'],
    ['another protocol', headerField('protocol_version'), 99, 'BOOT_BAD_BUNDLE'],
    ['a section outside', recordField(2, 'offset') + 4, 1, 'BOOT_BAD_BUNDLE'],
    ['a section that never ends', recordField(2, 'bytes') + 4, 0xffff_ffff, 'BOOT_BAD_BUNDLE'],
    ['a misaligned section', recordField(2, 'offset'), 5000 * 64 + 8, 'BOOT_BAD_BUNDLE'],
    ['two kernels of one id', recordField(5, 'kernel_id'), 0, 'BOOT_BAD_BUNDLE'],
  ])('refuses a bundle with %s', async (_what, offset, value, code) => {
    const broken = changedImage((view) => view.setUint32(offset, value, true));
    await expect(openCard(generation, broken)).rejects.toMatchObject({ code });
  });

  it('refuses a bundle without control firmware', async () => {
    const sections = image.sections.filter(({ kind }) => kind === 'PE_MONITOR' || kind === 'KERNEL');
    const broken = { ...image, bytes: writeBundle({ manifest: image.manifest, sections }) };
    await expect(openCard(generation, broken)).rejects.toMatchObject({ code: 'BOOT_NO_CONTROL_FIRMWARE' });
  });

  it('refuses a bundle without a PE monitor', async () => {
    const sections = image.sections.filter(({ kind }) => kind === 'CONTROL_FIRMWARE' || kind === 'KERNEL');
    const broken = { ...image, bytes: writeBundle({ manifest: image.manifest, sections }) };
    await expect(openCard(generation, broken)).rejects.toMatchObject({ code: 'BOOT_BAD_BUNDLE' });
  });

  it('refuses control firmware that is no program for it', async () => {
    const control = image.sections.find(({ kind }) => kind === 'CONTROL_FIRMWARE')?.bytes ?? new Uint8Array();
    const changes: [name: string, offset: number, value: number][] = [
      ['magic', 0, 0],
      ['machine', 18, 62],
      ['program headers', 32, 0xffff],
      ['entry', 24, 0x4000],
      ['offset of the first segment', 64 + 56 + 8, 0xffff_fff0],
      ['address of the first segment', 64 + 56 + 16, 0x2000_0000],
      ['size of the first segment', 64 + 56 + 40, 0x7fff_ffff],
    ];
    for (const [name, offset, value] of changes) {
      const bytes = Uint8Array.from(control);
      new DataView(bytes.buffer).setUint32(offset, value, true);
      const sections = image.sections
        .filter(({ kind }) => kind !== 'MANIFEST' && kind !== 'SIGNATURE')
        .map((section) => (section.kind === 'CONTROL_FIRMWARE' ? { ...section, bytes } : section));
      const broken = { ...image, bytes: writeBundle({ manifest: image.manifest, sections }) };
      await expect(openCard(generation, broken), name).rejects.toMatchObject({ code: 'BOOT_BAD_BUNDLE' });
    }
  });

  it('refuses a truncated bundle', async () => {
    for (const bytes of [1, 63, 64, 200, image.bytes.length - 1]) {
      const broken = { ...image, bytes: image.bytes.slice(0, bytes) };
      await expect(openCard(generation, broken)).rejects.toMatchObject({ code: 'BOOT_BAD_BUNDLE' });
    }
  });
});

describe('control firmware', () => {
  it('without graph launch says so and refuses the command', async () => {
    const { device } = await openCard('2i', loadBundle(bundlePath(WITHOUT_GRAPH_LAUNCH_BUNDLE)));
    await using _closing = device;
    expect(device.capabilities & (1n << BigInt(HOST_COMMAND.GRAPH_LAUNCH))).toBe(0n);
    const session = await openSession(device);
    await expect(session.queue.submit({ opcode: HOST_COMMAND.GRAPH_LAUNCH, a: session.memory })).rejects.toMatchObject({
      code: 'UNSUPPORTED_COMMAND',
    });
    await session.queue.submit({ opcode: HOST_COMMAND.LAUNCH, a: KERNEL_ID.NULL, d: encodeRectangle(ONE_PE) });
  });

  it('that traps is reported with its place, and the device is lost', async () => {
    const { device, debug } = await openCard('2i', image);
    await using _closing = device;
    const session = await openSession(device);
    debug.halt();
    // The program counter of control hart 0: there is no memory at all at address 8.
    debug.registerWrite(CONTROL_CORE, 0, 32, 8n);
    debug.resume();
    const error = await session.queue.submit({ opcode: HOST_COMMAND.NOP }).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(error).toMatchObject({
      code: 'DEVICE_LOST',
      cause: { code: 'FIRMWARE_PANIC' },
      place: { cause: 1n, pc: 8n },
    });
    expect(debug.consoleRead()).toContain('control firmware: trap, cause 0x1, pc 0x8');
  });
});
