/**
 * The interrupt vectors of a card, and who listens to each. Where there are fewer vectors than queues, several queues share
 * one: its interrupt does not say whose completions it stands for, so every queue of the vector looks at its ring.
 */
import type { InterruptSubscription, PciFunction } from './pci-function.js';

class SharedVector {
  readonly #listeners = new Set<() => void>();
  readonly #awaiting = new Set<() => void>();
  readonly #subscription: InterruptSubscription;
  readonly #onUnused: () => void;

  constructor(subscribe: (listener: () => void) => InterruptSubscription, onUnused: () => void) {
    this.#onUnused = onUnused;
    this.#subscription = subscribe(() => {
      for (const listener of this.#listeners) listener();
    });
  }

  add(listener: () => void): InterruptSubscription {
    this.#listeners.add(listener);
    return {
      ref: () => this.#await(listener, true),
      unref: () => this.#await(listener, false),
      close: () => this.#remove(listener),
    };
  }

  #await(listener: () => void, awaited: boolean): void {
    if (!this.#listeners.has(listener)) return;
    if (awaited) this.#awaiting.add(listener);
    else this.#awaiting.delete(listener);
    if (this.#awaiting.size > 0) this.#subscription.ref();
    else this.#subscription.unref();
  }

  #remove(listener: () => void): void {
    this.#await(listener, false);
    if (!this.#listeners.delete(listener) || this.#listeners.size > 0) return;
    this.#subscription.close();
    this.#onUnused();
  }
}

export class InterruptVectors {
  readonly #pci: PciFunction;
  readonly #count: number;
  readonly #vectors = new Map<number, SharedVector>();

  /** @param count vectors that the card has */
  constructor(pci: PciFunction, count: number) {
    this.#pci = pci;
    this.#count = count;
  }

  /** The vector of a queue: its own where there are enough. */
  of(queue: number): number {
    return queue % this.#count;
  }

  /** `listener` is called for every interrupt of the vector, whoever it was for; no function listens twice. */
  subscribe(vector: number, listener: () => void): InterruptSubscription {
    let shared = this.#vectors.get(vector);
    if (shared === undefined) {
      shared = new SharedVector(
        (deliver) => this.#pci.onInterrupt(vector, deliver),
        () => this.#vectors.delete(vector),
      );
      this.#vectors.set(vector, shared);
    }
    return shared.add(listener);
  }
}
