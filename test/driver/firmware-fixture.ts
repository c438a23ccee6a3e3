import type { FirmwareImage } from '../../src/driver/index.js';
import { loadBundle } from '../../src/firmware-emu/index.js';

export const FIRMWARE: FirmwareImage = loadBundle();
