import type { DeviceAllocation, MemoryKind } from '../memmgr/index.js';
import { OwnedBuffer } from './owned-buffer.js';

/**
 * A piece of the device's memory.
 *
 * ```ts
 * using buffer = await device.allocate(4096);
 * await stream.fill(buffer, 0);
 * ```
 */
export class DeviceBuffer extends OwnedBuffer {
  readonly memory: MemoryKind;
  readonly #allocation: DeviceAllocation;

  /** Use Device.allocate. */
  constructor(owner: object, allocation: DeviceAllocation) {
    super(owner, 'device buffer', allocation.bytes, () => allocation.free());
    this.#allocation = allocation;
    this.memory = allocation.memory;
  }

  /** Address on the device, as kernels see it: `buffer.address + 64n`. */
  get address(): bigint {
    this.checkUsable();
    return this.#allocation.address;
  }
}
