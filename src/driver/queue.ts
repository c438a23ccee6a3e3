/** A submission/completion queue pair: commands in, promises out. */
import { errorNameOf, HOST_COMMAND, LIMITS } from '../hw/index.js';
import type { QueuePage } from './card-registers.js';
import { type CompletionRecord, commandName, readError, readRecord } from './completion.js';
import { closedError, deviceError, MtiaError } from './errors.js';
import type { HostPages, InterruptSubscription } from './pci-function.js';
import { type Command, checkCommand, completionRingOffset, RingPair } from './ring.js';
import type { Watchdog, Watched } from './watchdog.js';

export const QUEUE_ENTRIES = LIMITS.QUEUE_ENTRIES;
const SLOT_BITS = 8;
const SLOT_MASK = (1 << SLOT_BITS) - 1;

/** What a queue is made of; the context that owns the queue provides it. */
export interface QueueParts {
  readonly number: number;
  readonly context: number;
  /** Unlike every other queue that had the same number on this device: late completions of those are told apart. */
  readonly life: number;
  readonly page: QueuePage;
  readonly rings: HostPages;
  readonly ringsIova: bigint;
  readonly entries: number;
  readonly vector: number;
  readonly deadlineMs: number;
  readonly watchdog: Watchdog;
  subscribe(listener: () => void): InterruptSubscription;
  /** Unmaps the rings and gives number and vector back. */
  release(): void;
  /** A failure that only the device as a whole can handle. */
  onLost(error: MtiaError): void;
}

type Resolve = (record: CompletionRecord) => void;
type Reject = (error: MtiaError) => void;

/** A command that the ring has no room for yet. */
interface Waiting {
  readonly command: Command;
  readonly resolve: Resolve;
  readonly reject: Reject;
}

/** A command in the ring. */
interface Outstanding extends Waiting {
  readonly cookie: number;
}

export class Queue implements Watched {
  readonly #parts: QueueParts;
  readonly #ring: RingPair;
  readonly #interrupt: InterruptSubscription;
  readonly #outstanding: (Outstanding | undefined)[];
  readonly #freeSlots: number[];
  readonly #waiting: Waiting[] = [];
  #tail = 0;
  #head = 0;
  #flushScheduled = false;
  readonly #flush = (): void => this.#ringDoorbell();
  /** Why nothing can be submitted any more. */
  #failure: MtiaError | undefined;
  #closed = false;
  #oldestCookie = -1;
  #oldestSinceMs = 0;

  constructor(parts: QueueParts) {
    this.#parts = parts;
    this.#ring = new RingPair(parts.rings.view, parts.entries);
    this.#outstanding = new Array<Outstanding | undefined>(parts.entries).fill(undefined);
    this.#freeSlots = Array.from({ length: parts.entries }, (_, index) => parts.entries - 1 - index);
    this.#interrupt = parts.subscribe(() => this.drain());
    parts.page.enable({
      context: parts.context,
      submissionBase: parts.ringsIova,
      completionBase: parts.ringsIova + BigInt(completionRingOffset(parts.entries)),
      entries: parts.entries,
      vector: parts.vector,
    });
    parts.watchdog.add(this);
  }

  get number(): number {
    return this.#parts.number;
  }

  /** Why the queue takes no commands any more; undefined while it works. */
  get failure(): MtiaError | undefined {
    return this.#failure;
  }

  /** Commands that have not completed, those that wait for room in the ring included. */
  get outstanding(): number {
    return this.#parts.entries - this.#freeSlots.length + this.#waiting.length;
  }

