/**
 * Kernels of random unit commands: mostly legal, so that they wait for each other, and for other PEs, in ways that nobody would
 * write. Argument 0 of the job is the address of memory that they may read and write.
 */

import { COMMAND_REGISTERS } from '../../src/hw/command-registers.js';
import { DATA_TYPE, type Generation, UNIT_COMMANDS } from '../../src/hw/index.js';
import { OPCODE_COMMAND_REGISTER, OPCODE_LAUNCH } from '../../src/hw/unit-operands.js';
import { branch, iType, jal, loadImmediate, rType } from '../native/hart-encode.js';
import { pick, type Random } from '../native/random.js';
import { kernelOf } from './kernel-elf.js';

const [FIRST, SECOND, MEMORY, JOB, HART, SPARE] = [5, 6, 7, 10, 11, 31];
/** Of the job descriptor. */
const ARGUMENTS_OFFSET = 64;
const RETURN_OK = [iType(0x13, 0, 0, { rd: 10 }), iType(0x67, 0, 0, { rs1: 1 })];

const BUFFERS = 4;
const BUFFER_BYTES = 2048;
/** In local memory, behind what the monitor keeps. */
const BUFFERS_BASE = 0x8000;
/** Columns and rows that rectangles have at most; one more is outside. */
export const LONGEST_SIDE = 3;

type Fields = Readonly<Record<string, number>>;

function load(rd: number, value: bigint): number[] {
  const half = (bits: bigint): number => Number(BigInt.asIntN(32, bits));
  return [
    ...loadImmediate(rd, half(value >> 32n)),
    iType(0x13, 1, 32, { rd, rs1: rd }),
    ...loadImmediate(SPARE, half(value)),
    iType(0x13, 1, 32, { rd: SPARE, rs1: SPARE }),
    iType(0x13, 5, 32, { rd: SPARE, rs1: SPARE }),
    rType(0x33, 6, 0, { rd, rs1: rd, rs2: SPARE }),
  ];
}

function register(name: string, value: bigint): number[] {
  const index = COMMAND_REGISTERS.find((one) => one.name === name)?.index;
  if (index === undefined) throw new Error(`no command register ${name}`);
  return [...load(FIRST, value), iType(OPCODE_COMMAND_REGISTER, 0, index, { rs1: FIRST })];
}

/** Loads what the fields make of rs1 and rs2, and launches; address: of memory, added to rs1. */
function command(name: string, fields: Fields, address?: number): number[] {
  const found = UNIT_COMMANDS.find((one) => one.name === name);
  if (found === undefined) throw new Error(`no command ${name}`);
  const operands = { rs1: BigInt(address ?? 0), rs2: 0n };
  for (const [field, value] of Object.entries(fields)) {
    const place = found.fields.find((one) => one.name === field);
    if (place === undefined || (place.from !== 'rs1' && place.from !== 'rs2'))
      throw new Error(`${name} has no ${field}`);
    operands[place.from] |= BigInt(value) << BigInt(place.low);
  }
  const inMemory = address === undefined ? [] : [rType(0x33, 0, 0, { rd: FIRST, rs1: FIRST, rs2: MEMORY })];
  const launch = rType(OPCODE_LAUNCH, 0, found.code, { rs1: FIRST, rs2: SECOND });
  return [...load(FIRST, operands.rs1), ...inMemory, ...load(SECOND, operands.rs2), launch];
}

class Draw {
  constructor(
    readonly below: Random,
    readonly generation: Generation,
  ) {}
  buffer(): number {
    return this.below(BUFFERS);
  }
  accumulator(): number {
    return this.below(4);
  }
  /** Mostly a multiple of what v1 wants. */
  bytes(most: number): number {
    return this.below(8) === 0 ? this.below(most) : 32 * this.below(most / 32);
  }
  flag(): number {
    return this.below(2);
  }
  matrixType(): number {
    return pick(this.below, [DATA_TYPE.INT8, DATA_TYPE.FP16, DATA_TYPE.BF16]);
  }
  type(): number {
    return pick(this.below, Object.values(DATA_TYPE));
  }
  /** Semaphore and PE of an atomic operation. */
  remote(): Fields {
    const side = LONGEST_SIDE + (this.below(8) === 0 ? 1 : 0);
    return { semaphore: this.below(4), flag: this.flag(), column: this.below(side), row: this.below(side) };
  }
  link(): Fields {
    const type = pick(this.below, [DATA_TYPE.FP32, DATA_TYPE.INT32]);
    return { accumulator: this.accumulator(), link: this.flag(), type, rows: 4, columns: 8 };
  }
}

function shape(rows: number, width: number): bigint {
  return BigInt(rows) | (BigInt(width) << 16n);
}

function matrixShape(d: Draw): bigint {
  const blocks = d.generation === 'v1' ? 1 : 1 + d.below(3);
  const fields = [1 + d.below(32), 1 + d.below(32), pick(d.below, [32, 64]), d.matrixType(), blocks];
  return fields.reduce((bits, value, i) => bits | (BigInt(value) << BigInt(i * 8)), 0n);
}

