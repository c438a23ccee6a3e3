/** The memory manager: device heaps shared by contexts, a context's device memory and its pools, pinned host memory. */
export type { BlockSnapshot, BlockState } from './arena.js';
export { DeviceHeaps, type MemorySizes, type PageSource } from './device-heaps.js';
export {
  type AllocationOptions,
  DeviceMemory,
  type DeviceMemoryOptions,
  type OutOfMemoryObserver,
  type PageOwner,
} from './device-memory.js';
export { Heap, type HeapRange, type HeapStatistics } from './heap.js';
export { HeapOccupancy, type Occupancy } from './heap-occupancy.js';
export { type MemoryAccess, MemoryChecker, type MemoryFault, type MemoryReport } from './memory-checker.js';
export type { MemoryAction, MemoryEvent, MemoryHistoryOptions } from './memory-history.js';
export type { MemoryKind } from './memory-kind.js';
export { type DeviceAllocation, MemoryPool, type MemoryPoolAttributes, type MemoryPoolOptions } from './memory-pool.js';
export { type PinnedBuffer, PinnedMemory, type PinningContext, sizeClassOf } from './pinned-memory.js';
export { BorrowedHeaps, HeapLender, type SharedHeaps } from './shared-heaps.js';
export type { MemorySnapshot, SegmentSnapshot } from './snapshot.js';
export { type StackFrame, StackRecord } from './stack.js';
export type { MemoryStatistics } from './statistics.js';
export type { StreamOrder } from './stream-order.js';
