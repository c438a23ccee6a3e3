import {
  type CompletionRecord,
  checkOptions,
  describeValue,
  invalidArgument,
  MtiaError,
  type Queue,
} from '../driver/index.js';
import type { AllocationOptions, DeviceAllocation, PinnedMemory } from '../memmgr/index.js';
import { ArgumentSlots } from './argument-slots.js';
import { Capture } from './capture.js';
import { type CommandOptions, CommandStream } from './command-stream.js';
import { Copier, type FillOptions, type ListedCopy } from './copier.js';
import type { Compression, CopyOptions, UploadOptions } from './copy-range.js';
import { DeviceBuffer } from './device-buffer.js';
import { Event } from './event.js';
import type { Graph } from './graph.js';
import { HostBuffer } from './host-buffer.js';
import { type HostFunction, HostFunctions } from './host-functions.js';
import type { Kernel } from './kernel.js';
import type { LaunchOptions } from './launch.js';
import { type LaunchArguments, Launcher } from './launcher.js';
import type { BufferOwner } from './owned-buffer.js';
import { copyToPeer } from './peer-copy.js';
import type { Semaphores } from './semaphores.js';
import { checkValue, Timeline } from './timeline.js';

/** Whether a stream is captured, and whether that can end in a graph. */
export type CaptureStatus = 'none' | 'active' | 'invalidated';

export interface StreamParts {
  /** Stands for the device: buffers of another one are refused. */
  readonly owner: BufferOwner;
  readonly queue: Queue;
  readonly semaphores: Semaphores;
  readonly pinned: PinnedMemory;
  /** Device memory for launch arguments. */
  readonly argumentMemory: DeviceAllocation;
  readonly allocate: (bytes: number, options: AllocationOptions, stream: CommandStream) => Promise<DeviceBuffer>;
  readonly createGraph: (capture: Capture) => Graph;
  /** What the card decompresses. */
  readonly decompression: readonly Compression[];
  readonly onClosed: (stream: Stream) => void;
}

/**
 * A first-in first-out queue of work. Every call enqueues and returns at once; the promise it returns settles when the
 * command is done and may be dropped: synchronize() reports its failure, too.
 *
 * ```ts
 * await using stream = await device.createStream();
 * stream.copyToDevice(input, new Float32Array([1, 2, 3, 4]));
 * stream.launch(kernel, { grid: { columns: 1, rows: 1 } }, [input, output, 4]);
 * stream.copyToHost(result, output);
 * await stream.synchronize();
 * ```
 */
export class Stream implements AsyncDisposable {
  /** The commands below this API; compiled models append theirs here. */
  readonly commands: CommandStream;
  readonly #parts: StreamParts;
  readonly #copier: Copier;
  readonly #launcher: Launcher;
  readonly #hostFunctions: HostFunctions;
  #closing: Promise<void> | undefined;

  /** Use Device.createStream. */
  constructor(parts: StreamParts) {
    this.#parts = parts;
    this.commands = new CommandStream(parts.queue, parts.semaphores);
    this.#hostFunctions = new HostFunctions(this.commands, parts.semaphores);
    this.#copier = new Copier(this.commands, parts.pinned, parts.owner, parts.decompression);
    const slots = new ArgumentSlots(parts.pinned, parts.argumentMemory);
    this.#launcher = new Launcher(this.commands, slots, parts.owner);
  }

  /**
   * Copies to the device. An array is copied at the time of the call, pinned memory when the command's turn comes.
   *
   * ```ts
   * stream.copyToDevice(buffer, new Float32Array(16), { destinationOffset: 64 });
   * stream.copyToDevice(weights, await readFile('weights.gz'), { decompress: 'gzip' });
   * ```
   */
  copyToDevice(
    destination: DeviceBuffer,
    source: HostBuffer | ArrayBufferView,
    options: UploadOptions = {},
  ): Promise<CompletionRecord> {
    return this.#enqueue(() => this.#copier.toDevice(destination, source, options), options);
  }

