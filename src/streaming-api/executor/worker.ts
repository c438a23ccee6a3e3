/** What a worker thread of an executor runs: a card of its own, the models on it, and the batches it is given. */
import { setPriority } from 'node:os';
import { workerData } from 'node:worker_threads';
import type { CompiledGraph } from '../../compiler/compiled-graph.js';
import { closedError, type MtiaError } from '../../driver/index.js';
import type { CompiledModel } from '../compiled-model.js';
import { Device } from '../device.js';
import type { TensorData } from '../model-types.js';
import { typedArrayOver } from '../tensor-data.js';
import { bytesOf } from '../typed-array.js';
import { type Answer, answer, type PrepareTask, type RunReport, type RunTask, type WorkerSetup } from './messages.js';
import { checkRowIndependence } from './row-independence.js';
import { Slab } from './slab.js';

/**
 * The threads of the card inherit it: while they saturate the processors, the event loop of the main thread, which has to
 * hand out the next batch, still gets its turn at once.
 */
const NICENESS = 5;

/** Errors after which the card is of no use any more. */
const FATAL: ReadonlySet<string> = new Set<MtiaError['code']>(['DEVICE_LOST', 'DEVICE_TIMEOUT', 'FIRMWARE_PANIC']);

class ExecutorWorker {
  readonly #setup: WorkerSetup;
  readonly #slabs: readonly Slab[];
  #device: Device | undefined;
  #models: readonly CompiledModel[] = [];

  constructor(setup: WorkerSetup) {
    this.#setup = setup;
    this.#slabs = setup.slabs.map((memory) => new Slab(memory, setup.graphs));
  }

  async prepare({ checkRows }: PrepareTask): Promise<void> {
    const { generation, firmware, peThreads, graphs, slabs } = this.#setup;
    lowerPriority();
    const device = await Device.open({ generation, firmware, threads: peThreads });
    this.#device = device;
    const models: CompiledModel[] = [];
    for (const graph of graphs) models.push(await device.loadModel(graph, { concurrency: slabs.length }));
    this.#models = models;
    if (checkRows) await checkRowIndependence(models);
  }

  async run({ slab: number, graph: graphNumber, deadlineMs }: RunTask): Promise<RunReport> {
    const slab = this.#slabs[number];
    const graph = this.#setup.graphs[graphNumber];
    const model = this.#models[graphNumber];
    if (slab === undefined || graph === undefined || model === undefined) throw closedError('the worker thread');
    try {
      const { outputs, deviceUs, graphUs, jobs } = await model.run(inputsIn(slab, graph), { deadlineMs });
      const segment = slab.outputs(graph);
      for (const { name, offset } of graph.outputs) {
        const data = outputs[name];
        if (data !== undefined) segment.set(bytesOf(data), offset);
      }
      return { deviceUs, graphUs, jobs };
    } catch (error) {
      if (FATAL.has((error as Partial<MtiaError>).code ?? '')) await this.#giveUp();
      throw error;
    }
  }

  async close(): Promise<void> {
    await this.#device?.close();
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
  const segment = slab.inputs(graph);
  return Object.fromEntries(
    graph.inputs.map(({ name, type, offset, bytes }) => [name, typedArrayOver(type, segment, offset, bytes)]),
  );
}

const worker = new ExecutorWorker(workerData as WorkerSetup);

export function prepare(task: PrepareTask): Promise<Answer<void>> {
  return answer(() => worker.prepare(task));
}

export function run(task: RunTask): Promise<Answer<RunReport>> {
  return answer(() => worker.run(task));
}

export function close(): Promise<Answer<void>> {
  return answer(() => worker.close());
}
