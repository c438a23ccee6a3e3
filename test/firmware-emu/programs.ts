/** Bare-metal test programs as instruction words, and the static ELF file around them. No RISC-V toolchain is needed. */
import { branch, ECALL, iType, jal, loadImmediate, sType, uType } from '../native/hart-encode.js';

export const BASE = 0x8000_0000;
export const TOHOST = BASE + 0x800;

const HEADER_BYTES = 64;
const PROGRAM_HEADER_BYTES = 56;
const SECTION_HEADER_BYTES = 64;
const SYMBOL_BYTES = 24;
const CODE_OFFSET = 0x1000;
const CODE_BYTES = 0x1000;
const STRINGS = '\0tohost\0.symtab\0.strtab\0';

export interface ElfShape {
  readonly base?: number;
  readonly entry?: number;
  /** Value of the symbol; null leaves it out. */
  readonly tohost?: number | null;
  readonly memoryBytes?: number;
}

function sectionHeader(name: number, type: number, offset: number, bytes: number, link: number): Buffer {
  const header = Buffer.alloc(SECTION_HEADER_BYTES);
  header.writeUInt32LE(name, 0);
  header.writeUInt32LE(type, 4);
  header.writeBigUInt64LE(BigInt(offset), 24);
  header.writeBigUInt64LE(BigInt(bytes), 32);
  header.writeUInt32LE(link, 40);
  return header;
}

function fileHeader(entry: number, sections: number): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  Buffer.from([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]).copy(header);
  header.writeUInt16LE(2, 16);
  header.writeUInt16LE(243, 18);
  header.writeBigUInt64LE(BigInt(entry), 24);
  header.writeBigUInt64LE(BigInt(HEADER_BYTES), 32);
  header.writeBigUInt64LE(BigInt(sections), 40);
  header.writeUInt16LE(PROGRAM_HEADER_BYTES, 54);
  header.writeUInt16LE(1, 56);
  header.writeUInt16LE(SECTION_HEADER_BYTES, 58);
  header.writeUInt16LE(3, 60);
  header.writeUInt16LE(2, 62);
  return header;
}

function programHeader(base: number, memoryBytes: number): Buffer {
  const header = Buffer.alloc(PROGRAM_HEADER_BYTES);
  header.writeUInt32LE(1, 0);
  header.writeUInt32LE(7, 4);
  for (const [at, value] of [CODE_OFFSET, base, base, CODE_BYTES, memoryBytes, 4096].entries()) {
    header.writeBigUInt64LE(BigInt(value), 8 + at * 8);
  }
  return header;
}

export function elfOf(words: readonly number[], shape: ElfShape = {}): Buffer {
  const { base = BASE, entry = base, tohost = TOHOST, memoryBytes = CODE_BYTES } = shape;
  const code = Buffer.alloc(CODE_BYTES);
  for (const [index, word] of words.entries()) code.writeUInt32LE(word, index * 4);
  const symbol = Buffer.alloc(SYMBOL_BYTES);
  if (tohost !== null) {
    symbol.writeUInt32LE(1, 0);
    symbol.writeUInt16LE(0xfff1, 6);
    symbol.writeBigUInt64LE(BigInt(tohost), 8);
  }
  const symbols = CODE_OFFSET + CODE_BYTES;
  const strings = symbols + SYMBOL_BYTES;
  const sections = strings + STRINGS.length;
  const file = Buffer.concat([
    fileHeader(entry, sections),
    programHeader(base, memoryBytes),
    Buffer.alloc(CODE_OFFSET - HEADER_BYTES - PROGRAM_HEADER_BYTES),
    code,
    symbol,
    Buffer.from(STRINGS, 'latin1'),
    sectionHeader(0, 0, 0, 0, 0),
    sectionHeader(8, 2, symbols, SYMBOL_BYTES, 2),
    sectionHeader(16, 3, strings, STRINGS.length, 0),
  ]);
  return file;
}

export const JUMP_TO_ITSELF = jal(0, 0);

/** x6 = 0x80000800, x5 = value; stored; then for ever. */
export function report(value: number): number[] {
  return [
    ...loadImmediate(5, value),
    uType(0x17, 0, 6), // auipc x6, 0: the third word of the program
    iType(0x13, 0, 0x7f8, { rd: 6, rs1: 6 }),
    sType(0x23, 3, 0, { rs1: 6, rs2: 5 }),
    JUMP_TO_ITSELF,
  ];
}

/** Counts down from n, then passes. */
export function countDown(n: number): number[] {
  return [
    uType(0x17, 0, 6),
    iType(0x13, 0, 0x7ff, { rd: 6, rs1: 6 }),
    iType(0x13, 0, 1, { rd: 6, rs1: 6 }),
    ...loadImmediate(5, n),
    iType(0x13, 0, -1, { rd: 5, rs1: 5 }),
    branch(1, 5, 0, -4),
    iType(0x13, 0, 1, { rd: 5 }),
    sType(0x23, 3, 0, { rs1: 6, rs2: 5 }),
    JUMP_TO_ITSELF,
  ];
}

export const ILLEGAL = [iType(0x13, 0, 1, { rd: 5 }), 0];
export const WAIT_FOR_EVER = [0x1050_0073, JUMP_TO_ITSELF];
/** lui x5, 0xdead0; ld x5, 8(x5) */
export const BAD_LOAD = [uType(0x37, 0x7ead_0000, 5), iType(0x03, 3, 8, { rd: 5, rs1: 5 })];
/** mtvec = the jump to itself after the ecall. */
export const OWN_HANDLER = [
  uType(0x17, 0, 5),
  iType(0x13, 0, 16, { rd: 5, rs1: 5 }),
  0x3052_9073, // csrw mtvec, x5
  ECALL,
  JUMP_TO_ITSELF,
];
/** mtvec = 4, where there is no memory: every trap traps again. */
export const TRAPS_FOR_EVER = [0x3052_5073, ECALL];
const TIME = 0xc01;
/** Reads the time until a microsecond is over, then reports 1. */
export const WAIT_A_MICROSECOND = [
  uType(0x17, 0, 6), // x6 = 0x80000800, as in report
  iType(0x13, 0, 0x7ff, { rd: 6, rs1: 6 }),
  iType(0x13, 0, 1, { rd: 6, rs1: 6 }),
  iType(0x73, 2, TIME, { rd: 5 }),
  iType(0x13, 0, 1000, { rd: 5, rs1: 5 }),
  iType(0x73, 2, TIME, { rd: 7 }),
  branch(6, 7, 5, -4),
  iType(0x13, 0, 1, { rd: 5 }),
  sType(0x23, 3, 0, { rs1: 6, rs2: 5 }),
  JUMP_TO_ITSELF,
];
