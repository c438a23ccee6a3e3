/**
 * What makes a driver queue a stream: the order of its commands as one promise to wait for, the first failure kept for
 * whoever synchronises, device time added up, and events that carry all of it to other streams.
 *
 * The firmware aborts what depends on a failure, because the host would learn of it too late (see WAIT_MODE). It does not
 * know why: the host adds the cause.
 */
import {
  type Command,
  type CompletionRecord,
  closedError,
  commandName,
  MtiaError,
  type Queue,
} from '../driver/index.js';
import { HOST_COMMAND, SIGNAL_FAILS_ALONE, WAIT_MODE } from '../hw/index.js';
import type { StreamOrder } from '../memmgr/index.js';
import type { Capture } from './capture.js';
import { abortedBy, type Dependency, isDeviceAbort } from './dependency.js';
import { type Frontier, Recording } from './recording.js';
import type { Semaphore, Semaphores } from './semaphores.js';
import type { UseCount } from './use-count.js';

const ignore = (): void => undefined;
const NONE: readonly UseCount[] = [];
const INDEPENDENT: Promise<MtiaError | undefined> = Promise.resolve(undefined);

export interface CommandOptions {
  /** Aborts the command, before it starts or while it runs. */
  readonly signal?: AbortSignal | undefined;
  /** Says more about a failure. */
  readonly explain?: (error: MtiaError) => MtiaError;
}

export class CommandStream implements StreamOrder {
  /** Takes the commands down in place of the device, while there is one. */
  capture: Capture | undefined;
  readonly #queue: Queue;
  readonly #semaphores: Semaphores;
  readonly #semaphore: Semaphore;
  #enqueued = 0;
  #completed = 0;
  #frontier: Frontier = new Map();
  #outstanding = 0;
  #deviceUs = 0;
  /** First failure of a command that no synchronize() has reported. */
  #failure: MtiaError | undefined;
  /** How many commands come before it. */
  #failedAt = 0;
  /** Whether the device has seen a failure since it was last told that it is reported. */
  #deviceFailed = false;
  /** Resolves with the latest command, in whichever way it ends. */
  #settled: Promise<void> = Promise.resolve();
  /** Resolves when the outcome of everything that was waited for is known on the host: with the first failure. */
  #inheritance = INDEPENDENT;
  /** The latest failure that was inherited, for commands that it aborts after it is reported. */
  #inherited: MtiaError | undefined;
  #closing: Promise<boolean> | undefined;
  /** The queue was given back with nothing under way. */
  #ended = false;

  constructor(queue: Queue, semaphores: Semaphores) {
    this.#queue = queue;
    this.#semaphores = semaphores;
    this.#semaphore = semaphores.take();
  }

  /** Commands that have not completed. */
  get outstanding(): number {
    return this.#outstanding;
  }

  /**
   * The queue stopped with commands under way. The device may use their memory still: it is given to nobody else before the
   * device is closed.
   */
  get broken(): boolean {
    return !this.#ended && this.#queue.failure !== undefined;
  }

  /** Number of the stream's semaphore: unique among those that are open. */
  get number(): number {
    return this.#semaphore.number;
  }

  get enqueued(): number {
    return this.#enqueued;
  }

  get completed(): number {
    return this.#completed;
  }

