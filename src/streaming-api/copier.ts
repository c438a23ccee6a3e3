/** Copies and fills of one stream. Arrays travel through pinned memory that is taken for the command and given back after it. */
import { type Command, type CompletionRecord, describeValue, invalidArgument, MtiaError } from '../driver/index.js';
import { HOST_COMMAND } from '../hw/index.js';
import type { PinnedMemory } from '../memmgr/index.js';
import type { Capture } from './capture.js';
import type { CommandOptions, CommandStream } from './command-stream.js';
import { type Compression, type CopyOptions, copyRange, decompressionRange, type UploadOptions } from './copy-range.js';
import { checkRowsApart, copyRows } from './copy-rows.js';
import { DeviceBuffer } from './device-buffer.js';
import { HostBuffer } from './host-buffer.js';
import { type BufferOwner, OwnedBuffer } from './owned-buffer.js';
import { bytesOf, checkAttached, deliver } from './typed-array.js';

/** What part of a buffer is filled. */
export interface FillOptions {
  /** Bytes from the start of the buffer, a multiple of 4; 0 when absent. */
  readonly offset?: number;
  /** A multiple of 4; to the end of the buffer when absent. */
  readonly bytes?: number;
  /** Aborts the fill, before it starts or while it runs. */
  readonly signal?: AbortSignal;
}

type CopyName = 'COPY_HOST_TO_DEVICE' | 'COPY_DEVICE_TO_HOST' | 'COPY_DEVICE_TO_DEVICE';

function copyCommand(name: CopyName, a: bigint, b: bigint, bytes: number): Command {
  return { opcode: bytes === 0 ? HOST_COMMAND.NOP : HOST_COMMAND[name], a, b, c: bytes, d: 0, deadlineUs: 0 };
}

function gunzipCommand(a: bigint, b: bigint, bytes: number, room: number): Command {
  return { opcode: HOST_COMMAND.COPY_HOST_TO_DEVICE_GUNZIP, a, b, c: bytes, d: room, deadlineUs: 0 };
}

const noMemory = (given: unknown, wanted: string): Error => invalidArgument(`expected ${wanted}, got ${String(given)}`);

function sizeOf(memory: DeviceBuffer | HostBuffer | ArrayBufferView): number {
  if (!ArrayBuffer.isView(memory) && !(memory instanceof OwnedBuffer))
    throw noMemory(memory, 'a buffer or a typed array');
  if (!ArrayBuffer.isView(memory)) return memory.bytes;
  checkAttached(memory, 'the array');
  return memory.byteLength;
}

/** One copy of a list: between a device buffer and another, pinned memory or an array. */
export interface ListedCopy extends CopyOptions {
  /** Buffer that is written. */
  readonly destination: DeviceBuffer | HostBuffer | ArrayBufferView;
  /** Buffer that is read. */
  readonly source: DeviceBuffer | HostBuffer | ArrayBufferView;
}

/** All of several commands, which failed where one of them did. */
async function total(commands: readonly Promise<CompletionRecord>[]): Promise<CompletionRecord> {
  await Promise.allSettled(commands);
  const records = await Promise.all(commands);
  return { deviceUs: records.reduce((sum, { deviceUs }) => sum + deviceUs, 0), jobs: 0 };
}

export class Copier {
  readonly #commands: CommandStream;
  readonly #pinned: PinnedMemory;
  /** Stands for the device: buffers of another one are refused. */
  readonly #owner: BufferOwner;
  readonly #decompression: readonly Compression[];

  constructor(
    commands: CommandStream,
    pinned: PinnedMemory,
    owner: BufferOwner,
    decompression: readonly Compression[],
  ) {
    this.#commands = commands;
    this.#pinned = pinned;
    this.#owner = owner;
    this.#decompression = decompression;
  }

