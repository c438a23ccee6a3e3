/**
 * The frame around random instructions: an ELF file that loads its registers from its data, runs them in a loop, and writes
 * all registers, flags and memory to standard output.
 */
import { branch, DATA_BASE, DATA_BYTES, ECALL, elfFile, iType, jal, loadImmediate, sType } from './hart-encode.js';

/** Registers that hold addresses (sp and s1 for compressed instructions) or the loop counter: never written in the body. */
export const STACK = 2;
export const COMPRESSED_BASE = 9;
/** Takes in floating point results, so that each one counts, not only those that are still there at the end. */
export const HASH = 28;
const COUNTER = 29;
export const ATOMIC_BASE = 30;
export const BASE = 31;
export const RESERVED = [STACK, COMPRESSED_BASE, HASH, COUNTER, ATOMIC_BASE, BASE];
/** Where addresses point: loads and stores reach 2 KiB to either side. */
const MIDDLE = DATA_BASE + 8192;
/** The lowest offset that a load or store takes: where a checkpoint leaves its registers. */
const LOWEST = -2048;
/** x and f registers, and fcsr. */
export const CHECKPOINT_BYTES = 65 * 8;

/** One instruction of 4 or 2 bytes. */
export type Instruction = { word: number; bytes: 2 | 4 };
export const wide = (word: number): Instruction => ({ word, bytes: 4 });
export const narrow = (word: number): Instruction => ({ word: word & 0xffff, bytes: 2 });
export const sizeOf = (list: readonly Instruction[]): number => list.reduce((sum, one) => sum + one.bytes, 0);

/** Loads all registers but BASE and COUNTER from offset of BASE on. */
function loadRegisters(offset: number): number[] {
  const words: number[] = [];
  for (let i = 0; i < 32; i++) words.push(iType(0x07, 3, offset + i * 8, { rd: i, rs1: BASE }));
  for (let i = 1; i <= HASH; i++) words.push(iType(0x03, 3, offset + 256 + i * 8, { rd: i, rs1: BASE }));
  for (const rd of [STACK, COMPRESSED_BASE, ATOMIC_BASE]) words.push(iType(0x13, 0, 0, { rd, rs1: BASE }));
  return words;
}

/** Stores the registers below base and fcsr at an offset of base; x5 is lost. */
function storeRegisters(base: number, offset: number): number[] {
  const words: number[] = [];
  for (let i = 0; i < 31; i++) words.push(sType(0x23, 3, offset + i * 8, { rs1: base, rs2: i }));
  for (let i = 0; i < 32; i++) words.push(sType(0x27, 3, offset + 256 + i * 8, { rs1: base, rs2: i }));
  return [...words, iType(0x73, 2, 3, { rd: 5 }), sType(0x23, 3, offset + 512, { rs1: base, rs2: 5 })];
}

/** The end of one short program and the start of the next: writes the registers out, loads new ones from an offset of BASE. */
export function checkpoint(offset: number): Instruction[] {
  const set = (rd: number, value: number): number => iType(0x13, 0, value, { rd });
  const write = [
    set(10, 1),
    iType(0x13, 0, LOWEST, { rd: 11, rs1: BASE }),
    set(12, CHECKPOINT_BYTES),
    set(17, 64),
    ECALL,
  ];
  return [...storeRegisters(BASE, LOWEST), ...write, ...loadRegisters(offset)].map(wide);
}

function prologue(): number[] {
  const words = loadImmediate(BASE, MIDDLE);
  words.push(...loadRegisters(0));
  words.push(iType(0x13, 0, 3, { rd: COUNTER }));
  return words;
}

/** Stores every register and fcsr at DATA_BASE, writes all data to standard output and ends. */
function epilogue(): number[] {
  const words = loadImmediate(BASE, DATA_BASE);
  words.push(...storeRegisters(BASE, 0));
  words.push(
    ...loadImmediate(10, 1),
    ...loadImmediate(11, DATA_BASE),
    ...loadImmediate(12, DATA_BYTES),
    ...loadImmediate(17, 64),
    ECALL,
  );
  words.push(...loadImmediate(10, 0), ...loadImmediate(17, 93), ECALL);
  return words;
}

function bytesOf(instructions: readonly Instruction[]): Buffer {
  const code = Buffer.alloc(sizeOf(instructions));
  let at = 0;
  for (const { word, bytes } of instructions) {
    if (bytes === 4) code.writeUInt32LE(word >>> 0, at);
    else code.writeUInt16LE(word, at);
    at += bytes;
  }
  return code;
}

/** An ELF file that runs body three times. */
export function programOf(body: readonly Instruction[], data: Buffer): Buffer {
  const size = sizeOf(body);
  // The loop is longer than a branch reaches: count down, leave by a branch, or jump back.
  const loop = [
    wide(iType(0x13, 0, -1, { rd: COUNTER, rs1: COUNTER })),
    wide(branch(0, COUNTER, 0, 8)),
    wide(jal(0, -(size + 8))),
  ];
  return elfFile(bytesOf([...prologue().map(wide), ...body, ...loop, ...epilogue().map(wide)]), data);
}
