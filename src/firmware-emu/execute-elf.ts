/** Runs a bare-metal ELF file on one hart, and hears its verdict as the public RISC-V tests give it: in `tohost`. */
import { setImmediate } from 'node:timers/promises';
import type { StepResult } from '../driver/index.js';
import type { Generation } from '../hw/index.js';
import type { DebugPort, HartId } from './debug-port.js';
import { hex, loadProgram, TRAP_PAGE } from './elf-loader.js';

/** On which hart a program runs, and for how long. */
export interface ExecuteOptions {
  readonly generation: Generation;
  readonly hart: HartId;
  /** About how many instructions to run at most; slices end at the end of a basic block. */
  readonly maxInstructions: number;
}

/** How a program ended. */
export interface ExecuteResult {
  /** trap: the program sits in a trap that nothing handles. limit: it was still running, or waits for ever. */
  readonly status: 'pass' | 'fail' | 'trap' | 'limit';
  /** Of fail: the test that failed, as the program numbers them. */
  readonly testNumber: number | undefined;
  /** Executed until the verdict was seen, at the end of a slice. */
  readonly instructions: number;
  /** Of trap: mepc, the instruction that trapped. Otherwise where the hart stands. */
  readonly pc: bigint;
  /** Of trap: mcause and mtval. */
  readonly cause: bigint | undefined;
  readonly value: bigint | undefined;
  /** Of limit: what the hart waits for. */
  readonly waitsFor: string | undefined;
}

/** Slices grow: a short test is heard soon, a long one is not slowed down, and Ctrl-C is served between any two. */
const FIRST_SLICE = 1024;
const LONGEST_SLICE = 1 << 20;

const JUMP_TO_ITSELF = 0x0000_006f;
const COMPRESSED_JUMP_TO_ITSELF = 0xa001;
const MSTATUS_MIE = 1n << 3n;
const MSTATUS_MPIE = 1n << 7n;

const PASSED = 1n;
/** Bits above the low 48 name a device of the host; exit codes are odd. */
const LARGEST_EXIT = (1n << 48n) - 1n;

type Verdict = Pick<ExecuteResult, 'status'> & Partial<ExecuteResult>;

function start(port: DebugPort, hart: HartId, entry: bigint): void {
  port.writeMemory(hart, BigInt(TRAP_PAGE), new Uint8Array(new Uint32Array([JUMP_TO_ITSELF]).buffer));
  port.clearRegisters(hart);
  port.writeCsr(hart, 'mtvec', BigInt(TRAP_PAGE));
  port.writePc(hart, entry);
}

function hearTohost(port: DebugPort, hart: HartId, tohost: bigint): Verdict | undefined {
  const memory = port.readMemory(hart, tohost, 8);
  const value = new DataView(memory.buffer, memory.byteOffset).getBigUint64(0, true);
  if (value === 0n) return undefined;
  if (value === PASSED) return { status: 'pass' };
  if (value % 2n === 1n && value <= LARGEST_EXIT) return { status: 'fail', testNumber: Number(value >> 1n) };
  throw new RangeError(
    `asks the host for a service (tohost is ${hex(value)}); only the exit codes of tests are served`,
  );
}

function trapOf(port: DebugPort, hart: HartId): Verdict {
  return {
    status: 'trap',
    pc: port.readCsr(hart, 'mepc'),
    cause: port.readCsr(hart, 'mcause'),
    value: port.readCsr(hart, 'mtval'),
  };
}

function jumpsToItself(port: DebugPort, hart: HartId, pc: bigint): boolean {
  let code: Uint8Array;
  try {
    code = port.readMemory(hart, pc, 4);
  } catch {
    return false; // a pc outside of memory; its trap will show
  }
  const word = new DataView(code.buffer, code.byteOffset).getUint32(0, true);
  return word === JUMP_TO_ITSELF || (word & 0xffff) === COMPRESSED_JUMP_TO_ITSELF;
}

/**
 * Whether the hart sits in a trap for good: where no handler was set up, or in a handler that is one jump to itself. In a
 * handler interrupts are off, and MPIE is as they were before; an mret would have set it.
 */
function sitsInTrap(port: DebugPort, hart: HartId): boolean {
  const pc = port.readPc(hart);
  if (pc === BigInt(TRAP_PAGE)) return true;
  if ((port.readCsr(hart, 'mstatus') & (MSTATUS_MIE | MSTATUS_MPIE)) !== 0n) return false;
  const trapped = port.readCsr(hart, 'mcause') !== 0n || port.readCsr(hart, 'mepc') !== 0n;
  return trapped && jumpsToItself(port, hart, pc);
}

/** What can be said after a slice; undefined: run on. */
function judge(port: DebugPort, hart: HartId, tohost: bigint | undefined, slice: StepResult): Verdict | undefined {
  const heard = tohost === undefined ? undefined : hearTohost(port, hart, tohost);
  if (heard !== undefined) return heard;
  if (sitsInTrap(port, hart)) return trapOf(port, hart);
  // Nothing else runs, and time passes only while the hart does: what it waits for now will never come.
  if (slice.stop !== 'ran') return { status: 'limit', waitsFor: waitReason(port, hart, slice) };
  // A handler that traps itself retires nothing.
  return slice.executed === 0 ? trapOf(port, hart) : undefined;
}

function waitReason(port: DebugPort, hart: HartId, slice: StepResult): string {
  return slice.stop === 'waits' ? 'wfi' : port.waitReason(hart);
}

/**
 * Halts the chip, loads the file and runs it; the chip stays halted. Throws a RangeError where the file cannot run.
 */
export async function executeElf(port: DebugPort, file: Uint8Array, options: ExecuteOptions): Promise<ExecuteResult> {
  const { hart, generation, maxInstructions } = options;
  port.halt();
  const { entry, tohost } = loadProgram(port, hart, generation, file);
  start(port, hart, entry);
  let [instructions, slice] = [0, FIRST_SLICE];
  let verdict: Verdict | undefined;
  while (verdict === undefined && instructions < maxInstructions) {
    const step = port.run(hart, Math.min(slice, maxInstructions - instructions));
    instructions += step.executed;
    slice = Math.min(slice * 2, LONGEST_SLICE);
    verdict = judge(port, hart, tohost, step);
    await setImmediate();
  }
  return {
    testNumber: undefined,
    cause: undefined,
    value: undefined,
    waitsFor: undefined,
    pc: port.readPc(hart),
    ...(verdict ?? { status: 'limit' }),
    instructions,
  };
}
