/** An attached card between two resets: what a reset ends as a whole in this thread. */
import type pino from 'pino';
import { HOST_COMMAND } from '../hw/index.js';
import type { ContextAdministration } from './administration.js';
import { diagnose } from './boot.js';
import { CardRegisters } from './card-registers.js';
import type { CompletionRecord } from './completion.js';
import { Context, closeContexts } from './context.js';
import { deviceError, type MtiaError } from './errors.js';
import { GuardedFunction } from './guarded-function.js';
import type { PciFunction } from './pci-function.js';
import type { Queue } from './queue.js';
import { type QueueOwner, QueueSet } from './queue-set.js';
import type { RequestPort } from './request-port.js';
import type { Command } from './ring.js';
import type { AttachedRequests, OwnerRequests } from './shared-card.js';
import { Watchdog } from './watchdog.js';

export interface AttachedLifeParts {
  readonly pci: PciFunction;
  readonly resets: Int32Array;
  readonly interruptVectors: number;
  readonly logger: pino.Logger;
  readonly deadlineMs: number;
  readonly port: RequestPort<AttachedRequests, OwnerRequests>;
  onLost(life: AttachedLife, error: MtiaError): void;
}

export class AttachedLife implements ContextAdministration {
  /** Resets before it. */
  readonly number: number;
  readonly #parts: AttachedLifeParts;
  readonly #pci: PciFunction;
  readonly #registers: CardRegisters;
  readonly #watchdog: Watchdog;
  readonly #queues: QueueSet;
  readonly #contexts = new Set<Context>();
  #retired: MtiaError | undefined;

  constructor(parts: AttachedLifeParts) {
    const onLost = (error: MtiaError): void => parts.onLost(this, error);
    this.#parts = parts;
    this.number = Atomics.load(parts.resets, 0);
    this.#pci = new GuardedFunction(parts.pci, parts.resets);
    this.#registers = new CardRegisters(this.#pci);
    this.#watchdog = new Watchdog({
      deviceTime: () => this.#registers.read64('DEVICE_TIME'),
      diagnose: () => this.#diagnose(),
      onLost,
    });
    this.#queues = new QueueSet({
      pci: this.#pci,
      registers: this.#registers,
      watchdog: this.#watchdog,
      deadlineMs: parts.deadlineMs,
      interruptVectors: parts.interruptVectors,
      abort: (queue, position, count) => this.#abort(queue, position, count),
      onLost,
    });
  }

  get retired(): MtiaError | undefined {
    return this.#retired;
  }

  async createContext(): Promise<Context> {
    const { port } = this.#parts;
    const life = this.number;
    const id = await port.request('createContext', { life });
    if (this.#retired !== undefined) throw this.#retired;
    const context = new Context(id, this.#pci, this, (closed, destroyed) => {
      this.#contexts.delete(closed);
      if (destroyed) port.tell('releaseContext', { life, context: id });
    });
    this.#contexts.add(context);
    return context;
  }

  async openQueue(owner: QueueOwner, onClosed: (queue: Queue) => void): Promise<Queue> {
    const { context } = owner;
    const identity = await this.#parts.port.request('takeQueue', { life: this.number, context });
    if (this.#retired !== undefined) throw this.#retired;
    const give = (): void => {
      this.#parts.port.tell('giveQueue', { life: this.number, context, number: identity.number });
    };
    try {
      return this.#queues.open(identity, owner, (queue, quiet) => {
        if (quiet === undefined) give();
        else quiet.then(give, give);
        onClosed(queue);
      });
    } catch (error) {
      give();
      throw error;
    }
  }

  administer(command: Command): Promise<CompletionRecord> {
    return this.#parts.port.request('administer', { life: this.number, command });
  }

  destroyContext(context: number): Promise<boolean> {
    return this.#parts.port.request('destroyContext', { life: this.number, context });
  }

  /** Rejects everything outstanding, because the device does not work any more. */
  fail(error: MtiaError): void {
    this.#watchdog.stop();
    this.#queues.failAll(error);
  }

  /** Rejects everything outstanding, and nothing that was made in this life reaches the card any more. Idempotent. */
  retire(error: MtiaError): void {
    if (this.#retired !== undefined) return;
    this.#watchdog.stop();
    this.#retired = error;
    this.#queues.retire(error);
    this.#queues.abandon();
    this.#contexts.clear();
  }

  /** Ends every context in order, as far as the device still does. */
  async close(): Promise<void> {
    await closeContexts(this.#contexts, this.#parts.logger);
    this.#watchdog.stop();
  }

  async #abort(queue: number, position: number, count: number): Promise<void> {
    try {
      await this.administer({ opcode: HOST_COMMAND.ABORT, a: queue, b: position, c: count });
    } catch (error) {
      // A device that is closed or lost settles the commands itself; firmware that cannot abort lets them end.
      this.#parts.logger.warn({ queue, err: error }, 'commands could not be aborted');
    }
  }

  /** A register that cannot even be read is a lost device as well. */
  #diagnose(): MtiaError | undefined {
    try {
      return diagnose(this.#registers);
    } catch (cause) {
      return deviceError('DEVICE_LOST', {}, { cause });
    }
  }
}
