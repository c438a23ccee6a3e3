/** RISC-V instruction words, and the smallest static ELF file that Linux and hart_runner both load. */

export const CODE_BASE = 0x8000_1000;
/** PE local memory: where hart_runner has its first region. */
export const DATA_BASE = 0x0800_0000;
export const DATA_BYTES = 16384;

type Operands = { rd?: number; rs1?: number; rs2?: number };

export function rType(opcode: number, funct3: number, funct7: number, { rd = 0, rs1 = 0, rs2 = 0 }: Operands): number {
  return (opcode | (rd << 7) | (funct3 << 12) | (rs1 << 15) | (rs2 << 20) | (funct7 << 25)) >>> 0;
}

export function iType(opcode: number, funct3: number, immediate: number, { rd = 0, rs1 = 0 }: Operands): number {
  return (opcode | (rd << 7) | (funct3 << 12) | (rs1 << 15) | ((immediate & 0xfff) << 20)) >>> 0;
}

export function sType(opcode: number, funct3: number, immediate: number, { rs1 = 0, rs2 = 0 }: Operands): number {
  return rType(opcode, funct3, (immediate >> 5) & 0x7f, { rd: immediate & 31, rs1, rs2 });
}

export function uType(opcode: number, immediate: number, rd: number): number {
  return (opcode | (rd << 7) | (immediate & 0xfffff000)) >>> 0;
}

export function branch(funct3: number, rs1: number, rs2: number, distance: number): number {
  const high = (((distance >> 12) & 1) << 6) | ((distance >> 5) & 0x3f);
  return rType(0x63, funct3, high, { rd: (distance & 0x1e) | ((distance >> 11) & 1), rs1, rs2 });
}

export function jal(rd: number, distance: number): number {
  const d = distance;
  const field =
    (((d >> 20) & 1) << 31) | (((d >> 1) & 0x3ff) << 21) | (((d >> 11) & 1) << 20) | (((d >> 12) & 0xff) << 12);
  return (0x6f | (rd << 7) | field) >>> 0;
}

/** c.beqz (form 0) and c.bnez (1) of x8 to x15. */
export function compressedBranch(form: number, rs1: number, distance: number): number {
  const d = distance;
  const high = (((d >> 8) & 1) << 12) | (((d >> 3) & 3) << 10);
  const low = (((d >> 6) & 3) << 5) | (((d >> 1) & 3) << 3) | (((d >> 5) & 1) << 2);
  return 0xc001 | (form << 13) | ((rs1 - 8) << 7) | high | low;
}

/** c.j */
export function compressedJump(distance: number): number {
  const d = distance;
  const high = (((d >> 11) & 1) << 12) | (((d >> 4) & 1) << 11) | (((d >> 8) & 3) << 9) | (((d >> 10) & 1) << 8);
  const low = (((d >> 6) & 1) << 7) | (((d >> 7) & 1) << 6) | (((d >> 1) & 7) << 3) | (((d >> 5) & 1) << 2);
  return 0xa001 | high | low;
}

/** A value of 32 bits, sign-extended, in two instructions. */
export function loadImmediate(rd: number, value: number): number[] {
  const low = (value << 20) >> 20;
  return [uType(0x37, value - low, rd), iType(0x1b, 0, low, { rd, rs1: rd })];
}

export const ECALL = 0x73;

function segment(flags: number, offset: number, address: number, bytes: number): Buffer {
  const header = Buffer.alloc(56);
  header.writeUInt32LE(1, 0);
  header.writeUInt32LE(flags, 4);
  header.writeBigUInt64LE(BigInt(offset), 8);
  header.writeBigUInt64LE(BigInt(address), 16);
  header.writeBigUInt64LE(BigInt(address), 24);
  header.writeBigUInt64LE(BigInt(bytes), 32);
  header.writeBigUInt64LE(BigInt(bytes), 40);
  header.writeBigUInt64LE(4096n, 48);
  return header;
}

/** An executable with code at CODE_BASE (its entry), which it may change, and data at DATA_BASE. */
export function elfFile(code: Buffer, data: Buffer): Buffer {
  const header = Buffer.alloc(64);
  header.write('\x7fELF\x02\x01\x01', 0, 'latin1');
  header.writeUInt16LE(2, 16); // ET_EXEC
  header.writeUInt16LE(243, 18); // EM_RISCV
  header.writeUInt32LE(1, 20);
  header.writeBigUInt64LE(BigInt(CODE_BASE), 24);
  header.writeBigUInt64LE(64n, 32);
  header.writeUInt32LE(5, 48); // compressed instructions, double float ABI
  header.writeUInt16LE(64, 52);
  header.writeUInt16LE(56, 54);
  header.writeUInt16LE(2, 56);
  const dataOffset = 4096;
  const codeOffset = dataOffset + data.length;
  const all = [
    header,
    segment(6, dataOffset, DATA_BASE, data.length),
    segment(7, codeOffset, CODE_BASE, code.length),
    Buffer.alloc(dataOffset - 64 - 2 * 56),
    data,
    code,
  ];
  return Buffer.concat(all);
}
