import { type Command, type CompletionRecord, invalidArgument, type Queue } from '../driver/index.js';
import { HOST_COMMAND } from '../hw/index.js';
import type { DeviceAllocation, PinnedMemory } from '../memmgr/index.js';
import { ArgumentSlots, writeArguments } from './argument-slots.js';
import { CommandStream } from './command-stream.js';
import { type CopyOptions, copyRange } from './copy-range.js';
import { DeviceBuffer } from './device-buffer.js';
import { Event } from './event.js';
import { HostBuffer } from './host-buffer.js';
import type { Kernel } from './kernel.js';
import { deadlineUs, encodeRectangle, type LaunchArgument, type LaunchOptions } from './launch.js';
import type { Timelines } from './timelines.js';
import { bytesOf } from './typed-array.js';

export interface StreamParts {
  /** Stands for the device: buffers of another one are refused. */
  readonly owner: object;
  readonly queue: Queue;
  readonly timelines: Timelines;
  readonly pinned: PinnedMemory;
  /** Device memory for launch arguments. */
  readonly argumentMemory: DeviceAllocation;
  readonly onClosed: (stream: Stream) => void;
}

export interface FillOptions {
  /** Bytes from the start of the buffer, a multiple of 4; 0 when absent. */
  readonly offset?: number;
  /** A multiple of 4; to the end of the buffer when absent. */
  readonly bytes?: number;
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
  readonly #arguments: ArgumentSlots;
  #closing: Promise<void> | undefined;

  /** Use Device.createStream. */
  constructor(parts: StreamParts) {
    this.#parts = parts;
    this.commands = new CommandStream(parts.queue, parts.timelines);
    this.#arguments = new ArgumentSlots(parts.pinned, parts.argumentMemory);
  }

