/**
 * A submission ring and a completion ring in pinned host memory, as typed arrays over that memory.
 *
 * Field positions come from src/hw once, when the module is loaded. The supported hosts (x86-64, arm64) store typed
 * arrays little endian, as the rings demand.
 */
import { COMPLETION, placeFields, type StructLayout, SUBMISSION } from '../hw/index.js';
import { invalidArgument } from './errors.js';

const WORD_BYTES = 4;
const ENTRY_WORDS = SUBMISSION.size / WORD_BYTES;

/** Index of the 32-bit word that holds a field. */
export function wordOf<Name extends string>(layout: StructLayout<Name>, name: Name): number {
  const field = placeFields(layout).find((f) => f.name === name);
  if (field === undefined) throw new RangeError(`no field ${layout.name}.${name}`);
  return Math.floor(field.offset / WORD_BYTES);
}

// The opcode is the lowest byte of its word, the other fields of that word must be zero: one store writes them all.
const OPCODE = wordOf(SUBMISSION, 'opcode');
const DEADLINE = wordOf(SUBMISSION, 'deadline_us');
const COOKIE = wordOf(SUBMISSION, 'cookie');
const A = wordOf(SUBMISSION, 'a');
const B = wordOf(SUBMISSION, 'b');
const C = wordOf(SUBMISSION, 'c');
const D = wordOf(SUBMISSION, 'd');

const SEQUENCE = wordOf(COMPLETION, 'sequence');
const STATUS = wordOf(COMPLETION, 'status');
const COMPLETION_COOKIE = wordOf(COMPLETION, 'cookie');
const DEVICE_NS = wordOf(COMPLETION, 'device_ns');
const JOBS = wordOf(COMPLETION, 'jobs');
const PLACE = wordOf(COMPLETION, 'place');
const CAUSE = wordOf(COMPLETION, 'cause');
const PC = wordOf(COMPLETION, 'pc');
const VALUE = wordOf(COMPLETION, 'value');
const JOB_INDEX = wordOf(COMPLETION, 'job_index');
const KERNEL = wordOf(COMPLETION, 'kernel');

const TWO_TO_32 = 2 ** 32;
const LARGEST_U32 = 0xffff_ffff;

/** One host command; a to d depend on the opcode (see mtia_submission). */
export interface Command {
  /** See HOST_COMMAND. */
  readonly opcode: number;
  readonly a?: bigint | number;
  readonly b?: bigint | number;
  readonly c?: bigint | number;
  readonly d?: bigint | number;
  /** Microseconds from its start after which the device ends the command with KERNEL_TIMEOUT; none when absent or 0. */
  readonly deadlineUs?: number;
  /** A WAIT for a value that the host signals, whenever it likes: the device is not to blame for how long it takes. */
  readonly hostSignals?: boolean;
}

/** Bytes of pinned memory for both rings. */
export function ringBytes(entries: number): number {
  return entries * (SUBMISSION.size + COMPLETION.size);
}

/** Byte offset of the completion ring behind the submission ring. */
export function completionRingOffset(entries: number): number {
  return entries * SUBMISSION.size;
}

function isWord(value: bigint | number | undefined): boolean {
  if (typeof value === 'bigint') return value >= 0n && BigInt.asUintN(64, value) === value;
  return value === undefined || (Number.isSafeInteger(value) && value >= 0);
}

/** Throws INVALID_ARGUMENT where a field of the command cannot be encoded. */
export function checkCommand(command: Command): void {
  const { opcode, deadlineUs } = command;
  if (!Number.isInteger(opcode) || opcode < 0 || opcode > 255) {
    throw invalidArgument(`there is no host command ${opcode}; HOST_COMMAND has all`);
  }
  if (!isWord(command.a) || !isWord(command.b) || !isWord(command.c) || !isWord(command.d)) {
    const wrong = (['a', 'b', 'c', 'd'] as const).find((name) => !isWord(command[name])) ?? 'a';
    throw invalidArgument(
      `field ${wrong} of host command ${opcode} is ${command[wrong]}; give an unsigned 64-bit integer`,
    );
  }
  if (deadlineUs !== undefined && !(deadlineUs >= 0)) {
    throw invalidArgument(`deadlineUs is ${deadlineUs}; give microseconds, or 0 for none`);
  }
}

export class RingPair {
  readonly #words: Uint32Array;
  readonly #doubleWords: BigUint64Array;
  readonly #mask: number;
  readonly #completions: number;

  /** `memory` holds the submission ring and, at completionRingOffset, the completion ring. */
  constructor(memory: Uint8Array, entries: number) {
    this.#words = new Uint32Array(memory.buffer, memory.byteOffset, ringBytes(entries) / WORD_BYTES);
    this.#doubleWords = new BigUint64Array(memory.buffer, memory.byteOffset, ringBytes(entries) / 8);
    this.#mask = entries - 1;
    this.#completions = completionRingOffset(entries) / WORD_BYTES;
  }

  /** Writes the entry at position `tail` (modulo the ring). The doorbell that follows publishes it. */
  writeSubmission(tail: number, command: Command, cookieLow: number, cookieHigh: number): void {
    const base = (tail & this.#mask) * ENTRY_WORDS;
    const words = this.#words;
    words[base + OPCODE] = command.opcode;
    words[base + DEADLINE] = Math.min(LARGEST_U32, Math.ceil(command.deadlineUs ?? 0));
    words[base + COOKIE] = cookieLow;
    words[base + COOKIE + 1] = cookieHigh;
    this.#write64(base + A, command.a);
    this.#write64(base + B, command.b);
    this.#write64(base + C, command.c);
    this.#write64(base + D, command.d);
  }

  /** Position of a completion entry, to be passed to the readers below. */
  completionAt(head: number): number {
    return this.#completions + (head & this.#mask) * ENTRY_WORDS;
  }

  /** Atomic: whatever is read of the entry afterwards is at least as new as this number. */
  sequence(entry: number): number {
    return Atomics.load(this.#words, entry + SEQUENCE);
  }

  status(entry: number): number {
    return this.#word(entry + STATUS);
  }

  cookieLow(entry: number): number {
    return this.#word(entry + COMPLETION_COOKIE);
  }

  cookieHigh(entry: number): number {
    return this.#word(entry + COMPLETION_COOKIE + 1);
  }

  deviceNs(entry: number): number {
    return this.#word(entry + DEVICE_NS) + this.#word(entry + DEVICE_NS + 1) * TWO_TO_32;
  }

  jobs(entry: number): number {
    return this.#word(entry + JOBS);
  }

  place(entry: number): number {
    return this.#word(entry + PLACE);
  }

  cause(entry: number): bigint {
    return this.#doubleWord(entry + CAUSE);
  }

  pc(entry: number): bigint {
    return this.#doubleWord(entry + PC);
  }

  value(entry: number): bigint {
    return this.#doubleWord(entry + VALUE);
  }

  jobIndex(entry: number): number {
    return this.#word(entry + JOB_INDEX);
  }

  kernel(entry: number): number {
    return this.#word(entry + KERNEL);
  }

  #word(index: number): number {
    return this.#words[index] ?? 0;
  }

  #doubleWord(index: number): bigint {
    return this.#doubleWords[index / 2] ?? 0n;
  }

  #write64(index: number, value: bigint | number | undefined): void {
    if (typeof value === 'bigint') {
      this.#doubleWords[index / 2] = value;
    } else {
      const number = value ?? 0;
      this.#words[index] = number >>> 0;
      this.#words[index + 1] = number / TWO_TO_32;
    }
  }
}
