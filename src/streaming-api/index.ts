/** What a user imports: a device, its streams and events, memory, kernels and compiled models. */
export type { CompiledGraph, ElementType, GraphTensor, JobSummary } from '../compiler/compiled-graph.js';
export {
  type AvailableDevice,
  addDeviceProvider,
  type CompletionRecord,
  type DeviceProvider,
  deviceCount,
  enumerateDevices,
  type FaultPlace,
  type FirmwareImage,
  MATMUL_PATHS,
  type MatmulPath,
  MtiaError,
  type PciFunction,
} from '../driver/index.js';
export type { Rectangle } from '../hw/index.js';
export { ERROR_CODES, type ErrorName, type Generation } from '../hw/index.js';
export type {
  AllocationOptions,
  BlockSnapshot,
  MemoryEvent,
  MemoryFault,
  MemoryHistoryOptions,
  MemoryKind,
  MemoryPool,
  MemoryPoolAttributes,
  MemoryPoolOptions,
  MemoryReport,
  MemorySnapshot,
  MemoryStatistics,
  OutOfMemoryObserver,
  SegmentSnapshot,
  StackFrame,
} from '../memmgr/index.js';
export { CompiledModel } from './compiled-model.js';
export type { FillOptions, ListedCopy } from './copier.js';
export type { Compression, CopyOptions, UploadOptions } from './copy-range.js';
export { Device, type DeviceMemoryStatistics, type HostAllocationOptions } from './device.js';
export { DeviceBuffer } from './device-buffer.js';
export type { AttachOptions, DeviceOptions, DeviceProperties } from './device-options.js';
export type { StreamOptions } from './device-resources.js';
export { Event } from './event.js';
export { createExecutor, type Executor } from './executor/executor.js';
export type { ExecutorOptions, ExecutorStats } from './executor/executor-options.js';
export type { ExecutorResult, ExecutorRunOptions } from './executor/request.js';
export { Graph, type ReplayOptions } from './graph.js';
export { HostBuffer, type SharedHostBuffer } from './host-buffer.js';
export type { HostFunction } from './host-functions.js';
export type { Kernel } from './kernel.js';
export { type Float32Argument, f32, type LaunchArgument, type LaunchOptions } from './launch.js';
export type { MemoryCheckOptions } from './memory-checking.js';
export type { LoadOptions, RunOptions, RunResult, TensorData } from './model-types.js';
export type { SharedDevice } from './shared-device.js';
export { type CaptureStatus, Stream } from './stream.js';
export { typedArrayOf } from './tensor-data.js';
export { Timeline, type TimelineWaitOptions } from './timeline.js';
export type { TypedArray } from './typed-array.js';
