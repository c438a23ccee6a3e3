/** The firmware's timeline semaphores: one for each stream, only ever raised. */
import { type Context, invalidArgument, MtiaError } from '../driver/index.js';
import { TIMELINE_SEMAPHORES } from '../hw/index.js';

export interface Timeline {
  readonly context: Context;
  /** Number of the semaphore. */
  readonly semaphore: number;
  /** The last value that a stream was told to raise it to. It outlives the stream, as the semaphore does. */
  value: number;
}

export class Timelines {
  readonly #context: Context;
  readonly #all = new Set<Timeline>();
  readonly #free: Timeline[] = [];

  constructor(context: Context) {
    this.#context = context;
  }

  take(): Timeline {
    const free = this.#free.pop();
    if (free !== undefined) return free;
    const semaphore = this.#all.size;
    if (semaphore === TIMELINE_SEMAPHORES) {
      throw new MtiaError(
        'TOO_MANY',
        `all ${TIMELINE_SEMAPHORES} timeline semaphores are in use; close a stream first`,
      );
    }
    const timeline = { context: this.#context, semaphore, value: 0 };
    this.#all.add(timeline);
    return timeline;
  }

  give(timeline: Timeline): void {
    this.#free.push(timeline);
  }

  /** Throws where the timeline is of another device, or older than the latest reset of its device. */
  check(timeline: Timeline): void {
    if (this.#all.has(timeline)) return;
    throw (
      timeline.context.failure ?? this.#context.failure ?? invalidArgument('the event was recorded on another device')
    );
  }

  /** Lets streams go on that wait for a stream which broke; they learn of the failure through the event. */
  async release(timeline: Timeline, value: number): Promise<void> {
    try {
      await this.#context.signal(timeline.semaphore, value);
    } catch {
      // The device is closed or lost, and so is whoever waited.
    }
  }
}