  covers(other: StreamOrder): number {
    return Math.max(this.#frontier.get(other) ?? 0, other.completed);
  }

  /** Resolves when every command so far has ended, in whichever way. */
  whenIdle(): Promise<void> {
    return this.#settled;
  }

  get closed(): boolean {
    return this.#closing !== undefined;
  }

  /** Throws DEVICE_CLOSED where the stream is closed, and DEVICE_RESET where it is older than the latest reset. */
  checkOpen(): void {
    const { failure } = this.#queue;
    if (failure?.code === 'DEVICE_RESET') throw failure;
    if (this.#closing !== undefined) throw closedError('the stream');
  }

  /** Throws where the stream is captured: `what` needs the device. */
  checkNotCapturing(what: string): void {
    if (this.capture !== undefined) throw this.capture.refuse(what);
  }

  /**
   * Appends a command. Memory in `uses` is kept until it completes. The promise may be dropped: its failure then waits
   * for synchronize().
   */
  submit(command: Command, uses: readonly UseCount[] = NONE, options: CommandOptions = {}): Promise<CompletionRecord> {
    this.checkOpen();
    if (this.capture !== undefined) throw this.capture.refuse(commandName(command.opcode));
    const done = this.#append(command, options);
    for (const use of uses) {
      use.begin(this);
      this.release(done, use.end);
    }
    return this.#inheritance === INDEPENDENT && this.#inherited === undefined ? done : this.#explain(done);
  }

  /** Calls `free` when the command is done and the device has let go of its memory. */
  release(done: Promise<unknown>, free: () => void): void {
    done.then(free, () => {
      if (!this.broken) free();
    });
  }

  /** A failure before anything reached the device, delivered as the device's failures are. */
  refuse(error: unknown): Promise<never> {
    if (error instanceof MtiaError && this.capture === undefined) this.fail(error);
    const refused = Promise.reject(error);
    refused.catch(ignore);
    return refused;
  }

  /** A failure of the host's own part of a command, behind `position` others: all that were enqueued when absent. */
  fail(error: MtiaError, position = this.#enqueued): void {
    if (this.#failure !== undefined && this.#failedAt <= position) return;
    this.#failure = error;
    this.#failedAt = position;
  }

  /** Resolves when every command so far has completed; rejects with the first failure that was not reported yet. */
  async synchronize(): Promise<void> {
    this.checkNotCapturing('synchronize');
    const inheritance = this.#inheritance;
    await this.#settled;
    const inherited = await inheritance;
    const failure = this.#failure ?? inherited;
    this.#failure = undefined;
    if (this.#inheritance === inheritance) this.#inheritance = INDEPENDENT;
    if (failure === undefined && !this.#deviceFailed) {
      if (!this.closed) this.checkOpen();
      return;
    }
    await this.#recover();
    if (failure !== undefined) throw failure;
  }

  /** Marks the present end of the stream. */
  record(): Recording {
    this.checkOpen();
    const semaphore = this.#semaphore;
    const frontier = new Map(this.#frontier).set(this, this.#enqueued);
    const recording = new Recording(this, semaphore, ++semaphore.value, frontier);
    const { value } = recording;
    const done = this.signal(semaphore, value, (deviceUs, failure) => recording.reach(deviceUs, failure));
    done.catch((error: MtiaError) => {
      recording.reach(this.#deviceUs, this.#failure ?? error);
      // Whether a later value is sound, its own signal says: the stream may have recovered by now.
      if (error.code !== 'DEVICE_CLOSED') void this.#semaphores.release(semaphore, value, SIGNAL_FAILS_ALONE);
    });
    return recording;
  }

  /** Raises a semaphore when the stream gets there; `reach` then learns what has failed before it and was not reported. */
  signal(
    semaphore: Semaphore,
    value: number | bigint,
    reach: (deviceUs: number, failure: MtiaError | undefined) => void,
  ): Promise<CompletionRecord> {
    this.#semaphores.check(semaphore);
    // What was refused on the host is unknown to the device.
    const d = this.#failure === undefined ? 0 : value;
    const inheritance = this.#inheritance;
    const position = this.#enqueued;
    return this.submit({ opcode: HOST_COMMAND.SIGNAL, a: semaphore.number, b: value, d }).then(async (record) => {
      // As it is now: completions that follow in the same interrupt must not count.
      const deviceUs = this.#deviceUs;
      // What was refused since then is no concern of who waits for this.
      const failure = this.#failedAt <= position ? this.#failure : undefined;
      reach(deviceUs, failure ?? (await inheritance));
      return record;
    });
  }

  /** Makes every later command wait until the dependency is reached; where that has failed, the commands are aborted. */
  wait(dependency: Dependency): void {
    this.checkOpen();
    const { semaphore, value, hostSignals = false } = dependency;
    this.#semaphores.check(semaphore);
    if (dependency.stream === this) return;
    if (dependency.frontier !== undefined) this.#passBehind(dependency.frontier);
    if (dependency.reached && dependency.failure === undefined) return;
    const c = dependency.failure === undefined ? WAIT_MODE.ABORTS : WAIT_MODE.FAILED;
    this.#inheritance = this.#inherit(this.#inheritance, dependency);
    const command = { opcode: HOST_COMMAND.WAIT, a: semaphore.number, b: value, c, hostSignals };
    const done = this.submit(command, [semaphore.waits]);
    done.catch(ignore);
  }

  /** Ends everything so far with ABORTED. Failures are forgotten: whoever aborts does not want to know. */
  async abort(reason: unknown = new DOMException('the stream was aborted', 'AbortError')): Promise<void> {
    this.checkOpen();
    const aborted = this.#queue.abort(reason);
    this.#inheritance = INDEPENDENT;
    // At once: what is enqueued next is not to be aborted by what the stream depended on.
    await Promise.all([aborted, this.#recover()]);
    this.#failure = undefined;
  }

  /** Waits for what is outstanding, then gives the queue back. False where the stream was broken. Idempotent. */
  close(): Promise<boolean> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  #append(command: Command, { signal, explain }: CommandOptions = {}): Promise<CompletionRecord> {
    const done = signal === undefined ? this.#queue.submit(command) : this.#queue.submit(command, { signal });
    this.#outstanding++;
    this.#enqueued++;
    if (explain === undefined) {
      this.#settled = done.then(this.#succeed, this.#fail);
      return done;
    }
    this.#settled = done.then(this.#succeed, (error) => this.#fail(explain(error)));
    return done.catch((error) => {
      throw explain(error);
    });
  }

  readonly #succeed = (record: CompletionRecord): void => {
    this.#outstanding--;
    this.#completed++;
    this.#deviceUs += record.deviceUs;
  };

  readonly #fail = (error: MtiaError): void => {
    this.#outstanding--;
    // Of those #inheritance knows more.
    if (!isDeviceAbort(error)) this.fail(error, this.#completed);
    if (!this.broken) this.#completed++;
    this.#deviceFailed = true;
  };

  /** What is known to be done already needs no entry. */
  #passBehind(frontier: Frontier): void {
    const merged = new Map<StreamOrder, number>();
    for (const [stream, position] of [...this.#frontier, ...frontier]) {
      if (position > stream.completed) merged.set(stream, Math.max(position, merged.get(stream) ?? 0));
    }
    this.#frontier = merged;
  }

  async #inherit(earlier: Promise<MtiaError | undefined>, dependency: Dependency): Promise<MtiaError | undefined> {
    await dependency.settled;
    const first = await earlier;
    if (first !== undefined || dependency.failure === undefined) return first;
    this.#inherited = abortedBy(dependency.failure);
    return this.#inherited;
  }

  /** Gives aborts of the device their cause. */
  #explain(done: Promise<CompletionRecord>): Promise<CompletionRecord> {
    const inheritance = this.#inheritance;
    const explained = done.catch(async (error: MtiaError) => {
      if (!isDeviceAbort(error)) throw error;
      throw (await inheritance) ?? this.#inherited ?? error;
    });
    explained.catch(ignore);
    return explained;
  }

  /** Tells the device that its failures are reported: what is signalled from now on is sound. */
  async #recover(): Promise<void> {
    this.#deviceFailed = false;
    if (this.broken) return;
    const { number, value } = this.#semaphore;
    this.#append({ opcode: HOST_COMMAND.RECOVER, a: number, b: value + 1 });
    await this.#settled;
  }

  async #close(): Promise<boolean> {
    await this.#settled;
    if (this.#deviceFailed) await this.#recover();
    const { broken } = this;
    // Closing fails the queue, too; what had completed by then is no less done, though its promises are yet to be told.
    this.#ended = !broken;
    await this.#queue.close();
    // Of a broken stream nobody knows what it has signalled.
    if (!broken) this.#semaphores.give(this.#semaphore);
    return !broken;
  }
}
