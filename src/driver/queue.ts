/** A submission/completion queue pair: commands in, promises out. */
import { errorNameOf, HOST_COMMAND, LIMITS } from '../hw/index.js';
import { type AbortListeners, checkSignal } from './abort-listeners.js';
import type { QueuePage } from './card-registers.js';
import { type CompletionRecord, commandName, readError, readRecord } from './completion.js';
import { closedError, deviceError, MtiaError } from './errors.js';
import type { HostPages, InterruptSubscription } from './pci-function.js';
import { type Command, checkCommand, completionRingOffset, RingPair } from './ring.js';
import type { Drained, TurnBudget } from './turn-budget.js';
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
  readonly priority: number;
  readonly deadlineMs: number;
  readonly watchdog: Watchdog;
  readonly abortListeners: AbortListeners;
  /** Shared by the queues of the card. */
  readonly turn: TurnBudget;
  subscribe(listener: () => void): InterruptSubscription;
  /** Unmaps the rings and, once `quiet` has settled, gives number and vector back. */
  release(quiet: Promise<unknown> | undefined): void;
  /** Sends ABORT for `count` commands from `position` on; resolves when the device has acted on it. */
  abort(position: number, count: number): Promise<void>;
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
  /** In commands since the queue was enabled, modulo 2^32. */
  readonly position: number;
  /** What its abort gave as the reason. */
  abort: Abort | undefined;
}

interface Abort {
  readonly reason: unknown;
}

/** Who may give a command up. */
export interface SubmitOptions {
  /** Ends the command with ABORTED when it aborts, before the command starts or while it runs. */
  readonly signal?: AbortSignal;
}

/** A submission ring and its completions: commands go in, promises settle by interrupt. */
export class Queue implements Watched, Drained {
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
  /** Settles when the device has acted on every abort that was sent; undefined where none was. */
  #aborts: Promise<unknown> | undefined;