  /** Copies to the device. An array is copied at the time of the call, pinned memory when the command's turn comes. */
  copyToDevice(
    destination: DeviceBuffer,
    source: HostBuffer | ArrayBufferView,
    options: CopyOptions = {},
  ): Promise<CompletionRecord> {
    return this.#enqueue(() => {
      this.#checkOwner(destination);
      const range = copyRange(destination.bytes, sizeOf(source), 'source', options);
      const { bytes, sourceOffset } = range;
      const b = destination.address + BigInt(range.destinationOffset);
      if (source instanceof HostBuffer) {
        this.#checkOwner(source);
        const command = copyCommand('COPY_HOST_TO_DEVICE', source.iova + BigInt(sourceOffset), b, bytes);
        return this.commands.submit(command, destination.uses, source.uses);
      }
      if (bytes === 0) return this.commands.submit(NOP);
      const staging = this.#parts.pinned.allocate(bytes);
      staging.view.set(bytesOf(source).subarray(sourceOffset, sourceOffset + bytes));
      const done = this.commands.submit(copyCommand('COPY_HOST_TO_DEVICE', staging.iova, b, bytes), destination.uses);
      done.then(staging.free, staging.free);
      return done;
    });
  }

  /** Copies from the device. The destination may be read when the promise has resolved. */
  copyToHost(
    destination: HostBuffer | ArrayBufferView,
    source: DeviceBuffer,
    options: CopyOptions = {},
  ): Promise<CompletionRecord> {
    return this.#enqueue(() => {
      this.#checkOwner(source);
      const range = copyRange(sizeOf(destination), source.bytes, 'destination', options);
      const { bytes, destinationOffset } = range;
      const a = source.address + BigInt(range.sourceOffset);
      if (destination instanceof HostBuffer) {
        this.#checkOwner(destination);
        const command = copyCommand('COPY_DEVICE_TO_HOST', a, destination.iova + BigInt(destinationOffset), bytes);
        return this.commands.submit(command, source.uses, destination.uses);
      }
      if (bytes === 0) return this.commands.submit(NOP);
      const staging = this.#parts.pinned.allocate(bytes);
      const done = this.commands.submit(copyCommand('COPY_DEVICE_TO_HOST', a, staging.iova, bytes), source.uses);
      const delivered = done.then((record) => {
        bytesOf(destination).set(staging.view, destinationOffset);
        return record;
      });
      delivered.then(staging.free, staging.free);
      return delivered;
    });
  }

  /** Copies on the device. */
  copy(destination: DeviceBuffer, source: DeviceBuffer, options: CopyOptions = {}): Promise<CompletionRecord> {
    return this.#enqueue(() => {
      this.#checkOwner(destination);
      this.#checkOwner(source);
      const range = copyRange(destination.bytes, source.bytes, 'source', options);
      const a = source.address + BigInt(range.sourceOffset);
      const b = destination.address + BigInt(range.destinationOffset);
      return this.commands.submit(
        copyCommand('COPY_DEVICE_TO_DEVICE', a, b, range.bytes),
        destination.uses,
        source.uses,
      );
    });
  }

  /** Fills with a 32-bit pattern. */
  fill(destination: DeviceBuffer, pattern: number, options: FillOptions = {}): Promise<CompletionRecord> {
    return this.#enqueue(() => {
      this.#checkOwner(destination);
      const { offset = 0, bytes = destination.bytes - offset } = options;
      copyRange(destination.bytes, bytes, 'source', { destinationOffset: offset });
      if (offset % 4 !== 0 || bytes % 4 !== 0) {
        throw invalidArgument(`fill takes whole 32-bit words, got ${bytes} bytes at offset ${offset}`);
      }
      if (bytes === 0) return this.commands.submit(NOP);
      const b = destination.address + BigInt(offset);
      return this.commands.submit({ opcode: HOST_COMMAND.FILL, a: pattern >>> 0, b, c: bytes }, destination.uses);
    });
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
  launch(
    kernel: Kernel,
    options: LaunchOptions,
    args: readonly LaunchArgument[] | Uint8Array = [],
  ): Promise<CompletionRecord> {
    return this.#enqueue(() => {
      const launch = {
        opcode: HOST_COMMAND.LAUNCH,
        a: kernel.id,
        d: encodeRectangle(options.grid),
        ...deadlineUs(options.deadlineMs),
      };
      return args.length === 0 ? this.commands.submit(launch) : this.#launchWith(launch, args);
    });
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
    await this.commands.close();
    this.#arguments.close();
    this.#parts.onClosed(this);
  }

  #launchWith(launch: Command, args: readonly LaunchArgument[] | Uint8Array): Promise<CompletionRecord> {
    const buffers = args instanceof Uint8Array ? [] : args.filter((argument) => argument instanceof DeviceBuffer);
    for (const buffer of buffers) this.#checkOwner(buffer);
    const slots = this.#arguments;
    const slot = slots.take();
    const giveBack = (): void => slots.give(slot);
    try {
      const c = writeArguments(slot, args);
      const b = slots.nextDeviceSlot();
      const copied = this.commands.submit(copyCommand('COPY_HOST_TO_DEVICE', slot.iova, b, c));
      copied.then(giveBack, giveBack);
      const launched = this.commands.submit({ ...launch, b, c }, ...buffers.map((buffer) => buffer.uses));
      return copied.then(() => launched);
    } catch (error) {
      giveBack();
      throw error;
    }
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

  #checkOwner(buffer: DeviceBuffer | HostBuffer): void {
    if (!buffer.belongsTo(this.#parts.owner)) throw invalidArgument('the buffer belongs to another device');
  }
}

const ignore = (): void => undefined;
const NOP: Command = { opcode: HOST_COMMAND.NOP };

type CopyName = 'COPY_HOST_TO_DEVICE' | 'COPY_DEVICE_TO_HOST' | 'COPY_DEVICE_TO_DEVICE';

function copyCommand(name: CopyName, a: bigint | number, b: bigint | number, bytes: number): Command {
  return bytes === 0 ? NOP : { opcode: HOST_COMMAND[name], a, b, c: bytes };
}

function sizeOf(memory: HostBuffer | ArrayBufferView): number {
  return memory instanceof HostBuffer ? memory.bytes : memory.byteLength;
}
