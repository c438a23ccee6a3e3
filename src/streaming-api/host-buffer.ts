import { invalidArgument } from '../driver/index.js';
import type { PinnedBuffer } from '../memmgr/index.js';
import { type BufferOwner, OwnedBuffer } from './owned-buffer.js';
import type { TypedArray, TypedArrayConstructor } from './typed-array.js';

/**
 * Pinned host memory: the device copies from and to it directly, without staging.
 *
 * ```ts
 * using host = device.allocateHost(1024);
 * host.as(Float32Array).fill(1);
 * await stream.copyToDevice(buffer, host);
 * ```
 */
export class HostBuffer extends OwnedBuffer {
  readonly #pinned: PinnedBuffer;

  /** Use Device.allocateHost. */
  constructor(owner: BufferOwner, pinned: PinnedBuffer) {
    super(owner, 'host buffer', pinned.bytes, () => pinned.free());
    this.#pinned = pinned;
  }

  /** The memory itself. Do not keep it beyond free(): the memory then belongs to the next allocation. */
  get view(): Uint8Array {
    this.checkUsable();
    return this.#pinned.view;
  }

  /** Address as the device sees it. */
  get iova(): bigint {
    this.checkUsable();
    return this.#pinned.iova;
  }

  /** The memory as numbers: `host.as(Float32Array)`, `host.as(BigInt64Array, 64, 8)`. */
  as<A extends TypedArray>(type: TypedArrayConstructor<A>, byteOffset = 0, length?: number): A {
    const { buffer, byteOffset: start } = this.view;
    const room = Math.floor((this.bytes - byteOffset) / type.BYTES_PER_ELEMENT);
    const elements = length ?? room;
    const fits = Number.isInteger(byteOffset) && byteOffset >= 0 && elements >= 0 && elements <= room;
    if (!fits || byteOffset % type.BYTES_PER_ELEMENT !== 0) {
      throw invalidArgument(`${elements} elements at byte ${byteOffset} are no aligned part of ${this.bytes} bytes`);
    }
    return new type(buffer, start + byteOffset, elements);
  }
}
