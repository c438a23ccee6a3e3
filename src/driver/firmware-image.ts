/** A firmware bundle as the driver needs it. The reader that checks and produces one is src/firmware-emu. */
import type { Generation } from '../hw/index.js';

export interface FirmwareImage {
  /** The whole bundle, as the boot ROM reads it. */
  readonly bytes: Uint8Array;
  /** "major.minor.patch". */
  readonly version: string;
  readonly protocolVersion: number;
  readonly generations: readonly Generation[];
  /** Kernel ids by name. */
  readonly kernels: ReadonlyMap<string, number>;
}