  /**
   * Copies from the device. The destination may be read when the promise has resolved.
   *
   * ```ts
   * const result = new Float32Array(16);
   * await stream.copyToHost(result, buffer);
   * ```
   */
  copyToHost(
    destination: HostBuffer | ArrayBufferView,
    source: DeviceBuffer,
    options: CopyOptions = {},
  ): Promise<CompletionRecord> {
    return this.#enqueue(() => this.#copier.toHost(destination, source, options), options);
  }

  /** Copies on the device: `stream.copy(destination, source, { bytes: 1024 })`. */
  copy(destination: DeviceBuffer, source: DeviceBuffer, options: CopyOptions = {}): Promise<CompletionRecord> {
    return this.#enqueue(() => this.#copier.onDevice(destination, source, options), options);
  }

  /**
   * Several copies, in their order; all are checked before the first is sent.
   *
   * ```ts
   * stream.copyList([
   *   { destination: buffer, source: header },
   *   { destination: buffer, source: other, destinationOffset: 64, bytes: 128 },
   * ]);
   * ```
   */
  copyList(copies: readonly ListedCopy[]): Promise<CompletionRecord> {
    return this.#enqueue(() => this.#copier.list(copies));
  }

  /**
   * Copies to a buffer of another device of this process, in the order of this stream and of `peer`, a stream of the other
   * device. Where it fails, part of the bytes may have arrived.
   *
   * ```ts
   * await stream.copyToPeer(second.defaultStream, theirs, ours);
   * ```
   */
  copyToPeer(
    peer: Stream,
    destination: DeviceBuffer,
    source: DeviceBuffer,
    options: CopyOptions = {},
  ): Promise<CompletionRecord> {
    return this.#enqueue(() => {
      checkKind(peer, Stream, 'a stream of the other device');
      for (const buffer of [destination, source]) checkKind(buffer, DeviceBuffer, 'a device buffer');
      source.checkBelongsTo(this.owner);
      destination.checkBelongsTo(peer.owner);
      for (const { commands } of [this, peer]) {
        commands.checkOpen();
        commands.checkNotCapturing('a copy to another device');
      }
      return copyToPeer({ from: this, to: peer, destination, source, options });
    }, options);
  }

  /** Fills with a 32-bit pattern: `stream.fill(buffer, 0)`. */
  fill(destination: DeviceBuffer, pattern: number, options: FillOptions = {}): Promise<CompletionRecord> {
    return this.#enqueue(() => this.#copier.fill(destination, pattern, options), options);
  }

  /**
   * Runs a kernel on a rectangle of processing elements.
   *
   * ```ts
   * stream.launch(device.kernel('copy'), { grid: { columns: 8, rows: 8 }, deadlineMs: 100 }, [input, output, rows]);
   * ```
   *
   * @param args words of up to 512 bytes, or an argument structure of src/hw as its bytes
   */
  launch(kernel: Kernel, options: LaunchOptions, args: LaunchArguments = []): Promise<CompletionRecord> {
    return this.#enqueue(() => this.#launcher.launch(kernel, options, args), options);
  }

  /**
   * Memory for what is enqueued on this stream from now on, as cudaMallocAsync: what the stream has freed is used again at
   * once, what another one has freed when this stream waits for an event behind the free. It is for other streams, too,
   * once they wait for this one. Resolves when the memory is there, not when the stream gets here.
   *
   * ```ts
   * const scratch = await stream.allocate(1 << 20);
   * stream.launch(kernel, { grid }, [scratch]);
   * stream.free(scratch);
   * ```
   */
  async allocate(bytes: number, options: AllocationOptions = {}): Promise<DeviceBuffer> {
    this.commands.checkOpen();
    this.commands.checkNotCapturing('allocate');
    return this.#parts.allocate(bytes, options, this.commands);
  }

  /**
   * Gives a buffer back at this point of the stream, as cudaFreeAsync: it may be used no more, and its memory is this
   * stream's again at once. Idempotent.
   */
  free(buffer: DeviceBuffer): void {
    checkKind(buffer, DeviceBuffer, 'a device buffer');
    buffer.checkBelongsTo(this.#parts.owner);
    this.commands.checkNotCapturing('free');
    if (this.closed) buffer.free();
    else buffer.freeBehind(this.commands);
  }

  /** Marks the present end of the stream. */
  recordEvent(event: Event = new Event()): Event {
    checkKind(event, Event, 'an Event of this package');
    const { capture } = this.commands;
    if (capture === undefined) event.attach(this.commands.record());
    else event.attachCaptured(capture.mark(this.commands));
    return event;
  }

  /** Makes what is enqueued from now on wait for the event; one that was never recorded holds nothing up. */
  waitEvent(event: Event): void {
    checkKind(event, Event, 'an Event of this package');
    this.commands.checkOpen();
    if (event.captured !== undefined) {
      event.captured.capture.join(this.commands, event.captured, this.owner);
      return;
    }
    if (event.recording === undefined) return;
    this.commands.checkNotCapturing('waiting for an event that was recorded outside of the capture');
    this.commands.wait(event.recording);
  }

  /** Makes what is enqueued from now on wait for everything that was enqueued on the other stream. */
  waitStream(other: Stream): void {
    checkKind(other, Stream, 'a stream');
    this.waitEvent(other.recordEvent());
  }

  /**
   * Raises the timeline when everything before is done; a failure in it fails whoever waits for this or a higher value.
   *
   * ```ts
   * producer.signalTimeline(timeline, 1);
   * consumer.waitTimeline(timeline, 1);
   * ```
   */
  signalTimeline(timeline: Timeline, value: bigint | number): Promise<void> {
    return this.#enqueue(() => {
      checkKind(timeline, Timeline, 'a timeline');
      return this.#signalTimeline(timeline, checkValue(value));
    });
  }

  /** Makes what is enqueued from now on wait until the timeline has reached the value; it may be signalled later. */
  waitTimeline(timeline: Timeline, value: bigint | number): void {
    checkKind(timeline, Timeline, 'a timeline');
    this.commands.checkNotCapturing('waitTimeline');
    this.commands.wait(timeline.point(value));
    timeline.keepFor(this.commands.whenIdle());
  }

  /**
   * Calls a function of the host in the order of the stream: what is enqueued behind it waits until it has returned, or the
   * promise that it returns has settled. One that throws fails as a command does, with HOST_FUNCTION_ERROR.
   *
   * ```ts
   * stream.copyToHost(host, buffer);
   * stream.launchHostFunction(() => console.log(host.as(Float32Array)));
   * ```
   */
  launchHostFunction(call: HostFunction): Promise<void> {
    return this.#enqueue(() => this.#hostFunctions.launch(call));
  }

  /**
   * Ends everything that was enqueued, running or not, with ABORTED and the reason as its cause, and frees its processing
   * elements. Resolves when all of it has settled. The stream works afterwards.
   *
   * ```ts
   * stream.launch(device.kernel('endless'), { grid });
   * await stream.abort(new Error('no longer wanted'));
   * ```
   */
  async abort(reason?: unknown): Promise<void> {
    this.commands.checkNotCapturing('abort');
    await this.commands.abort(reason);
  }

  /**
   * From now on commands are taken down and not run, as cudaStreamBeginCapture. Events that are recorded here draw other
   * streams in; they must be joined before the end.
   *
   * ```ts
   * stream.beginCapture();
   * stream.launch(kernel, { grid }, [buffer]);
   * await using graph = stream.endCapture();
   * ```
   */
  beginCapture(): void {
    this.commands.checkOpen();
    if (this.isCapturing) throw invalidArgument('the stream is captured already; call endCapture first');
    new Capture(this.commands, this.owner);
  }

  /** The graph of what was captured, to be instantiated. Throws where it makes none; the streams work again then, too. */
  endCapture(): Graph {
    const capture = this.finishCapture();
    try {
      return this.#parts.createGraph(capture);
    } catch (error) {
      capture.release();
      throw error;
    }
  }

  /** For graphs: ends the capture. */
  finishCapture(): Capture {
    const { capture } = this.commands;
    if (capture === undefined) throw invalidArgument('the stream is not captured; call beginCapture first');
    capture.end(this.commands);
    return capture;
  }

  /** Whether commands are taken down for a graph and not run. */
  get isCapturing(): boolean {
    return this.commands.capture !== undefined;
  }

  /** As cudaStreamGetCaptureInfo: 'invalidated' where the capture makes no graph any more; its end says why. */
  get captureStatus(): CaptureStatus {
    const { capture } = this.commands;
    if (capture === undefined) return 'none';
    return capture.invalid ? 'invalidated' : 'active';
  }

  /** Stands for the device. */
  get owner(): BufferOwner {
    return this.#parts.owner;
  }

  /** For graphs: words where the next command may read them; gives their device address. */
  stageWords(words: BigUint64Array): number {
    return this.#launcher.stageWords(words);
  }

  /** For copies between devices. */
  allocatePinned(bytes: number): HostBuffer {
    return new HostBuffer(this.#parts.owner, this.#parts.pinned.allocate(Math.max(bytes, 1)));
  }

  /** Whether everything that was enqueued is done. */
  query(): boolean {
    this.commands.checkNotCapturing('query');
    return this.commands.outstanding === 0;
  }

  /**
   * Resolves when everything that was enqueued is done. Rejects with the first failure since the last synchronize(),
   * after which the stream is as good as new.
   */
  synchronize(): Promise<void> {
    return this.commands.synchronize();
  }

  /** Whether close() was called: every use fails with DEVICE_CLOSED. */
  get closed(): boolean {
    return this.commands.closed;
  }

  /** Waits for what was enqueued and gives the stream's queue back. Idempotent. */
  async close(): Promise<void> {
    this.commands.checkNotCapturing('close');
    this.#closing ??= this.#close();
    await this.#closing;
  }

  /** As close; a capture that was not ended makes no graph. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.commands.capture?.abandon(this.commands);
    await this.close();
  }

  async #signalTimeline(timeline: Timeline, value: bigint): Promise<void> {
    timeline.checkOpen();
    const done = this.commands.signal(timeline.semaphore, value, (_, failure) => {
      // First: who waits for this value must not pass.
      if (failure !== undefined) void timeline.poison(value, failure);
      timeline.reach(value);
    });
    timeline.keepFor(done);
    try {
      await done;
    } catch (error) {
      if (error instanceof MtiaError) void timeline.poison(value, error);
      throw error;
    }
  }

  async #close(): Promise<void> {
    if (await this.commands.close()) {
      this.#launcher.close();
      this.#hostFunctions.close();
    }
    this.#parts.onClosed(this);
  }

  /** Delivers a wrong argument as the device's failures are delivered, and lets the promise be dropped. */
  #enqueue<T>(enqueue: () => Promise<T>, options: CommandOptions = {}): Promise<T> {
    try {
      checkOptions(options);
      // It could end the capture, and no replay.
      if (options.signal !== undefined) this.commands.checkNotCapturing('a command with a signal of its own');
      const done = enqueue();
      done.catch(ignore);
      return done;
    } catch (error) {
      return this.commands.refuse(error);
    }
  }
}

const ignore = (): void => undefined;

/** For programs that no compiler has checked. */
function checkKind(value: object, kind: { [Symbol.hasInstance](value: unknown): boolean }, wanted: string): void {
  if (!(value instanceof kind)) throw invalidArgument(`expected ${wanted}, got ${describeValue(value)}`);
}
