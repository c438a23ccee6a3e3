/** native/include/mtia.h as data: every binding is made from this one table. */
import { defineStruct } from '../../hw/index.js';

/**
 * u32, i32 and u64 are values; an `address` is a native address (device handle, host memory); a `buffer` is JavaScript
 * memory that C reads or writes during the call and never keeps.
 */
export type CType = 'u32' | 'i32' | 'u64' | 'address' | 'buffer';

export interface CSignature {
  readonly result: 'i32' | 'u32';
  readonly parameters: readonly CType[];
}

/** Version of mtia.h that this table describes. */
export const C_ABI_VERSION = 2;

export const C_FUNCTIONS = {
  mtia_c_abi_version: { result: 'u32', parameters: [] },
  mtia_matmul_paths: { result: 'u32', parameters: [] },
  mtia_open: { result: 'i32', parameters: ['buffer', 'buffer'] },
  mtia_close: { result: 'i32', parameters: ['address'] },
  mtia_pci_config_read: { result: 'i32', parameters: ['address', 'u32', 'u32', 'buffer'] },
  mtia_pci_config_write: { result: 'i32', parameters: ['address', 'u32', 'u32', 'u32'] },
  mtia_pci_bar_read: { result: 'i32', parameters: ['address', 'u32', 'u64', 'u32', 'buffer'] },
  mtia_pci_bar_write: { result: 'i32', parameters: ['address', 'u32', 'u64', 'u32', 'u64'] },
  mtia_pci_bar_read_block: { result: 'i32', parameters: ['address', 'u32', 'u64', 'buffer', 'u64'] },
  mtia_pci_bar_write_block: { result: 'i32', parameters: ['address', 'u32', 'u64', 'buffer', 'u64'] },
  mtia_pci_dma_map: { result: 'i32', parameters: ['address', 'u32', 'u64', 'address', 'u64', 'u32'] },
  mtia_pci_dma_unmap: { result: 'i32', parameters: ['address', 'u32', 'u64', 'u64'] },
  mtia_pci_interrupt_fd: { result: 'i32', parameters: ['address', 'u32', 'buffer'] },
  mtia_pci_function_reset: { result: 'i32', parameters: ['address'] },
  mtia_host_allocate: { result: 'i32', parameters: ['u64', 'buffer'] },
  mtia_host_free: { result: 'i32', parameters: ['address', 'u64'] },
  mtia_debug_console_read: { result: 'i32', parameters: ['address', 'buffer', 'u32', 'buffer'] },
  mtia_debug_inject_error: { result: 'i32', parameters: ['address', 'u64', 'u64'] },
  mtia_debug_memory_counters: { result: 'i32', parameters: ['address', 'buffer'] },
  mtia_debug_halt: { result: 'i32', parameters: ['address'] },
  mtia_debug_resume: { result: 'i32', parameters: ['address'] },
  mtia_debug_register_read: { result: 'i32', parameters: ['address', 'u32', 'u32', 'u32', 'buffer'] },
  mtia_debug_register_write: { result: 'i32', parameters: ['address', 'u32', 'u32', 'u32', 'u64'] },
  mtia_debug_memory_read: { result: 'i32', parameters: ['address', 'u32', 'u64', 'buffer', 'u64'] },
  mtia_debug_memory_write: { result: 'i32', parameters: ['address', 'u32', 'u64', 'buffer', 'u64'] },
  mtia_debug_run: { result: 'i32', parameters: ['address', 'u32', 'u32', 'u32', 'buffer', 'buffer'] },
  mtia_debug_wait_reason: { result: 'i32', parameters: ['address', 'u32', 'u32', 'buffer', 'u32'] },
  mtia_debug_counters: { result: 'i32', parameters: ['address', 'buffer'] },
  mtia_debug_matmul_peak: { result: 'i32', parameters: ['address', 'u32', 'u32', 'buffer'] },
  mtia_debug_pe_counters: { result: 'i32', parameters: ['address', 'u32', 'buffer'] },
  mtia_debug_matmul_path: { result: 'i32', parameters: ['address', 'buffer', 'u32'] },
} as const satisfies Readonly<Record<string, CSignature>>;

export type CFunctionName = keyof typeof C_FUNCTIONS;

interface JavaScriptType {
  readonly u32: number;
  readonly i32: number;
  readonly u64: bigint | number;
  readonly address: bigint;
  readonly buffer: Uint8Array;
}

type Arguments<P extends readonly CType[]> = { -readonly [K in keyof P]: JavaScriptType[P[K]] };

/** The library as typed functions. */
export type CLibrary = {
  readonly [N in CFunctionName]: (...args: Arguments<(typeof C_FUNCTIONS)[N]['parameters']>) => number;
};

export const OPEN_PARAMETERS = defineStruct('mtia_open_parameters', 40, 'Argument of mtia_open.', [
  { name: 'struct_bytes', type: 'u32', doc: 'size of this structure' },
  { name: 'generation', type: 'u32', doc: '1 = v1, 2 = 2i' },
  { name: 'lpddr_bytes', type: 'u64', doc: '0 = as specified' },
  { name: 'pe_threads', type: 'u32', doc: '0 = number of host processors' },
  { name: 'matmul_path', type: 'u32', doc: 'see MATMUL_PATH' },
  { name: 'queues', type: 'u32', doc: 'the administration queue included; 0 = as specified' },
  { name: 'interrupt_vectors', type: 'u32', doc: '0 = as specified' },
  { name: 'without_broadcast', type: 'u32', doc: '1 = the work queue engine takes one PE at a time' },
  { name: 'pe_niceness', type: 'u32', doc: '0 to 19: added to the nice value that the threads of PEs inherit' },
]);

