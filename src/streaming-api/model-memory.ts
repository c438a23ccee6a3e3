/** Device memory of compiled models: allocated where it is best, filled through a bounded amount of pinned memory. */
import { MtiaError } from '../driver/index.js';
import type { AllocationOptions, DeviceAllocation, MemoryKind, PinnedMemory } from '../memmgr/index.js';
import { DeviceBuffer } from './device-buffer.js';
import type { BufferOwner } from './owned-buffer.js';
import type { Stream } from './stream.js';

/** What a model needs of the device it is loaded on. */
export interface ModelHost {
  readonly owner: BufferOwner;
  readonly pinned: PinnedMemory;
  readonly defaultStream: Stream;
  allocate(bytes: number, options?: AllocationOptions): Promise<DeviceAllocation>;
}

/** Large enough to amortise a command, small enough that copying a piece does not hold the event loop up. */
const UPLOAD_BYTES = 2 * 1024 * 1024;

function isFull(error: unknown): boolean {
  return error instanceof MtiaError && error.code === 'OUT_OF_DEVICE_MEMORY';
}

/** A buffer in the wanted memory, or in LPDDR where SRAM is full. */
export async function allocateNear(host: ModelHost, bytes: number, memory: MemoryKind): Promise<DeviceBuffer> {
  try {
    return new DeviceBuffer(host.owner, await host.allocate(bytes, { memory }));
  } catch (error) {
    if (memory === 'lpddr' || !isFull(error)) throw error;
    return new DeviceBuffer(host.owner, await host.allocate(bytes, { memory: 'lpddr' }));
  }
}

/** Copies data to a buffer piece by piece; resolves when it is there. */
export async function upload(stream: Stream, destination: DeviceBuffer, data: Uint8Array): Promise<void> {
  let previous: Promise<unknown> = Promise.resolve();
  for (let offset = 0; offset < data.byteLength; offset += UPLOAD_BYTES) {
    // The capture would take the piece, and the model would never get it.
    stream.commands.checkNotCapturing('the upload of a model');
    const piece = data.subarray(offset, offset + UPLOAD_BYTES);
    const done = stream.copyToDevice(destination, piece, { destinationOffset: offset });
    // The next piece is staged while this one travels.
    await previous;
    previous = done;
  }
  await previous;
}
