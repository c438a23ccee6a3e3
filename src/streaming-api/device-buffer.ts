import { MtiaError } from '../driver/index.js';
import type { DeviceAllocation, MemoryKind, StreamOrder } from '../memmgr/index.js';
import { type BufferOwner, OwnedBuffer } from './owned-buffer.js';

/**
 * A piece of the device's memory.
 *
 * ```ts
 * using buffer = await device.allocate(4096);
 * await stream.fill(buffer, 0);
 * ```
 */
export class DeviceBuffer extends OwnedBuffer {
  /** Memory that it lies in. */
  readonly memory: MemoryKind;
  readonly #allocation: DeviceAllocation;

  /** Use Device.allocate. */
  constructor(owner: BufferOwner, allocation: DeviceAllocation) {
    super(owner, 'device buffer', allocation.bytes, () => allocation.free());
    this.#allocation = allocation;
    this.memory = allocation.memory;
  }

  /** Gives the memory back when the commands that use it are done. Idempotent. */
  override free(): void {
    if (!this.freed && !this.uses.idle) this.#allocation.retire();
    super.free();
  }

  /** Gives the memory back behind what `stream` has enqueued; see Stream.free, which calls it. Idempotent. */
  freeBehind(stream: StreamOrder): void {
    if (this.freed) return;
    if (!this.uses.onlyBy(stream)) this.#allocation.retire();
    this.release(() => this.#allocation.freeBehind(stream), this.uses.onlyBy(stream));
  }

  /** In checking mode the error says who freed the buffer. */
  override checkUsable(): void {
    const freedAt = this.freed ? this.#allocation.freedAt?.() : undefined;
    if (freedAt === undefined) super.checkUsable();
    else throw new MtiaError('DEVICE_CLOSED', `the device buffer of ${this.bytes} bytes was freed\n${freedAt}`);
  }

  /** For graphs, which keep the memory of a buffer that is freed. */
  get keptAddress(): bigint {
    return this.#allocation.address;
  }

  /** Address on the device, as kernels see it: `buffer.address + 64n`. */
  get address(): bigint {
    this.checkUsable();
    return this.#allocation.address;
  }
}
