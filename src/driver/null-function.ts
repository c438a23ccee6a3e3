/**
 * A card that does nothing: it accepts every command and completes it at once. What remains is the cost of the driver and
 * of everything above it, which is what it measures. No copy moves a byte and no wait waits.
 */
import {
  BOOT_STATUS,
  BUNDLE_HEADER,
  COMPLETION,
  decodeStruct,
  type Generation,
  HOST_COMMAND,
  IDENTITY,
  LIMITS,
  NOT_IN_A_PE,
  PCI,
  PROTOCOL_VERSION,
  registerOffset,
  SPECIFICATIONS,
  SUBMISSION,
} from '../hw/index.js';
import { closedError } from './errors.js';
import {
  type DmaRights,
  HOST_PAGE_BYTES,
  type HostPages,
  type InterruptSubscription,
  type PciFunction,
  type RegisterWidth,
  wholePages,
} from './pci-function.js';
import { wordOf } from './ring.js';

const at = (name: string): number => registerOffset('BAR0', name);
const inPage = (name: string): number => registerOffset('QUEUE_PAGE', name);
const ENTRY_WORDS = COMPLETION.size / 4;
const SUBMISSION_COOKIE = wordOf(SUBMISSION, 'cookie');
const COMPLETION_COOKIE = wordOf(COMPLETION, 'cookie');
const PLACE = wordOf(COMPLETION, 'place');
const SEQUENCE = wordOf(COMPLETION, 'sequence');
const DEVICE_TIME = at('DEVICE_TIME');
const BOOT_DOORBELL = at('BOOT_DOORBELL');
const TAIL = inPage('SUBMISSION_TAIL');
const ENABLE = inPage('ENABLE');

interface NullQueue {
  readonly submissions: Uint32Array;
  readonly completions: Uint32Array;
  readonly entries: number;
  readonly vector: number;
  done: number;
}

/** One MSI-X vector with a listener; several completions are one interrupt. */
class NullInterrupt implements InterruptSubscription {
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

export class NullFunction implements PciFunction {
  readonly name: string;
  readonly #registers = new DataView(new ArrayBuffer(PCI.BAR0_BYTES));
  readonly #mapped = new Map<string, HostPages>();
  readonly #queues = new Map<number, NullQueue>();
  readonly #interrupts = new Map<number, NullInterrupt>();
  #nextAddress = BigInt(HOST_PAGE_BYTES);
  #closed = false;

  constructor(generation: Generation = '2i') {
    this.name = `null MTIA ${generation}`;
    const specification = SPECIFICATIONS[generation];
    const { gridWidth, gridHeight, generationNumber, sramBytes, lpddrBytes } = specification;
    this.#set(at('IDENTITY'), 4, IDENTITY);
    this.#set(at('GENERATION'), 4, generationNumber.value);
    this.#set(at('GRID'), 4, gridWidth.value + gridHeight.value * 0x100);
    this.#set(at('SRAM_BYTES'), 8, sramBytes.value);
    this.#set(at('LPDDR_BYTES'), 8, lpddrBytes.value);
    this.functionReset();
  }

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
    if (register === TAIL) this.#complete(number, Number(value));
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

  dmaMap(context: number, iova: bigint, pages: HostPages, _rights: DmaRights): void {
    this.#checkOpen();
    this.#mapped.set(`${context}:${iova}`, pages);
  }

  dmaUnmap(context: number, iova: bigint): void {
    this.#checkOpen();
    this.#mapped.delete(`${context}:${iova}`);
  }

  onInterrupt(vector: number, listener: () => void): InterruptSubscription {
    this.#checkOpen();
    const interrupt = new NullInterrupt(listener);
    this.#interrupts.set(vector, interrupt);
    return interrupt;
  }

  functionReset(): void {
    this.#checkOpen();
    this.#queues.clear();
    this.#mapped.clear();
    this.#set(at('BOOT_STATUS'), 4, BOOT_STATUS.ROM_READY);
  }

  close(): void {
    this.#closed = true;
    for (const interrupt of this.#interrupts.values()) interrupt.close();
  }

  #boot(): void {
    this.#set(at('FIRMWARE_ABI'), 4, PROTOCOL_VERSION);
    const capabilities = Object.values(HOST_COMMAND).reduce((bits, opcode) => bits | (1n << BigInt(opcode)), 0n);
    this.#set(at('FIRMWARE_CAPABILITIES'), 8, capabilities);
    this.#set(at('BOOT_STATUS'), 4, BOOT_STATUS.READY);
  }

  #enable(number: number, on: boolean): void {
    this.#queues.delete(number);
    if (!on || number >= LIMITS.QUEUES) return;
    const page = PCI.QUEUE_PAGE_OFFSET + number * PCI.QUEUE_PAGE_BYTES;
    const word = (name: string): number => this.#registers.getUint32(page + inPage(name), true);
    const context = word('CONTEXT');
    const entries = word('SUBMISSION_ENTRIES');
    const base = this.#registers.getBigUint64(page + inPage('SUBMISSION_BASE'), true);
    const completionBase = this.#registers.getBigUint64(page + inPage('COMPLETION_BASE'), true);
    const rings = this.#mapped.get(`${context}:${base}`);
    if (rings === undefined) return;
    const { buffer, byteOffset } = rings.view;
    const completionOffset = byteOffset + Number(completionBase - base);
    this.#queues.set(number, {
      submissions: new Uint32Array(buffer, byteOffset, entries * ENTRY_WORDS),
      completions: new Uint32Array(buffer, completionOffset, entries * ENTRY_WORDS),
      entries,
      vector: word('VECTOR'),
      done: 0,
    });
  }

  #complete(number: number, tail: number): void {
    const queue = this.#queues.get(number);
    if (queue === undefined) return;
    const { submissions, completions, entries } = queue;
    while (queue.done !== tail) {
      const entry = (queue.done & (entries - 1)) * ENTRY_WORDS;
      completions[entry + COMPLETION_COOKIE] = submissions[entry + SUBMISSION_COOKIE] ?? 0;
      completions[entry + COMPLETION_COOKIE + 1] = submissions[entry + SUBMISSION_COOKIE + 1] ?? 0;
      completions[entry + PLACE] = NOT_IN_A_PE;
      queue.done = (queue.done + 1) >>> 0;
      completions[entry + SEQUENCE] = queue.done;
    }
    this.#interrupts.get(queue.vector)?.raise();
  }

  #set(offset: number, width: RegisterWidth, value: bigint | number): void {
    if (width === 4) this.#registers.setUint32(offset, Number(value), true);
    else this.#registers.setBigUint64(offset, BigInt(value), true);
  }

  #checkOpen(): void {
    if (this.#closed) throw closedError(this.name);
  }
}
