/** Address ranges of the chip. Nothing here is published for MTIA; the ranges are this project's choice. */

const KB = 1024n;
const MB = 1024n * KB;

/** A range of addresses and what answers there. */
export interface Region {
  readonly name: string;
  readonly base: bigint;
  /** Bytes of address space; the memory behind it may be smaller (see the specification). */
  readonly size: bigint;
  readonly seenBy: 'control core' | 'processing element' | 'both';
  readonly doc: string;
}

/** Regions as constants, so that code names them instead of searching the list. */
export const MEMORY_MAP = {
  BOOT_ROM: {
    base: 0x0001_0000n,
    size: 64n * KB,
    seenBy: 'control core',
    doc: 'mask ROM; reset vector of control hart 0..3',
  },
  PE_LOCAL: {
    base: 0x0800_0000n,
    size: 1n * MB,
    seenBy: 'processing element',
    doc: "a PE's own local memory (private alias)",
  },
  PE_REGISTERS: {
    base: 0x0900_0000n,
    size: 4n * KB,
    seenBy: 'processing element',
    doc: "a PE's own registers (private alias)",
  },
  CONTEXT_SRAM: {
    base: 0x1000_0000n,
    size: 4n * MB,
    seenBy: 'control core',
    doc: 'control firmware: code, data, job descriptors',
  },
  DESCRIPTOR_SRAM: {
    base: 0x1100_0000n,
    size: 4n * MB,
    seenBy: 'control core',
    doc: 'submission entries fetched from the host; completion entries to post',
  },
  TIMER: { base: 0x2000_0000n, size: 4n * KB, seenBy: 'control core', doc: 'machine timer and software interrupts' },
  INTERRUPT_CONTROLLER: {
    base: 0x2001_0000n,
    size: 4n * KB,
    seenBy: 'control core',
    doc: 'external interrupts of the control harts',
  },
  UART: { base: 0x2002_0000n, size: 4n * KB, seenBy: 'control core', doc: 'console; lines reach the log' },
  MAILBOX: {
    base: 0x2003_0000n,
    size: 4n * KB,
    seenBy: 'control core',
    doc: 'boot and status registers mirrored in BAR0',
  },
  DMA_ENGINE: {
    base: 0x2004_0000n,
    size: 4n * KB,
    seenBy: 'control core',
    doc: 'copies and fills between host, SRAM and LPDDR',
  },
  WORK_QUEUE_ENGINE: {
    base: 0x2005_0000n,
    size: 4n * KB,
    seenBy: 'control core',
    doc: 'hands job descriptors to PEs and collects their completions',
  },
  QUEUE_ENGINE: {
    base: 0x2006_0000n,
    size: 4n * KB,
    seenBy: 'control core',
    doc: 'fetches submissions, posts completions, raises MSI-X',
  },
  SYSTEM_CONTROL: {
    base: 0x2007_0000n,
    size: 4n * KB,
    seenBy: 'control core',
    doc: 'PE reset, memory protection, chip identity',
  },
  WATCHDOG: { base: 0x2008_0000n, size: 4n * KB, seenBy: 'control core', doc: 'watchdog of control hart 0' },
  HOST_READ: {
    base: 0x2009_0000n,
    size: 4n * KB,
    seenBy: 'control core',
    doc: 'reads of host memory by the control core',
  },
  PE_WINDOW: { base: 0x4000_0000n, size: 64n * MB, seenBy: 'control core', doc: 'local memory of PE n at n x 1 MiB' },
  SRAM: { base: 0x8000_0000n, size: 256n * MB, seenBy: 'both', doc: 'on-chip SRAM shared by all PEs' },
  LPDDR: { base: 0x10_0000_0000n, size: 128n * 1024n * MB, seenBy: 'both', doc: 'LPDDR5' },
} as const satisfies Readonly<Record<string, Omit<Region, 'name'>>>;

/** The memory map as a list, in address order. */
export const REGIONS: readonly Region[] = Object.entries(MEMORY_MAP).map(([name, region]) => ({ name, ...region }));

/** Fixed parts of memory that firmware and driver keep for themselves. */
export const RESERVED = {
  /** SRAM from its base: PE monitor and kernel code, readable by every context. */
  SRAM_FIRMWARE_BYTES: 8 * 1024 * 1024,
  /** LPDDR from its base: the firmware bundle as the driver stages it at boot. */
  LPDDR_FIRMWARE_BYTES: 64 * 1024 * 1024,
  /** Local memory from its base: job descriptor, PE monitor data and the stacks of both harts. */
  LOCAL_MONITOR_BYTES: 16 * 1024,
  /** Local memory from its base: where the work queue engine writes the job descriptor. */
  LOCAL_JOB_DESCRIPTOR_BYTES: 1024,
  /** Bytes of the descriptor SRAM that hold one queue's fetched submission entries. */
  QUEUE_DESCRIPTOR_BYTES: 16 * 1024,
} as const;

/** Granule of the memory protection table: a page belongs to one context. */
export const PROTECTION_PAGE_BYTES = 64 * 1024;

/** Owners in the protection table that are not contexts. */
export const PROTECTION_OWNER = { NONE: 0, SHARED_READ_ONLY: 255 } as const;
