/** The user-space driver: a card behind PciFunction becomes contexts, queues and promises. */
export { AbortListeners } from './abort-listeners.js';
export type { CardResources } from './boot.js';
export type { CardLimits } from './card-limits.js';
export { type CompletionRecord, commandName, type FirmwareQuery } from './completion.js';
export { Context, type QueueOptions } from './context.js';
export { Device, type DeviceOptions, type Grid } from './device.js';
export {
  type AvailableDevice,
  addDeviceProvider,
  availableDevice,
  type DeviceProvider,
  deviceCount,
  enumerateDevices,
} from './discovery.js';
export {
  type ChipCounters,
  CONTROL_CORE,
  type DebugCalls,
  type EmulatorOptions,
  MATMUL_PATHS,
  type MatmulPath,
  type MemoryCounters,
  MOST_INSTRUCTIONS,
  openEmulator,
  openEmulatorWithDebug,
  type PeCounters,
  type StepResult,
  type UnitCounters,
} from './emulator/index.js';
export {
  closedError,
  describePlace,
  deviceError,
  type FaultPlace,
  type HartWait,
  invalidArgument,
  MtiaError,
  type MtiaErrorOptions,
} from './errors.js';
export type { FirmwareImage } from './firmware-image.js';
export { FaultInjectingFunction, type Faults } from './functions/fault-injecting-function.js';
export { LoopbackFunction } from './functions/loopback-function.js';
export { NullFunction } from './functions/null-function.js';
export { type DeviceNotices, Notices, type ResetNotice } from './notices.js';
export {
  type DmaRights,
  HOST_PAGE_BYTES,
  type HostPages,
  type InterruptSubscription,
  type PciFunction,
  type RegisterWidth,
  type SharedHostPages,
} from './pci-function.js';
export { Queue, type SubmitOptions } from './queue.js';
export type { Command } from './ring.js';
