import type { CompiledGraph } from '../compiler/compiled-graph.js';
import {
  AttachedDevice,
  availableDevice,
  Device as CardDriver,
  checkOptions,
  type DeviceNotices,
  describeValue,
  invalidArgument,
  type MtiaError,
  Notices,
  openEmulator,
  type PciFunction,
  type ResetNotice,
} from '../driver/index.js';
import { SPECIFICATIONS } from '../hw/index.js';
import type {
  AllocationOptions,
  MemoryHistoryOptions,
  MemoryKind,
  MemoryPool,
  MemoryPoolOptions,
  MemoryReport,
  MemorySnapshot,
  MemoryStatistics,
  OutOfMemoryObserver,
} from '../memmgr/index.js';
import { BorrowedHeaps } from '../memmgr/index.js';
import { checkSynchronous } from './capture.js';
import type { CompiledModel } from './compiled-model.js';
import { DeviceBuffer } from './device-buffer.js';
import { type AttachOptions, checkDeviceOptions, type DeviceOptions, type DeviceProperties } from './device-options.js';
import { type DeviceParts, DeviceResources, type StreamOptions } from './device-resources.js';
import { readFirmware } from './firmware.js';
import type { Graph } from './graph.js';
import { checkModel, checkNoCompileOptions } from './graph-source.js';
import { HostBuffer, type SharedHostBuffer } from './host-buffer.js';
import { Kernel } from './kernel.js';
import type { LoadOptions } from './model-types.js';
import { markAttached, OwnHeaps, type SharedDevice, shareDevice } from './shared-device.js';
import type { Stream } from './stream.js';
import type { Timeline } from './timeline.js';

/** Statistics by memory: `dram` is the LPDDR, as torch.mtia names it, `pinned` is host memory. */
export interface DeviceMemoryStatistics {
  /** LPDDR of the card. */
  readonly dram: MemoryStatistics;
  /** On-chip SRAM that can be allocated. */
  readonly sram: MemoryStatistics;
  /** Host memory that the device copies from and to directly. */
  readonly pinned: MemoryStatistics;
}

/** How pinned host memory is allocated. */
export interface HostAllocationOptions {
  /** On pages of its own, which other workers of the process may attach; false when absent. */
  readonly shared?: boolean;
}

/** The card at the index that is asked for, an emulated one of the generation asked for, or the first of this host. */
function openCard({ index, generation, threads, niceness, matmulPath }: DeviceOptions): PciFunction {
  const emulation = {
    ...(threads === undefined ? {} : { threads }),
    ...(niceness === undefined ? {} : { niceness }),
    ...(matmulPath === undefined ? {} : { matmulPath }),
  };
  if (index === undefined && generation !== undefined) return openEmulator({ ...emulation, generation });
  const card = availableDevice(index ?? 0);
  if (generation === undefined || generation === card.generation) return card.open(emulation);
  throw invalidArgument(`device ${index} is an MTIA ${card.generation}, not ${generation}; leave one of the two out`);
}

/**
 * An MTIA accelerator with running firmware.
 *
 * ```ts
 * await using device = await Device.open();
 * await using model = await device.loadModel('model.pt2', { batch: 1 });
 * ```
 */
export class Device implements AsyncDisposable {
  /** What the card is, as torch.cuda.get_device_properties. */
  readonly properties: DeviceProperties;
  #resources: DeviceResources;
  readonly #notices: Notices;
  readonly #parts: DeviceParts;
  #resetting: Promise<void> | undefined;
  /** The latest reset, by whichever thread: done when there are resources again. */
  #renewal: Promise<void> | undefined;
  /** The promise of the card whose loss is already told to the timelines. */
  #followed: Promise<MtiaError> | undefined;

