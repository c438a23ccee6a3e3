/** The memory manager: device heaps shared by contexts, a context's device memory, pinned host memory. */
export { DeviceHeaps, type MemoryKind, type MemorySizes } from './device-heaps.js';
export { type AllocationOptions, type DeviceAllocation, DeviceMemory, type PageOwner } from './device-memory.js';
export { Heap, type HeapRange, type HeapStatistics } from './heap.js';
export { type PinnedBuffer, PinnedMemory, type PinningContext, sizeClassOf } from './pinned-memory.js';
export type { MemoryStatistics } from './statistics.js';
