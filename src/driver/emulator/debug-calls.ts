/**
 * The debug door of the emulated chip, one method per mtia_debug_* call. The driver never uses it; src/firmware-emu
 * builds its DebugPort on it.
 */
import { DATA_TYPE, decodeStruct, encodeStruct, placeFields, UNIT, type UnitName } from '../../hw/index.js';
import { closedError } from '../errors.js';
import { type CLibrary, COUNTERS, MEMORY_COUNTERS, PE_COUNTERS } from './c-abi.js';
import type { EmulatedDevice } from './emulated-device.js';

/** Value of `core` that names the control core; 0..63 name PEs. */
export const CONTROL_CORE = 0xffff;

const TEXT_BYTES = 64 * 1024;
const REASON_BYTES = 256;

/** Instructions of one run call: a fraction of a second. */
export const MOST_INSTRUCTIONS = 1 << 24;

/** Types that the DPE multiplies. */
export type MatmulType = 'INT8' | 'FP16' | 'BF16';

const STOPS = ['ran', 'waits', 'stalled'] as const;

/** What came of a run in step mode. */
export interface StepResult {
  readonly executed: number;
  /** ran: as many as were asked for. waits: wfi. stalled: a unit command cannot go on yet. */
  readonly stop: (typeof STOPS)[number];
}

/** Bytes are those of PE DMAs; words are 8 bytes. */
export interface MemoryCounters {
  readonly sramReadBytes: bigint;
  readonly sramWrittenBytes: bigint;
  readonly lpddrReadBytes: bigint;
  readonly lpddrWrittenBytes: bigint;
  readonly multicastSavedBytes: bigint;
  readonly cacheHitBytes: bigint;
  readonly cacheMissedBytes: bigint;
  readonly cacheWrittenBackBytes: bigint;
  readonly eccCorrected: bigint;
  readonly eccUncorrectable: bigint;
}

/** Counters of an emulated chip since power-on. */
export interface ChipCounters {
  readonly peInstructions: bigint;
  readonly controlInstructions: bigint;
  readonly unitCommands: bigint;
  readonly dmaBytes: bigint;
  readonly matmulMultiplies: bigint;
  readonly jobs: bigint;
  /** Submission doorbells that moved a ring. */
  readonly doorbells: bigint;
  /** Submission entries fetched from host memory. */
  readonly entriesFetched: bigint;
  /** Writes of BAR0 by the host. */
  readonly postedWrites: bigint;
  /** Reads of host memory by the control core that completed. */
  readonly readCompletions: bigint;
  /** MSI-X messages sent. */
  readonly interrupts: bigint;
  /** Bytes that the DMA engine read from host memory. */
  readonly hostToDeviceBytes: bigint;
  /** Bytes that the DMA engine wrote to host memory. */
  readonly deviceToHostBytes: bigint;
  /** Bytes that came out of the decompressors. */
  readonly decompressedBytes: bigint;
}

/** What one unit of a processing element has done. */
export interface UnitCounters {
  /** Device cycles in which the unit was occupied. */
  readonly busyCycles: bigint;
  readonly commands: bigint;
}

/** Of one processing element since power-on, as of the end of its last job or slice. */
export interface PeCounters {
  readonly units: Readonly<Record<UnitName, UnitCounters>>;
  /** Device cycles in which each hart stood at a unit command. */
  readonly stallCycles: readonly bigint[];
}

function zeroTerminated(text: Uint8Array): string {
  const end = text.indexOf(0);
  return Buffer.from(text.subarray(0, end < 0 ? text.length : end)).toString('utf8');
}

/**
 * The debug door of an emulated chip: what JTAG offers on a real one. Harts must be halted where native/include/mtia.h says so.
 */
export class DebugCalls {
  readonly #device: EmulatedDevice;

  constructor(device: EmulatedDevice) {
    this.#device = device;
  }

