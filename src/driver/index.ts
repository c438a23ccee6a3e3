/** The user-space driver: a card behind PciFunction becomes contexts, queues and promises. */
export { AbortListeners, checkSignal } from './abort-listeners.js';
export { AttachedDevice, type AttachOptions } from './attached-device.js';
export type { CardResources } from './boot.js';
export type { Card, CardProperties, CardShare, Grid } from './card.js';
export type { CardLimits } from './card-limits.js';
export { type CompletionRecord, commandName, type FirmwareQuery } from './completion.js';
export { Context, type QueueOptions } from './context.js';
export { checkDeadline, startDeadline } from './deadline.js';
export { Device, type DeviceOptions } from './device.js';
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
  workersMayOpenCards,
} from './emulator/index.js';
export { decodeError, type ErrorMessage, encodeError } from './error-message.js';
export {
  checkOptions,
  closedError,
  describePlace,
  describeValue,
  deviceError,
  type FaultPlace,
  type HartWait,
  invalidArgument,
  MtiaError,
  type MtiaErrorOptions,
} from './errors.js';
export type { FirmwareImage } from './firmware-image.js';
export { type AttachFunction, addFunctionKind } from './function-kinds.js';
export { FaultInjectingFunction, type Faults } from './functions/fault-injecting-function.js';
export { LoopbackFunction } from './functions/loopback-function.js';
export { NullFunction } from './functions/null-function.js';
export { type DeviceNotices, Notices, type ResetNotice } from './notices.js';
export {
  type DmaRights,
  type FunctionShare,
  HOST_PAGE_BYTES,
  type HostPages,
  type InterruptSubscription,
  type PciFunction,
  type RegisterWidth,
  type SharedFunction,
  type SharedHostPages,
} from './pci-function.js';
export { Queue, type SubmitOptions } from './queue.js';
export { RequestPort } from './request-port.js';
export type { Command } from './ring.js';
export type { SharedCard } from './shared-card.js';
