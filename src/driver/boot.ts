/** Brings a card from any state to running firmware. */
import {
  BOOT_STATUS,
  type ErrorName,
  errorNameOf,
  type Generation,
  IDENTITY,
  LIMITS,
  MEMORY_MAP,
  MEMORY_SETUP,
  PCI,
  PROTOCOL_VERSION,
  RESERVED,
  SPECIFICATIONS,
  WATCHDOG_REPORT_BYTES,
} from '../hw/index.js';
import type { CardRegisters } from './card-registers.js';
import { closedError, deviceError, MtiaError } from './errors.js';
import type { FirmwareImage } from './firmware-image.js';
import type { PciFunction } from './pci-function.js';

const BOOT_DEADLINE_MS = 10_000;
/** The first looks follow each other through the event loop without a timer: the boot ROM is quick. */
const QUICK_LOOKS = 64;

const PCI_COMMAND_OFFSET = 4;
const PCI_COMMAND_MEMORY_AND_BUS_MASTER = 0x6;

const GENERATION_BY_NUMBER: ReadonlyMap<number, Generation> = new Map(
  Object.values(SPECIFICATIONS).map(({ generation, generationNumber }) => [generationNumber.value, generation]),
);

/** Checks that the card is one of ours, and lets it answer memory accesses and use DMA. */
export function identify(pci: PciFunction, registers: CardRegisters): Generation {
  const vendor = pci.configRead(0, 2);
  if (vendor !== PCI.VENDOR_ID) {
    throw new MtiaError('INVALID_ARGUMENT', `${pci.name}: PCI vendor 0x${vendor.toString(16)} is not an MTIA card`);
  }
  pci.configWrite(PCI_COMMAND_OFFSET, 2, PCI_COMMAND_MEMORY_AND_BUS_MASTER);
  const generation = GENERATION_BY_NUMBER.get(registers.read32('GENERATION'));
  if (registers.read32('IDENTITY') !== IDENTITY || generation === undefined) {
    throw new MtiaError('DEVICE_LOST', `${pci.name} does not identify itself as an MTIA; check the card`);
  }
  return generation;
}

/** What contexts share; a card in a reduced configuration has less than its generation. */
export interface CardResources {
  /** Queue pairs, the administration queue included. */
  readonly queues: number;
  readonly interruptVectors: number;
  /** Whether a job is handed to a rectangle of processing elements at once, or to one after the other. */
  readonly broadcast: boolean;
}

/** The administration queue and one for commands. */
const LEAST_QUEUES = 2;

export function readResources(pci: PciFunction, registers: CardRegisters): CardResources {
  const queues = registers.read32('QUEUES');
  const interruptVectors = registers.read32('INTERRUPT_VECTORS');
  if (queues < LEAST_QUEUES || interruptVectors === 0) {
    throw new MtiaError(
      'DEVICE_LOST',
      `${pci.name} says that it has ${queues} queues and ${interruptVectors} interrupt vectors; a driver needs ${LEAST_QUEUES} and 1: check the card`,
    );
  }
  return {
    queues: Math.min(queues, LIMITS.QUEUES),
    interruptVectors: Math.min(interruptVectors, LIMITS.MSIX_VECTORS),
    broadcast: registers.read32('BROADCAST') !== 0,
  };
}

/** Refuses an image that this card and this driver cannot run, before anything is written. */
export function checkImage(firmware: FirmwareImage, generation: Generation): void {
  if (firmware.protocolVersion !== PROTOCOL_VERSION) throw abiMismatch(firmware.protocolVersion);
  if (!firmware.generations.includes(generation)) {
    throw new MtiaError(
      'FIRMWARE_MISMATCH',
      `firmware ${firmware.version} runs on ${firmware.generations.join(', ')}, the card is ${generation}; load another bundle`,
    );
  }
  if (firmware.bytes.byteLength > RESERVED.LPDDR_FIRMWARE_BYTES) {
    const [has, most] = [firmware.bytes.byteLength, RESERVED.LPDDR_FIRMWARE_BYTES];
    throw new MtiaError(
      'INVALID_BUNDLE',
      `firmware ${firmware.version} has ${has} bytes, a card takes ${most}; load another bundle`,
    );
  }
}

function abiMismatch(version: number): MtiaError {
  return new MtiaError(
    'FIRMWARE_ABI_MISMATCH',
    `the firmware speaks host protocol ${version}, this driver ${PROTOCOL_VERSION}; load the bundle of this package`,
  );
}

/**
 * Boots the image; returns when the control firmware is ready for commands.
 *
 * @param signal nobody waits for the card any more: DEVICE_CLOSED
 */
