/**
 * A card made of this process's memory: registers, rings and interrupts behave as a driver expects, and a subclass says
 * what a command does. Nothing of the chip is emulated here.
 */
import {
  BOOT_STATUS,
  BUNDLE_HEADER,
  COMPLETION,
  decodeStruct,
  ERROR_CODES,
  type ErrorName,
  type Generation,
  HOST_COMMAND,
  IDENTITY,
  NOT_IN_A_PE,
  PCI,
  PROTOCOL_VERSION,
  registerOffset,
  SPECIFICATIONS,
  SUBMISSION,
} from '../../hw/index.js';
import type { CardLimits } from '../card-limits.js';
import { closedError, invalidArgument } from '../errors.js';
import {
  type DmaRights,
  HOST_PAGE_BYTES,
  type HostPages,
  type InterruptSubscription,
  type PciFunction,
  type RegisterWidth,
  wholePages,
} from '../pci-function.js';
import { wordOf } from '../ring.js';

const at = (name: string): number => registerOffset('BAR0', name);
const inPage = (name: string): number => registerOffset('QUEUE_PAGE', name);
const ENTRY_WORDS = COMPLETION.size / 4;
const FIELD_A = wordOf(SUBMISSION, 'a') / 2;
const FIELD_B = wordOf(SUBMISSION, 'b') / 2;
const FIELD_C = wordOf(SUBMISSION, 'c') / 2;
const FIELD_D = wordOf(SUBMISSION, 'd') / 2;
const SUBMISSION_COOKIE = wordOf(SUBMISSION, 'cookie');
const COMPLETION_COOKIE = wordOf(COMPLETION, 'cookie');
const PLACE = wordOf(COMPLETION, 'place');
const SEQUENCE = wordOf(COMPLETION, 'sequence');
const STATUS = wordOf(COMPLETION, 'status');
const VALUE = wordOf(COMPLETION, 'value');
const DEVICE_TIME = at('DEVICE_TIME');
const BOOT_DOORBELL = at('BOOT_DOORBELL');
const TAIL = inPage('SUBMISSION_TAIL');
const ENABLE = inPage('ENABLE');

/** A command as it lies in the ring. */
export interface SoftwareCommand {
  readonly opcode: number;
  readonly queue: number;
  readonly context: number;
  /** Fields a..d of mtia_submission. */
  readonly a: bigint;
  readonly b: bigint;
  readonly c: bigint;
  readonly d: bigint;
}

/** How a command ended; `value` is that of the completion. */
export interface SoftwareOutcome {
  readonly error: ErrorName;
  readonly value?: bigint;
}

export const DONE: SoftwareOutcome = { error: 'OK' };
const ABORTED: SoftwareOutcome = { error: 'ABORTED' };

export interface HostMapping {
  readonly iova: bigint;
  readonly pages: HostPages;
  readonly rights: DmaRights;
}

interface SoftwareQueue {
  readonly submissions: Uint32Array;
  readonly submissionWords: BigUint64Array;
  readonly completions: Uint32Array;
  readonly entries: number;
  readonly vector: number;
  readonly context: number;
  tail: number;
  done: number;
  /** Positions of commands that were aborted before their turn. */
  readonly aborted: Set<number>;
}

/** One MSI-X vector with a listener; several completions are one interrupt. */
class SoftwareInterrupt implements InterruptSubscription {
  readonly #listener: () => void;
  #referenced = false;
  #pending: NodeJS.Immediate | undefined;

  constructor(listener: () => void) {
    this.#listener = listener;
  }

  raise(): void {
    if (this.#pending !== undefined) return;
    this.#pending = setImmediate(() => {
      this.#pending = undefined;
      this.#listener();
    });
    if (!this.#referenced) this.#pending.unref();
  }

  ref(): void {
    this.#referenced = true;
    this.#pending?.ref();
  }

  unref(): void {
    this.#referenced = false;
    this.#pending?.unref();
  }

  close(): void {
    if (this.#pending !== undefined) clearImmediate(this.#pending);
    this.#pending = undefined;
  }
}

export abstract class SoftwareFunction implements PciFunction {
  readonly name: string;
  readonly #registers = new DataView(new ArrayBuffer(PCI.BAR0_BYTES));
  readonly #mappings = new Map<number, Map<bigint, HostMapping>>();
  readonly #queues = new Map<number, SoftwareQueue>();
  readonly #interrupts = new Map<number, SoftwareInterrupt>();
  readonly #queueCount: number;
  readonly #vectorCount: number;
  #nextAddress = BigInt(HOST_PAGE_BYTES);
  #closed = false;

