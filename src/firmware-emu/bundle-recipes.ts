/** What the firmware is built from: programs, kernels and bundles, as data. Paths are relative to the package root. */
import { KERNEL_ID } from '../hw/index.js';

/** Version of everything in firmware/. */
export const FIRMWARE_VERSION = '0.1.0';

/** A program that is linked at a fixed place. */
export interface ProgramRecipe {
  readonly name: string;
  /** In the order in which they are linked: start.S first. */
  readonly sources: readonly string[];
  readonly includes: readonly string[];
  readonly linkerScript: string;
  readonly options: readonly string[];
}

const under = (folder: string, ...names: readonly string[]): string[] => names.map((name) => `${folder}/${name}`);

const COMMON = 'firmware/common';
const GENERATED = 'native/include';

export const BOOT_ROM: ProgramRecipe = {
  name: 'boot-rom',
  sources: [
    ...under('firmware/boot-rom', 'start.S', 'main.c'),
    ...under(COMMON, 'bundle.c', 'bytes.c', 'console.c', 'elf_image.c', 'sha256.c'),
  ],
  includes: [COMMON, GENERATED],
  linkerScript: 'firmware/linker/boot-rom.ld',
  options: ['-O2'],
};

const CONTROL_SOURCES = [
  'start.S',
  'guarded_loads.S',
  'main.c',
  'aborts.c',
  'chip.c',
  'commands.c',
  'context_memory.c',
  'contexts.c',
  'copies.c',
  'device_time.c',
  'failures.c',
  'graphs.c',
  'host_structure.c',
  'jobs.c',
  'kernels.c',
  'launches.c',
  'page_owners.c',
  'queues.c',
  'semaphores.c',
  'timers.c',
];

export const CONTROL_FIRMWARE: ProgramRecipe = {
  name: 'control-firmware',
  sources: [
    ...under('firmware/control', ...CONTROL_SOURCES),
    ...under(COMMON, 'bundle.c', 'bytes.c', 'console.c', 'elf_image.c', 'sha256.c'),
  ],
  includes: ['firmware/control', COMMON, GENERATED],
  linkerScript: 'firmware/linker/control.ld',
  options: ['-O2'],
};

export const PE_MONITOR: ProgramRecipe = {
  name: 'pe-monitor',
  sources: under('firmware/pe-monitor', 'start.S', 'monitor.c'),
  includes: [COMMON, 'firmware/include', GENERATED],
  linkerScript: 'firmware/linker/pe-monitor.ld',
  options: ['-O2'],
};

export interface KernelRecipe {
  readonly name: string;
  readonly id: number;
  readonly source: string;
  readonly options?: readonly string[];
}

/** Include folders and linker script of every kernel. */
export const KERNEL_INCLUDES: readonly string[] = ['firmware/include', 'firmware', GENERATED];
export const KERNEL_LINKER_SCRIPT = 'firmware/linker/kernel.ld';

export const KERNELS: readonly KernelRecipe[] = [
  { name: 'NULL', id: KERNEL_ID.NULL, source: 'firmware/kernels/null.c' },
  {
    name: 'FULLY_CONNECTED',
    id: KERNEL_ID.FULLY_CONNECTED,
    source: 'firmware/kernels/fully_connected.c',
    // Its own loops for one and two blocks of columns: 4 to 8 % fewer instructions.
    options: ['-O3'],
  },
  { name: 'EMBEDDING_BAG', id: KERNEL_ID.EMBEDDING_BAG, source: 'firmware/kernels/embedding_bag.c' },
  { name: 'INTERACTION', id: KERNEL_ID.INTERACTION, source: 'firmware/kernels/interaction.c' },
  { name: 'CONVERT', id: KERNEL_ID.CONVERT, source: 'firmware/kernels/convert.c' },
  { name: 'UNARY', id: KERNEL_ID.UNARY, source: 'firmware/kernels/unary.c' },
  { name: 'COPY', id: KERNEL_ID.COPY, source: 'firmware/kernels/copy.c' },
  { name: 'QUANTIZE', id: KERNEL_ID.QUANTIZE, source: 'firmware/kernels/quantize.c' },
];

/** Kernels outside the library, by name; ids stay what they are, because tests and benchmarks use them. */
export const EXTERNAL_KERNEL_ID = {
  SCALAR_MIX: KERNEL_ID.FIRST_EXTERNAL,
  OUT_OF_BOUNDS: KERNEL_ID.FIRST_EXTERNAL + 1,
  DMA_OUT_OF_BOUNDS: KERNEL_ID.FIRST_EXTERNAL + 2,
  BAD_GRID: KERNEL_ID.FIRST_EXTERNAL + 3,
  RETURN_VALUE: KERNEL_ID.FIRST_EXTERNAL + 4,
  ENDLESS: KERNEL_ID.FIRST_EXTERNAL + 5,
  DEADLOCK: KERNEL_ID.FIRST_EXTERNAL + 6,
  ILLEGAL_COMMAND: KERNEL_ID.FIRST_EXTERNAL + 7,
  ILLEGAL_INSTRUCTION: KERNEL_ID.FIRST_EXTERNAL + 8,
  MISALIGNED: KERNEL_ID.FIRST_EXTERNAL + 9,
  STACK_OVERFLOW: KERNEL_ID.FIRST_EXTERNAL + 10,
  ONE_PE_FAILS: KERNEL_ID.FIRST_EXTERNAL + 11,
  RECORD: KERNEL_ID.FIRST_EXTERNAL + 12,
  ADD_ONE: KERNEL_ID.FIRST_EXTERNAL + 13,
  REDUCTION_CHAIN: KERNEL_ID.FIRST_EXTERNAL + 14,
  ACROSS_PES: KERNEL_ID.FIRST_EXTERNAL + 15,
  HOLD: KERNEL_ID.FIRST_EXTERNAL + 16,
  GEMM_CONTEXTS: KERNEL_ID.FIRST_EXTERNAL + 17,
  OPERAND_FORMS: KERNEL_ID.FIRST_EXTERNAL + 18,
  LOCAL_MEMORY: KERNEL_ID.FIRST_EXTERNAL + 19,
  BATCHED_MATRICES: KERNEL_ID.FIRST_EXTERNAL + 32,
  TABLE_BATCHED_EMBEDDING: KERNEL_ID.FIRST_EXTERNAL + 33,
} as const;
/** Name of a kernel that is no part of the library: of tests and benchmarks. */
export type ExternalKernelName = keyof typeof EXTERNAL_KERNEL_ID;

