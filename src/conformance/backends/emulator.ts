/** The emulated chip, complete. */
import { openEmulatorWithDebug } from '../../driver/index.js';
import { DebugPort } from '../../firmware-emu/index.js';
import type { Generation } from '../../hw/index.js';
import type { Backend } from '../backend.js';
import { ALL_CAPABILITIES, type Capability, without } from '../capabilities.js';

/** LPDDR of a card under test: enough for every case, and quick to fill up. */
const LPDDR_BYTES = 256 * 1024 * 1024;

/** What v1 does not have (I25 section 3.3). */
const MISSING: Readonly<Record<Generation, readonly Capability[]>> = { v1: ['broadcast', 'decompression'], '2i': [] };

export function emulatorBackend(generation: Generation): Backend {
  const missing = MISSING[generation];
  return {
    name: `emulator ${generation}`,
    generation,
    capabilities: missing.length === 0 ? ALL_CAPABILITIES : without(...missing),
    openCard: ({ threads = 1, matmulPath }) => {
      const { pci, debug } = openEmulatorWithDebug({
        generation,
        threads,
        lpddrBytes: LPDDR_BYTES,
        ...(matmulPath === undefined ? {} : { matmulPath }),
      });
      return { pci, debug: new DebugPort(debug) };
    },
  };
}
