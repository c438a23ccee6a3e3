/** A card that moves bytes and keeps order, and computes nothing. */
import { LoopbackFunction } from '../../driver/index.js';
import type { Generation } from '../../hw/index.js';
import type { Backend } from '../backend.js';

/** A card of this process's memory without processing elements, as a backend. */
export function loopbackBackend(generation: Generation): Backend {
  return {
    name: `loopback ${generation}`,
    generation,
    capabilities: new Set(['memory', 'isolation', 'semaphores', 'queues', 'vectors', 'limits', 'workers']),
    openCard: ({ limits }) => ({ pci: new LoopbackFunction(generation, limits) }),
  };
}
