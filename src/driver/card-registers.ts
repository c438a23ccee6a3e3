/** The registers of a card by name, over PciFunction. */
import { PCI, registerOffset } from '../hw/index.js';
import type { PciFunction } from './pci-function.js';

const BAR0 = 0;
const BAR2 = 2;

const at = (name: string): number => registerOffset('BAR0', name);
const inPage = (name: string): number => registerOffset('QUEUE_PAGE', name);

const QUEUE = {
  SUBMISSION_BASE: inPage('SUBMISSION_BASE'),
  SUBMISSION_ENTRIES: inPage('SUBMISSION_ENTRIES'),
  SUBMISSION_TAIL: inPage('SUBMISSION_TAIL'),
  CONTEXT: inPage('CONTEXT'),
  COMPLETION_BASE: inPage('COMPLETION_BASE'),
  COMPLETION_ENTRIES: inPage('COMPLETION_ENTRIES'),
  COMPLETION_HEAD: inPage('COMPLETION_HEAD'),
  VECTOR: inPage('VECTOR'),
  PRIORITY: inPage('PRIORITY'),
  ENABLE: inPage('ENABLE'),
  FAULT: inPage('FAULT'),
} as const;

/** What a function that has fallen off the bus reads as. */
const ALL_ONES = 0xffff_ffff;

/** BAR0 and BAR2 of one card. */
export class CardRegisters {
  readonly #pci: PciFunction;

  constructor(pci: PciFunction) {
    this.#pci = pci;
  }

  read32(name: string): number {
    return Number(this.#pci.barRead(BAR0, at(name), 4));
  }

  read64(name: string): bigint {
    return this.#pci.barRead(BAR0, at(name), 8);
  }

  write32(name: string, value: number): void {
    this.#pci.barWrite(BAR0, at(name), 4, value);
  }

  write64(name: string, value: bigint): void {
    this.#pci.barWrite(BAR0, at(name), 8, value);
  }

  /** Writes device memory through the BAR2 window, moving the window along. */
  writeMemory(address: bigint, data: Uint8Array): void {
    for (let done = 0; done < data.byteLength; done += PCI.BAR2_BYTES) {
      this.write64('WINDOW_BASE', address + BigInt(done));
      this.#pci.barWriteBlock(BAR2, 0, data.subarray(done, done + PCI.BAR2_BYTES));
    }
  }

  /** Zero-terminated text in registers. */
  readText(name: string, bytes: number): string {
    const text = new BigUint64Array(bytes / 8);
    for (const index of text.keys()) text[index] = this.#pci.barRead(BAR0, at(name) + 8 * index, 8);
    const end = new Uint8Array(text.buffer).indexOf(0);
    return Buffer.from(text.buffer, 0, end < 0 ? bytes : end).toString('latin1');
  }

  get offTheBus(): boolean {
    return this.read32('IDENTITY') === ALL_ONES;
  }

  queuePage(number: number): QueuePage {
    return new QueuePage(this.#pci, number);
  }
}

export interface QueueSetUp {
  readonly context: number;
  readonly submissionBase: bigint;
  readonly completionBase: bigint;
  readonly entries: number;
  readonly vector: number;
  readonly priority: number;
}

/** One queue's page of registers. */
export class QueuePage {
  readonly #pci: PciFunction;
  readonly #base: number;
  readonly #submissionTail: number;
  readonly #completionHead: number;

  constructor(pci: PciFunction, number: number) {
    this.#pci = pci;
    this.#base = PCI.QUEUE_PAGE_OFFSET + number * PCI.QUEUE_PAGE_BYTES;
    this.#submissionTail = this.#base + QUEUE.SUBMISSION_TAIL;
    this.#completionHead = this.#base + QUEUE.COMPLETION_HEAD;
  }

  enable(setUp: QueueSetUp): void {
    const write = (offset: number, width: 4 | 8, value: bigint | number): void =>
      this.#pci.barWrite(BAR0, this.#base + offset, width, value);
    write(QUEUE.CONTEXT, 4, setUp.context);
    write(QUEUE.SUBMISSION_BASE, 8, setUp.submissionBase);
    write(QUEUE.SUBMISSION_ENTRIES, 4, setUp.entries);
    write(QUEUE.COMPLETION_BASE, 8, setUp.completionBase);
    write(QUEUE.COMPLETION_ENTRIES, 4, setUp.entries);
    write(QUEUE.VECTOR, 4, setUp.vector);
    write(QUEUE.PRIORITY, 4, setUp.priority);
    write(QUEUE.ENABLE, 4, 1);
  }

  disable(): void {
    this.#pci.barWrite(BAR0, this.#base + QUEUE.ENABLE, 4, 0);
  }

  ringSubmissions(tail: number): void {
    this.#pci.barWrite(BAR0, this.#submissionTail, 4, tail);
  }

  consumeCompletions(head: number): void {
    this.#pci.barWrite(BAR0, this.#completionHead, 4, head);
  }

  /** Error code that stopped the queue, 0 while it works. */
  fault(): number {
    return Number(this.#pci.barRead(BAR0, this.#base + QUEUE.FAULT, 4));
  }
}
