/** A card that accepts and completes everything: what holds here is the driver's own doing. */
import { NullFunction } from '../../driver/index.js';
import type { Generation } from '../../hw/index.js';
import type { Backend } from '../backend.js';

/** A card that completes every command and does nothing, as a backend. */
export function nullBackend(generation: Generation): Backend {
  return {
    name: `null ${generation}`,
    generation,
    capabilities: new Set(['queues', 'vectors', 'limits', 'workers']),
    openCard: ({ limits }) => ({ pci: new NullFunction(generation, limits) }),
  };
}
