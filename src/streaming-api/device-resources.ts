/** What a Device holds of its card: one context, its memory, its queues. Streams and models are made from it. */
import type { CompiledGraph } from '../compiler/compiled-graph.js';
import {
  type Card,
  type Context,
  closedError,
  describeValue,
  type FirmwareImage,
  invalidArgument,
  MtiaError,
} from '../driver/index.js';
import { HOST_COMMAND } from '../hw/index.js';
import {
  type AllocationOptions,
  type DeviceAllocation,
  DeviceMemory,
  PinnedMemory,
  type StreamOrder,
} from '../memmgr/index.js';
import { ARGUMENT_BYTES } from './argument-slots.js';
import type { Capture } from './capture.js';
import { CompiledModel } from './compiled-model.js';
import type { Compression } from './copy-range.js';
import { DeviceBuffer } from './device-buffer.js';
import type { DeviceOptions } from './device-options.js';
import { CompilerThread } from './executor/compiler-thread.js';
import { Graph } from './graph.js';
import { checkGraph } from './graph-source.js';
import { MemoryChecking } from './memory-checking.js';
import type { ModelHost } from './model-memory.js';
import type { BufferOwner } from './owned-buffer.js';
import { Semaphores } from './semaphores.js';
import type { HeapAccess } from './shared-device.js';
import type { SharedWeights } from './shared-weights.js';
import { Stream } from './stream.js';
import { Timeline } from './timeline.js';

/** What a stream is made with. */
export interface StreamOptions {
  /** 0 to 3: of streams with work the highest is served first, but none starves. 0 when absent. */
  readonly priority?: number;
}

/** What stays the same over resets. */
export interface DeviceParts {
  readonly card: Card;
  readonly firmware: FirmwareImage;
  readonly heaps: HeapAccess;
  readonly checkMemory: DeviceOptions['checkMemory'];
  /** Place of the card in enumerateDevices(), for snapshots and observers. */
  readonly index: number;
}

export class DeviceResources implements ModelHost {
  readonly card: Card;
  readonly name: string;
  readonly firmware: FirmwareImage;
  readonly memory: DeviceMemory;
  readonly pinned: PinnedMemory;
  readonly streams = new Set<Stream>();
  readonly models = new Set<CompiledModel>();
  readonly compiler = new CompilerThread();
  /** Present in checking mode. */
  checking: MemoryChecking | undefined;
  readonly #context: Context;
  readonly semaphores: Semaphores;
  readonly #timelines = new Set<Timeline>();
  readonly #graphs = new Set<Graph>();
  #defaultStream: Stream | undefined;
  #closing: Promise<void> | undefined;

  /** Takes the card over. */
  static async create(parts: DeviceParts): Promise<DeviceResources> {
    const { card, checkMemory = false } = parts;
    try {
      const resources = new DeviceResources(parts, await card.createContext());
      await resources.#checkMemory(checkMemory);
      resources.#defaultStream = await resources.createStream();
      return resources;
    } catch (error) {
      await card.close();
      throw error;
    }
  }