function external(name: ExternalKernelName, folder: string): KernelRecipe {
  return { name, id: EXTERNAL_KERNEL_ID[name], source: `firmware/${folder}/${name.toLowerCase()}.c` };
}

const BENCHMARK_KERNELS: readonly KernelRecipe[] = (
  ['SCALAR_MIX', 'BATCHED_MATRICES', 'TABLE_BATCHED_EMBEDDING'] as const
).map((name) => external(name, 'benchmark-kernels'));

const TEST_KERNELS: readonly KernelRecipe[] = (Object.keys(EXTERNAL_KERNEL_ID) as ExternalKernelName[])
  .filter((name) => !BENCHMARK_KERNELS.some((kernel) => kernel.name === name))
  .map((name) => external(name, 'test-kernels'));

export interface BundleRecipe {
  readonly path: string;
  readonly description: string;
  /** Options on top of the recipe's own. */
  readonly controlOptions?: readonly string[];
  readonly kernels: readonly KernelRecipe[];
}

const BUNDLES_FOLDER = 'firmware/bundle';

/** The bundle that a device gets where none is named. */
export const DEFAULT_BUNDLE = `${BUNDLES_FOLDER}/mtia.bundle`;
/** With the kernels of `mtia bench harts` and `mtia bench fidelity`. */
export const BENCHMARK_BUNDLE = `${BUNDLES_FOLDER}/benchmark.bundle`;
/** The library and the kernels of the firmware tests. */
export const TEST_KERNELS_BUNDLE = `${BUNDLES_FOLDER}/test/test-kernels.bundle`;
/** A firmware that lacks an optional command. */
export const WITHOUT_GRAPH_LAUNCH_BUNDLE = `${BUNDLES_FOLDER}/test/without-graph-launch.bundle`;
/** A firmware with a defect, for tests of the suite: FULLY_CONNECTED forgets its bias. */
export const DROP_BIAS_BUNDLE = `${BUNDLES_FOLDER}/test/drop-bias.bundle`;
/** A firmware that reads host memory from the control core, as the one of the fleet's published deadlock did (I25 5.5). */
export const READS_HOST_MEMORY_BUNDLE = `${BUNDLES_FOLDER}/test/reads-host-memory.bundle`;

const WITHOUT_BIAS: readonly string[] = ['-DMTIA_TEST_DROP_BIAS'];

/** The bundles of this package: what each is built from. */
export const BUNDLES: readonly BundleRecipe[] = [
  { path: DEFAULT_BUNDLE, description: 'firmware and kernel library', kernels: KERNELS },
  {
    path: BENCHMARK_BUNDLE,
    description: 'with the kernels of `mtia bench harts` and `mtia bench fidelity`',
    kernels: [...KERNELS, ...BENCHMARK_KERNELS],
  },
  {
    path: TEST_KERNELS_BUNDLE,
    description: 'for tests: with kernels that fail in every way',
    kernels: [...KERNELS, ...TEST_KERNELS],
  },
  {
    path: WITHOUT_GRAPH_LAUNCH_BUNDLE,
    description: 'for tests: does not implement GRAPH_LAUNCH',
    controlOptions: ['-DMTIA_FEATURE_GRAPH_LAUNCH=0'],
    kernels: KERNELS,
  },
  {
    path: READS_HOST_MEMORY_BUNDLE,
    description: 'for tests: a defect, the control core reads host memory and waits for it',
    controlOptions: ['-DMTIA_TEST_READS_HOST_MEMORY=1', '-DMTIA_WATCHDOG_NS=200000000ull'],
    kernels: KERNELS.filter((kernel) => kernel.name === 'NULL'),
  },
  {
    path: DROP_BIAS_BUNDLE,
    description: 'for tests: a defect, FULLY_CONNECTED forgets the bias',
    kernels: KERNELS.map((kernel) =>
      kernel.name === 'FULLY_CONNECTED' ? { ...kernel, options: [...(kernel.options ?? []), ...WITHOUT_BIAS] } : kernel,
    ),
  },
];

/** C header that native/ compiles the boot ROM from. */
export const BOOT_ROM_HEADER = 'native/src/generated/boot_rom.h';

export const SIGNING_KEY = 'firmware/keys/development.pem';
