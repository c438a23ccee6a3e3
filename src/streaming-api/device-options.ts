/** What Device.open takes, and what a device says about itself. */
import type { Logger } from 'pino';
import {
  checkDeadline,
  type FirmwareImage,
  type Grid,
  invalidArgument,
  type MatmulPath,
  type PciFunction,
} from '../driver/index.js';
import type { Generation } from '../hw/index.js';
import type { Compression } from './copy-range.js';
import type { MemoryCheckOptions } from './memory-checking.js';

/** Which card Device.open opens, with which firmware, and how. */
export interface DeviceOptions {
  /** Number of the card in enumerateDevices(), from 0; the first one when absent. INVALID_ARGUMENT where there is none. */
  readonly index?: number;
  /** Emulates a card of this generation, 'v1' or '2i'; with `index`, the generation that the card must be of (INVALID_ARGUMENT). */
  readonly generation?: Generation;
  /**
   * A bundle file, its bytes, or an image that was read already; the bundle of this package when absent. INVALID_BUNDLE,
   * BAD_SIGNATURE, FIRMWARE_MISMATCH or FIRMWARE_ABI_MISMATCH where the card cannot boot it.
   */
  readonly firmware?: string | Uint8Array | FirmwareImage;
  /** Takes a bundle without a valid signature, for firmware under development; false when absent. */
  readonly allowUnsignedFirmware?: boolean;
  /** Host threads that execute the processing elements of an emulated card, 1 to 1024; the number of processors when absent. */
  readonly threads?: number;
  /**
   * What is added to the nice value of the threads of an emulated card's processing elements, 0 to 19; 0 when absent. Above 0
   * the event loop has the processors first where there are too few for both. INVALID_ARGUMENT outside.
   */
  readonly niceness?: number;
  /**
   * Instructions with which the host computes what the units of an emulated card compute; what MTIA_MATMUL names when
   * absent, and the fastest that this host has when that is not set. Results are the same bit by bit.
   * CHIP_MATMUL_PATH where the host lacks them.
   */
  readonly matmulPath?: MatmulPath;
  /** Where events are logged; nowhere when absent. */
  readonly logger?: Logger;
  /**
   * Finds writes outside of allocations and to freed memory, and copies out of memory that nobody has written, at the price
   * of time and memory; false when absent. docs/memory-checking.md has more.
   */
  readonly checkMemory?: boolean | MemoryCheckOptions;
  /** The card to drive; an emulated one when absent. The device takes it over and closes it. */
  readonly pci?: PciFunction;
  /**
   * Milliseconds that a command may take beyond its own deadline before the device counts as not answering; 30,000 when
   * absent. The command then fails with DEVICE_TIMEOUT.
   */
  readonly deadlineMs?: number;
  /** Protects the LPDDR by an error-correcting code; true when absent. Off, it is faster and errors reach the results. */
  readonly ecc?: boolean;
  /**
   * Bytes of SRAM that cache the LPDDR, a multiple of 32 MiB below its size (else INVALID_ARGUMENT); 0 when absent: all of it
   * can be allocated.
   */
  readonly sramCacheBytes?: number;
}

/** For programs that no compiler has checked. Throws INVALID_ARGUMENT; the card and the loader judge the rest. */
export function checkDeviceOptions(options: DeviceOptions): void {
  if (typeof options !== 'object' || options === null) {
    throw invalidArgument(`Device.open takes an object of options, got ${options}`);
  }
  const { deadlineMs, pci, logger } = options;
  if (deadlineMs !== undefined) checkDeadline(deadlineMs);
  if (pci !== undefined && typeof pci.barRead !== 'function') {
    throw invalidArgument('pci is no PciFunction; give a card that implements all of it');
  }
  if (logger !== undefined && typeof logger.child !== 'function') {
    throw invalidArgument('logger is no logger of pino; give what pino() gives');
  }
}

/** What a thread attaches a device with that another thread has opened. */
export interface AttachOptions {
  /** Where events of this thread are logged; nowhere when absent. */
  readonly logger?: Logger;
  /** As DeviceOptions.checkMemory, for the memory of this thread. */
  readonly checkMemory?: DeviceOptions['checkMemory'];
}

/** What a card is: Device.properties. */
export interface DeviceProperties {
  /** "emulated MTIA 2i" or what else the card calls itself. */
  readonly name: string;
  /** Which chip it is. */
  readonly generation: Generation;
  /** As torch.mtia.get_device_capability: v1 is [1, 0], 2i is [2, 0]. */
  readonly capability: readonly [major: number, minor: number];
  /** Processing elements. */
  readonly grid: Grid;
  /** Bytes of LPDDR. */
  readonly totalMemory: number;
  /** Bytes of on-chip SRAM. */
  readonly sramBytes: number;
  /** Streams at once, the default stream included. */
  readonly streams: number;
  /** MSI-X vectors that the card has. */
  readonly interruptVectors: number;
  /** Whether a job is handed to a rectangle of processing elements at once, or to one after the other (v1). */
  readonly broadcast: boolean;
  /** "major.minor.patch" of the control firmware that runs. */
  readonly firmwareVersion: string;
  /** What Stream.copyToDevice can decompress on the card; nothing on v1. */
  readonly decompression: readonly Compression[];
  /** Names of the kernels that the firmware bundle holds. */
  readonly kernels: readonly string[];
}
