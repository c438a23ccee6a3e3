/** What JTAG offers of the chip, in the words of somebody who debugs: harts by name, registers by name. */
import {
  type ChipCounters,
  CONTROL_CORE,
  type DebugCalls,
  type MemoryCounters,
  MOST_INSTRUCTIONS,
  type StepResult,
} from '../driver/index.js';

/** A hart of the chip. */
export interface HartId {
  readonly core: number;
  readonly hart: number;
}

/** Register numbers of the debug calls (native/include/mtia.h). */
const PC = 32;
const FIRST_FLOAT = 33;
const FIRST_CSR = 0x1000;
const INTEGER_REGISTERS = 32;

export const CSR = {
  fcsr: 0x003,
  mstatus: 0x300,
  mie: 0x304,
  mtvec: 0x305,
  mscratch: 0x340,
  mepc: 0x341,
  mcause: 0x342,
  mtval: 0x343,
  time: 0xc01,
} as const;
export type CsrName = keyof typeof CSR;

const MACHINE_CSRS = ['mstatus', 'mie', 'mtvec', 'mscratch', 'mepc', 'mcause', 'mtval'] as const;
/** mstatus.FS = Dirty. */
const FLOAT_ON = 0x6000n;

/** `ccp` (hart 0 of the control core), `ccp.N` or `peN.H`; undefined where the name is none of these. */
export function parseHart(name: string): HartId | undefined {
  const control = /^ccp(?:\.([0-3]))?$/.exec(name);
  if (control !== null) return { core: CONTROL_CORE, hart: Number(control[1] ?? 0) };
  const element = /^pe(\d|[1-5]\d|6[0-3])\.([01])$/.exec(name);
  return element === null ? undefined : { core: Number(element[1]), hart: Number(element[2]) };
}

/** What a debugger does with the harts of a halted chip: registers, memory, single steps. */
export class DebugPort {
  readonly #calls: DebugCalls;

  constructor(calls: DebugCalls) {
    this.#calls = calls;
  }

  /** Stops every hart of the chip; everything below needs that. */
  halt(): void {
    this.#calls.halt();
  }

  resume(): void {
    this.#calls.resume();
  }

  readPc({ core, hart }: HartId): bigint {
    return this.#calls.registerRead(core, hart, PC);
  }

  writePc({ core, hart }: HartId, value: bigint): void {
    this.#calls.registerWrite(core, hart, PC, value);
  }

  readRegister({ core, hart }: HartId, number: number): bigint {
    return this.#calls.registerRead(core, hart, number);
  }

  readCsr({ core, hart }: HartId, name: CsrName): bigint {
    return this.#calls.registerRead(core, hart, FIRST_CSR + CSR[name]);
  }

  writeCsr({ core, hart }: HartId, name: CsrName, value: bigint): void {
    this.#calls.registerWrite(core, hart, FIRST_CSR + CSR[name], value);
  }

  /** Registers as after a reset of the hart, whatever ran on it before. */
  clearRegisters({ core, hart }: HartId): void {
    for (let number = 1; number < INTEGER_REGISTERS; number++) this.#calls.registerWrite(core, hart, number, 0n);
    for (let number = 0; number < INTEGER_REGISTERS; number++)
      this.#calls.registerWrite(core, hart, FIRST_FLOAT + number, 0n);
    // fcsr exists only while the floating-point unit is on; it is off after a reset.
    this.writeCsr({ core, hart }, 'mstatus', FLOAT_ON);
    this.writeCsr({ core, hart }, 'fcsr', 0n);
    for (const name of MACHINE_CSRS) this.writeCsr({ core, hart }, name, 0n);
  }

  /** Memory as the core sees it. */
  readMemory({ core }: HartId, address: bigint, bytes: number): Uint8Array {
    return this.#calls.memoryRead(core, address, bytes);
  }

  writeMemory({ core }: HartId, address: bigint, data: Uint8Array): void {
    this.#calls.memoryWrite(core, address, data);
  }

  /** Runs one hart for about that many instructions, the rest of the chip at rest. */
  run({ core, hart }: HartId, instructions: number): StepResult {
    return this.#calls.run(core, hart, Math.min(instructions, MOST_INSTRUCTIONS));
  }

  /** Flips bits of an 8-byte word of LPDDR at a device address, as radiation does. */
  injectError(address: bigint, bits: bigint): void {
    this.#calls.injectError(address, bits);
  }

  /** What the host interface counted since power-on. */
  chipCounters(): ChipCounters {
    return this.#calls.counters();
  }

  /** What the memories of the chip counted since power-on. */
  memoryCounters(): MemoryCounters {
    return this.#calls.memoryCounters();
  }

  /** What a hart waits for, as one line. */
  waitReason({ core, hart }: HartId): string {
    return this.#calls.waitReason(core, hart);
  }
}
