/** Kernels and bundles: what is loaded is what was built. */
import assert from 'node:assert/strict';
import { Device as CardDevice, type FirmwareImage } from '../../driver/index.js';
import { type Bundle, loadBundle, readBundle, type SectionContent, writeBundle } from '../../firmware-emu/index.js';
import { MEMORY_MAP, registerOffset } from '../../hw/index.js';
import { category, conformanceCase } from '../case.js';
import { rejectsWith } from '../expectations.js';
import type { Fixture } from '../fixture.js';
import { Session } from '../session.js';

/** An ELF header's fields (ELF-64, little endian). */
const TYPE = 16;
const MACHINE = 18;
const ENTRY = 24;
const PROGRAM_HEADERS = 32;
const HEADER_SIZE = 54;
const PROGRAM_HEADER_COUNT = 56;
/** Types of files that are not executable as they are. */
const RELOCATABLE = 1;
const SHARED = 3;
/** Fields of a program header. */
const SEGMENT_OFFSET = 8;
const SEGMENT_ADDRESS = 16;
const FILE_BYTES = 32;
const MEMORY_BYTES = 40;
const PROGRAM_HEADER_BYTES = 56;
/** Type of a program header whose segment is loaded. */
const LOAD = 1;
const RISCV_ATTRIBUTES = 0x7000_0003;

const VICTIM = 'RETURN_VALUE';

/** The bundle under test with one kernel's file changed; hashes are made anew. */
function withKernel(
  fixture: Fixture,
  change: (file: Uint8Array, view: DataView) => Uint8Array | undefined,
): FirmwareImage {
  const bundle = fixture.firmware as Bundle;
  const sections: SectionContent[] = bundle.sections
    .filter(({ kind }) => kind !== 'MANIFEST' && kind !== 'SIGNATURE')
    .map((section) => {
      if (section.name !== VICTIM) return section;
      const file = section.bytes.slice();
      const view = new DataView(file.buffer);
      return { ...section, bytes: change(file, view) ?? file };
    });
  return readBundle(writeBundle({ manifest: bundle.manifest, sections }), { allowUnsigned: true });
}

async function sessionWith(fixture: Fixture, firmware: FirmwareImage): Promise<Session> {
  const card = await CardDevice.open(fixture.card().pci, firmware);
  fixture.after(() => card.close());
  return Session.open(card, firmware);
}

const firstHeader = (view: DataView): number => Number(view.getBigUint64(PROGRAM_HEADERS, true));

/** Program header of the code. */
function loadHeader(view: DataView): number {
  for (let index = 0; index < view.getUint16(PROGRAM_HEADER_COUNT, true); index++) {
    const header = firstHeader(view) + index * PROGRAM_HEADER_BYTES;
    if (view.getUint32(header, true) === LOAD) return header;
  }
  throw new RangeError('the kernel has no code');
}

const codeEnd = (view: DataView): number => {
  const header = loadHeader(view);
  return Number(view.getBigUint64(header + SEGMENT_OFFSET, true) + view.getBigUint64(header + FILE_BYTES, true));
};

type Change = readonly [what: string, change: (file: Uint8Array, view: DataView) => Uint8Array | undefined];

const damages: readonly Change[] = [
  ['that is empty but for its magic', (file) => file.slice(0, 4)],
  ['cut within its header', (file) => file.slice(0, 60)],
  ['cut within its program headers', (file, view) => file.slice(0, firstHeader(view) + 8)],
  ['cut within its code', (file, view) => file.slice(0, codeEnd(view) - 4)],
  ['without the magic', (file) => void file.fill(0, 0, 4)],
  ['of 32 bits', (file) => void file.fill(1, 4, 5)],
  ['of big-endian order', (file) => void file.fill(2, 5, 6)],
  ['for another machine', (_, view) => view.setUint16(MACHINE, 62, true) as undefined],
  ['whose program headers lie outside', (_, view) => view.setBigUint64(PROGRAM_HEADERS, 1n << 40n, true) as undefined],
  ['with 65535 program headers', (_, view) => view.setUint16(PROGRAM_HEADER_COUNT, 0xffff, true) as undefined],
  ['that is not linked (relocatable)', (_, view) => view.setUint16(TYPE, RELOCATABLE, true) as undefined],
  ['that wants relocations (position-independent)', (_, view) => view.setUint16(TYPE, SHARED, true) as undefined],
  ['whose program headers have another size', (_, view) => view.setUint16(HEADER_SIZE, 64, true) as undefined],
  ['whose segments overlap', (file, view) => withHeader(file, segmentBehind(file, view, -4n))],
  ['without program headers', (_, view) => view.setUint16(PROGRAM_HEADER_COUNT, 0, true) as undefined],
  ['whose entry lies outside of its code', (_, view) => view.setBigUint64(ENTRY, 1n << 33n, true) as undefined],
  [
    'whose segment lies outside of the file',
    (_, view) => view.setBigUint64(loadHeader(view) + SEGMENT_OFFSET, 1n << 50n, true) as undefined,
  ],
  [
    'whose segment is larger in the file than in memory',
    (_, view) => view.setBigUint64(loadHeader(view) + MEMORY_BYTES, 1n, true) as undefined,
  ],
  [
    'whose segment is larger than the file',
    (_, view) => view.setBigUint64(loadHeader(view) + FILE_BYTES, 1n << 40n, true) as undefined,
  ],
  [
    'whose segment wraps around',
    (_, view) => view.setBigUint64(loadHeader(view) + SEGMENT_ADDRESS, (1n << 64n) - 64n, true) as undefined,
  ],
  [
    'that wants a terabyte of memory',
    (_, view) => view.setBigUint64(loadHeader(view) + MEMORY_BYTES, 1n << 40n, true) as undefined,
  ],
];

