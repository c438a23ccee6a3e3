/** What the driver does for itself: the administration queue, and the numbers that contexts and queues share. */

import type pino from 'pino';
import { HOST_COMMAND, LIMITS } from '../hw/index.js';
import { AddressSpace } from './address-space.js';
import type { CardResources } from './boot.js';
import type { CardRegisters } from './card-registers.js';
import type { CompletionRecord } from './completion.js';
import { MtiaError } from './errors.js';
import { NumberPool } from './number-pool.js';
import type { PciFunction } from './pci-function.js';
import type { Queue } from './queue.js';
import { type QueueIdentity, type QueueOwner, QueueSet } from './queue-set.js';
import type { Command } from './ring.js';
import type { Watchdog } from './watchdog.js';

const DRIVER_CONTEXT = 0;
const ADMINISTRATION_QUEUE = 0;
const HIGHEST_PRIORITY = LIMITS.QUEUE_PRIORITIES - 1;

/** How long close() waits for firmware that may be stuck in what is being closed: of its two seconds the rest is for the card. */
const CLOSE_DEADLINE_MS = 1_500;

async function withinDeadline(work: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<never>((_, reject) => {
    const late = new MtiaError(
      'DEVICE_TIMEOUT',
      `the firmware did not end a context within ${CLOSE_DEADLINE_MS} ms; reset the device`,
    );
    timer = setTimeout(() => reject(late), CLOSE_DEADLINE_MS);
  });
  try {
    await Promise.race([work, deadline]);
  } finally {
    clearTimeout(timer);
  }
}

export interface AdministrationParts {
  readonly pci: PciFunction;
  readonly registers: CardRegisters;
  readonly resources: CardResources;
  readonly watchdog: Watchdog;
  readonly logger: pino.Logger;
  readonly deadlineMs: number;
  onLost(error: MtiaError): void;
}

/** What a context has done for it on queue 0 of its card, in whichever thread that queue is. */
export interface ContextAdministration {
  /** Why nothing may reach the card any more; undefined while it may. */
  readonly retired: MtiaError | undefined;
  openQueue(owner: QueueOwner, onClosed: (queue: Queue) => void): Promise<Queue>;
  administer(command: Command): Promise<CompletionRecord>;
  /** False where the firmware could not end the context: its number is then never used again. */
  destroyContext(id: number): Promise<boolean>;
}

export class Administration implements ContextAdministration {
  readonly queue: Queue;
  readonly #parts: AdministrationParts;
  readonly #contexts = new NumberPool('context', 1, LIMITS.CONTEXTS - 1);
  readonly #queueNumbers: NumberPool;
  readonly #queues: QueueSet;
  #retired: MtiaError | undefined;
  #lives = 0;

  constructor(parts: AdministrationParts) {
    this.#parts = parts;
    const { queues, interruptVectors } = parts.resources;
    this.#queueNumbers = new NumberPool('queue', 1, queues - 1);
    this.#queues = new QueueSet({
      ...parts,
      interruptVectors,
      abort: (queue, position, count) => this.#abort(queue, position, count),
      onLost: (error) => parts.onLost(error),
    });
    const space = new AddressSpace(parts.pci, DRIVER_CONTEXT);
    this.queue = this.#queues.open(
      { number: ADMINISTRATION_QUEUE, life: ++this.#lives },
      { context: DRIVER_CONTEXT, space, priority: HIGHEST_PRIORITY },
      () => undefined,
    );
  }

  async createContext(): Promise<number> {
    const id = this.#contexts.take();
    try {
      await this.queue.submit({ opcode: HOST_COMMAND.CREATE_CONTEXT, a: id });
    } catch (error) {
      this.#contexts.give(id);
      throw error;
    }
    return id;
  }

  async destroyContext(id: number): Promise<boolean> {
    try {
      await withinDeadline(this.queue.submit({ opcode: HOST_COMMAND.DESTROY_CONTEXT, a: id }));
      return true;
    } catch (error) {
      this.#parts.logger.warn({ context: id, err: error }, 'context could not be destroyed');
      return false;
    }
  }

  /** Nothing of the context is mapped any more. */
  releaseContext(id: number): void {
    this.#contexts.give(id);
  }

  administer(command: Command): Promise<CompletionRecord> {
    return this.queue.submit(command);
  }

  async openQueue(owner: QueueOwner, onClosed: (queue: Queue) => void): Promise<Queue> {
    const identity = this.takeQueue();
    try {
      return this.#queues.open(identity, owner, (queue, quiet) => {
        const give = (): void => this.giveQueue(identity.number);
        if (quiet === undefined) give();
        else quiet.then(give, give);
        onClosed(queue);
      });
    } catch (error) {
      this.giveQueue(identity.number);
      throw error;
    }
  }

  /** A number for a queue, of this thread or of another. */
  takeQueue(): QueueIdentity {
    const { failure } = this.queue;
    if (failure !== undefined) throw failure;
    return { number: this.#queueNumbers.take(), life: ++this.#lives };
  }

  /** The queue is disabled, and the device does nothing more for it. */
  giveQueue(number: number): void {
    this.#queueNumbers.give(number);
  }

  get retired(): MtiaError | undefined {
    return this.#retired;
  }

  failAll(error: MtiaError): void {
    this.#queues.failAll(error);
  }

  /** The card is about to be reset: rejects everything, and nothing is sent to it from here afterwards. */
  retire(error: MtiaError): void {
    this.#retired = error;
    this.#queues.retire(error);
  }

  /** The card was reset and reaches no host memory any more. */
  abandon(): void {
    this.#queues.abandon();
  }

  async #abort(queue: number, position: number, count: number): Promise<void> {
    try {
      await this.queue.submit({ opcode: HOST_COMMAND.ABORT, a: queue, b: position, c: count });
    } catch (error) {
      // A device that is closed or lost settles the commands itself; firmware that cannot abort lets them end.
      this.#parts.logger.warn({ queue, err: error }, 'commands could not be aborted');
    }
  }
}
