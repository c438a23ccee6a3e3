/**
 * What makes a driver queue a stream: the order of its commands as one promise to wait for, the first failure kept for
 * whoever synchronises, device time added up, and events that carry all of it to other streams.
 */
import { type Command, type CompletionRecord, closedError, MtiaError, type Queue } from '../driver/index.js';
import { HOST_COMMAND } from '../hw/index.js';
import type { StreamOrder } from '../memmgr/index.js';
import { type Frontier, Recording } from './recording.js';
import type { Timeline, Timelines } from './timelines.js';
import type { UseCount } from './use-count.js';

const ignore = (): void => undefined;
const NONE: readonly UseCount[] = [];

export class CommandStream implements StreamOrder {
  readonly #queue: Queue;
  readonly #timelines: Timelines;
  readonly #timeline: Timeline;
  #enqueued = 0;
  #completed = 0;
  #frontier: Frontier = new Map();
  #outstanding = 0;
  #deviceUs = 0;
  /** First failure of a command that no synchronize() has reported. */
  #failure: MtiaError | undefined;
  /** As #failure, of a stream that this one waited for. */
  #inherited: MtiaError | undefined;
  /** Resolves with the latest command, in whichever way it ends. */
  #settled: Promise<void> = Promise.resolve();
  /** Resolves when the outcome of every event that was waited for is known on the host. */
  #inheritance: Promise<void> = Promise.resolve();
  #closing: Promise<boolean> | undefined;

  constructor(queue: Queue, timelines: Timelines) {
    this.#queue = queue;
    this.#timelines = timelines;
    this.#timeline = timelines.take();
  }

  /** Commands that have not completed. */
  get outstanding(): number {
    return this.#outstanding;
  }

  /** Number of the stream's timeline: unique among those that are open. */
  get number(): number {
    return this.#timeline.semaphore;
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

  /**
   * The queue stopped with commands under way. The device may use their memory still: it is given to nobody else before the
   * device is closed.
   */
  get broken(): boolean {
    return this.#queue.failure !== undefined;
  }

  get closed(): boolean {
    return this.#closing !== undefined;
  }

  checkOpen(): void {
    if (this.#closing !== undefined) throw closedError('the stream');
  }

  /**
   * Appends a command. Memory in `uses` is kept until it completes. The promise may be dropped: its failure then waits
   * for synchronize().
   */
  submit(command: Command, uses: readonly UseCount[] = NONE): Promise<CompletionRecord> {
    this.checkOpen();
    const done = this.#queue.submit(command);
    this.#outstanding++;
    this.#enqueued++;
    this.#settled = done.then(this.#succeed, this.#fail);
    for (const use of uses) {
      use.begin(this);
      this.release(done, use.end);
    }
    return done;
  }

  /** Calls `free` when the command is done and the device has let go of its memory. */
  release(done: Promise<unknown>, free: () => void): void {
    done.then(free, () => {
      if (!this.broken) free();
    });
  }

  /** A failure before anything reached the device, delivered as the device's failures are. */
  refuse(error: unknown): Promise<never> {
    if (error instanceof MtiaError) this.#failure ??= error;
    const refused = Promise.reject(error);
    refused.catch(ignore);
    return refused;
  }

  /** Resolves when every command so far has completed; rejects with the first failure that was not reported yet. */
  async synchronize(): Promise<void> {
    await this.#settled;
    await this.#inheritance;
    const failure = this.#failure ?? this.#inherited;
    this.#failure = undefined;
    this.#inherited = undefined;
    if (failure !== undefined) throw failure;
  }

  /** Marks the present end of the stream. */
  record(): Recording {
    this.checkOpen();
    const timeline = this.#timeline;
    const frontier = new Map(this.#frontier).set(this, this.#enqueued);
    const recording = new Recording(timeline, ++timeline.value, frontier);
    const inheritance = this.#inheritance;
    const reach = (): void => {
      // As it is now: completions that follow in the same interrupt must not count.
      const deviceUs = this.#deviceUs;
      const failure = this.#failure;
      void inheritance.then(() => recording.reach(deviceUs, failure ?? this.#inherited));
    };
    const done = this.submit({ opcode: HOST_COMMAND.SIGNAL, a: timeline.semaphore, b: recording.value });
    done.then(reach, (error: MtiaError) => {
      reach();
      if (error.code !== 'DEVICE_CLOSED') void this.#timelines.release(timeline, recording.value);
    });
    return recording;
  }

  /** Makes every later command wait until the recording is reached, and takes its failure over. */
  wait(recording: Recording): void {
    this.checkOpen();
    const { timeline, value } = recording;
    this.#timelines.check(timeline);
    if (timeline === this.#timeline) return;
    this.#passBehind(recording.frontier);
    if (!recording.reached) void this.submit({ opcode: HOST_COMMAND.WAIT, a: timeline.semaphore, b: value });
    const inherit = recording.settled.then(() => this.#inherit(recording.failure));
    this.#inheritance = this.#inheritance.then(() => inherit);
  }

  /** Waits for what is outstanding, then gives the queue back. False where the stream was broken. Idempotent. */
  close(): Promise<boolean> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  readonly #succeed = (record: CompletionRecord): void => {
    this.#outstanding--;
    this.#completed++;
    this.#deviceUs += record.deviceUs;
  };

  readonly #fail = (error: MtiaError): void => {
    this.#outstanding--;
    if (!this.broken) this.#completed++;
    this.#failure ??= error;
  };

  /** What is known to be done already needs no entry. */
  #passBehind(frontier: Frontier): void {
    const merged = new Map<StreamOrder, number>();
    for (const [stream, position] of [...this.#frontier, ...frontier]) {
      if (position > stream.completed) merged.set(stream, Math.max(position, merged.get(stream) ?? 0));
    }
    this.#frontier = merged;
  }

  #inherit(cause: MtiaError | undefined): void {
    if (cause === undefined) return;
    const message = `a stream that this one waited for had failed: ${cause.message}`;
    this.#inherited ??= new MtiaError('ABORTED', message, { cause });
  }

  async #close(): Promise<boolean> {
    await this.#settled;
    const { broken } = this;
    await this.#queue.close();
    this.#timelines.give(this.#timeline);
    return !broken;
  }
}
