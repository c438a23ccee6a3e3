/** The firmware that a device boots. The only file here that knows where bundles come from. */
import { type FirmwareImage, MtiaError } from '../driver/index.js';

/** Reads and checks a bundle; the one of this package when none is named. */
export async function readFirmware(
  firmware: string | Uint8Array | FirmwareImage | undefined,
  allowUnsigned: boolean,
): Promise<FirmwareImage> {
  if (typeof firmware === 'object' && !(firmware instanceof Uint8Array)) return firmware;
  throw new MtiaError('INVALID_BUNDLE', `no bundle reader yet (unsigned ${allowUnsigned ? 'allowed' : 'refused'})`);
}
