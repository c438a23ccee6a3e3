import { closedError } from '../driver/index.js';
import type { DeviceAllocation, MemoryKind } from '../memmgr/index.js';
import { UseCount } from './use-count.js';

/**
 * A piece of the device's memory.
 *
 * ```ts
 * using buffer = await device.allocate(4096);
 * await stream.fill(buffer, 0);
 * ```
 */
export class DeviceBuffer implements Disposable {
  readonly bytes: number;
  readonly memory: MemoryKind;
  /** Commands that use the buffer; streams keep it. */
  readonly uses = new UseCount();
  readonly #owner: object;
  readonly #allocation: DeviceAllocation;
  #freed = false;

  /** Use Device.allocate. */
  constructor(owner: object, allocation: DeviceAllocation) {
    this.#owner = owner;
    this.#allocation = allocation;
    this.bytes = allocation.bytes;
    this.memory = allocation.memory;
  }

  /** Address on the device, as kernels see it: `buffer.address + 64n`. */
  get address(): bigint {
    if (this.#freed) throw closedError(`the device buffer of ${this.bytes} bytes`);
    return this.#allocation.address;
  }

  get freed(): boolean {
    return this.#freed;
  }

  /** Whether the buffer lies on the device that `owner` stands for; streams check it. */
  belongsTo(owner: object): boolean {
    return this.#owner === owner;
  }

  /** Gives the memory back once the commands that were enqueued with this buffer are done. Idempotent. */
  free(): void {
    if (this.#freed) return;
    this.#freed = true;
    this.uses.whenIdle(() => this.#allocation.free());
  }

  [Symbol.dispose](): void {
    this.free();
  }
}
