/**
 * What worker threads hold of the process, given back when they end without a word. Threads of a chip, descriptors and
 * pinned pages belong to the process, not to the worker that asked for them, and nothing of a worker runs when it is
 * terminated. So every worker writes down what it takes in memory that outlives it, tells the main thread once where that
 * is, and the main thread gives back what is left there when the worker has ended. It has to have loaded the driver before it
 * makes the worker, and it has to have made the worker itself; the rest goes with the process.
 */
import { BroadcastChannel, isMainThread, threadId } from 'node:worker_threads';
import { HoldingsLedger, type Release } from './holdings-ledger.js';
import { sharedCounters } from './shared-counters.js';

interface Message {
  readonly thread: number;
  readonly memory: SharedArrayBuffer;
}

const CHANNEL = 'mtia: what worker threads hold';

/** What the main thread knows of its workers. */
export class WorkerHoldings {
  readonly #release: Release;
  readonly #ledgers = new Map<number, HoldingsLedger[]>();
  readonly #ended = new Set<number>();

  constructor(release: Release) {
    this.#release = release;
  }

  /** The message may arrive after its worker has ended. */
  note({ thread, memory }: Message): void {
    const ledgers = this.#ledgers.get(thread) ?? [];
    ledgers.push(new HoldingsLedger(memory));
    this.#ledgers.set(thread, ledgers);
    if (this.#ended.has(thread)) this.end(thread);
  }

  end(thread: number): void {
    this.#ended.add(thread);
    for (const ledger of this.#ledgers.get(thread) ?? []) ledger.releaseAll(this.#release);
    this.#ledgers.delete(thread);
  }
}

/** Main thread: from now on gives back what workers leave behind. */
export function watchWorkers(release: Release): void {
  // Workers take their table over when they are made.
  sharedCounters();
  const holdings = new WorkerHoldings(release);
  const channel = new BroadcastChannel(CHANNEL);
  channel.onmessage = (event) => holdings.note((event as { readonly data: Message }).data);
  channel.unref();
  process.on('worker', (worker) => {
    const thread = worker.threadId;
    worker.once('exit', () => holdings.end(thread));
  });
}

let ledger: HoldingsLedger | undefined;

/** What this thread holds. */
export function threadHoldings(): HoldingsLedger {
  if (ledger !== undefined) return ledger;
  ledger = new HoldingsLedger();
  if (!isMainThread) tellMainThread(ledger.memory);
  return ledger;
}

/** What is written down there counts as held by this thread from now on: pages of a card that it has let go of. */
export function adoptHoldings({ memory }: HoldingsLedger): void {
  if (!isMainThread) tellMainThread(memory);
}

function tellMainThread(memory: SharedArrayBuffer): void {
  const channel = new BroadcastChannel(CHANNEL);
  channel.postMessage({ thread: threadId, memory } satisfies Message);
  channel.close();
}
