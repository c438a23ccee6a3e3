import {
  AbortListeners,
  checkDeadline,
  checkSignal,
  invalidArgument,
  MtiaError,
  startDeadline,
} from '../driver/index.js';
import { abortedBy, type Dependency } from './dependency.js';
import { HIGHEST_VALUE, type Semaphore, type Semaphores } from './semaphores.js';
import { UseCount } from './use-count.js';

/** How long the host waits for a value of a timeline. */
export interface TimelineWaitOptions {
  /** Gives the wait up. */
  readonly signal?: AbortSignal;
  /** Milliseconds after which the wait is given up with DEADLINE_EXCEEDED; none when absent. */
  readonly deadlineMs?: number;
}

interface Waiter {
  readonly value: bigint;
  readonly resolve: () => void;
  readonly reject: (error: MtiaError) => void;
}

const aborts = new AbortListeners();

/**
 * A 64-bit value that only rises. Host and streams signal it and wait for it, in any order and number.
 *
 * ```ts
 * using timeline = await device.createTimeline();
 * consumer.waitTimeline(timeline, 1);
 * consumer.launch(kernel, { grid });
 * producer.copyToDevice(buffer, data);
 * producer.signalTimeline(timeline, 1);
 * await timeline.wait(1);
 * ```
 *
 * A stream that has failed passes its failure on: who waits for the value that it signals, or for a higher one, fails with
 * ABORTED and that failure as its cause.
 */
export class Timeline implements Disposable {
  /** For streams. */
  readonly semaphore: Semaphore;
  /** Commands that wait for or signal the timeline. */
  readonly #uses = new UseCount();
  readonly #semaphores: Semaphores;
  readonly #onClosed: (timeline: Timeline) => void;
  #waiters: Waiter[] = [];
  #value: bigint;
  #failure: MtiaError | undefined;
  /** Waits for it and for higher values fail. */
  #failedFrom = HIGHEST_VALUE;
  #closed = false;

  /** Use Device.createTimeline. */
  static async create(
    semaphores: Semaphores,
    initial: bigint | number,
    onClosed: (timeline: Timeline) => void,
  ): Promise<Timeline> {
    const value = checkValue(initial);
    const semaphore = semaphores.take();
    await semaphores.reset(semaphore, value);
    return new Timeline(semaphores, semaphore, value, onClosed);
  }

  private constructor(
    semaphores: Semaphores,
    semaphore: Semaphore,
    value: bigint,
    onClosed: (timeline: Timeline) => void,
  ) {
    this.#onClosed = onClosed;
    this.#semaphores = semaphores;
    this.semaphore = semaphore;
    this.#value = value;
  }

  /** The highest value that the host knows to be reached. */
  get value(): bigint {
    return this.#value;
  }

  /** Why waits for later values fail; undefined while the timeline is sound. */
  get failure(): MtiaError | undefined {
    return this.#failure;
  }

