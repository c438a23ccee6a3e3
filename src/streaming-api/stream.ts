import type { CompletionRecord, Queue } from '../driver/index.js';
import type { AllocationOptions, DeviceAllocation, PinnedMemory } from '../memmgr/index.js';
import { ArgumentSlots } from './argument-slots.js';
import { CommandStream } from './command-stream.js';
import { Copier, type FillOptions } from './copier.js';
import type { Compression, CopyOptions, UploadOptions } from './copy-range.js';
import type { DeviceBuffer } from './device-buffer.js';
import { Event } from './event.js';
import type { HostBuffer } from './host-buffer.js';
import type { Kernel } from './kernel.js';
import type { LaunchOptions } from './launch.js';
import { type LaunchArguments, Launcher } from './launcher.js';
import type { BufferOwner } from './owned-buffer.js';
import type { Timelines } from './timelines.js';

export interface StreamParts {
  /** Stands for the device: buffers of another one are refused. */
  readonly owner: BufferOwner;
  readonly queue: Queue;
  readonly timelines: Timelines;
  readonly pinned: PinnedMemory;
  /** Device memory for launch arguments. */
  readonly argumentMemory: DeviceAllocation;
  readonly allocate: (bytes: number, options: AllocationOptions, stream: CommandStream) => Promise<DeviceBuffer>;
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
  #closing: Promise<void> | undefined;

  /** Use Device.createStream. */
  constructor(parts: StreamParts) {
    this.#parts = parts;
    this.commands = new CommandStream(parts.queue, parts.timelines);
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
    return this.#enqueue(() => this.#copier.toDevice(destination, source, options));
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
    return this.#enqueue(() => this.#copier.toHost(destination, source, options));
  }

  /** Copies on the device: `stream.copy(destination, source, { bytes: 1024 })`. */
  copy(destination: DeviceBuffer, source: DeviceBuffer, options: CopyOptions = {}): Promise<CompletionRecord> {
    return this.#enqueue(() => this.#copier.onDevice(destination, source, options));
  }

  /** Fills with a 32-bit pattern: `stream.fill(buffer, 0)`. */
  fill(destination: DeviceBuffer, pattern: number, options: FillOptions = {}): Promise<CompletionRecord> {
    return this.#enqueue(() => this.#copier.fill(destination, pattern, options));
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
    return this.#enqueue(() => this.#launcher.launch(kernel, options, args));
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
  allocate(bytes: number, options: AllocationOptions = {}): Promise<DeviceBuffer> {
    this.commands.checkOpen();
    return this.#parts.allocate(bytes, options, this.commands);
  }

  /**
   * Gives a buffer back at this point of the stream, as cudaFreeAsync: it may be used no more, and its memory is this
   * stream's again at once. Idempotent.
   */
  free(buffer: DeviceBuffer): void {
    buffer.checkBelongsTo(this.#parts.owner);
    if (this.closed) buffer.free();
    else buffer.freeBehind(this.commands);
  }

  /** Marks the present end of the stream. */
  recordEvent(event: Event = new Event()): Event {
    event.attach(this.commands.record());
    return event;
  }

  /** Makes what is enqueued from now on wait for the event; one that was never recorded holds nothing up. */
  waitEvent(event: Event): void {
    this.commands.checkOpen();
    if (event.recording !== undefined) this.commands.wait(event.recording);
  }

  /** Makes what is enqueued from now on wait for everything that was enqueued on the other stream. */
  waitStream(other: Stream): void {
    this.waitEvent(other.recordEvent());
  }

  /** Whether everything that was enqueued is done. */
  query(): boolean {
    return this.commands.outstanding === 0;
  }

  /**
   * Resolves when everything that was enqueued is done. Rejects with the first failure since the last synchronize(),
   * after which the stream is as good as new.
   */
  synchronize(): Promise<void> {
    return this.commands.synchronize();
  }

  get closed(): boolean {
    return this.commands.closed;
  }

  /** Waits for what was enqueued and gives the stream's queue back. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #close(): Promise<void> {
    if (await this.commands.close()) this.#launcher.close();
    this.#parts.onClosed(this);
  }

  /** Delivers a wrong argument as the device's failures are delivered, and lets the promise be dropped. */
  #enqueue(enqueue: () => Promise<CompletionRecord>): Promise<CompletionRecord> {
    try {
      const done = enqueue();
      done.catch(ignore);
      return done;
    } catch (error) {
      return this.commands.refuse(error);
    }
  }
}

const ignore = (): void => undefined;
