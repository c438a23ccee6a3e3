/** Compiled graphs across worker threads: requests of many callers, gathered into batches. */
import type { CompiledGraph, GraphTensor } from '../../compiler/compiled-graph.js';
import {
  AbortListeners,
  checkDeadline,
  checkOptions,
  checkSignal,
  closedError,
  MtiaError,
  startDeadline,
} from '../../driver/index.js';
import { checkModel, fixedShape } from '../graph-source.js';
import type { TensorData } from '../model-types.js';
import { unpack } from '../tensor-data.js';
import { rowBytes, rowsOf } from './batch-sizes.js';
import { CompilerThread } from './compiler-thread.js';
import type { GraphSet } from './compiler-worker.js';
import { ExecutorCard, isCardFailure } from './executor-card.js';
import {
  checkPriority,
  type ExecutorLimits,
  type ExecutorOptions,
  type ExecutorStats,
  limitsOf,
} from './executor-options.js';
import { ExecutorStatistics } from './executor-statistics.js';
import { type RunReport, shareGraphs } from './messages.js';
import { type ExecutorResult, type ExecutorRunOptions, Request, RequestCheck } from './request.js';
import { RequestQueue } from './request-queue.js';
import { packRows, RecordLayout, RecordPool } from './row-record.js';
import { type Slab, unpackRows } from './slab.js';
import { WorkerThread } from './worker-thread.js';

/** What a graph may take on the device where no request has a deadline: a kernel without end would keep its card. */
const RUN_DEADLINE_MS = 30_000;
/** Times that thread or card may end under a request before it fails: it may be what ends them. */
const MOST_LOSSES = 2;

/**
 * Makes an executor: compiles the model on a thread of its own for every power of two up to `maxBatch`, has each worker
 * thread attach the card, and proves that batches change no bit of a row.
 *
 * ```ts
 * await using executor = await createExecutor('model.pt2', { threads: 2, maxBatch: 64, maxDelay: 1 });
 * const { outputs } = await executor.run({ x: new Float32Array(13) }, { deadlineMs: 50 });
 * ```
 *
 * Rejects with INVALID_ARGUMENT (an option is out of range, or does not go with another), INVALID_MODEL, UNSUPPORTED_OPERATOR,
 * FIRMWARE_MISMATCH, OUT_OF_DEVICE_MEMORY, TOO_MANY (more threads than the card has queues), or what Device.open rejects with.
 */
export async function createExecutor(model: string | CompiledGraph, options: ExecutorOptions = {}): Promise<Executor> {
  checkModel(model);
  checkOptions(options);
  const limits = limitsOf(options);
  const card = await ExecutorCard.open(options, limits);
  const workers: WorkerThread[] = [];
  try {
    checkThreads(limits, card);
    // The threads start while the model is compiled.
    const started = Array.from({ length: limits.threads }, () => WorkerThread.start(limits.instances));
    workers.push(...(await Promise.all(started)));
    return await Executor.start(await readGraphs(model, card, options), card, workers, limits);
  } catch (error) {
    await Promise.all(workers.map((worker) => worker.close()));
    await card.close();
    throw error;
  }
}

/** Each thread has a queue of the card, at least: that there are not enough is known before they have started. */
function checkThreads({ threads }: ExecutorLimits, { device }: ExecutorCard): void {
  const { name, streams } = device.properties;
  if (threads <= streams) return;
  throw new MtiaError('TOO_MANY', `threads is ${threads}; ${name} has queues for ${streams}`);
}

async function readGraphs(
  model: string | CompiledGraph,
  { device }: ExecutorCard,
  { maxBatch, dtype }: ExecutorOptions,
): Promise<GraphSet> {
  if (typeof model === 'object') {
    const [graph = model] = shareGraphs([model]);
    return fixedShape(graph, maxBatch);
  }
  const compiler = new CompilerThread();
  try {
    return await compiler.compileBatches(model, device.properties.generation, { dtype, maxBatch });
  } finally {
    await compiler.close();
  }
}

interface Batch {
  readonly requests: readonly Request[];
  readonly rows: number;
  readonly graph: CompiledGraph;
  readonly graphNumber: number;
}

