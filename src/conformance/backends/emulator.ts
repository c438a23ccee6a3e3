/** The emulated chip, complete or in a reduced configuration. */
import { type CardLimits, openEmulatorWithDebug, workersMayOpenCards } from '../../driver/index.js';
import { DebugPort } from '../../firmware-emu/index.js';
import type { Generation } from '../../hw/index.js';
import type { Backend } from '../backend.js';
import { type Capability, without } from '../capabilities.js';

/** LPDDR of a card under test: enough for every case, and quick to fill up. */
const LPDDR_BYTES = 256 * 1024 * 1024;

/** What v1 does not have (I25 section 3.3). */
const MISSING: Readonly<Record<Generation, readonly Capability[]>> = { v1: ['broadcast', 'decompression'], '2i': [] };

/** What MTIA_FFI=ffi-napi cannot do. */
const THREADS: readonly Capability[] = ['workers', 'executor'];

/** A card with less than its generation has. */
interface Reduction {
  readonly name: string;
  readonly limits: CardLimits;
  readonly missing: readonly Capability[];
}

function backend(generation: Generation, { name, limits, missing }: Reduction): Backend {
  return {
    name,
    generation,
    capabilities: without(...MISSING[generation], ...missing, ...(workersMayOpenCards() ? [] : THREADS)),
    openCard: ({ threads = 1, matmulPath, limits: asked }) => {
      const { pci, debug } = openEmulatorWithDebug({
        generation,
        threads,
        lpddrBytes: LPDDR_BYTES,
        limits: { ...limits, ...asked },
        ...(matmulPath === undefined ? {} : { matmulPath }),
      });
      return { pci, debug: new DebugPort(debug) };
    },
  };
}

/** The emulated chip as a backend: all of the suite runs on it. */
export function emulatorBackend(generation: Generation): Backend {
  return backend(generation, { name: `emulator ${generation}`, limits: {}, missing: [] });
}

/** Workers of an executor, and those of cases, open cards by themselves: complete ones. */
const COMPLETE_ONLY = ['executor', 'limits'] as const;

/** One queue beside the administration queue. */
export function oneQueueBackend(generation: Generation): Backend {
  const missing = ['queues', 'priorities', ...COMPLETE_ONLY] as const;
  return backend(generation, { name: `one-queue ${generation}`, limits: { queues: 2 }, missing });
}

/** One interrupt vector for every queue. */
export function oneVectorBackend(generation: Generation): Backend {
  const missing = ['vectors', ...COMPLETE_ONLY] as const;
  return backend(generation, { name: `one-vector ${generation}`, limits: { interruptVectors: 1 }, missing });
}

/** A work queue engine that takes one processing element at a time. */
export function noBroadcastBackend(generation: Generation): Backend {
  const missing = ['broadcast', ...COMPLETE_ONLY] as const;
  return backend(generation, { name: `no-broadcast ${generation}`, limits: { broadcast: false }, missing });
}
