/** The one error class of the stack: a named code, the place where it happened, and one sentence that a person can act on. */
import { ERROR_CODES, type ErrorName } from '../hw/error-codes.js';

/** What one hart of a processing element does where a kernel does not end. */
export interface HartWait {
  readonly hart: number;
  readonly pc: bigint;
  /** "runs", "waits at SEMAPHORE_WAIT", "waits for an interrupt". */
  readonly reason: string;
}

/** Where a failure happened; only what is known is present. */
export interface FaultPlace {
  /** Number of the context. */
  readonly context?: number;
  /** Number of the queue. */
  readonly queue?: number;
  /** Name of the host command. */
  readonly command?: string;
  /** Index of the processing element: row times columns of the grid plus column. */
  readonly pe?: number;
  /** Hart of the processing element: 0 or 1. */
  readonly hart?: number;
  /** mcause of a trap, or the value that a kernel returned. */
  readonly cause?: bigint;
  /** Program counter of the hart. */
  readonly pc?: bigint;
  /** mtval of a trap, the address or field at fault, or the offset in compressed data. */
  readonly value?: bigint;
  /** DEADLOCK, KERNEL_TIMEOUT: every hart of the processing element. */
  readonly waits?: readonly HartWait[];
  /** Number of the job in a graph. */
  readonly jobIndex?: number;
  /** Kernel id. */
  readonly kernel?: number;
}

/** What an MtiaError carries besides code and message. */
export interface MtiaErrorOptions {
  readonly place?: FaultPlace;
  readonly cause?: unknown;
}

/** Every failure of the stack: what (`code`), where (`place`), why (`cause`), and in `message` what a caller can do about it. */
export class MtiaError extends Error {
  /** Name of the failure, from ERROR_CODES. */
  readonly code: ErrorName;
  // Declared, not defined: an error without a place prints none.
  /** Where it happened, as far as that is known. */
  declare readonly place?: FaultPlace;
  /** "MtiaError", as Error.name. */
  override readonly name = 'MtiaError';

  constructor(code: ErrorName, message: string, options: MtiaErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    if (options.place !== undefined) this.place = options.place;
  }

  /** Numeric code, as in completion entries and docs/hardware.md. */
  get number(): number {
    return ERROR_CODES[this.code].code;
  }
}

/** What a caller can do about an error. Codes without an entry explain themselves in their message. */
const REMEDY: Partial<Readonly<Record<ErrorName, string>>> = {
  UNSUPPORTED_COMMAND: 'load a firmware bundle that implements it',
  INVALID_COMMAND: 'check the fields of the command',
  INVALID_CONTEXT: 'create the context first',
  INVALID_GRID: 'choose a rectangle inside the grid that divides the work',
  UNKNOWN_KERNEL: 'use a kernel id of the loaded firmware bundle',
  MEMORY_PROTECTION: 'use only addresses that this context allocated',
  HOST_ADDRESS_FAULT: 'map the host memory for this context first',
  KERNEL_FAULT: 'debug the kernel at this program counter',
  KERNEL_TIMEOUT: 'raise the deadline or correct the kernel',
  DEADLOCK: 'check what the kernel pushes into and pops from its circular buffers',
  DECOMPRESSION: 'check the data at the offset that value gives, and that the destination has room for all of it',
  INDEX_OUT_OF_RANGE: 'check the indices against the number of rows',
  INVALID_GRAPH: 'compile the graph again',
  INSUFFICIENT_LOCAL_MEMORY: 'use smaller tiles or a larger rectangle',
  FIRMWARE_PANIC: 'open the device again and report the bundle version',
  DEVICE_LOST: 'open the device again',
};

