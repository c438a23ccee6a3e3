/** Copies and fills of one stream. Arrays travel through pinned memory that is taken for the command and given back after it. */
import { type Command, type CompletionRecord, invalidArgument, MtiaError } from '../driver/index.js';
import { HOST_COMMAND } from '../hw/index.js';
import type { PinnedMemory } from '../memmgr/index.js';
import type { CommandStream } from './command-stream.js';
import { type Compression, type CopyOptions, copyRange, decompressionRange, type UploadOptions } from './copy-range.js';
import type { DeviceBuffer } from './device-buffer.js';
import { HostBuffer } from './host-buffer.js';
import type { BufferOwner } from './owned-buffer.js';
import { bytesOf } from './typed-array.js';

export interface FillOptions {
  /** Bytes from the start of the buffer, a multiple of 4; 0 when absent. */
  readonly offset?: number;
  /** A multiple of 4; to the end of the buffer when absent. */
  readonly bytes?: number;
}

type CopyName = 'COPY_HOST_TO_DEVICE' | 'COPY_DEVICE_TO_HOST' | 'COPY_DEVICE_TO_DEVICE';

function copyCommand(name: CopyName, a: bigint, b: bigint, bytes: number): Command {
  return { opcode: bytes === 0 ? HOST_COMMAND.NOP : HOST_COMMAND[name], a, b, c: bytes, d: 0, deadlineUs: 0 };
}

function gunzipCommand(a: bigint, b: bigint, bytes: number, room: number): Command {
  return { opcode: HOST_COMMAND.COPY_HOST_TO_DEVICE_GUNZIP, a, b, c: bytes, d: room, deadlineUs: 0 };
}

function sizeOf(memory: HostBuffer | ArrayBufferView): number {
  return memory instanceof HostBuffer ? memory.bytes : memory.byteLength;
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
    if (options.decompress !== undefined) return this.#decompressed(destination, source, options);
    const { bytes, sourceOffset, destinationOffset } = copyRange(destination.bytes, sizeOf(source), 'source', options);
    const b = destination.address + BigInt(destinationOffset);
    if (source instanceof HostBuffer) {
      this.#checkOwner(source);
      const command = copyCommand('COPY_HOST_TO_DEVICE', source.iova + BigInt(sourceOffset), b, bytes);
      return this.#commands.submit(command, [destination.uses, source.uses]);
    }
    this.#commands.checkOpen();
    if (bytes === 0) return this.#commands.submit(copyCommand('COPY_HOST_TO_DEVICE', 0n, b, 0));
    return this.#staged(destination, source, sourceOffset, bytes, (iova) =>
      copyCommand('COPY_HOST_TO_DEVICE', iova, b, bytes),
    );
  }

  #decompressed(
    destination: DeviceBuffer,
    source: HostBuffer | ArrayBufferView,
    options: UploadOptions,
  ): Promise<CompletionRecord> {
    const { decompress } = options;
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
      return this.#commands.submit(command, [destination.uses, source.uses]);
    }
    this.#commands.checkOpen();
    if (bytes === 0) return this.#commands.submit(gunzipCommand(0n, b, 0, room), [destination.uses]);
    return this.#staged(destination, source, sourceOffset, bytes, (iova) => gunzipCommand(iova, b, bytes, room));
  }

  /** Copies the bytes to pinned memory now; the command reads them there. */
  #staged(
    destination: DeviceBuffer,
    source: ArrayBufferView,
    offset: number,
    bytes: number,
    command: (iova: bigint) => Command,
  ): Promise<CompletionRecord> {
    const staging = this.#pinned.allocate(bytes);
    staging.view.set(bytesOf(source).subarray(offset, offset + bytes));
    const done = this.#commands.submit(command(staging.iova), [destination.uses]);
    this.#commands.release(done, staging.free);
    return done;
  }

  toHost(
    destination: HostBuffer | ArrayBufferView,
    source: DeviceBuffer,
    options: CopyOptions,
  ): Promise<CompletionRecord> {
    this.#checkOwner(source);
    const { bytes, sourceOffset, destinationOffset } = copyRange(
      sizeOf(destination),
      source.bytes,
      'destination',
      options,
    );
    const a = source.address + BigInt(sourceOffset);
    if (destination instanceof HostBuffer) {
      this.#checkOwner(destination);
      const command = copyCommand('COPY_DEVICE_TO_HOST', a, destination.iova + BigInt(destinationOffset), bytes);
      return this.#commands.submit(command, [source.uses, destination.uses]);
    }
    this.#commands.checkOpen();
    if (bytes === 0) return this.#commands.submit(copyCommand('COPY_DEVICE_TO_HOST', a, 0n, 0));
    const staging = this.#pinned.allocate(bytes);
    const done = this.#commands.submit(copyCommand('COPY_DEVICE_TO_HOST', a, staging.iova, bytes), [source.uses]);
    const delivered = done.then((record) => {
      bytesOf(destination).set(staging.view, destinationOffset);
      return record;
    });
    this.#commands.release(delivered, staging.free);
    return delivered;
  }

  onDevice(destination: DeviceBuffer, source: DeviceBuffer, options: CopyOptions): Promise<CompletionRecord> {
    this.#checkOwner(destination);
    this.#checkOwner(source);
    const { bytes, sourceOffset, destinationOffset } = copyRange(destination.bytes, source.bytes, 'source', options);
    const a = source.address + BigInt(sourceOffset);
    const b = destination.address + BigInt(destinationOffset);
    const command = copyCommand('COPY_DEVICE_TO_DEVICE', a, b, bytes);
    return this.#commands.submit(command, [destination.uses, source.uses]);
  }

  fill(destination: DeviceBuffer, pattern: number, options: FillOptions): Promise<CompletionRecord> {
    this.#checkOwner(destination);
    const { offset = 0, bytes = destination.bytes - offset } = options;
    copyRange(destination.bytes, bytes, 'source', { destinationOffset: offset });
    if (offset % 4 !== 0 || bytes % 4 !== 0) {
      throw invalidArgument(`fill takes whole 32-bit words, got ${bytes} bytes at offset ${offset}`);
    }
    const b = destination.address + BigInt(offset);
    const command = { opcode: HOST_COMMAND.FILL, a: pattern >>> 0, b, c: bytes, d: 0, deadlineUs: 0 };
    return this.#commands.submit(command, [destination.uses]);
  }

  #checkOwner(buffer: DeviceBuffer | HostBuffer): void {
    buffer.checkBelongsTo(this.#owner);
  }
}
