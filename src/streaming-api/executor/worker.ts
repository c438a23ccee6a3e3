/** What a worker thread of an executor runs: a context of its own on the card, the models in it, and the batches it is given. */
import { setPriority } from 'node:os';
import type { CompiledGraph } from '../../compiler/compiled-graph.js';
import { closedError, type MtiaError } from '../../driver/index.js';
import type { CompiledModel } from '../compiled-model.js';
import { Device } from '../device.js';
import { type AbortTask, type Answer, answer, type PrepareTask, type RunReport, type RunTask } from './messages.js';
import { checkRowIndependence } from './row-independence.js';
import { Slab } from './slab.js';

/** While batches saturate the processors, the event loop of the main thread still gets its turn at once. */
const NICENESS = 5;

interface Loaded {
  readonly graph: CompiledGraph;
  readonly model: CompiledModel;
}

class ExecutorWorker {
  #device: Device | undefined;
  #slabs: readonly Slab[] = [];
  #loaded: readonly Loaded[] = [];
  /** By number of the slab. */
  readonly #running = new Map<number, AbortController>();

  async prepare({ device: shared, graphs, slabs, checkRows }: PrepareTask): Promise<void> {
    await this.close();
    const device = await Device.attach(shared);
    this.#device = device;
    const models = await device.loadModels(graphs, { concurrency: slabs.length });
    if (checkRows) await checkRowIndependence(models);
    this.#slabs = slabs.map((memory) => new Slab(memory, graphs));
    this.#loaded = graphs.flatMap((graph, index) => {
      const model = models[index];
      return model === undefined ? [] : [{ graph, model }];
    });
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
      const { inputs, outputs } = slab.tensors(graph);
      const { deviceUs, graphUs, jobs } = await model.run(inputs, { deadlineMs, signal, outputs });
      return { deviceUs, graphUs, jobs };
    } catch (error) {
      // Its queue has stopped, though the card may be well: a successor of the thread gets another.
      if ((error as Partial<MtiaError>).code === 'DEVICE_TIMEOUT') process.exit(1);
      throw error;
    } finally {
      this.#running.delete(number);
    }
  }

  abort({ slab }: AbortTask): void {
    this.#running.get(slab)?.abort();
  }

  async close(): Promise<void> {
    this.#loaded = [];
    await this.#device?.close();
    this.#device = undefined;
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

lowerPriority();
const worker = new ExecutorWorker();

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