/** Names of RISC-V trap causes and of the chip's own (CUSTOM_EXCEPTION). */
const TRAP_NAME: Readonly<Record<string, string>> = {
  '0': 'instruction address misaligned',
  '1': 'instruction access fault',
  '2': 'illegal instruction',
  '3': 'breakpoint',
  '4': 'load address misaligned',
  '5': 'load access fault',
  '6': 'store address misaligned',
  '7': 'store access fault',
  '11': 'environment call',
  '24': 'illegal unit command',
  '25': 'unit command bus fault',
};

const hex = (value: bigint): string => `0x${value.toString(16)}`;

/** The parts of a place, in the order in which a person narrows a fault down. */
const PLACE_PARTS: readonly ((place: FaultPlace, trapped: boolean) => string | undefined)[] = [
  (p) => (p.context === undefined ? undefined : `context ${p.context}`),
  (p) => (p.queue === undefined ? undefined : `queue ${p.queue}`),
  (p) => (p.jobIndex === undefined ? undefined : `job ${p.jobIndex}`),
  (p) => (p.kernel === undefined ? undefined : `kernel ${p.kernel}`),
  (p) => (p.pe === undefined ? undefined : `PE ${p.pe}`),
  // Where all harts are told of, one alone says nothing more.
  (p) => (p.hart === undefined || p.waits !== undefined ? undefined : `hart ${p.hart}`),
  (p) => (p.pc === undefined || p.waits !== undefined ? undefined : `pc ${hex(p.pc)}`),
  (p) => p.waits?.map(({ hart, pc, reason }) => `hart ${hart} ${reason} (pc ${hex(pc)})`).join(', '),
  (p, trapped) => {
    if (p.cause === undefined) return undefined;
    const trap = trapped ? TRAP_NAME[p.cause.toString()] : undefined;
    return trap ?? `cause ${p.cause}`;
  },
  (p) => (p.value === undefined ? undefined : `value ${hex(p.value)}`),
];

/** Codes whose `cause` is an mcause. */
const TRAPS: ReadonlySet<ErrorName> = new Set([
  'KERNEL_FAULT',
  'ILLEGAL_UNIT_COMMAND',
  'FIRMWARE_PANIC',
  'DEVICE_LOST',
]);

/** "context 1, queue 2, PE 5, hart 0, pc 0x80801000, load access fault, value 0x10". */
export function describePlace(place: FaultPlace, code: ErrorName): string {
  const trapped = TRAPS.has(code);
  return PLACE_PARTS.map((part) => part(place, trapped))
    .filter((text) => text !== undefined)
    .join(', ');
}

/** An error of the device itself, worded from its code and place. */
export function deviceError(code: ErrorName, place: FaultPlace, options: { readonly cause?: unknown } = {}): MtiaError {
  const remedy = REMEDY[code];
  const where = describePlace(place, code);
  const message =
    `${place.command === undefined ? '' : `${place.command}: `}${ERROR_CODES[code].doc}` +
    `${where === '' ? '' : ` (${where})`}${remedy === undefined ? '' : `; ${remedy}`}`;
  return new MtiaError(code, message, { place, ...options });
}

/** For programs that no compiler has checked. Throws INVALID_ARGUMENT where options are no object. */
export function checkOptions(options: object): void {
  if (typeof options === 'object' && options !== null) return;
  throw invalidArgument(`options are an object, got ${describeValue(options)}; leave them out or give {}`);
}

/** The error of every use after close. */
export function closedError(what: string): MtiaError {
  return new MtiaError('DEVICE_CLOSED', `${what} is closed; open a new one`);
}

/** How a message names what a caller gave in place of something else: "null", "2", "an Array". */
export function describeValue(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value);
  if (typeof value === 'function') return 'a function';
  if (typeof value !== 'object' || value === null) return String(value);
  const name = (value as { readonly constructor?: { readonly name?: string } }).constructor?.name ?? 'Object';
  return `${/^[AEIOU]/.test(name) ? 'an' : 'a'} ${name}`;
}

/** The error of an argument that is out of range. */
export function invalidArgument(message: string): MtiaError {
  return new MtiaError('INVALID_ARGUMENT', message);
}