  constructor(kind: string, generation: Generation, limits: CardLimits = {}) {
    this.name = `${kind} MTIA ${generation}`;
    const specification = SPECIFICATIONS[generation];
    const { gridWidth, gridHeight, generationNumber, sramBytes, lpddrBytes } = specification;
    this.#set(at('IDENTITY'), 4, IDENTITY);
    this.#set(at('GENERATION'), 4, generationNumber.value);
    this.#set(at('GRID'), 4, gridWidth.value + gridHeight.value * 0x100);
    this.#set(at('SRAM_BYTES'), 8, sramBytes.value);
    this.#set(at('SCRATCHPAD_BYTES'), 8, sramBytes.value);
    this.#set(at('LPDDR_BYTES'), 8, lpddrBytes.value);
    this.#queueCount = limits.queues ?? specification.queues.value;
    this.#vectorCount = limits.interruptVectors ?? specification.interruptVectors.value;
    this.#set(at('QUEUES'), 4, this.#queueCount);
    this.#set(at('INTERRUPT_VECTORS'), 4, this.#vectorCount);
    this.#set(at('BROADCAST'), 4, limits.broadcast === false ? 0 : specification.broadcastDispatch.value);
    this.#set(at('BOOT_STATUS'), 4, BOOT_STATUS.ROM_READY);
  }

  /** What the command does; undefined while it has to wait: it is tried again after every other command. */
  protected abstract execute(command: SoftwareCommand): SoftwareOutcome | undefined;
  /** Commands that it takes. */
  protected get opcodes(): readonly number[] {
    return Object.values(HOST_COMMAND);
  }
  /** A queue was enabled or disabled. */
  protected queueChanged(_queue: number): void {}
  /** Forgets what a function reset clears. */
  protected abstract clear(): void;

  configRead(offset: number): number {
    this.#checkOpen();
    return offset === 0 ? PCI.VENDOR_ID : 0;
  }

  configWrite(): void {
    this.#checkOpen();
  }

  barRead(_bar: number, offset: number, width: RegisterWidth): bigint {
    this.#checkOpen();
    if (offset === DEVICE_TIME) return process.hrtime.bigint();
    return width === 4 ? BigInt(this.#registers.getUint32(offset, true)) : this.#registers.getBigUint64(offset, true);
  }

  barWrite(_bar: number, offset: number, width: RegisterWidth, value: bigint | number): void {
    this.#checkOpen();
    this.#set(offset, width, value);
    if (offset === BOOT_DOORBELL) this.#boot();
    if (offset < PCI.QUEUE_PAGE_OFFSET) return;
    const number = Math.floor((offset - PCI.QUEUE_PAGE_OFFSET) / PCI.QUEUE_PAGE_BYTES);
    const register = (offset - PCI.QUEUE_PAGE_OFFSET) % PCI.QUEUE_PAGE_BYTES;
    if (register === TAIL) this.#submit(number, Number(value));
    else if (register === ENABLE) this.#enable(number, Number(value) !== 0);
  }

  barReadBlock(_bar: number, _offset: number, bytes: number): Uint8Array {
    this.#checkOpen();
    return new Uint8Array(bytes);
  }

  /** Of the staged firmware only the version matters. */
  barWriteBlock(_bar: number, offset: number, data: Uint8Array): void {
    this.#checkOpen();
    if (offset !== 0 || data.byteLength < BUNDLE_HEADER.size) return;
    const header = decodeStruct(BUNDLE_HEADER, new DataView(data.buffer, data.byteOffset, data.byteLength), 0);
    this.#set(at('FIRMWARE_VERSION'), 4, header.firmware_version);
  }

  allocateHost(requested: number): HostPages {
    this.#checkOpen();
    const bytes = wholePages(requested);
    const address = this.#nextAddress;
    this.#nextAddress += BigInt(bytes);
    return { address, bytes, view: new Uint8Array(bytes), free: () => undefined };
  }

  dmaMap(context: number, iova: bigint, pages: HostPages, rights: DmaRights): void {
    this.#checkOpen();
    const mappings = this.#mappings.get(context) ?? new Map<bigint, HostMapping>();
    this.#mappings.set(context, mappings.set(iova, { iova, pages, rights }));
  }

  dmaUnmap(context: number, iova: bigint): void {
    this.#checkOpen();
    this.#mappings.get(context)?.delete(iova);
  }

  onInterrupt(vector: number, listener: () => void): InterruptSubscription {
    this.#checkOpen();
    if (vector >= this.#vectorCount) {
      throw invalidArgument(`${this.name} has no interrupt vector ${vector}; it has ${this.#vectorCount}, from 0`);
    }
    const interrupt = new SoftwareInterrupt(listener);
    this.#interrupts.set(vector, interrupt);
    return interrupt;
  }

  functionReset(): void {
    this.#checkOpen();
    this.#queues.clear();
    this.#mappings.clear();
    this.clear();
    this.#set(at('BOOT_STATUS'), 4, BOOT_STATUS.ROM_READY);
  }

  close(): void {
    this.#closed = true;
    for (const interrupt of this.#interrupts.values()) interrupt.close();
  }

  /** The mapping that holds an I/O virtual address of a context. */
  protected mappingAt(context: number, address: bigint): HostMapping | undefined {
    for (const mapping of this.#mappings.get(context)?.values() ?? []) {
      const offset = address - mapping.iova;
      if (offset >= 0n && offset < BigInt(mapping.pages.bytes)) return mapping;
    }
    return undefined;
  }

  #boot(): void {
    this.#set(at('FIRMWARE_ABI'), 4, PROTOCOL_VERSION);
    const capabilities = this.opcodes.reduce((bits, opcode) => bits | (1n << BigInt(opcode)), 0n);
    this.#set(at('FIRMWARE_CAPABILITIES'), 8, capabilities);
    this.#set(at('BOOT_STATUS'), 4, BOOT_STATUS.READY);
  }

  #enable(number: number, on: boolean): void {
    this.#queues.delete(number);
    this.queueChanged(number);
    if (!on || number >= this.#queueCount) return;
    const page = PCI.QUEUE_PAGE_OFFSET + number * PCI.QUEUE_PAGE_BYTES;
    const word = (name: string): number => this.#registers.getUint32(page + inPage(name), true);
    const context = word('CONTEXT');
    const entries = word('SUBMISSION_ENTRIES');
    const base = this.#registers.getBigUint64(page + inPage('SUBMISSION_BASE'), true);
    const completionBase = this.#registers.getBigUint64(page + inPage('COMPLETION_BASE'), true);
    const rings = this.mappingAt(context, base);
    if (rings === undefined) return;
    const { buffer, byteOffset } = rings.pages.view;
    const submissionOffset = byteOffset + Number(base - rings.iova);
    const completionOffset = byteOffset + Number(completionBase - rings.iova);
    this.#queues.set(number, {
      submissions: new Uint32Array(buffer, submissionOffset, entries * ENTRY_WORDS),
      submissionWords: new BigUint64Array(buffer, submissionOffset, entries * (ENTRY_WORDS / 2)),
      completions: new Uint32Array(buffer, completionOffset, entries * ENTRY_WORDS),
      entries,
      vector: word('VECTOR'),
      context,
      tail: 0,
      done: 0,
      aborted: new Set(),
    });
  }