/** The file with one program header more: the table is copied to its end. */
function withHeader(file: Uint8Array, added: Uint8Array): Uint8Array {
  const view = new DataView(file.buffer);
  const count = view.getUint16(PROGRAM_HEADER_COUNT, true);
  const table = file.slice(firstHeader(view), firstHeader(view) + count * PROGRAM_HEADER_BYTES);
  const at = Math.ceil(file.length / 8) * 8;
  const result = new Uint8Array(at + table.length + added.length);
  result.set(file);
  result.set(table, at);
  result.set(added, at + table.length);
  const changed = new DataView(result.buffer);
  changed.setBigUint64(PROGRAM_HEADERS, BigInt(at), true);
  changed.setUint16(PROGRAM_HEADER_COUNT, count + 1, true);
  return result;
}

/** A header as that of the code, of one word that begins `distance` behind it. */
function segmentBehind(file: Uint8Array, view: DataView, distance: bigint): Uint8Array {
  const from = loadHeader(view);
  const header = file.slice(from, from + PROGRAM_HEADER_BYTES);
  const fields = new DataView(header.buffer);
  const end = fields.getBigUint64(SEGMENT_ADDRESS, true) + fields.getBigUint64(MEMORY_BYTES, true);
  fields.setBigUint64(SEGMENT_ADDRESS, end + distance, true);
  for (const field of [FILE_BYTES, MEMORY_BYTES]) fields.setBigUint64(field, 4n, true);
  return header;
}

/** Of a type that no loader knows: they are for others, such as attributes of the architecture. */
function foreignHeader(): Uint8Array {
  const header = new Uint8Array(PROGRAM_HEADER_BYTES).fill(0xff);
  new DataView(header.buffer).setUint32(0, RISCV_ATTRIBUTES, true);
  return header;
}

export const codeLoadCases = category('code load', { requires: ['kernels', 'boot'] }, [
  ...damages.map(([what, change]) =>
    conformanceCase(`refuses an ELF file ${what}, and still loads others`, 'LOAD-2', {}, async (fixture) => {
      const session = await sessionWith(fixture, withKernel(fixture, change));
      const refused = await session.launch(VICTIM, [0n]).then(
        () => 'OK',
        (error: { code: string }) => error.code,
      );
      assert.ok(['INVALID_KERNEL', 'OUT_OF_CODE_MEMORY'].includes(refused), refused);
      await session.expectWorking();
    }),
  ),

  ...(
    [
      ['a segment more', (file, view) => withHeader(file, segmentBehind(file, view, 64n))],
      ['program headers that are not for it', (file) => withHeader(withHeader(file, foreignHeader()), foreignHeader())],
    ] as const satisfies readonly Change[]
  ).map(([what, change]) =>
    conformanceCase(`loads an ELF file with ${what}`, 'LOAD-1', {}, async (fixture) => {
      const session = await sessionWith(fixture, withKernel(fixture, change));
      const error = await rejectsWith('KERNEL_ERROR', session.launch(VICTIM, [99n]));
      assert.equal(error.place?.cause, 99n);
      await session.expectWorking();
    }),
  ),

  conformanceCase('loads each kernel of the bundle on its first use', 'LOAD-1', {}, async (fixture) => {
    const session = await fixture.session();
    for (const [name] of fixture.firmware.kernels) {
      const { done } = await session.startLaunch(name, [], { deadlineUs: 100_000 });
      const code = await done.then(
        () => 'OK',
        (error: { code: string }) => error.code,
      );
      assert.ok(
        !['INVALID_KERNEL', 'UNKNOWN_KERNEL', 'OUT_OF_CODE_MEMORY', 'DEVICE_LOST'].includes(code),
        `${name}: ${code}`,
      );
    }
    await session.expectWorking();
  }),

  conformanceCase('checks the hash of a kernel again when it is loaded', 'LOAD-1', {}, async (fixture) => {
    const card = fixture.card();
    const device = await fixture.driver({ card });
    const session = await fixture.session({ on: device });
    await session.expectWorking(undefined);
    const bundle = fixture.firmware as Bundle;
    const section = bundle.sections.find(({ name }) => name === VICTIM);
    assert.ok(section !== undefined);
    card.pci.barWrite(0, registerOffset('BAR0', 'WINDOW_BASE'), 8, MEMORY_MAP.LPDDR.base);
    card.pci.barWriteBlock(2, section.offset + 200, new Uint8Array(4).fill(0xff));
    const code = await session.launch(VICTIM, [0n]).then(
      () => 'OK',
      (error: { code: string }) => error.code,
    );
    assert.ok(['INVALID_KERNEL', 'BOOT_BAD_HASH'].includes(code), code);
    await session.expectWorking();
  }),

  conformanceCase('refuses a bundle with any one bit flipped', 'LOAD-3', {}, async (fixture) => {
    const { bytes } = loadBundle();
    for (let times = 0; times < 300; times++) {
      const flipped = bytes.slice();
      // The last two thirds of the tries hit records, where a bit means most.
      const at = times < 100 ? fixture.random.integer(0, bytes.length - 1) : fixture.random.integer(0, 2400);
      flipped[at] = (flipped[at] ?? 0) ^ (1 << fixture.random.integer(0, 7));
      let accepted: Bundle | undefined;
      try {
        accepted = readBundle(flipped);
      } catch {
        continue;
      }
      // Padding between sections belongs to nothing.
      const covered = accepted.sections.some(({ offset, bytes: { length } }) => at >= offset && at < offset + length);
      assert.ok(!covered && at >= 64 + 96 * accepted.sections.length, `byte ${at} was not noticed`);
    }
  }),
]);
