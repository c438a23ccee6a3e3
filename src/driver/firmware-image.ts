/** A firmware bundle as the driver needs it. The reader that checks and produces one is src/firmware-emu. */
import type { Generation } from '../hw/index.js';

/** A firmware bundle that a reader has checked; src/firmware-emu makes one of a file. */
export interface FirmwareImage {
  /** The whole bundle, as the boot ROM reads it. */
  readonly bytes: Uint8Array;
  /** "major.minor.patch". */
  readonly version: string;
  /** Version of the host protocol that it speaks; another than the driver's is FIRMWARE_ABI_MISMATCH. */
  readonly protocolVersion: number;
  /** Chips that it runs on. */
  readonly generations: readonly Generation[];
  /** Kernel ids by name. */
  readonly kernels: ReadonlyMap<string, number>;
}
