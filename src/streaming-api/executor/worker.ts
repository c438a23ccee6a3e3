/** What a worker thread of an executor runs: a card of its own, the models on it, and the batches it is given. */
import { setPriority } from 'node:os';
import { workerData } from 'node:worker_threads';
import type { CompiledGraph } from '../../compiler/compiled-graph.js';
import { closedError, type MtiaError } from '../../driver/index.js';
import type { CompiledModel } from '../compiled-model.js';
import { Device } from '../device.js';
import type { TensorData } from '../model-types.js';
import { bytesOf } from '../typed-array.js';
import {
  type AbortTask,
  type Answer,
  answer,
  type CardSetup,
  type PrepareTask,
  type RunReport,
  type RunTask,
} from './messages.js';
import { checkRowIndependence } from './row-independence.js';
import { Slab } from './slab.js';

/**
 * The threads of the card inherit it: while they saturate the processors, the event loop of the main thread, which has to
 * hand out the next batch, still gets its turn at once.
 */
const NICENESS = 5;

/** Errors after which the card is of no use any more. */
const FATAL: ReadonlySet<string> = new Set<MtiaError['code']>([
  'DEVICE_LOST',
  'DEVICE_RESET',
  'DEVICE_TIMEOUT',
  'FIRMWARE_PANIC',
]);

interface Loaded {
  readonly graph: CompiledGraph;
  readonly model: CompiledModel;
}

class ExecutorWorker {
  readonly #opening: Promise<Device>;
  #slabs: readonly Slab[] = [];
  #loaded: readonly Loaded[] = [];
  /** By number of the slab. */
  readonly #running = new Map<number, AbortController>();

  constructor({ generation, firmware, peThreads }: CardSetup) {
    lowerPriority();
    this.#opening = Device.open({ generation, firmware, threads: peThreads });
    // Whoever prepares the worker hears of it.
    this.#opening.catch(() => undefined);
  }

  async prepare({ graphs, slabs, checkRows }: PrepareTask): Promise<void> {
    const device = await this.#opening;
    const loaded: Loaded[] = [];
    for (const graph of graphs) {
      loaded.push({ graph, model: await device.loadModel(graph, { concurrency: slabs.length }) });
    }
    if (checkRows) await checkRowIndependence(loaded.map(({ model }) => model));
    this.#slabs = slabs.map((memory) => new Slab(memory, graphs));
    this.#loaded = loaded;
  }

  async run({ slab: number, graph: graphNumber, deadlineMs }: RunTask): Promise<RunReport> {
    const slab = this.#slabs[number];
    const loaded = this.#loaded[graphNumber];
    if (slab === undefined || loaded === undefined) throw closedError('the worker thread');
    const { graph, model } = loaded;
    const controller = new AbortController();
    this.#running.set(number, controller);
    try {
      const { signal } = controller;
      const { outputs, deviceUs, graphUs, jobs } = await model.run(inputsIn(slab, graph), { deadlineMs, signal });
      const segment = slab.outputs(graph);
      for (const { name, offset } of graph.outputs) {
        const data = outputs[name];
        if (data !== undefined) segment.set(bytesOf(data), offset);
      }
      return { deviceUs, graphUs, jobs };
    } catch (error) {
      if (FATAL.has((error as Partial<MtiaError>).code ?? '')) await this.#giveUp();
      throw error;
    } finally {
      this.#running.delete(number);
    }
  }

  abort({ slab }: AbortTask): void {
    this.#running.get(slab)?.abort();
  }

  async close(): Promise<void> {
    const device = await this.#opening;
    await device.close();
  }

  /** Ends the thread: its successor opens a new card. */
  async #giveUp(): Promise<void> {
    await this.close().catch(() => undefined);
    process.exit(1);
  }
}

function lowerPriority(): void {
  try {
    // On Linux, 0 is the calling thread, not its process.
    setPriority(0, NICENESS);
  } catch {
    // Where it is not allowed, everything works at the priority it has.
  }
}

/** Views of the slab: the model copies from them into pinned memory. */
function inputsIn(slab: Slab, graph: CompiledGraph): Record<string, TensorData> {
  const views = slab.inputs(graph);
  return Object.fromEntries(graph.inputs.map(({ name }, index) => [name, views[index] ?? new Uint8Array()]));
}

const worker = new ExecutorWorker(workerData as CardSetup);

export function prepare(task: PrepareTask): Promise<Answer<void>> {
  return answer(() => worker.prepare(task));
}

export function run(task: RunTask): Promise<Answer<RunReport>> {
  return answer(() => worker.run(task));
}

export function abort(task: AbortTask): Promise<Answer<void>> {
  return answer(() => worker.abort(task));
}

export function close(): Promise<Answer<void>> {
  return answer(() => worker.close());
}
