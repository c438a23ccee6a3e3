/** Which cards this host has. Providers say so: the emulator one, and whoever drives real cards another. */
import { type Generation, SPECIFICATIONS } from '../hw/index.js';
import { type EmulatorOptions, openEmulator } from './emulator/index.js';
import { invalidArgument } from './errors.js';
import type { PciFunction } from './pci-function.js';

/** A card that can be opened. */
export interface AvailableDevice {
  /** For people: which card this is. */
  readonly name: string;
  /** Which chip it is. */
  readonly generation: Generation;
  /** @param options of an emulated card; others ignore them */
  open(options: Omit<EmulatorOptions, 'generation'>): PciFunction;
}

/** Lists the cards of one kind, always in the same order. */
export type DeviceProvider = () => readonly AvailableDevice[];

/** What the host of emulated cards is to have: generations, separated by commas. */
const EMULATED_DEVICES = 'MTIA_EMULATED_DEVICES';

function isGeneration(name: string): name is Generation {
  return Object.hasOwn(SPECIFICATIONS, name);
}

const emulatedDevices: DeviceProvider = () =>
  (process.env[EMULATED_DEVICES] ?? '2i')
    .split(',')
    .map((word) => word.trim())
    .filter((word) => word !== '')
    .map((generation) => {
      if (!isGeneration(generation)) {
        throw invalidArgument(
          `${EMULATED_DEVICES} names "${generation}"; list ${Object.keys(SPECIFICATIONS).join(' and ')}, as in "2i,v1"`,
        );
      }
      return {
        name: `emulated MTIA ${generation}`,
        generation,
        open: (options) => openEmulator({ ...options, generation }),
      };
    });

const providers: DeviceProvider[] = [emulatedDevices];

/** Adds cards behind those that are known, until the returned function is called. */
export function addDeviceProvider(provider: DeviceProvider): () => void {
  providers.push(provider);
  return () => {
    const at = providers.indexOf(provider);
    if (at >= 0) providers.splice(at, 1);
  };
}

/** Every card of this host; a card's place in the list is its index. */
export function enumerateDevices(): readonly AvailableDevice[] {
  return providers.flatMap((provider) => provider());
}

/** As torch.accelerator.device_count. */
export function deviceCount(): number {
  return enumerateDevices().length;
}

/** The card at an index of enumerateDevices. */
export function availableDevice(index: number): AvailableDevice {
  const devices = enumerateDevices();
  const found = Number.isInteger(index) ? devices[index] : undefined;
  if (found !== undefined) return found;
  throw invalidArgument(`there is no device ${index}; this host has ${devices.length}, numbered from 0`);
}
