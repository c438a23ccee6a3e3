import { describeValue, invalidArgument, type SharedHostPages } from '../driver/index.js';
import type { PinnedBuffer } from '../memmgr/index.js';
import { type BufferOwner, OwnedBuffer } from './owned-buffer.js';
import type { TypedArray, TypedArrayConstructor } from './typed-array.js';

/** Host memory on its way to another worker. */
export interface SharedHostBuffer {
  /** Size of the buffer. */
  readonly bytes: number;
  /** The pages that it lies on. */
  readonly pages: SharedHostPages;
}

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

  /**
   * What another worker of the process needs to attach this memory: plain data for postMessage. The buffer must have been
   * allocated with `shared: true`. Attach while somebody holds the memory; from then on it lives until the last has let go.
   *
   * ```ts
   * const host = device.allocateHost(4096, { shared: true });
   * worker.postMessage(host.share());
   * // in the worker
   * const same = device.attachHost(message);
   * Atomics.add(same.as(Int32Array), 0, 1);
   * ```
   */
  share(): SharedHostBuffer {
    this.checkUsable();
    const { bytes, shared } = this.#pinned;
    if (shared === undefined) throw invalidArgument('only host memory allocated with `shared: true` can be shared');
    return { bytes, pages: shared };
  }

  /** Address as the device sees it. */
  get iova(): bigint {
    this.checkUsable();
    return this.#pinned.iova;
  }

  /** The memory as numbers: `host.as(Float32Array)`, `host.as(BigInt64Array, 64, 8)`. */
  as<A extends TypedArray>(type: TypedArrayConstructor<A>, byteOffset = 0, length?: number): A {
    const { buffer, byteOffset: start } = this.view;
    if (typeof type !== 'function' || !(type.BYTES_PER_ELEMENT > 0))
      throw invalidArgument(`expected a typed array as Float32Array, got ${describeValue(type)}`);
    const room = Math.floor((this.bytes - byteOffset) / type.BYTES_PER_ELEMENT);
    const elements = length ?? room;
    const fits =
      Number.isInteger(byteOffset) &&
      byteOffset >= 0 &&
      Number.isInteger(elements) &&
      elements >= 0 &&
      elements <= room;
    if (!fits || byteOffset % type.BYTES_PER_ELEMENT !== 0) {
      throw invalidArgument(`${elements} elements at byte ${byteOffset} are no aligned part of ${this.bytes} bytes`);
    }
    return new type(buffer, start + byteOffset, elements);
  }
}
