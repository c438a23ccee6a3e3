/** Weights on the device, of one model or of several: the last one gives them back. */
import type { CompiledGraph } from '../compiler/compiled-graph.js';
import type { DeviceBuffer } from './device-buffer.js';
import { allocateNear, type ModelHost, upload } from './model-memory.js';

export class SharedWeights {
  /** Absent where the model has none. */
  readonly buffer: DeviceBuffer | undefined;
  #users = 1;

  /** For the first model. */
  static async upload(host: ModelHost, { segments, weights }: CompiledGraph): Promise<SharedWeights> {
    const { bytes, memory } = segments.weights;
    if (bytes === 0) return new SharedWeights(undefined);
    const buffer = await allocateNear(host, bytes, memory);
    try {
      await upload(host.defaultStream, buffer, weights);
    } catch (error) {
      buffer.free();
      throw error;
    }
    return new SharedWeights(buffer);
  }

  private constructor(buffer: DeviceBuffer | undefined) {
    this.buffer = buffer;
  }

  /** One model more. */
  hold(): this {
    this.#users++;
    return this;
  }

  /** One model less. */
  release(): void {
    if (--this.#users === 0) this.buffer?.free();
  }
}
