import { closedError, invalidArgument } from '../driver/index.js';
import type { PinnedBuffer } from '../memmgr/index.js';
import type { TypedArray, TypedArrayConstructor } from './typed-array.js';
import { UseCount } from './use-count.js';

/**
 * Pinned host memory: the device copies from and to it directly, without staging.
 *
 * ```ts
 * using host = device.allocateHost(1024);
 * host.as(Float32Array).fill(1);
 * await stream.copyToDevice(buffer, host);
 * ```
 */
export class HostBuffer implements Disposable {
  readonly bytes: number;
  /** Commands that use the buffer; streams keep it. */
  readonly uses = new UseCount();
  readonly #owner: object;
  readonly #pinned: PinnedBuffer;
  #freed = false;

  /** Use Device.allocateHost. */
  constructor(owner: object, pinned: PinnedBuffer) {
    this.#owner = owner;
    this.#pinned = pinned;
    this.bytes = pinned.bytes;
  }

  /** The memory itself. Do not keep it beyond free(): the memory then belongs to the next allocation. */
  get view(): Uint8Array {
    this.#checkUsable();
    return this.#pinned.view;
  }

  /** Address as the device sees it. */
  get iova(): bigint {
    this.#checkUsable();
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

  get freed(): boolean {
    return this.#freed;
  }

  /** Whether the device that `owner` stands for can reach the buffer; streams check it. */
  belongsTo(owner: object): boolean {
    return this.#owner === owner;
  }

  /** Gives the memory back once the commands that were enqueued with this buffer are done. Idempotent. */
  free(): void {
    if (this.#freed) return;
    this.#freed = true;
    this.uses.whenIdle(() => this.#pinned.free());
  }

  [Symbol.dispose](): void {
    this.free();
  }

  #checkUsable(): void {
    if (this.#freed) throw closedError(`the host buffer of ${this.bytes} bytes`);
  }
}
