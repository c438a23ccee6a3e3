/** What a completion entry says: a record of success, or the error that it stands for. */
import { errorNameOf, HART_AT, HOST_COMMAND, NOT_IN_A_PE, UNIT_COMMANDS } from '../hw/index.js';
import { deviceError, type FaultPlace, type HartWait, type MtiaError } from './errors.js';
import type { RingPair } from './ring.js';

/** What a command that succeeded tells about itself. */
export interface CompletionRecord {
  /** Microseconds that the command took on the device, by the chip's own time model. */
  readonly deviceUs: number;
  /** Jobs that the command handed to PEs. */
  readonly jobs: number;
  /** Bytes that a decompressing copy wrote. */
  readonly bytes?: number;
  /** Answer to QUERY. */
  readonly query?: FirmwareQuery;
}

/** What the firmware says about itself (HOST_COMMAND.QUERY). */
export interface FirmwareQuery {
  readonly firmwareVersion: number;
  /** Bit n: host command n is implemented. */
  readonly capabilities: bigint;
  readonly kernels: number;
}

const COMMAND_NAME: ReadonlyMap<number, string> = new Map(
  Object.entries(HOST_COMMAND).map(([name, opcode]) => [opcode, name]),
);

/** Name of a host command; "command N" for a number that none has. */
export function commandName(opcode: number): string {
  return COMMAND_NAME.get(opcode) ?? `command ${opcode}`;
}

export function readRecord(ring: RingPair, entry: number, opcode: number): CompletionRecord {
  const deviceUs = ring.deviceNs(entry) / 1000;
  const jobs = ring.jobs(entry);
  if (opcode === HOST_COMMAND.COPY_HOST_TO_DEVICE_GUNZIP) return { deviceUs, jobs, bytes: Number(ring.value(entry)) };
  if (opcode !== HOST_COMMAND.QUERY) return { deviceUs, jobs };
  return {
    deviceUs,
    jobs,
    query: {
      firmwareVersion: Number(ring.cause(entry)),
      capabilities: ring.pc(entry),
      kernels: Number(ring.value(entry)),
    },
  };
}

interface Origin {
  readonly context: number;
  readonly queue: number;
  readonly opcode: number;
}

export function readError(ring: RingPair, entry: number, origin: Origin): MtiaError {
  return deviceError(errorNameOf(ring.status(entry)), readPlace(ring, entry, origin));
}

/** Errors of kernels that do not end. */
const STANDING: ReadonlySet<string> = new Set(['DEADLOCK', 'KERNEL_TIMEOUT']);

const UNIT_COMMAND_NAME: ReadonlyMap<number, string> = new Map(UNIT_COMMANDS.map(({ code, name }) => [code, name]));

function standsAt(at: number): string {
  if (at === HART_AT.RUNS) return 'runs';
  if (at === HART_AT.WAITS_FOR_INTERRUPT) return 'waits for an interrupt';
  return `waits at ${UNIT_COMMAND_NAME.get(at) ?? `unit command ${at}`}`;
}

function readWaits(ring: RingPair, entry: number): readonly HartWait[] {
  const told = (ring.place(entry) >>> 16) & 0xff;
  const at = Number(ring.cause(entry));
  return [0, 1].map((hart) => ({
    hart,
    pc: hart === told ? ring.pc(entry) : ring.value(entry),
    reason: standsAt((at >>> (8 * hart)) & 0xff),
  }));
}

function readPlace(ring: RingPair, entry: number, origin: Origin): FaultPlace {
  const place = ring.place(entry);
  const inPe = place !== NOT_IN_A_PE;
  const value = ring.value(entry);
  const standing = inPe && STANDING.has(errorNameOf(ring.status(entry)));
  const { context, queue, opcode } = origin;
  return {
    context,
    queue,
    command: commandName(opcode),
    ...(opcode === HOST_COMMAND.GRAPH_LAUNCH ? { jobIndex: ring.jobIndex(entry) } : {}),
    ...(opcode === HOST_COMMAND.GRAPH_LAUNCH || opcode === HOST_COMMAND.LAUNCH ? { kernel: ring.kernel(entry) } : {}),
    ...(inPe ? { pe: place & 0xffff, hart: (place >>> 16) & 0xff } : {}),
    ...(inPe ? { pc: ring.pc(entry) } : {}),
    ...(standing ? { waits: readWaits(ring, entry) } : inPe ? { cause: ring.cause(entry) } : {}),
    ...(!standing && (inPe || value !== 0n) ? { value } : {}),
  };
}