  constructor(parts: QueueParts) {
    this.#parts = parts;
    this.#ring = new RingPair(parts.rings.view, parts.entries);
    this.#outstanding = new Array<Outstanding | undefined>(parts.entries).fill(undefined);
    this.#freeSlots = Array.from({ length: parts.entries }, (_, index) => parts.entries - 1 - index);
    this.#interrupt = parts.subscribe(() => this.drain());
    try {
      this.#enable();
    } catch (error) {
      this.#interrupt.close();
      throw error;
    }
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
  submit(command: Command, options?: SubmitOptions): Promise<CompletionRecord> {
    if (options?.signal !== undefined) return this.#submitUntil(command, options.signal);
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) throw this.#failure;
      checkCommand(command);
      this.#enqueue({ command, resolve, reject });
    });
  }

  /**
   * Ends every command that was submitted so far with ABORTED, whose cause is `reason`; the queue goes on with what comes
   * behind. A command that has just completed keeps its result. Resolves when all of them have settled.
   */
  async abort(reason?: unknown): Promise<void> {
    if (this.#failure !== undefined) return;
    for (const waiting of this.#waiting.splice(0)) waiting.reject(this.#abortedError(waiting.command, { reason }));
    const count = this.#parts.entries - this.#freeSlots.length;
    if (count === 0) return;
    for (const command of this.#outstanding) if (command !== undefined) command.abort ??= { reason };
    const sent = this.#sendAbort(this.#tail - count, count);
    await Promise.allSettled([sent, this.submit({ opcode: HOST_COMMAND.NOP })]);
  }

  #submitUntil(command: Command, signal: AbortSignal): Promise<CompletionRecord> {
    let waiting: Waiting | undefined;
    const done = new Promise<CompletionRecord>((resolve, reject) => {
      if (this.#failure !== undefined) throw this.#failure;
      checkCommand(command);
      checkSignal(signal);
      if (signal.aborted) throw this.#abortedError(command, { reason: signal.reason });
      waiting = { command, resolve, reject };
      this.#enqueue(waiting);
    });
    if (waiting === undefined) return done;
    const { reject } = waiting;
    const forget = this.#parts.abortListeners.add(signal, () => this.#abortOne(reject, signal.reason));
    done.then(forget, forget);
    return done;
  }

  /** The command whose promise this rejects. */
  #abortOne(reject: Reject, reason: unknown): void {
    const index = this.#waiting.findIndex((waiting) => waiting.reject === reject);
    if (index >= 0) {
      for (const { command } of this.#waiting.splice(index, 1)) reject(this.#abortedError(command, { reason }));
      return;
    }
    const found = this.#outstanding.find((command) => command?.reject === reject);
    if (found === undefined || found.abort !== undefined) return;
    found.abort = { reason };
    void this.#sendAbort(found.position, 1);
  }

  /** Its number is not used again before the device has acted on it: it would meet commands of the next queue. */
  async #sendAbort(position: number, count: number): Promise<void> {
    const sent = this.#parts.abort(position >>> 0, count);
    this.#aborts = Promise.allSettled([this.#aborts, sent]);
    await this.#aborts;
  }

  #abortedError(command: Command, { reason }: Abort): MtiaError {
    return deviceError('ABORTED', this.#placeOf(command), reason === undefined ? {} : { cause: reason });
  }

  #enqueue(waiting: Waiting): void {
    if (this.#freeSlots.length === 0 || this.#waiting.length > 0) this.#waiting.push(waiting);
    else this.#place(waiting);
    this.#parts.watchdog.start();
  }

  /**
   * Takes completions that the device has posted. Under a storm of them the rest follows in the next turn of the event
   * loop: others have theirs in between.
   */
  drain(): void {
    if (this.#closed) return;
    try {
      if (this.#takeCompletions()) this.#parts.turn.defer(this);
    } catch (cause) {
      this.#loseDevice(cause);
    }
  }

  /** True where it stopped for the sake of others. */
  #takeCompletions(): boolean {
    const first = this.#head;
    let stopped = false;
    for (;;) {
      const entry = this.#ring.completionAt(this.#head);
      const expected = (this.#head + 1) >>> 0;
      const sequence = this.#ring.sequence(entry);
      if (sequence !== expected) {
        this.#checkOlder(sequence, expected);
        break;
      }
      stopped = !this.#parts.turn.take();
      if (stopped) break;
      this.#complete(entry);
      this.#head = expected;
    }
    if (this.#head !== first) {
      this.#parts.page.consumeCompletions(this.#head);
      this.#admitWaiting();
    }
    return stopped;
  }

  get working(): boolean {
    const oldest = this.#oldest();
    if (oldest === undefined) return false;
    return oldest.command.opcode !== HOST_COMMAND.WAIT || oldest.command.hostSignals === true;
  }

  inspect(nowMs: number, othersWork: boolean): void {
    this.drain();
    // What has completed is not to be judged; the rest is looked at next time.
    if (this.#parts.turn.isDeferred(this)) return;
    const oldest = this.#oldest();
    if (oldest === undefined) return;
    const fault = this.#parts.page.fault();
    if (fault !== 0) {
      this.#break(deviceError(errorNameOf(fault), this.#placeOf(oldest.command)), oldest);
      return;
    }
    const mayWait = othersWork || oldest.command.hostSignals === true;
    const maySignal = mayWait && oldest.command.opcode === HOST_COMMAND.WAIT;
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

  /** The card is about to be reset: as `fail`, and the queue never touches the card again. */
  retire(error: MtiaError): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#failure = error;
    this.#interrupt.close();
    this.#parts.watchdog.remove(this);
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
      this.#parts.release(this.#aborts);
    }
  }

  #enable(): void {
    const { page, context, ringsIova, entries, vector, priority } = this.#parts;
    page.enable({
      context,
      submissionBase: ringsIova,
      completionBase: ringsIova + BigInt(completionRingOffset(entries)),
      entries,
      vector,
      priority,
    });
  }

  #place({ command, resolve, reject }: Waiting): void {
    const slot = this.#freeSlots.pop() ?? 0;
    const position = this.#tail;
    const cookie = ((position << SLOT_BITS) | slot) >>> 0;
    this.#outstanding[slot] = { command, resolve, reject, cookie, position, abort: undefined };
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
    else found.reject(this.#errorOf(entry, found));
  }

  #errorOf(entry: number, { command, abort }: Outstanding): MtiaError {
    const { context, number: queue } = this.#parts;
    const error = readError(this.#ring, entry, { context, queue, opcode: command.opcode });
    return error.code === 'ABORTED' && abort !== undefined ? this.#abortedError(command, abort) : error;
  }

  #admitWaiting(): void {
    for (const waiting of this.#waiting.splice(0, this.#freeSlots.length)) this.#place(waiting);
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
