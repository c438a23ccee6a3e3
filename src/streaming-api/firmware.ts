/** The firmware that a device boots. The only file here that knows where bundles come from. */
import type { FirmwareImage } from '../driver/index.js';
import { loadBundle, readBundle } from '../firmware-emu/index.js';

/** Reads and checks a bundle; the one of this package when none is named. */
export function readFirmware(
  firmware: string | Uint8Array | FirmwareImage | undefined,
  allowUnsigned: boolean,
): FirmwareImage {
  if (firmware instanceof Uint8Array) return readBundle(firmware, { allowUnsigned });
  return typeof firmware === 'object' ? firmware : loadBundle(firmware, { allowUnsigned });
}