const ACTIONS: readonly ((d: Draw) => number[])[] = [
  (d) => command('CB_PUSH', { cb: d.buffer(), bytes: d.bytes(512) }),
  (d) => command('CB_PUSH', { cb: d.buffer(), bytes: d.bytes(512) }),
  (d) => command('CB_POP', { cb: d.buffer(), bytes: d.bytes(512) }),
  (d) => command('CB_POP', { cb: d.buffer(), bytes: d.bytes(512) }),
  (d) => command(pick(d.below, ['CB_WAIT_DATA', 'CB_WAIT_SPACE']), { cb: d.buffer(), bytes: d.bytes(256) }),
  (d) => command('CB_INIT', { cb: d.buffer(), base: BUFFERS_BASE + 32 * d.below(400), bytes: 32 * (1 + d.below(64)) }),
  () => command('FENCE', {}),
  (d) => command('SEMAPHORE_POST', { semaphore: d.below(4), value: 1 + d.below(3) }),
  (d) => command('SEMAPHORE_WAIT', { semaphore: d.below(4), value: d.below(2) }),
  (d) => command('ATOMIC_ADD', { ...d.remote(), value: 1 + d.below(3) }),
  (d) => command('ATOMIC_ADD', { ...d.remote(), value: 1 + d.below(3) }),
  (d) => command('ATOMIC_WAIT', { ...d.remote(), value: d.below(2) }),
  (d) => command('BARRIER', { scope: d.below(3) }),
  (d) => register('DMA_SHAPE', shape(1 + d.below(4), 32 * (1 + d.below(8)))),
  (d) => register('DMA_GLOBAL_STRIDE', BigInt(32 * d.below(20))),
  (d) => register('DMA_LOCAL_STRIDE', BigInt(4 * d.below(80))),
  (d) => register('DMA_MULTICAST', d.flag() === 0 ? 0n : BigInt(d.below(3) | (d.below(8) << 8))),
  (d) => command('DMA_IN', { cb: d.buffer(), keep: d.flag(), offset: d.bytes(128) }, d.bytes(32_000)),
  (d) => command('DMA_IN', { cb: d.buffer(), keep: d.flag() }, d.bytes(32_000)),
  (d) => command('DMA_OUT', { cb: d.buffer(), keep: d.flag() }, d.bytes(32_000)),
  (d) => [...register('MML_SHAPE', matrixShape(d)), ...register('MML_STRIDE', BigInt(32 * d.below(4)))],
  (d) => command('MML', { accumulator: d.accumulator(), cbA: d.buffer(), cbB: d.buffer() }),
  (d) => command('ACC_INIT', { accumulator: d.accumulator() }),
  (d) =>
    command('REDUCE', {
      ...{ accumulator: d.accumulator(), cb: d.buffer(), function: d.flag(), type: d.type() },
      ...{ rows: 1 + d.below(4), columns: 1 + d.below(32), stride: 128 },
    }),
  (d) => command('REDUCE_SEND', d.link()),
  (d) => command('REDUCE_RECEIVE', d.link()),
  (d) => register('SE_SHAPE', shape(1 + d.below(8), 1 + d.below(40))),
  (d) => register('SE_SOURCE_STRIDE', BigInt(32 * d.below(8)) * 0x1_0000_0001n),
  (d) =>
    command('SE_UNARY', {
      ...{ cbSource: d.buffer(), cbDestination: d.buffer(), function: d.flag() },
      ...{ typeIn: d.type(), typeOut: d.type(), sourceOffset: d.bytes(64) },
    }),
  (d) => register('MLU_SHAPE', shape(1 + d.below(8), 1 + d.below(20)) | (16n << 32n)),
  (d) => command(pick(d.below, ['MLU_COPY', 'MLU_TRANSPOSE']), { cbSource: d.buffer(), cbDestination: d.buffer() }),
];

/** Buffers with something in them, legal shapes, then up to 25 actions. */
function bodyOf(d: Draw): number[] {
  const buffers = Array.from({ length: BUFFERS }, (_, cb) => [
    ...command('CB_INIT', { cb, base: BUFFERS_BASE + cb * BUFFER_BYTES, bytes: BUFFER_BYTES }),
    ...command('CB_PUSH', { cb, bytes: d.flag() * 32 * d.below(40) }),
  ]);
  const strides = ['DMA_GLOBAL_STRIDE', 'DMA_LOCAL_STRIDE'].flatMap((name) => register(name, 64n));
  const actions = Array.from({ length: 1 + d.below(d.flag() === 0 ? 6 : 25) }, () => pick(d.below, ACTIONS)(d));
  return [
    iType(0x03, 3, ARGUMENTS_OFFSET, { rd: MEMORY, rs1: JOB }),
    ...buffers.flat(),
    ...register('DMA_SHAPE', shape(2, 64)),
    ...strides,
    ...actions.flat(),
    ...RETURN_OK,
  ];
}

/** An ELF file; in one of three kernels the second hart works, too. */
export function randomKernel(random: Random, generation: Generation): Uint8Array {
  const draw = new Draw(random, generation);
  const first = bodyOf(draw);
  const second = random(3) === 0 ? bodyOf(draw) : RETURN_OK;
  return kernelOf([branch(0, HART, 0, 8), jal(0, 4 * (1 + first.length)), ...first, ...second]);
}
