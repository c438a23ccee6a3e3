/** The firmware's timeline semaphores: one for each stream and each timeline. */
import { type Context, invalidArgument, MtiaError } from '../driver/index.js';
import { TIMELINE_SEMAPHORES } from '../hw/index.js';
import { UseCount } from './use-count.js';

export interface Semaphore {
  readonly context: Context;
  readonly number: number;
  /** The last value that a stream was told to raise it to. It outlives the stream, as the semaphore does. */
  value: number;
  /** Commands that wait for a value of it. */
  readonly waits: UseCount;
}

/** Its waiters pass, whatever they wait for. */
export const HIGHEST_VALUE = (1n << 64n) - 1n;

export class Semaphores {
  readonly #context: Context;
  readonly #all = new Set<Semaphore>();
  readonly #free: Semaphore[] = [];

  constructor(context: Context) {
    this.#context = context;
  }

  take(): Semaphore {
    const free = this.#free.pop();
    if (free !== undefined) return free;
    const number = this.#all.size;
    if (number === TIMELINE_SEMAPHORES) {
      throw new MtiaError(
        'TOO_MANY',
        `all ${TIMELINE_SEMAPHORES} timeline semaphores are in use; close a stream or a timeline first`,
      );
    }
    const semaphore = { context: this.#context, number, value: 0, waits: new UseCount() };
    this.#all.add(semaphore);
    return semaphore;
  }

  /** The semaphore must be sound. It goes to somebody else when nobody waits for it any more. */
  give(semaphore: Semaphore): void {
    semaphore.waits.whenIdle(() => this.#free.push(semaphore));
  }

  /** As `give`, of one that may be poisoned. */
  async recycle(semaphore: Semaphore): Promise<void> {
    try {
      await this.reset(semaphore, 0n);
    } catch {
      // A device that is closed or lost has no use for it.
      return;
    }
    semaphore.value = 0;
    this.give(semaphore);
  }

  /** Throws where the semaphore is of another device, or older than the latest reset of its device. */
  check(semaphore: Semaphore): void {
    if (this.#all.has(semaphore)) return;
    throw (
      semaphore.context.failure ??
      this.#context.failure ??
      invalidArgument('what the stream waits for or signals belongs to another device')
    );
  }

  /** Makes it as new, with a value of the caller's. */
  async reset(semaphore: Semaphore, value: bigint): Promise<void> {
    await this.#context.resetSemaphore(semaphore.number, value);
  }

  /** Raises the semaphore from the host; see Context.signal. */
  async signal(semaphore: Semaphore, value: bigint | number, failedFrom: bigint | number = 0): Promise<void> {
    await this.#context.signal(semaphore.number, value, failedFrom);
  }

  /** As signal, where a device that is closed or lost takes nothing more: then whoever waited has settled, too. */
  async release(...signal: Parameters<Semaphores['signal']>): Promise<void> {
    try {
      await this.signal(...signal);
    } catch {
      // See above.
    }
  }
}
