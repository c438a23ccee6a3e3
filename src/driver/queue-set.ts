/** The queues that one thread has on a card, between two resets. */
import { AbortListeners } from './abort-listeners.js';
import type { AddressSpace } from './address-space.js';
import type { CardRegisters } from './card-registers.js';
import type { MtiaError } from './errors.js';
import { InterruptVectors } from './interrupt-vectors.js';
import type { HostPages, PciFunction } from './pci-function.js';
import { QUEUE_ENTRIES, Queue, type QueueParts } from './queue.js';
import { ringBytes } from './ring.js';
import { TurnBudget } from './turn-budget.js';
import type { Watchdog } from './watchdog.js';

export interface QueueSetParts {
  readonly pci: PciFunction;
  readonly registers: CardRegisters;
  readonly watchdog: Watchdog;
  readonly deadlineMs: number;
  /** Of the card. */
  readonly interruptVectors: number;
  /** Sends ABORT for `count` commands of a queue from `position` on; resolves when the device has acted on it. */
  abort(queue: number, position: number, count: number): Promise<void>;
  /** A failure that only the device as a whole can handle. */
  onLost(error: MtiaError): void;
}

export interface QueueOwner {
  readonly context: number;
  readonly space: AddressSpace;
  readonly priority: number;
}

/** Which queue of the device it is. */
export interface QueueIdentity {
  readonly number: number;
  /** Unlike every other queue that had the same number on this device: late completions of those are told apart. */
  readonly life: number;
}

/** `quiet` settles when the device does nothing more for the queue; undefined where it is quiet already. */
export type OnQueueClosed = (queue: Queue, quiet: Promise<unknown> | undefined) => void;

function openOrUndo(parts: QueueParts, undo: () => void): Queue {
  try {
    return new Queue(parts);
  } catch (error) {
    undo();
    throw error;
  }
}

export class QueueSet {
  readonly #parts: QueueSetParts;
  readonly #queues = new Set<Queue>();
  readonly #rings = new Map<Queue, HostPages>();
  readonly #abortListeners = new AbortListeners();
  readonly #turn = new TurnBudget();
  readonly #vectors: InterruptVectors;

  constructor(parts: QueueSetParts) {
    this.#parts = parts;
    this.#vectors = new InterruptVectors(parts.pci, parts.interruptVectors);
  }

  open({ number, life }: QueueIdentity, { context, space, priority }: QueueOwner, onClosed: OnQueueClosed): Queue {
    const { pci, registers, watchdog, deadlineMs } = this.#parts;
    const rings = pci.allocateHost(ringBytes(QUEUE_ENTRIES));
    const ringsIova = space.map(rings, 'read-write');
    const vector = this.#vectors.of(number);
    // A card that was reset behind the driver has forgotten the mapping.
    const unmapRings = (): void => {
      try {
        space.unmap(ringsIova);
      } finally {
        rings.free();
      }
    };
    const parts: QueueParts = {
      number,
      context,
      life,
      page: registers.queuePage(number),
      rings,
      ringsIova,
      entries: QUEUE_ENTRIES,
      vector,
      priority,
      deadlineMs,
      watchdog,
      abortListeners: this.#abortListeners,
      turn: this.#turn,
      abort: (position, count) => this.#parts.abort(number, position, count),
      subscribe: (listener) => this.#vectors.subscribe(vector, listener),
      release: (quiet) => {
        this.#queues.delete(queue);
        this.#rings.delete(queue);
        try {
          unmapRings();
        } finally {
          onClosed(queue, quiet);
        }
      },
      onLost: (error) => this.#parts.onLost(error),
    };
    const queue = openOrUndo(parts, unmapRings);
    this.#queues.add(queue);
    this.#rings.set(queue, rings);
    return queue;
  }

  failAll(error: MtiaError): void {
    for (const queue of this.#queues) queue.fail(error);
  }

  /** The card is about to be reset: rejects everything, and nothing is sent to it from here afterwards. */
  retire(error: MtiaError): void {
    for (const queue of this.#queues) queue.retire(error);
  }

  /** The card was reset and reaches no host memory any more. */
  abandon(): void {
    for (const rings of this.#rings.values()) rings.free();
    this.#rings.clear();
    this.#queues.clear();
  }
}