/** A model on worker threads: requests of a row or a few are gathered into batches. Made by createExecutor. */
export class Executor implements AsyncDisposable {
  readonly #graphs: readonly CompiledGraph[];
  readonly #batched: boolean;
  readonly #maxRows: number;
  readonly #requestCheck: RequestCheck;
  readonly #records: RecordPool;
  readonly #limits: ExecutorLimits;
  readonly #card: ExecutorCard;
  readonly #workers: readonly WorkerThread[];
  readonly #queue = new RequestQueue();
  /** Calls that wait for room in the queue. */
  readonly #heldBack = new Set<Request>();
  readonly #running = new Set<Request>();
  readonly #aborts = new AbortListeners();
  readonly #statistics = new ExecutorStatistics();
  #endDelay: () => void = () => undefined;
  #scheduled = false;
  #draining = false;
  #whenIdle: (() => void)[] = [];
  /** Why nothing can run, where nobody here brings the card back. */
  #loss: MtiaError | undefined;
  #closing: Promise<void> | undefined;

  /** Use createExecutor. */
  static async start(
    set: GraphSet,
    card: ExecutorCard,
    workers: readonly WorkerThread[],
    limits: ExecutorLimits,
  ): Promise<Executor> {
    const executor = new Executor(set, card, workers, limits);
    const { graphs, batched } = set;
    const { instances } = limits;
    const loads = workers.map((worker, index) =>
      worker.load(graphs, {
        share: () => card.share(),
        instances,
        checkRows: batched && index === 0,
        onChange: () => executor.#pump(),
      }),
    );
    for (const result of await Promise.allSettled(loads)) if (result.status === 'rejected') throw result.reason;
    card.listen({
      down: () => executor.#suspend(),
      up: () => executor.#resume(),
      lost: (error) => executor.#lose(error),
    });
    return executor;
  }

  private constructor(
    { graphs, batched }: GraphSet,
    card: ExecutorCard,
    workers: readonly WorkerThread[],
    limits: ExecutorLimits,
  ) {
    this.#card = card;
    this.#graphs = graphs;
    this.#batched = batched;
    this.#limits = limits;
    this.#workers = workers;
    this.#maxRows = batched ? rowsOf(graphs.at(-1) ?? { inputs: [] }) : 1;
    this.#requestCheck = new RequestCheck(this.inputs, batched ? this.#maxRows : undefined);
    const row = this.inputs.map((tensor) => ({ ...tensor, bytes: batched ? rowBytes(tensor) : tensor.bytes }));
    this.#records = new RecordPool(new RecordLayout(row), limits.queueLimit);
  }

  /** Name, type and shape of every input; of one row where requests are batched. */
  get inputs(): readonly GraphTensor[] {
    return this.#graphs[0]?.inputs ?? [];
  }

  /** Name, type and shape of every output; of one row where requests are batched. */
  get outputs(): readonly GraphTensor[] {
    return this.#graphs[0]?.outputs ?? [];
  }

  /** Rows that run together at most. */
  get maxBatch(): number {
    return this.#maxRows;
  }