export async function boot(
  pci: PciFunction,
  registers: CardRegisters,
  firmware: FirmwareImage,
  memory: MemoryOptions = {},
  signal?: AbortSignal,
): Promise<void> {
  // A card that a former owner left running starts afresh.
  if (registers.read32('BOOT_STATUS') > BOOT_STATUS.ROM_READY) pci.functionReset();
  const rom = await waitForBoot(registers, [BOOT_STATUS.ROM_READY, BOOT_STATUS.FAILED], {
    complaint: 'the boot ROM does not start',
    signal,
  });
  if (rom === BOOT_STATUS.FAILED) throw bootFailure(registers, firmware);
  registers.writeMemory(MEMORY_MAP.LPDDR.base, firmware.bytes);
  registers.write64('BOOT_IMAGE_ADDRESS', MEMORY_MAP.LPDDR.base);
  registers.write64('BOOT_IMAGE_BYTES', BigInt(firmware.bytes.byteLength));
  registers.write32('BOOT_MEMORY', encodeMemorySetup(memory, Number(registers.read64('SRAM_BYTES'))));
  registers.write32('BOOT_DOORBELL', 1);
  const status = await waitForBoot(registers, [BOOT_STATUS.READY, BOOT_STATUS.FAILED], {
    complaint: 'the firmware does not start',
    signal,
  });
  if (status === BOOT_STATUS.FAILED) throw bootFailure(registers, firmware);
  const spoken = registers.read32('FIRMWARE_ABI');
  if (spoken !== PROTOCOL_VERSION) throw registers.offTheBus ? offTheBus() : abiMismatch(spoken);
}

/** How the memories of a card are set up at boot. */
export interface MemoryOptions {
  /** Whether an error-correcting code protects the LPDDR; true when absent. Without it the LPDDR is faster, and errors go unseen (I25 section 5). */
  readonly ecc?: boolean;
  /**
   * Bytes of SRAM that cache the LPDDR, a multiple of 32 MiB below the size of the SRAM; 0 when absent. The rest is scratchpad:
   * what `memory: 'sram'` allocates from (I25: LLC and LLS; I23: memory-side cache).
   */
  readonly sramCacheBytes?: number;
}

function encodeMemorySetup({ ecc = true, sramCacheBytes = 0 }: MemoryOptions, sramBytes: number): number {
  const granules = sramCacheBytes / MEMORY_SETUP.SRAM_GRANULE_BYTES;
  if (!Number.isInteger(granules) || granules < 0 || sramCacheBytes >= sramBytes) {
    throw new MtiaError(
      'INVALID_ARGUMENT',
      `sramCacheBytes is ${sramCacheBytes}; give a multiple of ${MEMORY_SETUP.SRAM_GRANULE_BYTES} below the ${sramBytes} bytes of SRAM`,
    );
  }
  return MEMORY_SETUP.ASKED | granules | (ecc ? MEMORY_SETUP.ECC : 0);
}

interface BootWait {
  readonly complaint: string;
  readonly signal: AbortSignal | undefined;
}

async function waitForBoot(
  registers: CardRegisters,
  awaited: readonly number[],
  { complaint, signal }: BootWait,
): Promise<number> {
  const start = performance.now();
  for (let look = 0; ; look++) {
    const status = registers.read32('BOOT_STATUS');
    if (awaited.includes(status)) return status;
    if (signal?.aborted === true) throw closedError('the card');
    if (registers.offTheBus) throw offTheBus();
    if (performance.now() - start > BOOT_DEADLINE_MS) {
      throw new MtiaError('DEVICE_TIMEOUT', `${complaint} (boot status ${status}); reset the card and open it again`);
    }
    await pause(look);
  }
}

function pause(look: number): Promise<void> {
  return new Promise((resolve) => {
    if (look < QUICK_LOOKS) setImmediate(resolve);
    else setTimeout(resolve, 1);
  });
}

function bootFailure(registers: CardRegisters, firmware: FirmwareImage): MtiaError {
  const code: ErrorName = errorNameOf(registers.read32('BOOT_ERROR'));
  if (code === 'FIRMWARE_PANIC') return deviceError(code, panicPlace(registers));
  const { message } = deviceError(code, {});
  return new MtiaError(code, `${message} (firmware ${firmware.version}); load another bundle`);
}

/** Where the control firmware trapped. */
export function panicPlace(registers: CardRegisters): { cause: bigint; pc: bigint; value: bigint } {
  return {
    cause: registers.read64('PANIC_CAUSE'),
    pc: registers.read64('PANIC_PC'),
    value: registers.read64('PANIC_VALUE'),
  };
}

function offTheBus(): MtiaError {
  return new MtiaError('DEVICE_LOST', 'the card has fallen off the bus (registers read all ones); open it again');
}

/** Why the device is lost; undefined while its firmware runs. */
export function diagnose(registers: CardRegisters): MtiaError | undefined {
  const status = registers.read32('BOOT_STATUS');
  if (status === BOOT_STATUS.READY) return undefined;
  if (registers.offTheBus) return offTheBus();
  if (status !== BOOT_STATUS.FAILED) {
    return new MtiaError('DEVICE_LOST', `the card was reset behind the driver (boot status ${status}); open it again`);
  }
  if (errorNameOf(registers.read32('BOOT_ERROR')) === 'WATCHDOG_EXPIRED') {
    const report = registers.readText('WATCHDOG_REPORT', WATCHDOG_REPORT_BYTES);
    const cause = new MtiaError('WATCHDOG_EXPIRED', `the control firmware made no progress: ${report}`);
    return new MtiaError('DEVICE_LOST', `the device stopped answering (${report}); open it again`, { cause });
  }
  const place = panicPlace(registers);
  return deviceError('DEVICE_LOST', place, { cause: deviceError('FIRMWARE_PANIC', place) });
}