  /**
   * Boots the firmware and gets the device ready.
   *
   * ```ts
   * const device = await Device.open({ generation: 'v1', threads: 2 });
   * ```
   */
  static async open(options: DeviceOptions = {}): Promise<Device> {
    checkDeviceOptions(options);
    const { logger, deadlineMs, pci: given } = options;
    try {
      const firmware = readFirmware(options.firmware, options.allowUnsignedFirmware ?? false);
      const pci = given ?? openCard(options);
      const card = await CardDriver.open(pci, firmware, {
        ...(logger === undefined ? {} : { logger }),
        ...(deadlineMs === undefined ? {} : { deadlineMs }),
        memory: {
          ...(options.ecc === undefined ? {} : { ecc: options.ecc }),
          ...(options.sramCacheBytes === undefined ? {} : { sramCacheBytes: options.sramCacheBytes }),
        },
      });
      return await Device.#create(
        { card, firmware, heaps: new OwnHeaps(card), checkMemory: options.checkMemory, index: options.index ?? 0 },
        logger,
      );
    } catch (error) {
      given?.close();
      throw error;
    }
  }

  /**
   * A device that another thread of the process has opened and shared: the same card, with a context of this thread's own.
   * Streams, memory, kernels and models of this thread work as on any device, and are known to no other thread. Closing it
   * leaves the card open; a thread that ends takes with it what it had made, and nothing else.
   *
   * ```ts
   * worker.postMessage(shared, shared.ports); // const shared = device.share();
   * // in the worker
   * parentPort.once('message', async (shared) => {
   *   await using device = await Device.attach(shared);
   * });
   * ```
   */
  static async attach(shared: SharedDevice, options: AttachOptions = {}): Promise<Device> {
    const { logger, checkMemory } = options;
    if (shared?.card === undefined || shared.heaps === undefined)
      throw invalidArgument(`Device.attach takes what share() gives, got ${describeValue(shared)}`);
    markAttached(shared);
    const card = new AttachedDevice(shared.card, logger === undefined ? {} : { logger });
    const heaps = new BorrowedHeaps(shared.heaps);
    return Device.#create({ card, firmware: shared.firmware, heaps, checkMemory, index: shared.index }, logger);
  }

  static async #create(parts: DeviceParts, logger: DeviceOptions['logger']): Promise<Device> {
    return new Device(await DeviceResources.create(parts), parts, logger);
  }

  private constructor(resources: DeviceResources, parts: DeviceParts, logger: DeviceOptions['logger']) {
    const { card, firmware } = parts;
    this.#resources = resources;
    this.#parts = parts;
    this.#notices = new Notices(logger);
    card.on('resetting', (notice) => this.#notices.tell('resetting', notice));
    card.on('reset', (notice) => {
      this.#renewal = this.#renew(notice);
      // Whoever asked for the reset hears of a failure; to others the device stays as the reset has left it.
      this.#renewal.catch((error: unknown) => logger?.error({ err: error }, 'device is unusable after a reset'));
    });
    this.properties = {
      name: card.name,
      generation: card.generation,
      capability: [SPECIFICATIONS[card.generation].generationNumber.value, 0],
      grid: card.grid,
      totalMemory: card.lpddrBytes,
      sramBytes: card.sramBytes,
      streams: card.resources.queues - 1,
      interruptVectors: card.resources.interruptVectors,
      broadcast: card.resources.broadcast,
      firmwareVersion: card.firmwareVersion,
      decompression: resources.decompression,
      kernels: [...firmware.kernels.keys()],
    };
    this.#followLoss();
  }

  /** Resolves, with the reason, when the device has stopped working for good; stays pending otherwise. */
  get lost(): Promise<MtiaError> {
    return this.#resources.card.lost;
  }

  /** Whether close() was called: every use fails with DEVICE_CLOSED. */
  get closed(): boolean {
    return this.#resources.closed;
  }

  /** Calls the listener before (`resetting`) or after (`reset`) each reset of the device. */
  on<N extends keyof DeviceNotices>(name: N, listener: (notice: DeviceNotices[N]) => void): this {
    this.#notices.on(name, listener);
    return this;
  }

  /** Takes a listener of on() back. */
  off<N extends keyof DeviceNotices>(name: N, listener: (notice: DeviceNotices[N]) => void): this {
    this.#notices.off(name, listener);
    return this;
  }

  /**
   * Resets the card and boots its firmware again, also where the device was lost because its firmware had stopped. What is
   * outstanding is rejected with DEVICE_RESET, and so is every later use of buffers, streams, events and models made before;
   * there is a new default stream. A card that is off the bus stays lost.
   *
   * ```ts
   * device.on('reset', () => loadModels(device));
   * await device.reset('the model hangs');
   * ```
   */
  reset(reason?: string): Promise<void> {
    this.#resetting ??= this.#reset(reason).finally(() => {
      this.#resetting = undefined;
    });
    return this.#resetting;
  }

  /**
   * The device for one other thread of the process; see Device.attach. Threads see nothing of each other's memory and streams,
   * and share the card's time, its memory and its 31 queues. INVALID_ARGUMENT where the card can be driven by one thread only,
   * or was opened by another.
   */
  share(): SharedDevice {
    this.#resources.checkOpen();
    const { card, firmware, heaps, index } = this.#parts;
    if (!(heaps instanceof OwnHeaps))
      throw invalidArgument('a device is shared by the thread that opened it; call share() there');
    return shareDevice({ card, heaps, firmware, index });
  }

  /** Where work goes that names no stream. */
  get defaultStream(): Stream {
    return this.#resources.defaultStream;
  }

  /**
   * A stream of its own: its work runs beside that of other streams. A device has `properties.streams` at most; one more is
   * TOO_MANY.
   *
   * ```ts
   * await using stream = await device.createStream();
   * ```
   */
  createStream(options: StreamOptions = {}): Promise<Stream> {
    return this.#resources.createStream(options);
  }

  /** An empty graph, to be captured, as torch.mtia.MTIAGraph: `graph.captureBegin(stream)`. */
  createGraph(): Graph {
    return this.#resources.createGraph();
  }

  /**
   * Captures what `enqueue` enqueues on the stream, and puts it on the device, as torch.mtia.graph.
   *
   * ```ts
   * await using graph = await device.capture(stream, () => {
   *   stream.launch(kernel, { grid }, [buffer]);
   * });
   * await graph.replay(stream);
   * ```
   */
  async capture(stream: Stream, enqueue: (stream: Stream) => void): Promise<Graph> {
    checkSynchronous(enqueue);
    const graph = this.createGraph();
    try {
      graph.captureBegin(stream);
      enqueue(stream);
      graph.captureEnd();
      return await graph.instantiate();
    } catch (error) {
      await graph.close();
      throw error;
    }
  }

  /**
   * A value that rises, for streams and the host to wait for.
   *
   * ```ts
   * using timeline = await device.createTimeline();
   * ```
   *
   * @param initial 0 to 2^64 - 2
   */
  async createTimeline(initial: bigint | number = 0): Promise<Timeline> {
    this.#resources.checkOpen();
    return this.#resources.createTimeline(initial);
  }

  /** Resolves when every stream is done; rejects with the first failure that no synchronize has reported. */
  async synchronize(): Promise<void> {
    this.#resources.checkOpen();
    const results = await Promise.allSettled([...this.#resources.streams].map((stream) => stream.synchronize()));
    for (const result of results) if (result.status === 'rejected') throw result.reason;
  }

  /**
   * Memory on the device. Its contents are undefined.
   *
   * ```ts
   * using buffer = await device.allocate(1 << 20, { memory: 'sram' });
   * ```
   */
  async allocate(bytes: number, options: AllocationOptions = {}): Promise<DeviceBuffer> {
    return new DeviceBuffer(this.#resources, await this.#resources.allocate(bytes, options));
  }

  /**
   * Pinned host memory. Its contents are undefined.
   *
   * ```ts
   * using host = device.allocateHost(4096);
   * ```
   */
  allocateHost(bytes: number, options: HostAllocationOptions = {}): HostBuffer {
    this.#resources.checkOpen();
    checkOptions(options);
    const { pinned } = this.#resources;
    return new HostBuffer(this.#resources, options.shared ? pinned.allocateShared(bytes) : pinned.allocate(bytes));
  }

  /** Host memory that another worker of the process shares, pinned for this device, too; see HostBuffer.share. */
  attachHost(shared: SharedHostBuffer): HostBuffer {
    this.#resources.checkOpen();
    const { bytes, pages } = (shared ?? {}) as Partial<SharedHostBuffer>;
    if (bytes === undefined || pages === undefined) {
      throw invalidArgument(`attachHost takes what HostBuffer.share gives, got ${describeValue(shared)}`);
    }
    return new HostBuffer(this.#resources, this.#resources.pinned.attach(bytes, pages));
  }

  /**
   * A kernel of the firmware bundle by its name; `properties.kernels` has them all.
   *
   * ```ts
   * const copy = device.kernel('copy');
   * ```
   */
  kernel(name: string): Kernel {
    return new Kernel(name, this.#resources.kernelId(name), this.#parts.card);
  }

  /**
   * Uploads a model: a .pt2, .onnx or .mtg file, or a graph that was compiled already. Files are read and compiled on a
   * thread of their own.
   *
   * ```ts
   * await using model = await device.loadModel('model.onnx', { batch: 32, dtype: 'bf16' });
   * ```
   */
  async loadModel(model: string | CompiledGraph, options: LoadOptions = {}): Promise<CompiledModel> {
    const resources = this.#resources;
    resources.checkOpen();
    if (typeof model === 'object') checkNoCompileOptions(options);
    checkModel(model);
    const { generation } = this.properties;
    const graph = typeof model === 'string' ? await resources.compiler.compile(model, generation, options) : model;
    return (await resources.loadModels([graph], options.concurrency))[0] as CompiledModel;
  }

  /**
   * Uploads several compiled graphs, in their order; those that compileBatches has made share one copy of their weights.
   *
   * ```ts
   * const { compileBatches, readModel } = await import('mtia-runtime/compiler');
   * const graphs = compileBatches(await readModel('films.pt2'), [1, 64], { generation: '2i' });
   * const [one, many] = await device.loadModels(graphs);
   * ```
   */
  async loadModels(
    graphs: readonly CompiledGraph[],
    options: Pick<LoadOptions, 'concurrency'> = {},
  ): Promise<readonly CompiledModel[]> {
    this.#resources.checkOpen();
    if (!Array.isArray(graphs)) throw invalidArgument(`expected an array of graphs, got ${describeValue(graphs)}`);
    for (const graph of graphs) checkModel(graph);
    return this.#resources.loadModels(graphs, options.concurrency);
  }

  /** Statistics under torch.mtia's names: `device.memoryStats().dram.allocated_bytes`. */
  memoryStats(): DeviceMemoryStatistics {
    const { memory, pinned } = this.#resources;
    return { ...memory.statistics(), pinned: pinned.statistics() };
  }

  /** Bytes that allocations hold, and the most that they ever held: `dram` of memoryStats(). */
  memoryAllocated(): number {
    return this.memoryStats().dram.allocated_bytes;
  }

  /** The most bytes of LPDDR that allocations ever held, or held since resetPeakMemoryStats(). */
  maxMemoryAllocated(): number {
    return this.memoryStats().dram.peak_bytes;
  }

  /** As torch.accelerator.get_memory_info: bytes that no context holds, and all there are. */
  memoryInfo(memory: MemoryKind = 'lpddr'): readonly [free: number, total: number] {
    return this.#resources.memory.memoryInfo(memory);
  }

  /** Sets the peaks of every memory to what is held now. */
  resetPeakMemoryStats(): void {
    this.#resources.memory.resetPeakStatistics();
    this.#resources.pinned.resetPeakStatistics();
  }

  /** Sets the counts since the start to zero: total_allocated_bytes, total_freed_bytes, num_alloc_retries, num_ooms. */
  resetAccumulatedMemoryStats(): void {
    this.#resources.memory.resetAccumulatedStatistics();
  }

  /**
   * Starts, or with `enabled: null` ends, the record of allocations and where the program made them; snapshot() shows it.
   *
   * ```ts
   * device.recordMemoryHistory({ enabled: 'all', maxEntries: 1000 });
   * ```
   */
  recordMemoryHistory(options: MemoryHistoryOptions = {}): void {
    this.#resources.checkOpen();
    this.#resources.memory.history.configure(options);
  }

  /** Every segment and block of device memory, and the history if it is recorded: plain data, ready for JSON. */
  snapshot(): MemorySnapshot {
    return this.#resources.memory.snapshot();
  }

  /**
   * Calls the observer before an allocation fails for want of memory, until the returned function is called.
   *
   * ```ts
   * const detach = device.attachOutOfMemoryObserver((index, requested, total, free) => console.error(requested, free));
   * ```
   */
  attachOutOfMemoryObserver(observer: OutOfMemoryObserver): () => void {
    this.#resources.checkOpen();
    return this.#resources.memory.observeOutOfMemory(observer);
  }

  /**
   * In checking mode, looks at all device memory now. Resolves to what was found since the last call.
   *
   * ```ts
   * await using device = await Device.open({ checkMemory: true });
   * for (const { message } of await device.checkMemory()) console.error(message);
   * ```
   */
  async checkMemory(): Promise<readonly MemoryReport[]> {
    this.#resources.checkOpen();
    const { checking } = this.#resources;
    if (checking === undefined) throw invalidArgument('memory is not checked; open the device with checkMemory: true');
    return checking.checker.check();
  }

  /**
   * A pool of its own for device memory: pass it to allocate() of device or stream as `pool`.
   *
   * ```ts
   * await using pool = device.createMemoryPool({ memory: 'sram', releaseThreshold: 4 << 20 });
   * const scratch = await stream.allocate(4096, { pool });
   * ```
   */
  createMemoryPool(options: MemoryPoolOptions = {}): MemoryPool {
    this.#resources.checkOpen();
    return this.#resources.memory.createPool(options);
  }

  /** The pool of allocations that name none. */
  defaultMemoryPool(memory: MemoryKind = 'lpddr'): MemoryPool {
    return this.#resources.memory.defaultPool(memory);
  }

  /** Gives memory back to the device and the host that is kept for later allocations. */
  async emptyCache(): Promise<void> {
    this.#resources.checkOpen();
    this.#resources.pinned.trim();
    await this.#resources.memory.trim();
  }

  /** Ends the device and everything made from it; what is outstanding is rejected with DEVICE_CLOSED. Idempotent. */
  close(): Promise<void> {
    return this.#resources.close();
  }

  async #reset(reason: string | undefined): Promise<void> {
    await this.#parts.card.reset(reason);
    await this.#renewal;
  }

  async #renew(notice: ResetNotice): Promise<void> {
    this.#resources.failTimelines();
    this.#resources = await DeviceResources.create(this.#parts);
    this.#followLoss();
    this.#notices.tell('reset', notice);
  }

  /** One reaction a promise, not one a reset: each would keep, as long as the card is well, what an earlier reset has ended. */
  #followLoss(): void {
    const { lost } = this.#parts.card;
    if (lost === this.#followed) return;
    this.#followed = lost;
    void lost.then((error) => this.#resources.failTimelines(error));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
