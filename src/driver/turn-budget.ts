/**
 * How many completions the queues of a card take in one turn of the event loop, all together: what is beyond it waits for the
 * next turn, and others have theirs in between. Queues that wait are served in turn.
 */

const COMPLETIONS = 64;
/** From here on the turn is counted as one of a storm. Before, completions of many turns may be counted as of one. */
const STORM = COMPLETIONS / 2;

/** What has more completions than it might take. */
export interface Drained {
  drain(): void;
}

export class TurnBudget {
  readonly #waiting = new Set<Drained>();
  readonly #next = (): void => this.#begin();
  #left = COMPLETIONS;
  #scheduled = false;

  /** Whether one more completion may be taken in this turn; counts it. */
  take(): boolean {
    if (this.#left === 0) return false;
    this.#left--;
    if (this.#left <= STORM) this.#schedule();
    return true;
  }

  /** Drains the queue in one of the next turns. */
  defer(queue: Drained): void {
    this.#waiting.add(queue);
    this.#schedule();
  }

  isDeferred(queue: Drained): boolean {
    return this.#waiting.has(queue);
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(this.#next);
  }

  #begin(): void {
    this.#scheduled = false;
    this.#left = COMPLETIONS;
    for (const queue of this.#waiting) {
      if (this.#left === 0) break;
      this.#waiting.delete(queue);
      queue.drain();
    }
    if (this.#waiting.size > 0) this.#schedule();
  }
}
