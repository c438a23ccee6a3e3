/** One worker thread, kept alive by a piscina pool of one: a thread that ends is replaced, and attaches the card anew. */
import type { Piscina } from 'piscina';
import type { CompiledGraph } from '../../compiler/compiled-graph.js';
import { MtiaError } from '../../driver/index.js';
import type { SharedDevice } from '../shared-device.js';
import { isCardFailure } from './executor-card.js';
import { type AbortTask, type Answer, type PrepareTask, type RunReport, type RunTask, unwrap } from './messages.js';
import { Slab } from './slab.js';
import { workerFile } from './worker-file.js';

/** A thread that could not get ready this often in a row is given up. */
const MOST_ATTEMPTS = 3;
/** Start of the thread and upload of the weights of every batch size, on a busy machine. */
const PREPARE_MS = 120_000;
const CLOSE_MS = 30_000;

export interface LoadTask {
  /** The card, for a thread that attaches it. */
  readonly share: () => SharedDevice;
  readonly instances: number;
  readonly checkRows: boolean;
  readonly onChange: () => void;
}

export class WorkerThread {
  readonly #pool: Piscina;
  #slabs: readonly Slab[] = [];
  /** Slabs that no batch uses. */
  #free: Slab[] = [];
  #graphs: readonly CompiledGraph[] = [];
  #onChange: () => void = () => undefined;
  #share: () => SharedDevice = () => {
    throw new RangeError('the thread has no card yet');
  };
  /** `suspended`: the card is being reset, or is lost. */
  #state: 'starting' | 'ready' | 'suspended' | 'dead' | 'closed' = 'starting';
  #losses = 0;
  /** Takes the task back that makes a thread ready, where the thread has ended without it. */
  #preparation: AbortController | undefined;
  #restarting: Promise<void> = Promise.resolve();
  #failure: unknown;

  static async start(instances: number): Promise<WorkerThread> {
    // Loaded here: programs without an executor need not wait for it.
    const { Piscina } = await import('piscina');
    return new WorkerThread(
      new Piscina({
        filename: workerFile('worker'),
        name: 'run',
        minThreads: 1,
        maxThreads: 1,
        // Each batch and the word that it is not wanted any more; close() waits behind neither.
        concurrentTasksPerWorker: 2 * instances + 1,
        // A worker that waits in Atomics.wait() would not see the interrupts of the card.
        atomics: 'disabled',
        recordTiming: false,
      }),
    );
  }

  private constructor(pool: Piscina) {
    this.#pool = pool;
    // Without a listener, a thread that fails while it is idle would end the process.
    this.#pool.on('error', (error) => {
      this.#failure = error;
    });
    this.#pool.on('workerDestroy', () => this.#onLost());
  }

  get ready(): boolean {
    return this.#state === 'ready';
  }

  /** Given up for good; `failure` says why. */
  get dead(): boolean {
    return this.#state === 'dead';
  }

  get failure(): unknown {
    return this.#failure;
  }

  /** Threads that ended and had to be replaced. */
  get losses(): number {
    return this.#losses;
  }

  /** Batches that can be started now. */
  get freeInstances(): number {
    return this.ready ? this.#free.length : 0;
  }

  /**
   * Loads the models onto the card, with shared memory for `instances` batches. `onChange` is called when a successor of the
   * thread has become ready, and when there will be none. Rejects with what failed.
   */
  async load(graphs: readonly CompiledGraph[], options: LoadTask): Promise<void> {
    const { share, instances, checkRows, onChange } = options;
    this.#share = share;
    this.#graphs = graphs;
    this.#slabs = Array.from({ length: instances }, () => new Slab(Slab.allocate(graphs), graphs));
    this.#free = [...this.#slabs];
    this.#onChange = onChange;
    await this.#prepare(checkRows);
  }

  take(): Slab {
    const slab = this.#free.pop();
    if (slab === undefined) throw new RangeError('no instance is free');
    return slab;
  }

  give(slab: Slab): void {
    this.#free.push(slab);
  }

  /** Rejects with WORKER_LOST where the thread ended, and with the error of the run otherwise. */
  async run(slab: Slab, task: Omit<RunTask, 'slab'>): Promise<RunReport> {
    return unwrap(await this.#perform<RunReport>('run', { ...task, slab: this.#slabs.indexOf(slab) }));
  }

  /** Ends the run that uses a slab. Nobody waits for it: whether it was in time does not matter. */
  abort(slab: Slab): void {
    if (!this.ready) return;
    this.#perform('abort', { slab: this.#slabs.indexOf(slab) }).catch(() => undefined);
  }

  /** Nothing can run: the card is being reset, or is lost. */
  suspend(): void {
    if (this.#state === 'ready' || this.#state === 'starting') this.#state = 'suspended';
  }

  /** The card works again. */
  resume(): void {
    if (this.#state === 'suspended') this.#restart();
  }

  /** Lets go of the card and ends the thread. No batch may be under way that is still wanted. */
  async close(): Promise<void> {
    if (this.#state === 'closed') return;
    await this.#restarting;
    const alive = this.#state !== 'dead';
    this.#state = 'closed';
    // What it cannot let go of in order is taken from it when it ends.
    if (alive) await withDeadline(CLOSE_MS, this.#perform('close', undefined)).catch(() => undefined);
    await this.#pool.destroy();
  }

  /** Ends the thread as a crash would. For tests. */
  async terminate(): Promise<void> {
    await Promise.all(this.#pool.threads.map((thread) => thread.terminate()));
  }

  async #prepare(checkRows: boolean): Promise<void> {
    const slabs = this.#slabs.map(({ memory }) => memory);
    const device = this.#share();
    const task = { device, graphs: this.#graphs, slabs, checkRows };
    const preparation = new AbortController();
    this.#preparation = preparation;
    try {
      unwrap(await this.#perform<void>('prepare', task, { ports: device.ports, signal: preparation.signal }));
    } finally {
      if (this.#preparation === preparation) this.#preparation = undefined;
    }
    if (this.#state === 'starting') this.#state = 'ready';
  }

  async #perform<T>(
    name: string,
    task: PrepareTask | RunTask | AbortTask | undefined,
    { ports = [], signal }: { readonly ports?: SharedDevice['ports']; readonly signal?: AbortSignal } = {},
  ): Promise<Answer<T>> {
    try {
      const transferList = ports.length === 0 ? {} : { transferList: [...ports] };
      return await this.#pool.run(task, { name, ...transferList, ...(signal === undefined ? {} : { signal }) });
    } catch (cause) {
      throw new MtiaError('WORKER_LOST', 'the worker thread that ran the request ended', { cause });
    }
  }

  #onLost(): void {
    if (this.#state === 'closed' || this.#state === 'dead') return;
    this.#losses++;
    // While it gets ready, whoever prepares it learns of the loss by the task that failed. A thread that had not even started
    // had no task yet: piscina keeps that for a successor, and starts none.
    const preparation = this.#preparation;
    if (preparation !== undefined) {
      setImmediate(() => {
        if (this.#preparation === preparation) preparation.abort();
      });
    }
    if (this.#state !== 'ready') return;
    // Piscina is still taking the old thread out of its list.
    this.#state = 'starting';
    setImmediate(() => this.#restart());
  }

  #restart(): void {
    this.#state = 'starting';
    this.#restarting = this.#restarting.then(() => this.#tryToPrepare());
  }

  async #tryToPrepare(): Promise<void> {
    for (let attempt = 0; attempt < MOST_ATTEMPTS && this.#state === 'starting'; attempt++) {
      try {
        await withDeadline(PREPARE_MS, this.#prepare(false));
      } catch (error) {
        this.#failure = error;
        // Not the thread's fault: it is tried again when the card works.
        if (isCardFailure(error) && this.#state === 'starting') this.#state = 'suspended';
      }
    }
    if (this.#state === 'starting') this.#state = 'dead';
    this.#onChange();
  }
}

async function withDeadline(deadlineMs: number, work: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () =>
        reject(
          new MtiaError('WORKER_LOST', `a worker thread was not ready within ${deadlineMs} ms; make another executor`),
        ),
      deadlineMs,
    );
    timer.unref();
  });
  try {
    await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
