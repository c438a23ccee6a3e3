import type { CompiledGraph, GraphTensor, JobSummary } from '../compiler/compiled-graph.js';
import { AbortListeners, checkOptions, checkSignal, closedError, invalidArgument, MtiaError } from '../driver/index.js';
import { Binding, type LoadedGraph } from './binding.js';
import { BindingPool } from './binding-pool.js';
import { allocateNear, type ModelHost, upload } from './model-memory.js';
import type { RunOptions, RunResult, TensorData } from './model-types.js';
import { SharedWeights } from './shared-weights.js';
import { checkInputs, checkOutputs, pack, unpack } from './tensor-data.js';

const DEFAULT_CONCURRENCY = 4;

/**
 * A model on the device: weights and jobs are uploaded once, a run is a copy in, one command, and a copy out.
 *
 * ```ts
 * await using model = await device.loadModel('model.pt2', { batch: 1 });
 * const { outputs, deviceUs } = await model.run({ x: new Float32Array(13) });
 * ```
 */
export class CompiledModel implements AsyncDisposable {
  readonly #host: ModelHost;
  readonly #loaded: LoadedGraph;
  readonly #pool: BindingPool;
  readonly #aborts = new AbortListeners();
  readonly #onClosed: (model: CompiledModel) => void;
  #closing: Promise<void> | undefined;

  /** Use Device.loadModel. `weights` are those of another model of this device that has the same. */
  static async load(
    host: ModelHost,
    graph: CompiledGraph,
    concurrency: number = DEFAULT_CONCURRENCY,
    onClosed: (model: CompiledModel) => void = () => undefined,
    weights?: SharedWeights,
  ): Promise<CompiledModel> {
    if (!Number.isInteger(concurrency) || concurrency < 1) {
      throw invalidArgument(`concurrency is a positive integer, got ${concurrency}`);
    }
    const image = await allocateNear(host, graph.image.byteLength, 'lpddr');
    try {
      await upload(host.defaultStream, image, graph.image);
      const held = weights?.hold() ?? (await SharedWeights.upload(host, graph));
      return new CompiledModel(host, { graph, image, weights: held }, concurrency, onClosed);
    } catch (error) {
      image.free();
      throw error;
    }
  }

  private constructor(
    host: ModelHost,
    loaded: LoadedGraph,
    concurrency: number,
    onClosed: (model: CompiledModel) => void,
  ) {
    this.#host = host;
    this.#loaded = loaded;
    this.#onClosed = onClosed;
    this.#pool = new BindingPool(concurrency, () => Binding.create(host, loaded));
  }

  /** Of the model: "dlrm". */
  get name(): string {
    return this.#loaded.graph.name;
  }

  /** Name, type and shape of every input. */
  get inputs(): readonly GraphTensor[] {
    return this.#loaded.graph.inputs;
  }

  /** Name, type and shape of every output. */
  get outputs(): readonly GraphTensor[] {
    return this.#loaded.graph.outputs;
  }

  /** What a run has the device do, in order. */
  get jobs(): readonly JobSummary[] {
    return this.#loaded.graph.jobs;
  }

  /** What the model computes with; for others that have the same. */
  get weights(): SharedWeights {
    return this.#loaded.weights;
  }

  /** Bytes of weights on the device. */
  get weightsBytes(): number {
    return this.#loaded.graph.segments.weights.bytes;
  }

  /**
   * Computes the outputs for one set of inputs. Several runs may be in flight; those beyond LoadOptions.concurrency wait
   * for their turn. Inputs are copied before the device begins and may change afterwards.
   *
   * ```ts
   * const { outputs } = await model.run({ x }, { deadlineMs: 50, signal: AbortSignal.timeout(100) });
   * ```
   */
  async run(inputs: Readonly<Record<string, TensorData>>, options: RunOptions = {}): Promise<RunResult> {
    const start = performance.now();
    this.#checkOpen();
    const data = checkInputs(inputs, this.inputs);
    checkOptions(options);
    const { signal, outputs, stream } = options;
    checkSignal(signal);
    if (stream !== undefined) this.#loaded.image.checkBelongsTo(stream.owner, 'the model');
    if (outputs !== undefined) checkOutputs(outputs, this.outputs);
    if (signal?.aborted === true) throw abortedError(signal);
    const free = this.#pool.take();
    // A run that waits reads its inputs later: it keeps copies of them.
    const result =
      free === undefined
        ? this.#runLater(
            data.map((array) => array.slice()),
            options,
            start,
          )
        : this.#runOn(free, data, options, start);
    return signal === undefined ? result : this.#orAbort(result, signal);
  }

  /** Waits for the runs that were begun and frees the model's memory. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #runLater(data: readonly TensorData[], options: RunOptions, start: number): Promise<RunResult> {
    const { signal } = options;
    const request = this.#pool.request();
    const forget =
      signal === undefined ? undefined : this.#aborts.add(signal, () => request.cancel(abortedError(signal)));
    try {
      return await this.#runOn(await request.binding, data, options, start);
    } finally {
      forget?.();
    }
  }

  /** The result, or the abort if it comes first. The device ends the graph by itself; the binding comes back when it has. */
  #orAbort<T>(result: Promise<T>, signal: AbortSignal): Promise<T> {
    return new Promise((resolve, reject) => {
      const forget = this.#aborts.add(signal, () => reject(abortedError(signal)));
      result.then(resolve, reject).finally(forget);
    });
  }

  async #runOn(binding: Binding, data: readonly TensorData[], options: RunOptions, start: number): Promise<RunResult> {
    const { stream = this.#host.defaultStream } = options;
    try {
      pack(data, this.inputs, binding.inputs);
      const { graph, copies } = await binding.start(stream, options);
      return {
        outputs: unpack(this.outputs, binding.outputs, options.outputs),
        deviceUs: copies.reduce((sum, copy) => sum + copy.deviceUs, graph.deviceUs),
        graphUs: graph.deviceUs,
        wallMs: performance.now() - start,
        jobs: graph.jobs,
      };
    } finally {
      if (stream.commands.broken) this.#pool.discard();
      else this.#pool.give(binding);
    }
  }

  async #close(): Promise<void> {
    await this.#pool.close();
    this.#loaded.image.free();
    this.#loaded.weights.release();
    this.#onClosed(this);
  }

  #checkOpen(): void {
    if (this.#closing !== undefined) throw closedError(`model ${this.name}`);
  }
}

function abortedError(signal: AbortSignal): MtiaError {
  return new MtiaError('ABORTED', 'the run was aborted by its signal', { cause: signal.reason });
}
