/** What a context holds, as torch.mtia.snapshot shows it: plain numbers and text, ready for JSON. */
import type { Arena, BlockSnapshot } from './arena.js';
import type { MemoryEvent } from './memory-history.js';
import type { MemoryKind } from './memory-kind.js';

/** One segment of pages that a pool holds. Sizes are bytes. */
export interface SegmentSnapshot {
  /** Number of the device. */
  readonly device: number;
  /** Device address of its first byte. */
  readonly address: number;
  /** Size of the segment. */
  readonly total_size: number;
  /** Whole granules in live allocations. */
  readonly allocated_size: number;
  /** As allocated_size, with what is freed but may still be used by commands. */
  readonly active_size: number;
  /** Live allocations, as asked for. */
  readonly requested_size: number;
  /** Memory that it lies in. */
  readonly memory: MemoryKind;
  /** Number of the pool that holds it. */
  readonly pool: number;
  /** Its blocks, in the order of their addresses. */
  readonly blocks: readonly BlockSnapshot[];
}

/** What a device's memory holds at one moment, as torch.mtia.snapshot: plain data, ready for JSON. */
export interface MemorySnapshot {
  /** In the order of their addresses. */
  readonly segments: readonly SegmentSnapshot[];
  /** One trace, as there is one device. */
  readonly device_traces: readonly (readonly MemoryEvent[])[];
}

export function segmentSnapshot(arena: Arena, pool: number, device: number): SegmentSnapshot {
  const blocks = arena.blocks();
  const sum = (size: (block: BlockSnapshot) => number): number =>
    blocks.reduce((total, block) => total + size(block), 0);
  return {
    device,
    address: arena.address,
    total_size: arena.bytes,
    allocated_size: sum(({ state, size }) => (state === 'active_allocated' ? size : 0)),
    active_size: sum(({ state, size }) => (state === 'inactive' ? 0 : size)),
    requested_size: sum(({ requested_size }) => requested_size),
    memory: arena.memory,
    pool,
    blocks,
  };
}
