/** Compiles models on a thread of its own: packing weights takes 100 ms and more, in which an event loop would stand still. */
import type { Piscina } from 'piscina';
import type { CompiledGraph } from '../../compiler/compiled-graph.js';
import { closedError, MtiaError } from '../../driver/index.js';
import type { Generation } from '../../hw/index.js';
import type { LoadOptions } from '../model-types.js';
import type { CompileTask, GraphSet } from './compiler-worker.js';
import { type Answer, unwrap } from './messages.js';
import { workerFile } from './worker-file.js';

/** Long enough for several models one after the other, short enough to give the memory back. */
const IDLE_MS = 2000;

export class CompilerThread {
  /** Loaded with the first model: programs that compile none need not wait for it. */
  #pool: Promise<Piscina> | undefined;
  #closed = false;

  /** Reads a .pt2, .onnx or .mtg file, and compiles it where that is not done yet. */
  async compile(path: string, generation: Generation, options: LoadOptions): Promise<CompiledGraph> {
    const { dtype, batch, inputShapes } = options;
    const set = await this.#run({ path, generation, options: { dtype, batch, inputShapes } });
    const [graph] = set.graphs;
    if (graph === undefined) throw new Error(`${path}: the compiler gave no graph`);
    return graph;
  }

  /** The same for every size of a batch up to `maxBatch`. */
  compileBatches(
    path: string,
    generation: Generation,
    options: { readonly dtype: LoadOptions['dtype']; readonly maxBatch: number | undefined },
  ): Promise<GraphSet> {
    const { dtype, maxBatch } = options;
    return this.#run({ path, generation, options: { dtype }, batches: { maxBatch } });
  }

  async close(): Promise<void> {
    this.#closed = true;
    await (await this.#pool)?.destroy();
  }

  async #run(task: CompileTask): Promise<GraphSet> {
    this.#pool ??= startPool();
    const pool = await this.#pool;
    let answered: Answer<GraphSet>;
    try {
      answered = await pool.run(task);
    } catch (cause) {
      if (this.#closed) throw closedError('the device');
      throw new MtiaError('WORKER_LOST', `${task.path}: the thread that compiled it ended`, { cause });
    }
    return unwrap(answered);
  }
}

async function startPool(): Promise<Piscina> {
  const { Piscina } = await import('piscina');
  return new Piscina({
    filename: workerFile('compiler-worker'),
    minThreads: 0,
    maxThreads: 1,
    idleTimeout: IDLE_MS,
    atomics: 'disabled',
  });
}