  toDevice(
    destination: DeviceBuffer,
    source: HostBuffer | ArrayBufferView,
    options: UploadOptions,
  ): Promise<CompletionRecord> {
    this.#checkOwner(destination);
    if (options.rows !== undefined) return this.#rowsToDevice(destination, source, options);
    if (options.decompress !== undefined) return this.#decompressed(destination, source, options);
    const { bytes, sourceOffset, destinationOffset } = copyRange(destination.bytes, sizeOf(source), 'source', options);
    const b = destination.address + BigInt(destinationOffset);
    if (source instanceof HostBuffer) {
      this.#checkOwner(source);
      const iova = source.iova + BigInt(sourceOffset);
      const { capture } = this.#commands;
      if (capture !== undefined) {
        const device = { value: BigInt(destinationOffset), buffer: destination };
        source.uses.begin();
        capture.keep(source.uses.end);
        return capture.add(this.#commands, { kind: 'upload', device, iova, bytes });
      }
      const command = copyCommand('COPY_HOST_TO_DEVICE', iova, b, bytes);
      return this.#commands.submit(command, [destination.uses, source.uses], options);
    }
    this.#commands.checkOpen();
    if (this.#commands.capture !== undefined)
      return this.#captured(this.#commands.capture, destination, source, options);
    if (bytes === 0) return this.#commands.submit(copyCommand('COPY_HOST_TO_DEVICE', 0n, b, 0), [], options);
    return this.#staged(
      destination,
      source,
      sourceOffset,
      bytes,
      (iova) => copyCommand('COPY_HOST_TO_DEVICE', iova, b, bytes),
      options,
    );
  }

  #decompressed(
    destination: DeviceBuffer,
    source: HostBuffer | ArrayBufferView,
    options: UploadOptions,
  ): Promise<CompletionRecord> {
    const { decompress } = options;
    this.#commands.checkNotCapturing('a copy that decompresses');
    if (decompress === undefined || !this.#decompression.includes(decompress)) {
      const able = this.#decompression.length === 0 ? 'nothing' : this.#decompression.join(', ');
      throw new MtiaError(
        'UNSUPPORTED_COMMAND',
        `this card decompresses ${able}, not ${decompress}; decompress on the host, or use an MTIA 2i`,
      );
    }
    const { bytes, sourceOffset, destinationOffset, room } = decompressionRange(
      destination.bytes,
      sizeOf(source),
      options,
    );
    const b = destination.address + BigInt(destinationOffset);
    if (source instanceof HostBuffer) {
      this.#checkOwner(source);
      const command = gunzipCommand(source.iova + BigInt(sourceOffset), b, bytes, room);
      return this.#commands.submit(command, [destination.uses, source.uses], options);
    }
    this.#commands.checkOpen();
    if (bytes === 0) return this.#commands.submit(gunzipCommand(0n, b, 0, room), [destination.uses], options);
    const command = (iova: bigint): Command => gunzipCommand(iova, b, bytes, room);
    return this.#staged(destination, source, sourceOffset, bytes, command, options);
  }

