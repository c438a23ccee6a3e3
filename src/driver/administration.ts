/** What the driver does for itself: the administration queue, and the numbers that contexts and queues share. */

import type pino from 'pino';
import { HOST_COMMAND, LIMITS } from '../hw/index.js';
import { AbortListeners } from './abort-listeners.js';
import { AddressSpace } from './address-space.js';
import type { CardResources } from './boot.js';
import type { CardRegisters } from './card-registers.js';
import { MtiaError } from './errors.js';
import { InterruptVectors } from './interrupt-vectors.js';
import { NumberPool } from './number-pool.js';
import type { HostPages, PciFunction } from './pci-function.js';
import { QUEUE_ENTRIES, Queue } from './queue.js';
import { ringBytes } from './ring.js';
import type { Watchdog } from './watchdog.js';

const DRIVER_CONTEXT = 0;
const ADMINISTRATION_QUEUE = 0;
const HIGHEST_PRIORITY = LIMITS.QUEUE_PRIORITIES - 1;

/** How long close() waits for firmware that may be stuck in what is being closed. */
const CLOSE_DEADLINE_MS = 2_000;

async function withinDeadline(work: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<never>((_, reject) => {
    const late = new MtiaError('DEVICE_TIMEOUT', `the firmware did not end a context within ${CLOSE_DEADLINE_MS} ms`);
    timer = setTimeout(() => reject(late), CLOSE_DEADLINE_MS);
  });
  try {
    await Promise.race([work, deadline]);
  } finally {
    clearTimeout(timer);
  }
}

/** `quiet` settles when the device does nothing more for the queue; undefined where it is quiet already. */
type OnClosed = (queue: Queue, quiet: Promise<unknown> | undefined) => void;

export interface QueueOwner {
  readonly context: number;
  readonly space: AddressSpace;
  readonly priority: number;
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

export class Administration {
  readonly queue: Queue;
  readonly #parts: AdministrationParts;
  readonly #contexts = new NumberPool('context', 1, LIMITS.CONTEXTS - 1);
  readonly #queueNumbers: NumberPool;
  readonly #vectors: InterruptVectors;
  readonly #queues = new Set<Queue>();
  readonly #rings = new Map<Queue, HostPages>();
  #retired: MtiaError | undefined;
  readonly #abortListeners = new AbortListeners();
  #lives = 0;

  constructor(parts: AdministrationParts) {
    this.#parts = parts;
    const { queues, interruptVectors } = parts.resources;
    this.#queueNumbers = new NumberPool('queue', 1, queues - 1);
    this.#vectors = new InterruptVectors(parts.pci, interruptVectors);
    const space = new AddressSpace(parts.pci, DRIVER_CONTEXT);
    this.queue = this.#open(
      ADMINISTRATION_QUEUE,
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

  /** False where the firmware could not end the context: its number is then never used again. */
  async destroyContext(id: number): Promise<boolean> {
    try {
      await withinDeadline(this.queue.submit({ opcode: HOST_COMMAND.DESTROY_CONTEXT, a: id }));
      return true;
    } catch (error) {
      this.#parts.logger.warn({ context: id, err: error }, 'context could not be destroyed');
      return false;
    }
  }

  releaseContext(id: number): void {
    this.#contexts.give(id);
  }

  openQueue(owner: QueueOwner, onClosed: (queue: Queue) => void): Queue {
    const { failure } = this.queue;
    if (failure !== undefined) throw failure;
    const number = this.#queueNumbers.take();
    try {
      return this.#open(number, owner, (queue, quiet) => {
        const give = (): void => this.#queueNumbers.give(number);
        if (quiet === undefined) give();
        else quiet.then(give, give);
        onClosed(queue);
      });
    } catch (error) {
      this.#queueNumbers.give(number);
      throw error;
    }
  }

  /** Why nothing of this administration may reach the card any more. */
  get retired(): MtiaError | undefined {
    return this.#retired;
  }

  failAll(error: MtiaError): void {
    for (const queue of this.#queues) queue.fail(error);
  }

  /** The card is about to be reset: rejects everything, and nothing is sent to it from here afterwards. */
  retire(error: MtiaError): void {
    this.#retired = error;
    for (const queue of this.#queues) queue.retire(error);
  }

  /** The card was reset and reaches no host memory any more. */
  abandon(): void {
    for (const rings of this.#rings.values()) rings.free();
    this.#rings.clear();
    this.#queues.clear();
  }

  async #abort(queue: number, position: number, count: number): Promise<void> {
    try {
      await this.queue.submit({ opcode: HOST_COMMAND.ABORT, a: queue, b: position, c: count });
    } catch (error) {
      // A device that is closed or lost settles the commands itself; firmware that cannot abort lets them end.
      this.#parts.logger.warn({ queue, err: error }, 'commands could not be aborted');
    }
  }

  #open(number: number, { context, space, priority }: QueueOwner, onClosed: OnClosed): Queue {
    const { pci, registers, watchdog, deadlineMs } = this.#parts;
    const rings = pci.allocateHost(ringBytes(QUEUE_ENTRIES));
    const ringsIova = space.map(rings, 'read-write');
    const vector = this.#vectors.of(number);
    const queue: Queue = new Queue({
      number,
      context,
      life: ++this.#lives,
      page: registers.queuePage(number),
      rings,
      ringsIova,
      entries: QUEUE_ENTRIES,
      vector,
      priority,
      deadlineMs,
      watchdog,
      abortListeners: this.#abortListeners,
      abort: (position, count) => this.#abort(number, position, count),
      subscribe: (listener) => this.#vectors.subscribe(vector, listener),
      release: (quiet) => {
        this.#queues.delete(queue);
        this.#rings.delete(queue);
        // A card that was reset behind the driver has forgotten the mapping.
        try {
          space.unmap(ringsIova);
        } finally {
          rings.free();
          onClosed(queue, quiet);
        }
      },
      onLost: (error) => this.#parts.onLost(error),
    });
    this.#queues.add(queue);
    this.#rings.set(queue, rings);
    return queue;
  }
}
