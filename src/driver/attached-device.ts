/**
 * A card that another thread of the process has opened. This thread has contexts, queues, rings and interrupts of its own on
 * it, and drives them itself; only what goes through the administration queue is asked of the thread that opened the card.
 */
import { pino } from 'pino';
import type { Generation } from '../hw/index.js';
import { AttachedLife } from './attached-life.js';
import type { CardResources } from './boot.js';
import type { Card, CardShare, Grid } from './card.js';
import type { Context } from './context.js';
import { decodeError, encodeError } from './error-message.js';
import { closedError, invalidArgument, MtiaError } from './errors.js';
import { attachFunction } from './function-kinds.js';
import { resetError } from './guarded-function.js';
import { type DeviceNotices, Notices, type ResetNotice } from './notices.js';
import type { PciFunction } from './pci-function.js';
import { RequestPort } from './request-port.js';
import type { AttachedRequests, OwnerRequests, SharedCard } from './shared-card.js';

/** How a thread attaches to a card that another one has opened. */
export interface AttachOptions {
  /** Where events of this thread are logged; nowhere when absent. */
  readonly logger?: pino.Logger;
}

/** A card that another thread of the process has opened, with contexts, queues and interrupts of this thread. */
export class AttachedDevice implements Card {
  readonly name: string;
  readonly generation: Generation;
  readonly grid: Grid;
  readonly firmwareVersion: string;
  readonly capabilities: bigint;
  readonly sramBytes: number;
  readonly scratchpadBytes: number;
  readonly lpddrBytes: number;
  readonly resources: CardResources;
  readonly #shared: SharedCard;
  readonly #pci: PciFunction;
  readonly #logger: pino.Logger;
  readonly #notices: Notices;
  readonly #port: RequestPort<AttachedRequests, OwnerRequests>;
  #life: AttachedLife;
  #resets: number;
  /** Between the two notices of a reset. */
  #resetting = false;
  #lost: Promise<MtiaError>;
  #announceLoss: (error: MtiaError) => void = () => undefined;
  #loss: MtiaError | undefined;
  #closing: Promise<void> | undefined;

  constructor(shared: SharedCard, { logger }: AttachOptions = {}) {
    const { name, generation, grid, firmwareVersion, capabilities } = shared.properties;
    this.name = name;
    this.generation = generation;
    this.grid = grid;
    this.firmwareVersion = firmwareVersion;
    this.capabilities = capabilities;
    this.sramBytes = shared.properties.sramBytes;
    this.scratchpadBytes = shared.properties.scratchpadBytes;
    this.lpddrBytes = shared.properties.lpddrBytes;
    this.resources = shared.properties.resources;
    this.#shared = shared;
    this.#pci = attachFunction(shared.function);
    this.#logger = (logger ?? pino({ level: 'silent' })).child({ device: name });
    this.#notices = new Notices(this.#logger);
    this.#port = this.#open(shared);
    this.#lost = this.#awaitLoss();
    this.#resets = Atomics.load(shared.resets, 0);
    this.#life = this.#begin();
  }

  get lost(): Promise<MtiaError> {
    return this.#lost;
  }

  get resets(): number {
    return this.#resets;
  }

  async createContext(): Promise<Context> {
    this.#checkUsable();
    const context = await this.#life.createContext();
    this.#checkUsable();
    return context;
  }

  on<N extends keyof DeviceNotices>(name: N, listener: (notice: DeviceNotices[N]) => void): this {
    this.#notices.on(name, listener);
    return this;
  }

  off<N extends keyof DeviceNotices>(name: N, listener: (notice: DeviceNotices[N]) => void): this {
    this.#notices.off(name, listener);
    return this;
  }

  async reset(reason?: string): Promise<void> {
    if (this.#closing !== undefined) throw closedError(this.name);
    await this.#port.request('reset', reason);
  }

  share(): CardShare {
    throw invalidArgument(`${this.name} was opened by another thread; share it from there`);
  }

  /** Closes the contexts of this thread. The card stays open, and other threads go on. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await this.#life.close();
    this.#end(closedError(this.name));
  }

  #open({ port, deadlineMs }: SharedCard): RequestPort<AttachedRequests, OwnerRequests> {
    return new RequestPort<AttachedRequests, OwnerRequests>(
      port,
      {
        resetting: (notice) => this.#retire(notice),
        reset: (notice) => this.#revive(notice),
        lost: (error) => this.#lose(decodeError(error)),
        closing: () => {
          this.#closing ??= Promise.resolve();
          this.#end(closedError(this.name));
        },
      },
      { deadlineMs, onEnd: () => this.#onOwnerEnded() },
    );
  }

  #begin(): AttachedLife {
    return new AttachedLife({
      pci: this.#pci,
      resets: this.#shared.resets,
      interruptVectors: this.resources.interruptVectors,
      logger: this.#logger,
      deadlineMs: this.#shared.deadlineMs,
      port: this.#port,
      onLost: (life, error) => {
        // What looks like a loss while somebody resets the card is that reset; its notice is on the way.
        if (life.number !== Atomics.load(this.#shared.resets, 0) || this.#loss !== undefined) return;
        this.#port.tell('lost', { life: life.number, error: encodeError(error) });
        this.#lose(error);
      },
    });
  }

  #retire(notice: ResetNotice): void {
    // The card was reset between share() and here: what this thread has made is of after that.
    if (notice.resets <= this.#resets) return;
    this.#resets = notice.resets;
    this.#resetting = true;
    this.#notices.tell('resetting', notice);
    this.#life.retire(resetError(this.name, notice.reason));
  }

  #revive(notice: ResetNotice): void {
    if (!this.#resetting) return;
    this.#resetting = false;
    this.#life = this.#begin();
    if (this.#loss !== undefined) this.#lost = this.#awaitLoss();
    this.#loss = undefined;
    if (this.#closing === undefined) this.#notices.tell('reset', notice);
  }

  #awaitLoss(): Promise<MtiaError> {
    return new Promise((resolve) => {
      this.#announceLoss = resolve;
    });
  }

  #lose(error: MtiaError): void {
    if (this.#loss !== undefined) return;
    this.#loss = error;
    this.#logger.error({ err: error }, 'device lost');
    this.#life.fail(error);
    this.#announceLoss(error);
  }

  /** Nothing can be created or given back any more, and somebody else closes the card. */
  #onOwnerEnded(): void {
    if (this.#closing !== undefined) return;
    const error = new MtiaError('DEVICE_LOST', `the thread that opened ${this.name} has ended; open another device`);
    this.#lose(error);
    this.#end(error);
  }

  #end(error: MtiaError): void {
    this.#life.retire(error);
    this.#pci.close();
    this.#port.tell('closed', undefined);
    this.#port.close(error);
  }

  #checkUsable(): void {
    if (this.#loss !== undefined) throw this.#loss;
    if (this.#closing !== undefined) throw closedError(this.name);
    if (this.#resetting) {
      throw new MtiaError('DEVICE_RESET', `${this.name} is being reset; await its notice`);
    }
  }
}
