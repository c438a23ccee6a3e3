/** The emulated chip as a PciFunction. Nothing above this folder knows that a card is emulated. */
import { closeSync } from 'node:fs';
import { isMainThread } from 'node:worker_threads';
import type { PciFunction } from '../pci-function.js';
import { DebugCalls } from './debug-calls.js';
import { EmulatedDevice, type EmulatorOptions, type SharedEmulatedDevice } from './emulated-device.js';
import { EmulatedFunction } from './emulated-function.js';
import type { Holding } from './holdings-ledger.js';
import { loadLibrary, selectBinding } from './library-path.js';
import { watchWorkers } from './worker-holdings.js';

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
export { workersMayOpenCards } from './library-path.js';

/** Powers an emulated card on. */
export function openEmulator(options: EmulatorOptions): PciFunction {
  return new EmulatedFunction(EmulatedDevice.open(options));
}

/** A card that another thread has opened and shared. */
export function attachEmulator(shared: unknown): PciFunction {
  // EmulatedFunction.share made it.
  return new EmulatedFunction(EmulatedDevice.attach(shared as SharedEmulatedDevice));
}

/** As openEmulator, with the debug door of the same card beside it. */
export function openEmulatorWithDebug(options: EmulatorOptions): {
  readonly pci: PciFunction;
  readonly debug: DebugCalls;
} {
  const device = EmulatedDevice.open(options);
  return { pci: new EmulatedFunction(device), debug: new DebugCalls(device) };
}

const RELEASE: Readonly<Record<Holding['kind'], (id: bigint, bytes: number) => void>> = {
  card: (id) => loadLibrary(selectBinding()).mtia_close(id),
  descriptor: (id) => closeSync(Number(id)),
  pages: (id, bytes) => loadLibrary(selectBinding()).mtia_host_free(id, bytes),
};

// Here, because a main thread need not open a card of its own, and has to listen before its workers do.
if (isMainThread) watchWorkers(({ kind, id, bytes }) => RELEASE[kind](id, bytes));
