/**
 * What worker threads hold of the process, given back when they end without a word. The chip's threads belong to the
 * process, not to the worker that opened the card, and nothing of a worker runs when it is terminated. So workers tell the
 * main thread what they take, and the main thread gives it back when they have ended. It has to have loaded the driver
 * before it makes the worker, and it has to have made the worker itself; the rest goes with the process.
 */
import { BroadcastChannel, isMainThread, threadId } from 'node:worker_threads';

/** `card`: a handle of the C library, which may be closed twice. `descriptor`: a file that only the main thread closes. */
export interface Holding {
  readonly kind: 'card' | 'descriptor';
  readonly id: bigint;
}

interface Message extends Holding {
  readonly thread: number;
  readonly held: boolean;
}

const CHANNEL = 'mtia: what worker threads hold';

/** What the main thread knows of its workers. */
export class WorkerHoldings {
  readonly #release: (holding: Holding) => void;
  /** By thread, then by kind and id. */
  readonly #held = new Map<number, Map<string, Holding>>();
  readonly #ended = new Set<number>();

  constructor(release: (holding: Holding) => void) {
    this.#release = release;
  }

  /** Messages may arrive after their worker has ended. */
  note({ thread, kind, id, held }: Message): void {
    const holdings = this.#held.get(thread) ?? new Map<string, Holding>();
    this.#held.set(thread, holdings);
    if (!held) holdings.delete(`${kind} ${id}`);
    else if (this.#ended.has(thread)) this.#release({ kind, id });
    else holdings.set(`${kind} ${id}`, { kind, id });
  }

  end(thread: number): void {
    this.#ended.add(thread);
    for (const holding of this.#held.get(thread)?.values() ?? []) this.#release(holding);
    this.#held.delete(thread);
  }
}

/** Main thread: from now on gives back what workers leave behind. */
export function watchWorkers(release: (holding: Holding) => void): void {
  const holdings = new WorkerHoldings(release);
  const channel = new BroadcastChannel(CHANNEL);
  channel.onmessage = (event) => holdings.note((event as { readonly data: Message }).data);
  channel.unref();
  process.on('worker', (worker) => {
    const thread = worker.threadId;
    worker.once('exit', () => holdings.end(thread));
  });
}

let told: BroadcastChannel | undefined;

/** Worker thread: something is held from now on, or not any more. On the main thread it does nothing. */
export function tellMainThread(holding: Holding, held: boolean): void {
  if (isMainThread) return;
  told ??= new BroadcastChannel(CHANNEL);
  told.unref();
  told.postMessage({ ...holding, thread: threadId, held } satisfies Message);
}