export const MEMORY_COUNTERS = defineStruct('mtia_memory_counters', 88, 'Counters of the memories since power-on.', [
  { name: 'struct_bytes', type: 'u32', doc: 'size of this structure' },
  { name: 'reserved', type: 'u32', doc: 'zero' },
  { name: 'sram_read_bytes', type: 'u64', doc: 'bytes that SRAM delivered to PEs' },
  { name: 'sram_written_bytes', type: 'u64', doc: 'bytes that PEs put into SRAM' },
  { name: 'lpddr_read_bytes', type: 'u64', doc: 'bytes that LPDDR delivered to PEs' },
  { name: 'lpddr_written_bytes', type: 'u64', doc: 'bytes that PEs put into LPDDR' },
  {
    name: 'multicast_saved_bytes',
    type: 'u64',
    doc: 'bytes that were read once for a group instead of by each member',
  },
  { name: 'cache_hit_bytes', type: 'u64', doc: 'bytes of LPDDR that the SRAM cache served' },
  { name: 'cache_missed_bytes', type: 'u64', doc: 'bytes that had to come from LPDDR into the SRAM cache' },
  { name: 'cache_written_back_bytes', type: 'u64', doc: 'dirty bytes that left the SRAM cache' },
  { name: 'ecc_corrected', type: 'u64', doc: 'words of LPDDR whose flipped bit was corrected' },
  { name: 'ecc_uncorrectable', type: 'u64', doc: 'reads that met more flipped bits than the code corrects' },
]);

/** Instructions of the host that the units' arithmetic is computed with. */
export const MATMUL_PATH = { fastest: 0, portable: 1, avx512: 2, avx2: 3, amx: 4, neon: 5 } as const;
/** One of MATMUL_PATHS; every path gives the same bits. */
export type MatmulPath = keyof typeof MATMUL_PATH;
/** Names of the paths that the units' arithmetic can be computed with. */
export const MATMUL_PATHS = Object.keys(MATMUL_PATH) as readonly MatmulPath[];

export const COUNTERS = defineStruct('mtia_counters', 120, 'Counters since power-on.', [
  { name: 'struct_bytes', type: 'u32', doc: 'size of this structure' },
  { name: 'reserved', type: 'u32', doc: 'zero' },
  { name: 'pe_instructions', type: 'u64', doc: 'instructions retired by PE harts' },
  { name: 'control_instructions', type: 'u64', doc: 'instructions retired by control harts' },
  { name: 'unit_commands', type: 'u64', doc: 'unit commands executed' },
  { name: 'dma_bytes', type: 'u64', doc: 'bytes moved by DMA' },
  { name: 'matmul_multiplies', type: 'u64', doc: 'multiplications of the DPEs' },
  { name: 'jobs', type: 'u64', doc: 'PE jobs' },
  { name: 'doorbells', type: 'u64', doc: 'submission doorbells that moved a ring' },
  { name: 'entries_fetched', type: 'u64', doc: 'submission entries fetched from host memory' },
  { name: 'posted_writes', type: 'u64', doc: 'writes of BAR0 by the host' },
  { name: 'read_completions', type: 'u64', doc: 'reads of host memory by the control core that completed' },
  { name: 'interrupts', type: 'u64', doc: 'MSI-X messages sent' },
  { name: 'host_to_device_bytes', type: 'u64', doc: 'bytes that the DMA engine read from host memory' },
  { name: 'device_to_host_bytes', type: 'u64', doc: 'bytes that the DMA engine wrote to host memory' },
  { name: 'decompressed_bytes', type: 'u64', doc: 'bytes that came out of the decompressors' },
]);

export const PE_COUNTERS = defineStruct('mtia_pe_counters', 120, 'Units of one PE since power-on.', [
  { name: 'struct_bytes', type: 'u32', doc: 'size of this structure' },
  { name: 'reserved', type: 'u32', doc: 'zero' },
  { name: 'busy_cycles', type: 'u64', count: 6, doc: 'device cycles in which a unit (see UNIT) was occupied' },
  { name: 'commands', type: 'u64', count: 6, doc: 'commands that a unit has done' },
  { name: 'stall_cycles', type: 'u64', count: 2, doc: 'device cycles in which a hart stood at a unit command' },
]);

/** A way to call C: what koffi and ffi-napi each provide. */
export interface ForeignBinding {
  readonly name: string;
  load(path: string): CLibrary;
  /** JavaScript's view of native memory. Make one per region: the garbage collector counts each as external memory. */
  viewMemory(address: bigint, bytes: number): Uint8Array;
  /** Calls the listener whenever the eventfd is raised, after consuming its count. Starts unreferenced. */
  watchEventDescriptor(descriptor: number, listener: () => void): EventDescriptorWatch;
}

export interface EventDescriptorWatch {
  ref(): void;
  unref(): void;
  close(): void;
}