  /** A command that ends may let commands of other queues go on. */
  #submit(number: number, tail: number): void {
    const queue = this.#queues.get(number);
    if (queue === undefined) return;
    queue.tail = tail;
    for (let moved = true; moved; ) {
      moved = false;
      for (const [index, candidate] of this.#queues) moved = this.#run(index, candidate) || moved;
    }
  }

  #run(number: number, queue: SoftwareQueue): boolean {
    const first = queue.done;
    while (queue.done !== queue.tail) {
      const outcome = queue.aborted.delete(queue.done) ? ABORTED : this.#start(this.#commandAt(number, queue));
      if (outcome === undefined) break;
      this.#complete(queue, outcome);
    }
    if (queue.done === first) return false;
    this.#interrupts.get(queue.vector)?.raise();
    return true;
  }

  #start(command: SoftwareCommand): SoftwareOutcome | undefined {
    const aborts = command.opcode === HOST_COMMAND.ABORT && command.queue === 0;
    return aborts ? this.#abort(command) : this.execute(command);
  }

  /** Commands run to their end at once: what has not ended has not started, or waits. */
  #abort({ a, b, c }: SoftwareCommand): SoftwareOutcome {
    const queue = this.#queues.get(Number(a));
    let met = 0n;
    for (let index = 0; queue !== undefined && index < Number(c); index++) {
      const position = (Number(b) + index) >>> 0;
      if ((position - queue.done) >>> 0 >= queue.entries) continue;
      queue.aborted.add(position);
      met++;
    }
    return { error: 'OK', value: met };
  }

  #commandAt(number: number, { submissions, submissionWords, entries, done, context }: SoftwareQueue): SoftwareCommand {
    const entry = (done & (entries - 1)) * ENTRY_WORDS;
    const words = entry / 2;
    return {
      opcode: (submissions[entry] ?? 0) & 0xff,
      queue: number,
      context,
      a: submissionWords[words + FIELD_A] ?? 0n,
      b: submissionWords[words + FIELD_B] ?? 0n,
      c: submissionWords[words + FIELD_C] ?? 0n,
      d: submissionWords[words + FIELD_D] ?? 0n,
    };
  }

  #complete(queue: SoftwareQueue, { error, value = 0n }: SoftwareOutcome): void {
    const { submissions, completions, entries } = queue;
    const entry = (queue.done & (entries - 1)) * ENTRY_WORDS;
    completions[entry + COMPLETION_COOKIE] = submissions[entry + SUBMISSION_COOKIE] ?? 0;
    completions[entry + COMPLETION_COOKIE + 1] = submissions[entry + SUBMISSION_COOKIE + 1] ?? 0;
    completions[entry + STATUS] = ERROR_CODES[error].code;
    completions[entry + VALUE] = Number(BigInt.asUintN(32, value));
    completions[entry + VALUE + 1] = Number(BigInt.asUintN(32, value >> 32n));
    completions[entry + PLACE] = NOT_IN_A_PE;
    queue.done = (queue.done + 1) >>> 0;
    completions[entry + SEQUENCE] = queue.done;
  }

  #set(offset: number, width: RegisterWidth, value: bigint | number): void {
    if (width === 4) this.#registers.setUint32(offset, Number(value), true);
    else this.#registers.setBigUint64(offset, BigInt(value), true);
  }

  #checkOpen(): void {
    if (this.#closed) throw closedError(this.name);
  }
}
