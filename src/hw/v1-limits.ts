/**
 * What MTIA v1 does not allow of the unit commands. It only takes away: what is legal on v1 is legal on 2i, so kernels of v1 run
 * there unchanged. Where nobody has published that v1 lacks something, both have it (LEGAL_ON_BOTH).
 */
import { COMMAND_REGISTERS } from './command-registers.js';
import { SPECIFICATIONS } from './specification.js';
import type { CommandField, UnitCommand } from './unit-commands.js';

/** A field of the command, by its name, or bits of a command register. */
export type Operand = string | { readonly register: string; readonly low: number; readonly bits: number };

/** The values that are left. */
export type Legal = 'nothing' | { readonly only: number } | { readonly most: number } | { readonly multipleOf: number };

/** What is legal on v1 of an operand of some commands, or of the commands themselves. */
export interface V1Limit {
  readonly commands: readonly string[];
  /** Absent: the command as a whole. */
  readonly operand?: Operand;
  readonly legal: Legal;
  /** Only where this operand is at least so much. */
  readonly where?: { readonly operand: Operand; readonly atLeast: number };
  readonly source: string;
}

const SE_SHAPED = ['SE_UNARY', 'SE_BINARY', 'SE_ROW_ACCUMULATE', 'SE_QUANTIZE', 'SE_DEQUANTIZE', 'SE_ROW_REDUCE'];
const ROWS = { low: 0, bits: 16 };
const WHOLE = { low: 0, bits: 64 };
const ALIGNED = { multipleOf: SPECIFICATIONS.v1.dmaAlignment.value };

/** The first of a command that is broken names the illegal field. */
export const V1_LIMITS: readonly V1Limit[] = [
  {
    commands: ['DMA_IN_INDEXED', 'DMA_PREFETCH'],
    legal: 'nothing',
    source: 'I25 section 3.3: indices and prefetch came with 2i',
  },
  { commands: ['RE_ROW_RANGE'], legal: 'nothing', source: 'I25: minimum and maximum of rows came with 2i' },
  { commands: ['MML_SPARSE'], legal: 'nothing', source: 'I25: 2:4 sparsity came with 2i' },
  {
    commands: ['MML'],
    operand: 'context',
    legal: { only: 0 },
    source: 'I25 section 3.3: multi-context GEMM came with 2i',
  },
  {
    commands: ['MML'],
    operand: 'advance',
    legal: { only: 0 },
    source: 'I25 section 3.3: offsets that increment by themselves came with 2i',
  },
  {
    commands: ['MML'],
    operand: 'kBlocks',
    legal: { only: 1 },
    source: 'I25 section 3.3: loops without a command each came with 2i; I23 section 4 issues one for each block',
  },
  {
    commands: ['DMA_IN', 'DMA_OUT'],
    operand: 'address',
    legal: ALIGNED,
    source: 'I25 section 3.3: unaligned addresses came with 2i (of DMA_IN; DMA_OUT: assumed)',
  },
  {
    commands: ['DMA_IN', 'DMA_OUT'],
    operand: { register: 'DMA_GLOBAL_STRIDE', ...WHOLE },
    legal: ALIGNED,
    where: { operand: { register: 'DMA_SHAPE', ...ROWS }, atLeast: 2 },
    source: 'I23 section 4: the outer stride is padded to 32 bytes',
  },
  {
    commands: ['DMA_IN'],
    operand: { register: 'DMA_CACHE_HINT', ...WHOLE },
    legal: { only: 0 },
    source: 'I25: hints that keep dead data from being written back are described of 2i',
  },
  {
    commands: SE_SHAPED,
    operand: { register: 'SE_SHAPE', ...ROWS },
    legal: { most: SPECIFICATIONS.v1.rowAccumulateRows.value },
    source: 'I25 section 3.3: SE_ROW_ACCUMULATE went from 32 rows to 128 (the other commands: assumed)',
  },
];

/** What the papers name of one generation only without saying that the other lacks it. */
export const LEGAL_ON_BOTH: readonly { readonly what: string; readonly why: string }[] = [
  {
    what: 'All types in the SIMD engine',
    why: 'I23 names INT8 and FP16 in, INT8 and FP32 out for the approximation of functions, not for elementwise commands. The vectors of the harts, which have the rest on v1, are not emulated, and results are the same on both (docs/driver-contract.md, NUM-3).',
  },
  {
    what: 'MML with 64 bytes of k',
    why: 'I23 gives the block that the engine of v1 multiplies at a time, 32 x 32 bytes x 32; a command takes as many passes as it needs, twice the cycles here. With one order of additions results are the same on both (NUM-3).',
  },
  {
    what: 'Scales of rows (SE_QUANTIZE, SE_DEQUANTIZE, REDUCE_DEQUANTIZE) and SE_ROW_REDUCE',
    why: 'I25 describes quantisation by row on 2i, I23 quantisation without saying by what.',
  },
  { what: 'Multicast along rows and columns', why: 'I23 has both; I25 mentions columns.' },
  { what: 'Slices by MLU_COPY', why: 'I26 names them; I23 names transposition, concatenation and reshaping.' },
];

/** What mtval names where a command register is at fault that is no named field: this + its index. */
export const FIELD_OF_REGISTER = 32;
/** And where the command is. */
export const FIELD_OF_COMMAND = 63;

/** Where an operand is: rs1 (0), rs2 (1), or a command register (2 + its index). */
export interface OperandPlace {
  readonly source: number;
  readonly low: number;
  readonly bits: number;
  /** What mtval calls it. */
  readonly number: number;
}

function registerIndex(name: string): number {
  const found = COMMAND_REGISTERS.find((register) => register.name === name);
  if (found === undefined) throw new RangeError(`src/hw/v1-limits.ts: no command register "${name}"`);
  return found.index;
}

function sourceOf(field: CommandField): number {
  return field.from === 'rs1' ? 0 : field.from === 'rs2' ? 1 : 2 + registerIndex(field.from);
}

/** Where an operand of a command is; without an operand, any bit, because the command itself is at fault. */
export function placeOfOperand(command: UnitCommand, operand: Operand | undefined): OperandPlace {
  if (operand === undefined) return { source: 0, low: 0, bits: 1, number: FIELD_OF_COMMAND };
  if (typeof operand !== 'string') {
    const index = registerIndex(operand.register);
    return { source: 2 + index, low: operand.low, bits: operand.bits, number: FIELD_OF_REGISTER + index };
  }
  const number = command.fields.findIndex(({ name }) => name === operand);
  const field = command.fields[number];
  if (field === undefined) throw new RangeError(`src/hw/v1-limits.ts: ${command.name} has no field "${operand}"`);
  return { source: sourceOf(field), low: field.low, bits: field.bits, number };
}

/** The limits of one command, in their order. */
export function v1LimitsOf(command: UnitCommand): readonly V1Limit[] {
  return V1_LIMITS.filter(({ commands }) => commands.includes(command.name));
}

/** The values that are left, in words. */
export function legalText(legal: Legal): string {
  if (legal === 'nothing') return 'nothing';
  if ('only' in legal) return String(legal.only);
  return 'most' in legal ? `at most ${legal.most}` : `multiples of ${legal.multipleOf}`;
}
