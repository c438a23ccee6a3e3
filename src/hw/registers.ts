/** Every register of the chip: offset, width, reset value, kind of access. Not published for MTIA; this project's design. */

import { WATCHDOG_REPORT_BYTES } from './register-values.js';

/** How software may access a register. */
export type Access =
  | 'RO' // reads give state; writes are ignored
  | 'RW' // reads give what was written
  | 'WO' // writes act; reads give zero
  | 'W1C'; // writing ones clears bits

/** One register of a block, or one of an array of them. */
export interface Register {
  readonly name: string;
  readonly offset: number;
  readonly bits: 32 | 64;
  readonly reset: bigint | 'specification';
  readonly access: Access;
  readonly doc: string;
  /** Repeated `count` times, `stride` bytes apart. */
  readonly count?: number;
  readonly stride?: number;
}

/** Registers behind one base address. */
export interface RegisterBlock {
  readonly name: string;
  /** A region of the memory map, or a PCI base address register. */
  readonly at: string;
  readonly doc: string;
  readonly registers: readonly Register[];
}

const register = (
  offset: number,
  name: string,
  bits: 32 | 64,
  access: Access,
  doc: string,
  options: { reset?: bigint | 'specification'; count?: number; stride?: number } = {},
): Register => ({
  name,
  offset,
  bits,
  access,
  doc,
  reset: options.reset ?? 0n,
  ...('count' in options ? { count: options.count, stride: options.stride } : {}),
});