  private constructor({ card, firmware, heaps, index }: DeviceParts, context: Context) {
    this.card = card;
    this.name = card.name;
    this.firmware = firmware;
    this.#context = context;
    this.memory = new DeviceMemory(heaps.source(), context, { device: index, whenIdle: () => this.#whenIdle() });
    this.pinned = new PinnedMemory(context);
    this.semaphores = new Semaphores(context);
  }

  /** What the card decompresses on the way in. */
  get decompression(): readonly Compression[] {
    const able = (this.card.capabilities >> BigInt(HOST_COMMAND.COPY_HOST_TO_DEVICE_GUNZIP)) & 1n;
    return able === 0n ? [] : ['gzip'];
  }

  get owner(): BufferOwner {
    return this;
  }

  get defaultStream(): Stream {
    if (this.#defaultStream === undefined) throw closedError(this.name);
    return this.#defaultStream;
  }

  get closed(): boolean {
    return this.#closing !== undefined;
  }

  /** DEVICE_RESET where the device has been reset since. */
  get failure(): MtiaError | undefined {
    return this.#context.failure;
  }

  checkOpen(): void {
    if (this.failure !== undefined) throw this.failure;
    if (this.closed) throw closedError(this.name);
  }

  async createStream(options: StreamOptions = {}): Promise<Stream> {
    this.checkOpen();
    const argumentMemory = await this.memory.allocate(ARGUMENT_BYTES);
    try {
      const queue = await this.#context.createQueue(options);
      this.checking?.observe(queue);
      const stream = new Stream({
        owner: this,
        queue,
        semaphores: this.semaphores,
        pinned: this.pinned,
        argumentMemory,
        allocate: async (bytes, options, commands) =>
          new DeviceBuffer(this, await this.allocate(bytes, options, commands)),
        createGraph: (capture) => this.createGraph(capture),
        decompression: this.decompression,
        onClosed: (closed) => this.streams.delete(closed),
      });
      this.streams.add(stream);
      return stream;
    } catch (error) {
      argumentMemory.free();
      throw error;
    }
  }

  createGraph(capture?: Capture): Graph {
    this.checkOpen();
    const graph = new Graph(this, (closed) => this.#graphs.delete(closed), capture);
    this.#graphs.add(graph);
    return graph;
  }

  async createTimeline(initial: bigint | number): Promise<Timeline> {
    this.checkOpen();
    const timeline = await Timeline.create(this.semaphores, initial, (closed) => this.#timelines.delete(closed));
    this.#timelines.add(timeline);
    return timeline;
  }

  allocate(bytes: number, options: AllocationOptions = {}, stream?: StreamOrder): Promise<DeviceAllocation> {
    this.checkOpen();
    return this.checking?.checker.allocate(bytes, options) ?? this.memory.allocate(bytes, options, stream);
  }

  /** Those that have the same array as their weights share one copy on the device. */
  async loadModels(graphs: readonly CompiledGraph[], concurrency: number | undefined): Promise<CompiledModel[]> {
    const loaded: CompiledModel[] = [];
    const weights = new Map<Uint8Array, SharedWeights>();
    const forget = (model: CompiledModel): boolean => this.models.delete(model);
    try {
      for (const graph of graphs) {
        checkGraph(graph, this.card.generation, this.firmware);
        const model = await CompiledModel.load(this, graph, concurrency, forget, weights.get(graph.weights));
        weights.set(graph.weights, model.weights);
        this.models.add(model);
        loaded.push(model);
      }
      return loaded;
    } catch (error) {
      await Promise.all(loaded.map((model) => model.close()));
      throw error;
    }
  }

  kernelId(name: string): number {
    this.checkOpen();
    if (typeof name !== 'string') throw invalidArgument(`the name of a kernel is a string, got ${describeValue(name)}`);
    const id = this.firmware.kernels.get(name.toUpperCase());
    if (id !== undefined) return id;
    const known = [...this.firmware.kernels.keys()].join(', ');
    throw new MtiaError('UNKNOWN_KERNEL', `firmware ${this.firmware.version} has no kernel "${name}"; it has ${known}`);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #checkMemory(options: NonNullable<DeviceOptions['checkMemory']>): Promise<void> {
    if (options === false) return;
    const { memory, pinned, firmware } = this;
    this.checking = await MemoryChecking.create(
      this.#context,
      memory,
      pinned,
      firmware,
      options === true ? {} : options,
    );
  }

  async #whenIdle(): Promise<void> {
    await Promise.all([...this.streams].map((stream) => stream.commands.whenIdle()));
  }

  /** Nobody can signal them any more. */
  failTimelines(error: MtiaError = this.failure ?? closedError(this.name)): void {
    for (const timeline of this.#timelines) void timeline.fail(error);
  }

  /** The context goes first: closing it rejects what is outstanding and ends every access to memory. */
  async #close(): Promise<void> {
    await this.checking?.close();
    await this.card.close();
    await this.compiler.close();
    for (const timeline of this.#timelines) timeline.close();
    await Promise.all([...this.#graphs].map((graph) => graph.close()));
    await Promise.all([...this.models].map((model) => model.close()));
    for (const { commands } of this.streams) commands.capture = undefined;
    await Promise.all([...this.streams].map((stream) => stream.close()));
    await this.memory.close();
    this.pinned.close();
  }
}
