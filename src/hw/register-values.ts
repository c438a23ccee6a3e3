/** Limits of the chip, and what the fields of its registers may hold. Not published for MTIA; this project's design. */

/** Limits that size the register blocks. */
export const LIMITS = {
  /** Submission/completion queue pairs at most (BAR0.QUEUES); queue 0 is the driver's administration queue. */
  QUEUES: 32,
  /** Contexts (PCI process address space identifiers) 1..31; 0 is the driver itself. */
  CONTEXTS: 32,
  /** Entries of one queue at most; sizes are powers of two. */
  QUEUE_ENTRIES: 256,
  /** Priorities of queues, 0..3: the highest is served first. */
  QUEUE_PRIORITIES: 4,
  /** At most (BAR0.INTERRUPT_VECTORS). */
  MSIX_VECTORS: 32,
  JOB_SLOTS: 64,
  DMA_CHANNELS: 4,
  CIRCULAR_BUFFERS: 32,
  ACCUMULATORS: 4,
  SEMAPHORES: 16,
  /** Semaphores 0..13 belong to kernels, the others to the PE monitor. */
  KERNEL_SEMAPHORES: 14,
  COMMAND_REGISTERS: 32,
  /** Blocks along k of one MML. Assumed. */
  MML_BLOCKS: 64,
  /** Rows of one command of the SIMD engine (I25 section 3.3: of SE_ROW_ACCUMULATE on 2i). */
  SE_ROWS: 128,
  SE_TABLES: 8,
  SE_TABLE_BYTES: 4096,
  /** Commands that one hart may have waiting in the command processor. */
  PENDING_COMMANDS: 32,
  REDUCTION_LINKS: 2,
  /** Blocks that a link of the reduction network holds until the neighbour takes them. Assumed: not published. */
  REDUCTION_BLOCKS: 2,
} as const;

/** Identity and windows of the PCI function. */
export const PCI = {
  VENDOR_ID: 0x1d9b,
  DEVICE_ID_V1: 0x0100,
  DEVICE_ID_2I: 0x0200,
  CLASS_CODE: 0x120000,
  BAR0_BYTES: 256 * 1024,
  /** BAR2 is a window on device memory; its position is BAR0.WINDOW_BASE. */
  BAR2_BYTES: 64 * 1024 * 1024,
  QUEUE_PAGE_OFFSET: 0x10000,
  QUEUE_PAGE_BYTES: 0x1000,
} as const;

/** BAR0.BOOT_STATUS: how far the control core has come. */
export const BOOT_STATUS = { RESET: 0, ROM_READY: 1, LOADING: 2, READY: 3, FAILED: 4 } as const;

/** BAR0.IDENTITY: ASCII "MTIA", little endian. */
export const IDENTITY = 0x4149544d;

/** BAR0.WATCHDOG_REPORT. */
export const WATCHDOG_REPORT_BYTES = 256;

/** Bits of INTERRUPT_CONTROLLER.PENDING. */
export const INTERRUPT_SOURCE = {
  MAILBOX: 0,
  SUBMISSION: 1,
  MEMORY_COPY_DONE: 2,
  JOB_DONE: 3,
  QUEUE_CHANGED: 4,
} as const;

/** What a DMA engine does: values of its KIND register. */
export const DMA_KIND = {
  HOST_TO_DEVICE: 1,
  DEVICE_TO_HOST: 2,
  DEVICE_TO_DEVICE: 3,
  FILL32: 4,
  /** BYTES of a gzip stream in host memory (RFC 1952, one member or several) become at most DESTINATION_BYTES. */
  HOST_TO_DEVICE_GUNZIP: 5,
} as const;
/** How a read of host memory by the control core ended. */
export const HOST_READ_STATUS = { IDLE: 0, BUSY: 1, DONE: 2, FAULT: 3 } as const;
/** WORK_QUEUE_ENGINE.HART_AT: code of the unit command that the hart stands at, or one of these. */
export const HART_AT = { RUNS: 0xff, WAITS_FOR_INTERRUPT: 0xfe } as const;

/** WORK_QUEUE_ENGINE.ARM: PEs of the job; it follows another one of the same host command, whose PEs are up. */
export const JOB_ARM = { PES_MASK: 0xff, FOLLOWS: 0x100 } as const;

/** How a transfer of a DMA engine stands. */
export const DMA_STATUS = { IDLE: 0, BUSY: 1, DONE: 2, FAULT: 3 } as const;

/** Fields of SYSTEM_CONTROL.MEMORY_CONTROL and BAR0.BOOT_MEMORY. */
export const MEMORY_SETUP = {
  /** SRAM is divided into scratchpad (LLS, from its base) and cache (LLC) by this granule (I25). */
  SRAM_GRANULE_BYTES: 32 * 1024 * 1024,
  /** Granules of cache (7:0); the scratchpad keeps one at least. */
  CACHE_GRANULES_MASK: 0xff,
  /** LPDDR is protected by an error-correcting code. */
  ECC: 0x100,
  /** Of BOOT_MEMORY: somebody asks; otherwise the firmware leaves the chip as it is after a reset. */
  ASKED: 0x200,
} as const;

/** mcause of a load that met an uncorrectable memory error, as of a command (privileged specification: hardware error). */
export const HARDWARE_ERROR = 19;

/** Exceptions beyond the privileged specification (causes 24-31 are designated for custom use). */
export const CUSTOM_EXCEPTION = { ILLEGAL_COMMAND: 24, COMMAND_BUS_FAULT: 25, COMMAND_INDEX_FAULT: 26 } as const;
