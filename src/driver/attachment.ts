/** A thread that has attached a card, as the thread sees it that opened the card: what it holds, until it ends. */
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import type { Administration } from './administration.js';
import type { CardProperties, CardShare } from './card.js';
import type { CardRegisters } from './card-registers.js';
import { decodeError, encodeError } from './error-message.js';
import { closedError, invalidArgument, MtiaError } from './errors.js';
import type { ResetNotice } from './notices.js';
import type { FunctionShare, PciFunction } from './pci-function.js';
import { RequestPort } from './request-port.js';
import type { AttachedRequests, OwnerRequests, SharedCard } from './shared-card.js';

/** How long a thread may take to let go of a card before it counts as stuck. */
const LET_GO_MS = 1_000;
/** Covers every I/O virtual address that is given out, and stays a safe integer. */
const ALL_ADDRESSES_BYTES = 2 ** 52;

export interface AttachmentHost {
  readonly pci: PciFunction;
  readonly registers: CardRegisters;
  readonly deadlineMs: number;
  readonly properties: CardProperties;
  readonly resets: Int32Array;
  /** Throws while the device is lost, closed or being reset, or where `life` is not the current one. */
  administration(life: number): Administration;
  reset(reason: string | undefined): Promise<void>;
  onLost(life: number, error: MtiaError): void;
}

export class Attachment implements CardShare {
  readonly shared: SharedCard;
  readonly ended: Promise<void>;
  readonly #host: AttachmentHost;
  readonly #share: FunctionShare;
  readonly #port: RequestPort<OwnerRequests, AttachedRequests>;
  /** Queues by context. */
  #contexts = new Map<number, Set<number>>();
  #life: number;
  #over = false;
  /** The thread has ended its part itself, and its host memory is its own affair. */
  #letGo = false;

  constructor(host: AttachmentHost) {
    const share = host.pci.share?.();
    if (share === undefined)
      throw invalidArgument(`${host.pci.name} can be driven by one thread only; open one card a thread`);
    const { port1, port2 } = new MessageChannel();
    const { deadlineMs, properties, resets } = host;
    this.#host = host;
    this.#share = share;
    this.#life = Atomics.load(resets, 0);
    this.shared = { properties, function: share.shared, resets, deadlineMs, port: port2 };
    let onEnd: () => void = () => undefined;
    this.ended = new Promise<void>((resolve) => {
      onEnd = resolve;
    }).then(() => this.#release());
    this.#port = this.#open(port1, () => onEnd());
  }

  /** Resolves when the thread has let go of everything, or has had its time to. */
  async resetting(notice: ResetNotice): Promise<void> {
    await this.#port.request('resetting', notice).catch(() => undefined);
  }

  /** The card is as new: nothing of what the thread had made is left. */
  reset(notice: ResetNotice): void {
    this.#contexts.clear();
    this.#life = notice.resets;
    this.#port.tell('reset', notice);
  }

  lost(error: MtiaError): void {
    this.#port.tell('lost', encodeError(error));
  }

  async close(): Promise<void> {
    await this.#port.request('closing', undefined).catch(() => undefined);
    await this.#destroyContexts();
  }

  #open(port: MessagePort, onEnd: () => void): RequestPort<OwnerRequests, AttachedRequests> {
    const host = this.#host;
    const contexts = (): Map<number, Set<number>> => this.#contexts;
    return new RequestPort<OwnerRequests, AttachedRequests>(
      port,
      {
        createContext: async ({ life }) => {
          const context = await host.administration(life).createContext();
          contexts().set(context, new Set());
          if (this.#over) await this.#destroyContexts();
          return context;
        },
        destroyContext: ({ life, context }) => host.administration(life).destroyContext(context),
        releaseContext: ({ life, context }) => {
          contexts().delete(context);
          host.administration(life).releaseContext(context);
        },
        takeQueue: ({ life, context }) => {
          const identity = host.administration(life).takeQueue();
          contexts().get(context)?.add(identity.number);
          return identity;
        },
        giveQueue: ({ life, context, number }) => {
          contexts().get(context)?.delete(number);
          host.administration(life).giveQueue(number);
        },
        administer: ({ life, command }) => host.administration(life).administer(command),
        reset: (reason) => host.reset(reason),
        lost: ({ life, error }) => host.onLost(life, decodeError(error)),
        closed: () => {
          this.#letGo = true;
        },
      },
      { deadlineMs: LET_GO_MS, onEnd },
    );
  }

  /** The thread runs no more. */
  async #release(): Promise<void> {
    this.#over = true;
    this.#port.close(closedError('the other thread of the card'));
    await this.#destroyContexts();
    if (!this.#letGo) this.#share.release();
  }

  /** What Context.close does, for contexts of a thread that does it no more. */
  async #destroyContexts(): Promise<void> {
    const contexts = [...this.#contexts];
    this.#contexts = new Map();
    await Promise.all(contexts.map(([context, queues]) => this.#destroyContext(context, queues)));
  }

  async #destroyContext(context: number, queues: ReadonlySet<number>): Promise<void> {
    const { pci, registers } = this.#host;
    const life = this.#life;
    try {
      for (const number of queues) registers.queuePage(number).disable();
      const destroyed = await this.#host.administration(life).destroyContext(context);
      this.#unmapAll(pci, context);
      const administration = this.#host.administration(life);
      for (const number of queues) administration.giveQueue(number);
      if (destroyed) administration.releaseContext(context);
    } catch (error) {
      // A device that is lost, closed or reset has no numbers to give back. What it could reach it must not reach any more.
      if (!(error instanceof MtiaError)) throw error;
      if (life === Atomics.load(this.#host.resets, 0)) this.#unmapAll(pci, context);
    }
  }

  #unmapAll(pci: PciFunction, context: number): void {
    try {
      pci.dmaUnmap(context, 0n, ALL_ADDRESSES_BYTES);
    } catch (error) {
      // Nothing was mapped, or the card is closed.
      if (!(error instanceof MtiaError)) throw error;
    }
  }
}