  /** Copies the bytes to pinned memory now; the command reads them there. */
  #staged(
    destination: DeviceBuffer,
    source: ArrayBufferView,
    offset: number,
    bytes: number,
    command: (iova: bigint) => Command,
    options: CommandOptions,
  ): Promise<CompletionRecord> {
    const staging = this.#pinned.allocate(bytes);
    staging.view.set(bytesOf(source).subarray(offset, offset + bytes));
    const done = this.#commands.submit(command(staging.iova), [destination.uses], options);
    this.#commands.release(done, staging.free);
    return done;
  }

  toHost(
    destination: HostBuffer | ArrayBufferView,
    source: DeviceBuffer,
    options: CopyOptions,
  ): Promise<CompletionRecord> {
    this.#checkOwner(source);
    if (options.rows !== undefined) return this.#rowsToHost(destination, source, options);
    const { bytes, sourceOffset, destinationOffset } = copyRange(
      sizeOf(destination),
      source.bytes,
      'destination',
      options,
    );
    const a = source.address + BigInt(sourceOffset);
    if (destination instanceof HostBuffer) {
      this.#checkOwner(destination);
      const iova = destination.iova + BigInt(destinationOffset);
      const { capture } = this.#commands;
      if (capture !== undefined) {
        const device = { value: BigInt(sourceOffset), buffer: source };
        destination.uses.begin();
        capture.keep(destination.uses.end);
        return capture.add(this.#commands, { kind: 'download', device, iova, bytes });
      }
      const command = copyCommand('COPY_DEVICE_TO_HOST', a, iova, bytes);
      return this.#commands.submit(command, [source.uses, destination.uses], options);
    }
    this.#commands.checkOpen();
    this.#commands.checkNotCapturing('a copy to an array (use pinned memory)');
    if (bytes === 0) return this.#commands.submit(copyCommand('COPY_DEVICE_TO_HOST', a, 0n, 0), [], options);
    const staging = this.#pinned.allocate(bytes);
    const done = this.#commands.submit(
      copyCommand('COPY_DEVICE_TO_HOST', a, staging.iova, bytes),
      [source.uses],
      options,
    );
    const delivered = done.then((record) => {
      this.#deliver(() => deliver(staging.view, destination, destinationOffset));
      return record;
    });
    this.#commands.release(delivered, staging.free);
    return delivered;
  }

  onDevice(destination: DeviceBuffer, source: DeviceBuffer, options: CopyOptions): Promise<CompletionRecord> {
    this.#checkOwner(destination);
    this.#checkOwner(source);
    if (options.rows !== undefined) return this.#rowsOnDevice(destination, source, options);
    const { bytes, sourceOffset, destinationOffset } = copyRange(destination.bytes, source.bytes, 'source', options);
    const a = source.address + BigInt(sourceOffset);
    const b = destination.address + BigInt(destinationOffset);
    const { capture } = this.#commands;
    if (capture !== undefined) {
      const from = { value: BigInt(sourceOffset), buffer: source };
      const to = { value: BigInt(destinationOffset), buffer: destination };
      return capture.add(this.#commands, { kind: 'copy', words: [from, to, { value: BigInt(bytes) }] });
    }
    const command = copyCommand('COPY_DEVICE_TO_DEVICE', a, b, bytes);
    return this.#commands.submit(command, [destination.uses, source.uses], options);
  }

  fill(destination: DeviceBuffer, pattern: number, options: FillOptions): Promise<CompletionRecord> {
    this.#checkOwner(destination);
    if (!Number.isInteger(pattern) || pattern < -(2 ** 31) || pattern >= 2 ** 32)
      throw invalidArgument(`pattern is ${pattern}; give an integer of 32 bits`);
    const { offset = 0, bytes = destination.bytes - offset } = options;
    copyRange(destination.bytes, bytes, 'source', { destinationOffset: offset });
    if (offset % 4 !== 0 || bytes % 4 !== 0) {
      throw invalidArgument(`fill takes whole 32-bit words, got ${bytes} bytes at offset ${offset}`);
    }
    const { capture } = this.#commands;
    if (capture !== undefined) {
      const to = { value: BigInt(offset), buffer: destination };
      const words = [{ value: BigInt(pattern >>> 0) }, to, { value: BigInt(bytes) }];
      return capture.add(this.#commands, { kind: 'fill', words });
    }
    const b = destination.address + BigInt(offset);
    const command = { opcode: HOST_COMMAND.FILL, a: pattern >>> 0, b, c: bytes, d: 0, deadlineUs: 0 };
    return this.#commands.submit(command, [destination.uses], { signal: options.signal });
  }

  /** Several copies, each checked before the first is sent. */
  list(copies: readonly ListedCopy[]): Promise<CompletionRecord> {
    if (!Array.isArray(copies)) throw invalidArgument(`a list of copies is an array, got ${describeValue(copies)}`);
    this.#commands.checkOpen();
    for (const { destination, source, ...options } of copies) {
      if (options.signal !== undefined) this.#commands.checkNotCapturing('a command with a signal of its own');
      for (const memory of [destination, source]) if (!ArrayBuffer.isView(memory)) this.#checkOwner(memory);
      if (!(destination instanceof DeviceBuffer) && !(source instanceof DeviceBuffer)) {
        throw invalidArgument('a copy needs a device buffer on one side; between host memories use set()');
      }
      const [to, from] = [sizeOf(destination), sizeOf(source)];
      if (options.rows !== undefined) copyRows(to, from, options);
      else
        copyRange(
          to,
          from,
          source instanceof DeviceBuffer && !(destination instanceof DeviceBuffer) ? 'destination' : 'source',
          options,
        );
    }
    return total(copies.map((copy) => this.#listed(copy)));
  }

  #listed({ destination, source, ...options }: ListedCopy): Promise<CompletionRecord> {
    if (!(destination instanceof DeviceBuffer)) return this.toHost(destination, source as DeviceBuffer, options);
    if (source instanceof DeviceBuffer) return this.onDevice(destination, source, options);
    return this.toDevice(destination, source, options);
  }

  #rowsToDevice(
    destination: DeviceBuffer,
    source: HostBuffer | ArrayBufferView,
    options: UploadOptions,
  ): Promise<CompletionRecord> {
    if (options.decompress !== undefined) throw invalidArgument('a compressed source has no rows');
    const { signal } = options;
    const ranges = copyRows(destination.bytes, sizeOf(source), options);
    if (source instanceof HostBuffer || this.#commands.capture !== undefined || ranges.length < 2) {
      return total(ranges.map((range) => this.toDevice(destination, source, { ...range, signal })));
    }
    this.#commands.checkOpen();
    const [{ bytes } = { bytes: 0 }] = ranges;
    const staging = this.#pinned.allocate(bytes * ranges.length);
    const from = bytesOf(source);
    const copies = ranges.map(({ sourceOffset, destinationOffset }, row) => {
      staging.view.set(from.subarray(sourceOffset, sourceOffset + bytes), row * bytes);
      const b = destination.address + BigInt(destinationOffset);
      const command = copyCommand('COPY_HOST_TO_DEVICE', staging.iova + BigInt(row * bytes), b, bytes);
      return this.#commands.submit(command, [destination.uses], { signal });
    });
    const done = total(copies);
    this.#commands.release(done, staging.free);
    return done;
  }

  #rowsToHost(
    destination: HostBuffer | ArrayBufferView,
    source: DeviceBuffer,
    options: CopyOptions,
  ): Promise<CompletionRecord> {
    const { signal } = options;
    const ranges = copyRows(sizeOf(destination), source.bytes, options);
    if (destination instanceof HostBuffer || this.#commands.capture !== undefined || ranges.length < 2) {
      return total(ranges.map((range) => this.toHost(destination, source, { ...range, signal })));
    }
    this.#commands.checkOpen();
    const [{ bytes } = { bytes: 0 }] = ranges;
    const staging = this.#pinned.allocate(bytes * ranges.length);
    const copies = ranges.map(({ sourceOffset }, row) => {
      const a = source.address + BigInt(sourceOffset);
      const command = copyCommand('COPY_DEVICE_TO_HOST', a, staging.iova + BigInt(row * bytes), bytes);
      return this.#commands.submit(command, [source.uses], { signal });
    });
    const delivered = total(copies).then((record) => {
      this.#deliver(() => {
        for (const [row, range] of ranges.entries()) {
          deliver(staging.view.subarray(row * bytes, (row + 1) * bytes), destination, range.destinationOffset);
        }
      });
      return record;
    });
    this.#commands.release(delivered, staging.free);
    return delivered;
  }

  /** What goes wrong on the host is a failure of the stream as well. */
  #deliver(write: () => void): void {
    try {
      write();
    } catch (error) {
      if (error instanceof MtiaError) this.#commands.fail(error, this.#commands.completed);
      throw error;
    }
  }

  #rowsOnDevice(destination: DeviceBuffer, source: DeviceBuffer, options: CopyOptions): Promise<CompletionRecord> {
    const { signal } = options;
    const ranges = copyRows(destination.bytes, source.bytes, options);
    if (destination === source) checkRowsApart(ranges);
    return total(ranges.map((range) => this.onDevice(destination, source, { ...range, signal })));
  }

  /** An array in a graph is copied now; every replay uploads what it holds now. */
  #captured(
    capture: Capture,
    destination: DeviceBuffer,
    source: ArrayBufferView,
    options: CopyOptions,
  ): Promise<CompletionRecord> {
    const { bytes, sourceOffset, destinationOffset } = copyRange(destination.bytes, sizeOf(source), 'source', options);
    const device = { value: BigInt(destinationOffset), buffer: destination };
    const staging = this.#pinned.allocate(Math.max(bytes, 1));
    staging.view.set(bytesOf(source).subarray(sourceOffset, sourceOffset + bytes));
    capture.keep(() => staging.free());
    return capture.add(this.#commands, { kind: 'upload', device, iova: staging.iova, bytes });
  }

  #checkOwner(buffer: DeviceBuffer | HostBuffer): void {
    if (!(buffer instanceof OwnedBuffer)) throw noMemory(buffer, 'a buffer of the device');
    buffer.checkBelongsTo(this.#owner);
  }
}
