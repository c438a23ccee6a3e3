/** Every mutant by its name. */
import { CHIP_MUTANTS } from './chip.js';
import { DEVICE_MUTANTS } from './device.js';
import { DRIVER_MUTANTS } from './driver.js';
import { FIRMWARE_MUTANTS } from './firmware.js';
import { MEMORY_MUTANTS } from './memory.js';
import type { Mutant } from './mutant.js';

export type { Mutant, Subject } from './mutant.js';

/** Devices, drivers, memory managers and firmware with one defect each: the suite must find every one. */
export const MUTANTS: readonly Mutant[] = [
  ...CHIP_MUTANTS,
  ...DEVICE_MUTANTS,
  ...DRIVER_MUTANTS,
  ...MEMORY_MUTANTS,
  ...FIRMWARE_MUTANTS,
];