  /** Takes what the UART has printed since the last call. */
  consoleRead(): string {
    const text = new Uint8Array(TEXT_BYTES);
    const copied = new Uint32Array(1);
    this.#call('mtia_debug_console_read', (c, h) =>
      c.mtia_debug_console_read(h, text, TEXT_BYTES, new Uint8Array(copied.buffer)),
    );
    return Buffer.from(text.subarray(0, copied[0])).toString('utf8');
  }

  /** Flips bits of an 8-byte word of LPDDR: one is corrected by ECC, two make every read of the word fail. */
  injectError(address: bigint, bits: bigint): void {
    this.#call('mtia_debug_inject_error', (c, h) => c.mtia_debug_inject_error(h, address, bits));
  }

  memoryCounters(): MemoryCounters {
    const bytes = new Uint8Array(MEMORY_COUNTERS.size);
    const view = new DataView(bytes.buffer);
    encodeStruct(MEMORY_COUNTERS, view, 0, { struct_bytes: MEMORY_COUNTERS.size });
    this.#call('mtia_debug_memory_counters', (c, h) => c.mtia_debug_memory_counters(h, bytes));
    const counters = decodeStruct(MEMORY_COUNTERS, view, 0);
    return {
      sramReadBytes: counters.sram_read_bytes,
      sramWrittenBytes: counters.sram_written_bytes,
      lpddrReadBytes: counters.lpddr_read_bytes,
      lpddrWrittenBytes: counters.lpddr_written_bytes,
      multicastSavedBytes: counters.multicast_saved_bytes,
      cacheHitBytes: counters.cache_hit_bytes,
      cacheMissedBytes: counters.cache_missed_bytes,
      cacheWrittenBackBytes: counters.cache_written_back_bytes,
      eccCorrected: counters.ecc_corrected,
      eccUncorrectable: counters.ecc_uncorrectable,
    };
  }

  halt(): void {
    this.#call('mtia_debug_halt', (c, h) => c.mtia_debug_halt(h));
  }

  resume(): void {
    this.#call('mtia_debug_resume', (c, h) => c.mtia_debug_resume(h));
  }

  registerRead(core: number, hart: number, number: number): bigint {
    const value = new BigUint64Array(1);
    this.#call('mtia_debug_register_read', (c, h) =>
      c.mtia_debug_register_read(h, core, hart, number, new Uint8Array(value.buffer)),
    );
    return value[0] ?? 0n;
  }

  registerWrite(core: number, hart: number, number: number, value: bigint): void {
    this.#call('mtia_debug_register_write', (c, h) => c.mtia_debug_register_write(h, core, hart, number, value));
  }

  memoryRead(core: number, address: bigint, bytes: number): Uint8Array {
    const data = new Uint8Array(bytes);
    this.#call('mtia_debug_memory_read', (c, h) => c.mtia_debug_memory_read(h, core, address, data, bytes));
    return data;
  }

  memoryWrite(core: number, address: bigint, data: Uint8Array): void {
    this.#call('mtia_debug_memory_write', (c, h) => c.mtia_debug_memory_write(h, core, address, data, data.byteLength));
  }

  /** Runs one hart of the halted chip for about that many instructions (at most MOST_INSTRUCTIONS). */
  run(core: number, hart: number, instructions: number): StepResult {
    const executed = new Uint32Array(1);
    const stop = new Uint32Array(1);
    this.#call('mtia_debug_run', (c, h) =>
      c.mtia_debug_run(h, core, hart, instructions, new Uint8Array(executed.buffer), new Uint8Array(stop.buffer)),
    );
    return { executed: executed[0] ?? 0, stop: STOPS[stop[0] ?? 0] ?? 'ran' };
  }

  /** What a hart waits for, as one line. */
  waitReason(core: number, hart: number): string {
    const text = new Uint8Array(REASON_BYTES);
    this.#call('mtia_debug_wait_reason', (c, h) => c.mtia_debug_wait_reason(h, core, hart, text, REASON_BYTES));
    return zeroTerminated(text);
  }

  counters(): ChipCounters {
    const bytes = new Uint8Array(COUNTERS.size);
    const view = new DataView(bytes.buffer);
    encodeStruct(COUNTERS, view, 0, { struct_bytes: COUNTERS.size });
    this.#call('mtia_debug_counters', (c, h) => c.mtia_debug_counters(h, bytes));
    const counters = decodeStruct(COUNTERS, view, 0);
    return {
      peInstructions: counters.pe_instructions,
      controlInstructions: counters.control_instructions,
      unitCommands: counters.unit_commands,
      dmaBytes: counters.dma_bytes,
      matmulMultiplies: counters.matmul_multiplies,
      jobs: counters.jobs,
      doorbells: counters.doorbells,
      entriesFetched: counters.entries_fetched,
      postedWrites: counters.posted_writes,
      readCompletions: counters.read_completions,
      interrupts: counters.interrupts,
      hostToDeviceBytes: counters.host_to_device_bytes,
      deviceToHostBytes: counters.device_to_host_bytes,
      decompressedBytes: counters.decompressed_bytes,
    };
  }

  /** Throws where there is no such PE. */
  peCounters(pe: number): PeCounters {
    const bytes = new Uint8Array(PE_COUNTERS.size);
    const view = new DataView(bytes.buffer);
    encodeStruct(PE_COUNTERS, view, 0, { struct_bytes: PE_COUNTERS.size });
    this.#call('mtia_debug_pe_counters', (c, h) => c.mtia_debug_pe_counters(h, pe, bytes));
    const offsets = new Map(placeFields(PE_COUNTERS).map((field) => [field.name, field.offset]));
    const counter = (field: string, index: number): bigint =>
      view.getBigUint64((offsets.get(field) ?? 0) + 8 * index, true);
    const unit = (name: UnitName): UnitCounters => ({
      busyCycles: counter('busy_cycles', UNIT[name]),
      commands: counter('commands', UNIT[name]),
    });
    return {
      units: { CP: unit('CP'), FI: unit('FI'), DPE: unit('DPE'), RE: unit('RE'), SE: unit('SE'), MLU: unit('MLU') },
      stallCycles: [counter('stall_cycles', 0), counter('stall_cycles', 1)],
    };
  }

  matmulPath(): string {
    const text = new Uint8Array(REASON_BYTES);
    this.#call('mtia_debug_matmul_path', (c, h) => c.mtia_debug_matmul_path(h, text, REASON_BYTES));
    return zeroTerminated(text);
  }

  /**
   * Multiplications a second of the bare instruction of the path in use, on so many host threads (1..256) together; 0 for the
   * portable path. Blocks for about 50 ms.
   */
  matmulPeak(type: MatmulType, threads: number): number {
    const rate = new BigUint64Array(1);
    const bytes = new Uint8Array(rate.buffer);
    this.#call('mtia_debug_matmul_peak', (c, h) => c.mtia_debug_matmul_peak(h, DATA_TYPE[type], threads, bytes));
    return Number(rate[0]);
  }

  #call(name: keyof CLibrary, call: (library: CLibrary, handle: bigint) => number): void {
    if (this.#device.closed) throw closedError(this.#device.name);
    this.#device.check(call(this.#device.library, this.#device.handle), name);
  }
}