  /**
   * Sends a command. Commands of one queue start in order. The promise is rejected with the MtiaError of the failure, or
   * with DEVICE_CLOSED when the queue is closed first.
   */
  submit(command: Command): Promise<CompletionRecord> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) throw this.#failure;
      checkCommand(command);
      if (this.#freeSlots.length === 0 || this.#waiting.length > 0) this.#waiting.push({ command, resolve, reject });
      else this.#place(command, resolve, reject);
      this.#parts.watchdog.start();
    });
  }

  /** Takes every completion that the device has posted. */
  drain(): void {
    if (this.#closed) return;
    try {
      this.#takeCompletions();
    } catch (cause) {
      this.#loseDevice(cause);
    }
  }

  #takeCompletions(): void {
    const first = this.#head;
    for (;;) {
      const entry = this.#ring.completionAt(this.#head);
      const expected = (this.#head + 1) >>> 0;
      const sequence = this.#ring.sequence(entry);
      if (sequence !== expected) {
        this.#checkOlder(sequence, expected);
        break;
      }
      this.#complete(entry);
      this.#head = expected;
    }
    if (this.#head === first) return;
    this.#parts.page.consumeCompletions(this.#head);
    this.#admitWaiting();
  }

  get working(): boolean {
    const oldest = this.#oldest();
    return oldest !== undefined && oldest.command.opcode !== HOST_COMMAND.WAIT;
  }

  inspect(nowMs: number, othersWork: boolean): void {
    this.drain();
    const oldest = this.#oldest();
    if (oldest === undefined) return;
    const fault = this.#parts.page.fault();
    if (fault !== 0) {
      this.#break(deviceError(errorNameOf(fault), this.#placeOf(oldest.command)), oldest);
      return;
    }
    const maySignal = othersWork && oldest.command.opcode === HOST_COMMAND.WAIT;
    if (maySignal || oldest.cookie !== this.#oldestCookie) {
      this.#oldestCookie = oldest.cookie;
      this.#oldestSinceMs = nowMs;
    } else if (nowMs - this.#oldestSinceMs >= this.#limitMs(oldest.command)) {
      const place = this.#placeOf(oldest.command);
      this.#break(deviceError('DEVICE_TIMEOUT', place), oldest);
    }
  }

  listen(awaited: boolean): void {
    if (awaited) this.#interrupt.ref();
    else this.#interrupt.unref();
  }

  /** Rejects everything outstanding; nothing can be submitted afterwards. */
  fail(error: MtiaError): void {
    if (this.#failure !== undefined) return;
    this.#failure = error;
    this.#rejectAll(error);
  }

  /** Stops the queue. Commands that have not completed are rejected with DEVICE_CLOSED. Idempotent. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#failure = closedError(`queue ${this.#parts.number}`);
    this.#interrupt.close();
    this.#parts.watchdog.remove(this);
    this.#rejectAll(this.#failure);
    try {
      this.#parts.page.disable();
    } finally {
      this.#parts.release();
    }
  }

  #place(command: Command, resolve: Resolve, reject: Reject): void {
    const slot = this.#freeSlots.pop() ?? 0;
    const cookie = ((this.#tail << SLOT_BITS) | slot) >>> 0;
    this.#outstanding[slot] = { command, resolve, reject, cookie };
    this.#ring.writeSubmission(this.#tail, command, cookie, this.#parts.life);
    this.#tail = (this.#tail + 1) >>> 0;
    if (this.#flushScheduled) return;
    // One doorbell for everything that is submitted before the caller next awaits.
    this.#flushScheduled = true;
    queueMicrotask(this.#flush);
  }

  #ringDoorbell(): void {
    this.#flushScheduled = false;
    if (this.#failure !== undefined) return;
    try {
      this.#parts.page.ringSubmissions(this.#tail);
    } catch (cause) {
      this.#loseDevice(cause);
    }
  }

  #loseDevice(cause: unknown): void {
    const { context, number: queue } = this.#parts;
    this.#parts.onLost(deviceError('DEVICE_LOST', { context, queue }, { cause }));
  }

  #complete(entry: number): void {
    const ring = this.#ring;
    const cookie = ring.cookieLow(entry);
    const slot = cookie & SLOT_MASK;
    const found = this.#outstanding[slot];
    // A completion for an earlier queue of this number: its promise was rejected when that queue was closed.
    if (found === undefined || found.cookie !== cookie || ring.cookieHigh(entry) !== this.#parts.life) return;
    this.#outstanding[slot] = undefined;
    this.#freeSlots.push(slot);
    const { opcode } = found.command;
    if (ring.status(entry) === 0) found.resolve(readRecord(ring, entry, opcode));
    else found.reject(readError(ring, entry, { context: this.#parts.context, queue: this.#parts.number, opcode }));
  }

  #admitWaiting(): void {
    const admitted = this.#waiting.splice(0, this.#freeSlots.length);
    for (const { command, resolve, reject } of admitted) this.#place(command, resolve, reject);
  }

  /** An entry that is not the next must be one ring length old, or never written: anything else is a broken device. */
  #checkOlder(sequence: number, expected: number): void {
    if (sequence === (expected - this.#parts.entries) >>> 0 || sequence === 0) return;
    const message = `the completion ring holds entry ${sequence} where ${expected} belongs`;
    this.#loseDevice(new MtiaError('DEVICE_LOST', message));
  }

  /** The command that has been in the ring longest; positions are compared modulo 2^24. */
  #oldest(): Outstanding | undefined {
    const age = (command: Outstanding): number => (this.#tail - (command.cookie >>> SLOT_BITS)) & 0xff_ffff;
    let oldest: Outstanding | undefined;
    for (const command of this.#outstanding) {
      if (command !== undefined && (oldest === undefined || age(command) > age(oldest))) oldest = command;
    }
    return oldest;
  }

  /** The device enforces a command's own deadline from its start; the host only waits for a device that does not. */
  #limitMs(command: Command): number {
    return this.#parts.deadlineMs + (command.deadlineUs ?? 0) / 1000;
  }

  #placeOf(command: Command): { context: number; queue: number; command: string } {
    return { context: this.#parts.context, queue: this.#parts.number, command: commandName(command.opcode) };
  }

  /** The queue is stuck: the oldest command gets the error, those behind it ABORTED. */
  #break(error: MtiaError, oldest: Outstanding): void {
    oldest.reject(error);
    // Without its administration queue the device cannot be managed any more.
    if (this.#parts.number === 0) {
      this.#loseDevice(error);
      return;
    }
    const place = { context: this.#parts.context, queue: this.#parts.number };
    const message = `queue ${place.queue} stopped after an earlier failure; close it and create another`;
    this.fail(new MtiaError('ABORTED', message, { place, cause: error }));
  }

  #rejectAll(error: MtiaError): void {
    for (const [slot, command] of this.#outstanding.entries()) {
      if (command === undefined) continue;
      this.#outstanding[slot] = undefined;
      this.#freeSlots.push(slot);
      command.reject(error);
    }
    for (const waiting of this.#waiting.splice(0)) waiting.reject(error);
  }
}