  /**
   * Computes the outputs for one request: one row, or several one behind the other up to `maxBatch`. What else runs
   * changes no bit of them. Inputs are copied and may change afterwards.
   *
   * Rejects with SHAPE_MISMATCH, EXECUTOR_FULL, ABORTED, DEADLINE_EXCEEDED, WORKER_LOST, DEVICE_LOST, DEVICE_RESET,
   * DEVICE_CLOSED, or what the device reports.
   */
  async run(inputs: Readonly<Record<string, TensorData>>, options: ExecutorRunOptions = {}): Promise<ExecutorResult> {
    if (this.#draining) throw closedError('the executor');
    if (this.#loss !== undefined) throw this.#loss;
    checkOptions(options);
    const { signal, deadlineMs = this.#limits.deadlineMs } = options;
    checkSignal(signal);
    if (deadlineMs !== undefined) checkDeadline(deadlineMs);
    checkPriority(options.priority);
    if (signal?.aborted === true) throw abortedError(signal);
    const { data, rows } = this.#requestCheck.check(inputs);
    const full = this.#queue.length >= this.#limits.queueLimit || this.#heldBack.size > 0;
    if (full && this.#limits.whenFull === 'reject') throw fullError(this.#limits.queueLimit);
    const record = this.#records.take(rows);
    record.write(data);
    const request = new Request(record, deadlineMs === undefined ? options : { ...options, deadlineMs });
    request.whenSettled(() => this.#records.give(record));
    this.#watch(request, signal, deadlineMs);
    if (full) this.#heldBack.add(request);
    else this.#queue.add(request);
    this.#schedule();
    return request.result;
  }

  /** Counts, batch size and latency since the start. */
  stats(): ExecutorStats {
    const { completed, failed, batches, meanBatchRows } = this.#statistics;
    return {
      queued: this.#queue.length,
      heldBack: this.#heldBack.size,
      running: this.#running.size,
      completed,
      failed,
      batches,
      meanBatchRows,
      p50Ms: this.#statistics.percentile(50),
      p99Ms: this.#statistics.percentile(99),
      workers: this.#workers.filter(({ ready }) => ready).length,
      workersLost: this.#workers.reduce((sum, { losses }) => sum + losses, 0),
    };
  }

  /** Takes no more requests, and resolves when every one that was accepted has its answer. */
  async drain(): Promise<void> {
    this.#draining = true;
    if (this.#idle) return;
    await new Promise<void>((resolve) => {
      this.#whenIdle.push(resolve);
      this.#schedule();
    });
  }

  /** Drains, ends the threads, and closes the card unless it is the caller's. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Ends worker thread `index` as a crash would, with whatever it is doing: what a test of a service needs. */
  async terminateWorker(index: number): Promise<void> {
    await this.#workers[index]?.terminate();
  }

  async #close(): Promise<void> {
    await this.drain();
    this.#endDelay();
    await Promise.all(this.#workers.map((worker) => worker.close()));
    await this.#card.close();
  }

  #suspend(): void {
    for (const worker of this.#workers) worker.suspend();
  }

  #resume(): void {
    this.#loss = undefined;
    for (const worker of this.#workers) worker.resume();
  }

  #lose(error: MtiaError): void {
    this.#loss = error;
    this.#failWaiting(error);
  }

  get #idle(): boolean {
    return this.#queue.length === 0 && this.#heldBack.size === 0 && this.#running.size === 0;
  }

  /** Ends the request when its signal or its deadline says so, wherever it is by then. */
  #watch(request: Request, signal: AbortSignal | undefined, deadlineMs: number | undefined): void {
    if (signal !== undefined) {
      request.whenSettled(this.#aborts.add(signal, () => this.#fail(request, abortedError(signal))));
    }
    if (deadlineMs === undefined) return;
    request.whenSettled(startDeadline(deadlineMs, () => this.#fail(request, deadlineError(deadlineMs))));
  }

  #fail(request: Request, error: unknown): void {
    if (request.settled) return;
    this.#statistics.failed++;
    request.reject(error);
    this.#heldBack.delete(request);
    this.#queue.remove(request);
    this.#schedule();
  }

  /** Looks for work once this turn of the event loop is over, so that all requests of the turn are seen together. */
  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#pump();
    });
  }

  /** Starts every batch that can be started. */
  #pump(): void {
    if (this.#workers.every(({ dead }) => dead)) this.#failAll();
    this.#admit();
    for (let worker = this.#freest(); worker !== undefined && this.#queue.length > 0; worker = this.#freest()) {
      const waitMs = this.#waitMs();
      if (waitMs > 0) {
        this.#pumpLater(waitMs);
        break;
      }
      void this.#start(worker, this.#queue.takeBatch(this.#maxRows));
      this.#admit();
    }
    if (!this.#idle) return;
    for (const resolve of this.#whenIdle.splice(0)) resolve();
  }

  /** The calls that were held back take the places that have become free. */
  #admit(): void {
    for (const request of this.#heldBack) {
      if (this.#queue.length >= this.#limits.queueLimit) return;
      this.#heldBack.delete(request);
      this.#queue.add(request);
    }
  }

  #freest(): WorkerThread | undefined {
    const [freest] = [...this.#workers].sort((a, b) => b.freeInstances - a.freeInstances);
    return freest !== undefined && freest.freeInstances > 0 ? freest : undefined;
  }

  /** Milliseconds for which the first request may still wait for others. */
  #waitMs(): number {
    const { first } = this.#queue;
    if (first === undefined || first.alone || this.#draining || this.#queue.rows >= this.#maxRows) return 0;
    return first.arrivedMs + this.#limits.maxDelay - performance.now();
  }

  #pumpLater(waitMs: number): void {
    this.#endDelay();
    this.#endDelay = startDeadline(waitMs, () => this.#pump());
  }

  async #start(worker: WorkerThread, requests: readonly Request[]): Promise<void> {
    const batch = this.#batchOf(requests);
    const slab = worker.take();
    let running = true;
    for (const request of requests) {
      this.#running.add(request);
      // Nobody waits for the answer any more: the device is free for others.
      request.whenSettled(() => {
        if (running && requests.every(({ settled }) => settled)) worker.abort(slab);
      });
    }
    try {
      packRows(
        requests.map(({ record }) => record),
        this.#records.layout,
        batch.graph.inputs,
        slab.inputs,
      );
      const report = await worker.run(slab, { graph: batch.graphNumber, deadlineMs: runDeadline(requests) });
      running = false;
      this.#card.worked();
      this.#statistics.batch(batch.rows);
      this.#answer(batch, slab, report);
    } catch (error) {
      running = false;
      this.#onFailure(requests, error);
    } finally {
      for (const request of requests) this.#running.delete(request);
      worker.give(slab);
      this.#pump();
    }
  }

  #batchOf(requests: readonly Request[]): Batch {
    const rows = requests.reduce((sum, request) => sum + request.rows, 0);
    const graphNumber = this.#batched ? this.#graphs.findIndex((graph) => rowsOf(graph) >= rows) : 0;
    const graph = this.#graphs[graphNumber];
    if (graph === undefined) throw new RangeError(`no graph takes ${rows} rows`);
    return { requests, rows, graph, graphNumber };
  }

  #answer({ requests, rows, graph }: Batch, slab: Slab, report: RunReport): void {
    const segment = slab.outputs(graph);
    let first = 0;
    for (const request of requests) {
      const at = first;
      first += request.rows;
      if (request.settled) continue;
      const outputs = this.#batched
        ? unpackRows(graph.outputs, segment, at, request.rows)
        : unpack(graph.outputs, segment);
      const wallMs = performance.now() - request.arrivedMs;
      this.#statistics.complete(wallMs);
      request.resolve({ ...report, outputs, wallMs, batchRows: rows });
    }
  }

