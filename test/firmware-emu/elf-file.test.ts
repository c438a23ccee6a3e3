import { describe, expect, it } from 'vitest';
import { checkKernelElf, checkProgramElf, readElf } from '../../src/firmware-emu/elf-file.js';
import { bundlePath, DEFAULT_BUNDLE, loadBundle } from '../../src/firmware-emu/index.js';

const kernel =
  loadBundle(bundlePath(DEFAULT_BUNDLE)).sections.find(({ name }) => name === 'NULL')?.bytes ?? new Uint8Array();

/** Program header 0 or 1 of the kernel describes its code. */
const code = readElf(kernel).segments[0];

function changed(offset: number, value: number): Uint8Array {
  const bytes = Uint8Array.from(kernel);
  new DataView(bytes.buffer).setUint32(offset, value, true);
  return bytes;
}

function programHeader(): number {
  const view = new DataView(kernel.buffer, kernel.byteOffset, kernel.byteLength);
  const table = Number(view.getBigUint64(32, true));
  return view.getUint32(table, true) === 1 ? table : table + 56;
}

describe('an ELF file', () => {
  it('of a kernel passes', () => {
    checkKernelElf(kernel);
    expect(code).toMatchObject({ writable: false });
  });

  it.each([
    ['no ELF file', () => changed(0, 0)],
    ['another machine', () => changed(18, 62)],
    ['program headers outside', () => changed(32, 0x7fff_ffff)],
    ['a segment outside', () => changed(programHeader() + 8, 0x7fff_ffff)],
    ['writable code', () => changed(programHeader() + 4, 7)],
    ['memory that is not in the file', () => changed(programHeader() + 40, 4096)],
    ['misaligned code', () => changed(programHeader() + 16, 0x8001_0004)],
    ['an entry outside', () => changed(24, 0)],
  ])('with %s is refused', (_what, file) => {
    expect(() => checkKernelElf(file())).toThrow(RangeError);
  });

  it('outside of its window is refused', () => {
    const base = code?.address ?? 0;
    checkProgramElf(kernel, base, 4096);
    expect(() => checkProgramElf(kernel, base + 64, 4096)).toThrow(RangeError);
    expect(() => checkProgramElf(kernel, base, 2)).toThrow(RangeError);
  });
});