  /** Whether it was closed: every use fails with DEVICE_CLOSED. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Raises the value from the host. A value that is reached already changes nothing. Resolves when the device has it. */
  async signal(value: bigint | number): Promise<void> {
    const wanted = checkValue(value);
    this.checkOpen();
    if (wanted <= this.#value) return;
    this.reach(wanted);
    await this.#semaphores.signal(this.semaphore, wanted);
  }

  /** Resolves when the value is reached; rejects with ABORTED where it will not be. */
  async wait(value: bigint | number, { signal, deadlineMs }: TimelineWaitOptions = {}): Promise<void> {
    const wanted = checkValue(value);
    this.checkOpen();
    if (deadlineMs !== undefined) checkDeadline(deadlineMs);
    checkSignal(signal);
    if (signal?.aborted === true) throw givenUp(wanted, signal);
    let forget: (() => void) | undefined;
    let endDeadline: (() => void) | undefined;
    return new Promise<void>((resolve, reject) => {
      const waiter = { value: wanted, resolve, reject };
      const giveUp = (error: MtiaError): void => {
        this.#waiters = this.#waiters.filter((other) => other !== waiter);
        reject(error);
      };
      if (signal !== undefined) forget = aborts.add(signal, () => giveUp(givenUp(wanted, signal)));
      if (deadlineMs !== undefined) endDeadline = startDeadline(deadlineMs, () => giveUp(tooLate(wanted, deadlineMs)));
      this.#waiters.push(waiter);
      this.#serve();
    }).finally(() => {
      forget?.();
      endDeadline?.();
    });
  }

  /** Fails everybody who waits for a value that is not reached, on the host and in streams, now and later. */
  async fail(error: unknown): Promise<void> {
    this.checkOpen();
    const message = `the timeline was failed: ${error instanceof Error ? error.message : error}`;
    await this.poison(
      this.#value + 1n,
      error instanceof MtiaError ? error : new MtiaError('ABORTED', message, { cause: error }),
    );
  }

  /** Ends the timeline; whoever waits for it still fails. Idempotent. */
  close(): void {
    if (this.#closed) return;
    const closed = new MtiaError('DEVICE_CLOSED', 'the timeline is closed; create another');
    const released = this.poison(this.#value + 1n, closed);
    this.#closed = true;
    this.#onClosed(this);
    this.#uses.whenIdle(() => void released.then(() => this.#semaphores.recycle(this.semaphore)));
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** Throws DEVICE_CLOSED where the timeline is closed. */
  checkOpen(): void {
    if (this.#closed) throw new MtiaError('DEVICE_CLOSED', 'the timeline is closed; create another');
  }

  /** For streams: what a wait for the value depends on. */
  point(value: bigint | number): Dependency {
    const wanted = checkValue(value);
    this.checkOpen();
    let failure: MtiaError | undefined;
    const fails = wanted >= this.#failedFrom;
    const reached = fails || wanted <= this.#value;
    if (fails) failure = this.#failure;
    const settled = reached
      ? Promise.resolve()
      : this.wait(wanted).catch((error: MtiaError) => {
          failure = error.cause instanceof MtiaError ? error.cause : error;
        });
    return {
      semaphore: this.semaphore,
      value: wanted,
      hostSignals: true,
      reached,
      settled,
      get failure() {
        return failure;
      },
    };
  }

  /** For streams: keeps the semaphore until the command is done. */
  keepFor(command: Promise<unknown>): void {
    this.#uses.begin();
    command.then(this.#uses.end, this.#uses.end);
  }

  /** For streams: the value is reached. */
  reach(value: bigint): void {
    if (value > this.#value) this.#value = value;
    this.#serve();
  }

  /** For streams: waits for `from` and higher values fail, and end at once. */
  async poison(from: bigint, failure: MtiaError): Promise<void> {
    this.#failure ??= failure;
    if (from < this.#failedFrom) this.#failedFrom = from;
    this.#serve();
    await this.#semaphores.release(this.semaphore, HIGHEST_VALUE, from);
  }

  #serve(): void {
    if (this.#waiters.length === 0) return;
    const still: Waiter[] = [];
    for (const waiter of this.#waiters) {
      if (this.#failure !== undefined && waiter.value >= this.#failedFrom) waiter.reject(abortedBy(this.#failure));
      else if (waiter.value <= this.#value) waiter.resolve();
      else still.push(waiter);
    }
    this.#waiters = still;
  }
}

export function checkValue(value: bigint | number): bigint {
  const whole = typeof value === 'bigint' || Number.isSafeInteger(value);
  if (!whole || value < 0 || BigInt(value) >= HIGHEST_VALUE) {
    throw invalidArgument(`a timeline takes whole values from 0 to 2^64 - 2, got ${value}`);
  }
  return BigInt(value);
}

function givenUp(value: bigint, signal: AbortSignal): MtiaError {
  return new MtiaError('ABORTED', `the wait for value ${value} was aborted by its signal`, { cause: signal.reason });
}

function tooLate(value: bigint, deadlineMs: number): MtiaError {
  return new MtiaError('DEADLINE_EXCEEDED', `nobody signalled value ${value} within ${deadlineMs} ms`);
}
