/** The emulated chip as a PciFunction. Nothing above this folder knows that a card is emulated. */
import { closeSync } from 'node:fs';
import { isMainThread } from 'node:worker_threads';
import type { PciFunction } from '../pci-function.js';
import { DebugCalls } from './debug-calls.js';
import { EmulatedDevice, type EmulatorOptions } from './emulated-device.js';
import { EmulatedFunction } from './emulated-function.js';
import { loadLibrary, selectBinding } from './library-path.js';
import { type Holding, watchWorkers } from './worker-holdings.js';

export { MATMUL_PATHS, type MatmulPath } from './c-abi.js';
export {
  type ChipCounters,
  CONTROL_CORE,
  type DebugCalls,
  type MemoryCounters,
  MOST_INSTRUCTIONS,
  type PeCounters,
  type StepResult,
  type UnitCounters,
} from './debug-calls.js';
export type { EmulatorOptions } from './emulated-device.js';

/** Powers an emulated card on. */
export function openEmulator(options: EmulatorOptions): PciFunction {
  return new EmulatedFunction(new EmulatedDevice(options));
}

/** As openEmulator, with the debug door of the same card beside it. */
export function openEmulatorWithDebug(options: EmulatorOptions): {
  readonly pci: PciFunction;
  readonly debug: DebugCalls;
} {
  const device = new EmulatedDevice(options);
  return { pci: new EmulatedFunction(device), debug: new DebugCalls(device) };
}

function release({ kind, id }: Holding): void {
  if (kind === 'card') loadLibrary(selectBinding()).mtia_close(id);
  else closeSync(Number(id));
}

// Here, because a main thread need not open a card of its own, and has to listen before its workers do.
if (isMainThread) watchWorkers(release);