/** Every register of the chip. */
export const REGISTER_BLOCKS: readonly RegisterBlock[] = [
  {
    name: 'BAR0',
    at: 'PCI base address register 0',
    doc: 'What the host sees of the chip; the control core sees the same storage as MAILBOX.',
    registers: [
      register(0x000, 'IDENTITY', 32, 'RO', 'ASCII "MTIA"', { reset: 0x4149544dn }),
      register(0x004, 'GENERATION', 32, 'RO', '1 for v1, 2 for 2i', { reset: 'specification' }),
      register(0x008, 'RESET_COUNT', 32, 'RO', 'function resets since power-on'),
      register(0x00c, 'GRID', 32, 'RO', 'PE columns (7:0), PE rows (15:8)', { reset: 'specification' }),
      register(0x010, 'SRAM_BYTES', 64, 'RO', 'size of the on-chip SRAM', { reset: 'specification' }),
      register(0x018, 'LPDDR_BYTES', 64, 'RO', 'size of the LPDDR', { reset: 'specification' }),
      register(0x020, 'BOOT_STATUS', 32, 'RO', 'see BOOT_STATUS; written by ROM and control firmware'),
      register(0x024, 'BOOT_ERROR', 32, 'RO', 'error code when BOOT_STATUS is FAILED'),
      register(0x028, 'FIRMWARE_VERSION', 32, 'RO', 'major (31:24), minor (23:16), patch (15:0)'),
      register(0x02c, 'FIRMWARE_ABI', 32, 'RO', 'version of the host protocol that the firmware speaks'),
      register(0x030, 'FIRMWARE_CAPABILITIES', 64, 'RO', 'bit n: host command n is implemented'),
      register(0x038, 'BOOT_IMAGE_ADDRESS', 64, 'RW', 'device address of the staged firmware bundle'),
      register(0x040, 'BOOT_IMAGE_BYTES', 64, 'RW', 'size of the staged firmware bundle'),
      register(0x048, 'BOOT_DOORBELL', 32, 'WO', 'writing 1 tells the boot ROM to load the bundle'),
      register(0x04c, 'BOOT_MEMORY', 32, 'RW', 'how the firmware is asked to set up the memories; see MEMORY_SETUP'),
      register(0x050, 'WINDOW_BASE', 64, 'RW', 'device address at which BAR2 begins'),
      register(0x058, 'PANIC_CAUSE', 64, 'RO', 'mcause of a control firmware trap'),
      register(0x060, 'PANIC_PC', 64, 'RO', 'mepc of a control firmware trap'),
      register(0x068, 'PANIC_VALUE', 64, 'RO', 'mtval of a control firmware trap'),
      register(0x070, 'DEVICE_TIME', 64, 'RO', 'nanoseconds since power-on, as MTIME'),
      register(0x078, 'SCRATCHPAD_BYTES', 64, 'RO', 'SRAM from its base that is addressable; the rest is cache', {
        reset: 'specification',
      }),
      register(0x080, 'QUEUES', 32, 'RO', 'queue pairs, the administration queue included; pages behind read as zero', {
        reset: 'specification',
      }),
      register(0x084, 'INTERRUPT_VECTORS', 32, 'RO', 'MSI-X vectors, as the capability in configuration space says', {
        reset: 'specification',
      }),
      register(0x088, 'BROADCAST', 32, 'RO', '1 where the work queue engine hands a job to a rectangle at once', {
        reset: 'specification',
      }),
      register(
        0x100,
        'WATCHDOG_REPORT',
        64,
        'RO',
        'ASCII, zero terminated: who waited for whom when the watchdog expired',
        {
          count: WATCHDOG_REPORT_BYTES / 8,
          stride: 8,
        },
      ),
    ],
  },
  {
    name: 'QUEUE_PAGE',
    at: 'PCI base address register 0, page n at 0x10000 + n * 0x1000',
    doc: 'One submission/completion queue pair, one 4 KiB page, so that a page may be given to one process.',
    registers: [
      register(0x00, 'SUBMISSION_BASE', 64, 'RW', 'I/O virtual address of the submission ring (64-byte entries)'),
      register(0x08, 'SUBMISSION_ENTRIES', 32, 'RW', 'power of two, at most 256'),
      register(0x0c, 'SUBMISSION_TAIL', 32, 'WO', 'doorbell: entries submitted since ENABLE, modulo 2^32'),
      register(0x10, 'SUBMISSION_HEAD', 32, 'RO', 'entries fetched by the chip, modulo 2^32'),
      register(0x14, 'CONTEXT', 32, 'RW', 'context (process address space identifier) of every address in the queue'),
      register(0x18, 'COMPLETION_BASE', 64, 'RW', 'I/O virtual address of the completion ring (64-byte entries)'),
      register(0x20, 'COMPLETION_ENTRIES', 32, 'RW', 'power of two, at most 256'),
      register(0x24, 'COMPLETION_HEAD', 32, 'WO', 'doorbell: completions consumed by the host, modulo 2^32'),
      register(0x28, 'COMPLETION_TAIL', 32, 'RO', 'completions posted by the chip, modulo 2^32'),
      register(0x2c, 'VECTOR', 32, 'RW', 'MSI-X vector raised on completion'),
      register(0x30, 'ENABLE', 32, 'RW', '1 starts the queue with both rings empty; 0 stops it'),
      register(0x34, 'FAULT', 32, 'RO', 'error code that stopped the queue (a ring address the IOMMU refused)'),
      register(0x38, 'PRIORITY', 32, 'RW', '0..3; of queues with work the highest is served first, equal ones in turn'),
    ],
  },
  {
    name: 'TIMER',
    at: 'TIMER',
    doc: 'Machine timer and software interrupts of the control harts.',
    registers: [
      register(0x00, 'MTIME', 64, 'RO', 'nanoseconds since power-on'),
      register(0x08, 'MTIMECMP', 64, 'RW', 'timer interrupt pending while MTIME >= MTIMECMP', {
        reset: 0xffff_ffff_ffff_ffffn,
        count: 4,
        stride: 8,
      }),
      register(0x40, 'MSIP', 32, 'RW', 'bit 0: software interrupt of the hart', { count: 4, stride: 4 }),
    ],
  },
  {
    name: 'INTERRUPT_CONTROLLER',
    at: 'INTERRUPT_CONTROLLER',
    doc: 'Level-triggered: a source stays pending until its unit is served.',
    registers: [
      register(0x00, 'PENDING', 32, 'RO', 'bit per source, see INTERRUPT_SOURCE'),
      register(0x10, 'ENABLE', 32, 'RW', 'external interrupt of the hart = PENDING & ENABLE != 0', {
        count: 4,
        stride: 4,
      }),
    ],
  },
  {
    name: 'UART',
    at: 'UART',
    doc: 'Transmit only; a line feed ends a line.',
    registers: [
      register(0x00, 'TRANSMIT', 32, 'WO', 'one character'),
      register(0x04, 'STATUS', 32, 'RO', 'bit 0: ready', { reset: 1n }),
    ],
  },
  {
    name: 'MAILBOX',
    at: 'MAILBOX',
    doc: 'The control core side of BAR0: the same offsets, writable where the host side is read only.',
    registers: [
      register(0x008, 'RESET_COUNT', 32, 'RO', 'as BAR0'),
      register(0x020, 'BOOT_STATUS', 32, 'RW', 'as BAR0'),
      register(0x024, 'BOOT_ERROR', 32, 'RW', 'as BAR0'),
      register(0x028, 'FIRMWARE_VERSION', 32, 'RW', 'as BAR0'),
      register(0x02c, 'FIRMWARE_ABI', 32, 'RW', 'as BAR0'),
      register(0x030, 'FIRMWARE_CAPABILITIES', 64, 'RW', 'as BAR0'),
      register(0x038, 'BOOT_IMAGE_ADDRESS', 64, 'RO', 'as BAR0'),
      register(0x040, 'BOOT_IMAGE_BYTES', 64, 'RO', 'as BAR0'),
      register(
        0x048,
        'BOOT_DOORBELL',
        32,
        'W1C',
        'reads what the host wrote; source MAILBOX is pending while not zero',
      ),
      register(0x04c, 'BOOT_MEMORY', 32, 'RO', 'as BAR0'),
      register(0x058, 'PANIC_CAUSE', 64, 'RW', 'as BAR0'),
      register(0x060, 'PANIC_PC', 64, 'RW', 'as BAR0'),
      register(0x068, 'PANIC_VALUE', 64, 'RW', 'as BAR0'),
    ],
  },
  {
    name: 'DMA_ENGINE',
    at: 'DMA_ENGINE',
    doc: 'Four channels, 0x80 bytes apart. Source MEMORY_COPY_DONE is pending while any STATUS is DONE or FAULT.',
    registers: [
      register(0x00, 'SOURCE', 64, 'RW', 'device address, I/O virtual address, or fill pattern', {
        count: 4,
        stride: 0x80,
      }),
      register(0x08, 'DESTINATION', 64, 'RW', 'device address or I/O virtual address', { count: 4, stride: 0x80 }),
      register(0x10, 'BYTES', 64, 'RW', 'bytes to move', { count: 4, stride: 0x80 }),
      register(
        0x18,
        'CONTEXT',
        32,
        'RW',
        'whose IOMMU table and memory protection apply; 0 = firmware, no protection',
        { count: 4, stride: 0x80 },
      ),
      register(0x1c, 'START', 32, 'WO', 'see DMA_KIND; starts the channel', { count: 4, stride: 0x80 }),
      register(
        0x20,
        'STATUS',
        32,
        'W1C',
        'see DMA_STATUS; writing any value while BUSY aborts: FAULT with ERROR = ABORTED, unless it was done before; otherwise BUSY changes nothing, and any other value returns it to IDLE',
        {
          count: 4,
          stride: 0x80,
        },
      ),
      register(0x24, 'ERROR', 32, 'RO', 'error code when STATUS is FAULT', { count: 4, stride: 0x80 }),
      register(
        0x28,
        'FAULT_ADDRESS',
        64,
        'RO',
        'address that faulted; of a DECOMPRESSION error the offset in the source',
        { count: 4, stride: 0x80 },
      ),
      register(0x30, 'DESTINATION_BYTES', 64, 'RW', 'HOST_TO_DEVICE_GUNZIP: bytes that may be written', {
        count: 4,
        stride: 0x80,
      }),
      register(0x38, 'PRODUCED', 64, 'RO', 'HOST_TO_DEVICE_GUNZIP: bytes written', { count: 4, stride: 0x80 }),
    ],
  },
  {
    name: 'WORK_QUEUE_ENGINE',
    at: 'WORK_QUEUE_ENGINE',
    doc: 'A job slot counts the PEs that still work on a job. A PE takes two jobs: the one it works on and the next, which it starts as soon as its own part of the first is done, whatever the other PEs do; after a failed job it waits for its reset first. Source JOB_DONE is pending while any bit of DONE is set.',
    registers: [
      register(0x00, 'DESCRIPTOR', 64, 'RW', 'address of the job descriptor in context SRAM'),
      register(
        0x08,
        'RECTANGLE',
        32,
        'RW',
        'column (7:0), row (15:8), columns (23:16), rows (31:24); 1 x 1 only where the chip cannot broadcast',
      ),
      register(0x0c, 'SLOT', 32, 'RW', 'job slot that START and ARM use'),
      register(
        0x10,
        'ARM',
        32,
        'WO',
        'number of PEs the slot waits for (7:0), JOB_ARM (8); clears the result of the slot. A job that FOLLOWS costs jobReplaceNs, any other jobLaunchNs, and without broadcast jobHandOverShare of it more for each PE after the first',
      ),
      register(
        0x14,
        'START',
        32,
        'WO',
        'writing 1 copies the descriptor, whose own rectangle lies in the grid, to the rectangle, none of whose PEs may be FULL, and wakes its PEs',
      ),
      register(0x18, 'DONE', 64, 'W1C', 'bit per slot: every PE has reported'),
      register(0x20, 'ERROR', 32, 'RO', 'error code of the last START; 0 = accepted'),
      register(0x24, 'REMAINING', 32, 'RO', 'PEs of SLOT that have not reported'),
      register(0x28, 'RESULT', 32, 'RO', 'error code of SLOT: that of its lowest-numbered failing PE'),
      register(0x2c, 'FAULT_PLACE', 32, 'RO', 'of SLOT: PE index (15:0), hart (23:16)'),
      register(0x30, 'FAULT_CAUSE', 64, 'RO', 'of SLOT: mcause, or the value that the kernel returned'),
      register(0x38, 'FAULT_PC', 64, 'RO', 'of SLOT: mepc'),
      register(0x40, 'FAULT_VALUE', 64, 'RO', 'of SLOT: mtval'),
      register(0x48, 'CYCLES', 64, 'RO', 'of SLOT: device cycles from START to the last report'),
      register(0x50, 'BUSY', 64, 'RO', 'bit per PE: has a job'),
      register(
        0x58,
        'BLOCKED',
        64,
        'RO',
        'bit per PE: works on a job, and every hart waits for something inside the PE or for another PE of the job',
      ),
      register(0x60, 'FULL', 64, 'RO', 'bit per PE: has two jobs and takes no further one'),
      register(0x68, 'WORKING', 64, 'RO', 'of SLOT, bit per PE: has the job and has not reported'),
      register(0x70, 'RUNNING', 64, 'RO', 'of SLOT, bit per PE: WORKING, and has started the job'),
      register(
        0x78,
        'START_TIME',
        64,
        'RO',
        'of SLOT: MTIME at which the last of its PEs started the job; 0 = not yet',
      ),
      register(
        0x80,
        'STOP',
        32,
        'RW',
        'writing 1 takes the job of SLOT from the PEs that have not started it and resets those that run it or have failed in it; their next job stays. Read: the answer, 0, comes when these resets are through',
      ),
      register(0xa0, 'LOOK_PE', 32, 'RW', 'PE index that HART_AT and HART_PC are of'),
      register(0xa8, 'HART_AT', 32, 'RO', 'by hart: see HART_AT; as the PE last came to rest or gave its turn away', {
        count: 2,
        stride: 4,
      }),
      register(0xb0, 'HART_PC', 64, 'RO', 'by hart: program counter then', { count: 2, stride: 8 }),
    ],
  },
  {
    name: 'QUEUE_ENGINE',
    at: 'QUEUE_ENGINE',
    doc: 'Fetched entries of queue n lie at DESCRIPTOR_SRAM + n * 16 KiB, entry i at (i modulo 256) * 64. Source SUBMISSION is pending while PENDING is not zero.',
    registers: [
      register(0x000, 'PENDING', 32, 'RO', 'bit per queue: FETCHED differs from CONSUMED'),
      register(0x004, 'ENABLED', 32, 'RO', 'bit per queue: the host has enabled it'),
      register(0x008, 'COMPLETION_ADDRESS', 64, 'RW', 'address of a completion entry in context SRAM'),
      register(
        0x010,
        'COMPLETION_POST',
        32,
        'WO',
        'queue number: the entry is written to the host ring, numbered, and its MSI-X vector raised',
      ),
      register(0x014, 'POST_ERROR', 32, 'RO', 'error code of the last COMPLETION_POST'),
      register(
        0x018,
        'CHANGED',
        32,
        'W1C',
        'bit per queue: ENABLE was written by the host; nothing is fetched or posted until it is cleared',
      ),
      register(0x100, 'FETCHED', 32, 'RO', 'entries fetched of queue n, modulo 2^32', { count: 32, stride: 4 }),
      register(0x180, 'CONSUMED', 32, 'RW', 'entries the firmware has taken of queue n, modulo 2^32', {
        count: 32,
        stride: 4,
      }),
      register(0x200, 'CONTEXT', 32, 'RO', 'context of queue n', { count: 32, stride: 4 }),
      register(0x280, 'PRIORITY', 32, 'RO', 'priority of queue n', { count: 32, stride: 4 }),
    ],
  },
  {
    name: 'SYSTEM_CONTROL',
    at: 'SYSTEM_CONTROL',
    doc: 'Chip identity, PE reset and the memory protection table.',
    registers: [
      register(0x00, 'GENERATION', 32, 'RO', 'as BAR0', { reset: 'specification' }),
      register(0x04, 'GRID', 32, 'RO', 'as BAR0', { reset: 'specification' }),
      register(0x08, 'SRAM_BYTES', 64, 'RO', 'as BAR0', { reset: 'specification' }),
      register(0x10, 'LPDDR_BYTES', 64, 'RO', 'as BAR0', { reset: 'specification' }),
      register(0x18, 'LOCAL_BYTES', 32, 'RO', 'local memory of a PE', { reset: 'specification' }),
      register(0x1c, 'BROADCAST', 32, 'RO', 'as BAR0', {
        reset: 'specification',
      }),
      register(0x20, 'PE_RESET_VECTOR', 64, 'RW', 'where harts of a PE start after reset'),
      register(
        0x28,
        'PE_RESET',
        64,
        'WO',
        'bit per PE: stop its harts, clear its units and start them at PE_RESET_VECTOR',
      ),
      register(0x30, 'PE_RUNNING', 64, 'RO', 'bit per PE: out of reset'),
      register(0x38, 'PROTECTION_ADDRESS', 64, 'RW', 'first device address, a multiple of 64 KiB'),
      register(0x40, 'PROTECTION_PAGES', 32, 'RW', 'number of 64 KiB pages'),
      register(
        0x44,
        'PROTECTION_OWNER',
        32,
        'WO',
        'new owner (see PROTECTION_OWNER) of the pages; applies at once. NONE returns when no PE still moves bytes that the former owner was allowed',
      ),
      register(0x48, 'PROTECTION_ERROR', 32, 'RO', 'error code of the last PROTECTION_OWNER'),
      register(0x4c, 'INSTRUCTION_FENCE', 32, 'WO', 'every PE hart refetches its code (after new code was loaded)'),
      register(
        0x50,
        'MEMORY_CONTROL',
        32,
        'RW',
        'see MEMORY_SETUP; no job runs. What does not fit the chip is ignored: reads give what is in force',
        { reset: 'specification' },
      ),
    ],
  },
  {
    name: 'WATCHDOG',
    at: 'WATCHDOG',
    doc: 'Counts the device time in which control hart 0 runs; stands still in wfi and while a debugger holds the chip. On expiry the control core stops until a reset, BOOT_STATUS is FAILED, BOOT_ERROR is WATCHDOG_EXPIRED, and BAR0.WATCHDOG_REPORT says who waits for whom.',
    registers: [
      register(0x00, 'PERIOD', 64, 'RW', 'nanoseconds without a kick after which it expires; 0 = off'),
      register(0x08, 'KICK', 32, 'WO', 'any value: counts from zero again'),
    ],
  },
  {
    name: 'HOST_READ',
    at: 'HOST_READ',
    doc: 'One read of eight bytes of host memory. Its completion does not pass posted writes of the host that came before it, and those wait while the doorbell FIFO is full, which only QUEUE_ENGINE.PENDING empties: firmware that waits here under load deadlocks (I25 section 5.5). The control firmware of this package never uses it.',
    registers: [
      register(0x00, 'ADDRESS', 64, 'RW', 'I/O virtual address, inside one mapping'),
      register(0x08, 'CONTEXT', 32, 'RW', 'whose IOMMU table applies'),
      register(0x0c, 'START', 32, 'WO', 'any value: sends the read'),
      register(0x10, 'STATUS', 32, 'RO', 'see HOST_READ_STATUS'),
      register(0x18, 'DATA', 64, 'RO', 'what was read'),
    ],
  },
  {
    name: 'PE',
    at: 'PE_REGISTERS',
    doc: 'What a PE sees of itself.',
    registers: [
      register(0x00, 'PE_INDEX', 32, 'RO', 'row * 8 + column', { reset: 'specification' }),
      register(0x04, 'GENERATION', 32, 'RO', 'as BAR0', { reset: 'specification' }),
      register(0x08, 'LOCAL_BYTES', 32, 'RO', 'size of the local memory', { reset: 'specification' }),
      register(
        0x0c,
        'WORK_PENDING',
        32,
        'RO',
        '1 while a job descriptor waits in local memory; external interrupt of hart 0',
      ),
      register(0x10, 'JOB_CONTEXT', 32, 'RO', 'context of the job; every access of the PE is checked against it'),
      register(
        0x18,
        'JOB_DONE',
        64,
        'WO',
        'error code: reports the job as ended and clears WORK_PENDING; also clears every circular buffer, semaphore, pending command and command register',
      ),
      register(0x20, 'FAULT_HART', 32, 'RW', 'hart that failed'),
      register(0x28, 'FAULT_CAUSE', 64, 'RW', 'mcause, or the value that the kernel returned'),
      register(0x30, 'FAULT_PC', 64, 'RW', 'mepc'),
      register(0x38, 'FAULT_VALUE', 64, 'RW', 'mtval'),
      register(0x40, 'CYCLES', 64, 'RO', 'device cycles of this PE since power-on'),
      register(0x48, 'MTIME', 64, 'RO', 'as TIMER'),
      register(0x50, 'MSIP', 32, 'RW', 'bit 0: software interrupt of the hart', { count: 2, stride: 4 }),
      register(
        0x100,
        'UNIT_BUSY_CYCLES',
        64,
        'RO',
        'device cycles in which a unit (see UNIT) was occupied, since power-on; FI: get and put channel together; CP: 0',
        { count: 6, stride: 8 },
      ),
      register(0x140, 'UNIT_COMMANDS', 64, 'RO', 'commands that a unit has done, since power-on', {
        count: 6,
        stride: 8,
      }),
      register(
        0x180,
        'HART_STALL_CYCLES',
        64,
        'RO',
        'device cycles in which a hart stood at a unit command (buffer, semaphore, fence, full list), since power-on',
        { count: 2, stride: 8 },
      ),
    ],
  },
];

/** Offset of a register; throws where the name is unknown, so that a typing error cannot become offset 0. */
export function registerOffset(block: string, name: string, index = 0): number {
  const found = REGISTER_BLOCKS.find((b) => b.name === block)?.registers.find((r) => r.name === name);
  if (found === undefined) throw new RangeError(`no register ${block}.${name}`);
  return found.offset + index * (found.stride ?? 0);
}