  /** What ended with its thread or its card is tried once more; a batch that failed is taken apart, so that only those fail that have to. */
  #onFailure(requests: readonly Request[], error: unknown): void {
    const lost = isCardFailure(error) || (error instanceof MtiaError && error.code === 'WORKER_LOST');
    for (const request of [...requests].reverse()) {
      if (request.settled) continue;
      const again = lost ? this.#loss === undefined && ++request.losses < MOST_LOSSES : requests.length > 1;
      if (!again) {
        this.#fail(request, error);
        continue;
      }
      request.alone = true;
      this.#queue.addFirst(request);
    }
  }

  #failAll(): void {
    const cause = this.#workers[0]?.failure;
    this.#failWaiting(
      new MtiaError(
        'WORKER_LOST',
        'no worker thread of the executor can be started any more (cause says why); make another executor',
        { cause },
      ),
    );
    this.#draining = true;
  }

  #failWaiting(error: MtiaError): void {
    for (const request of [...this.#queue.clear(), ...this.#heldBack]) this.#fail(request, error);
  }
}

/** A run whose requests are all late by then is of no use to anyone. */
function runDeadline(requests: readonly Request[]): number {
  const latest = Math.max(...requests.map(({ deadlineAtMs }) => deadlineAtMs));
  return Math.max(1, Math.min(RUN_DEADLINE_MS, latest - performance.now()));
}

function abortedError(signal: AbortSignal): MtiaError {
  return new MtiaError('ABORTED', 'the request was aborted by its signal', { cause: signal.reason });
}

function deadlineError(deadlineMs: number): MtiaError {
  return new MtiaError(
    'DEADLINE_EXCEEDED',
    `the request was not answered within ${deadlineMs} ms; add threads, or allow it more time`,
  );
}

function fullError(limit: number): MtiaError {
  return new MtiaError(
    'EXECUTOR_FULL',
    `${limit} requests wait already (queueLimit); call again later, or make the executor with whenFull: 'wait'`,
  );
}
