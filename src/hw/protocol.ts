/** Structures that cross a boundary: host to firmware, firmware to PE, compiler to kernel, bundle file to boot ROM. */
import { defineStruct } from './layout.js';

/** Version of everything in this file. Firmware and driver must agree exactly. */
export const PROTOCOL_VERSION = 1;

/** Opcodes of submission entries. Bit n of FIRMWARE_CAPABILITIES = opcode n is implemented. */
export const HOST_COMMAND = {
  NOP: 0,
  COPY_HOST_TO_DEVICE: 1,
  COPY_DEVICE_TO_HOST: 2,
  COPY_DEVICE_TO_DEVICE: 3,
  FILL: 4,
  LAUNCH: 5,
  GRAPH_LAUNCH: 6,
  WAIT: 7,
  SIGNAL: 8,
  BARRIER: 9,
  /** Only where the chip can decompress (SPECIFICATIONS.gunzipGBs). */
  COPY_HOST_TO_DEVICE_GUNZIP: 10,
  /** The host has learned of the failures of this queue: it takes commands again. */
  RECOVER: 11,
  /** The rest is accepted on queue 0 only. */
  CREATE_CONTEXT: 16,
  DESTROY_CONTEXT: 17,
  ASSIGN_PAGES: 18,
  QUERY: 19,
  /** Ends commands of another queue before they start or while they run: they complete with ABORTED, in their order. */
  ABORT: 20,
  RESET_SEMAPHORE: 21,
} as const;
/** Name of a host command. */
export type HostCommandName = keyof typeof HOST_COMMAND;

/** An entry of a submission ring. */
export const SUBMISSION = defineStruct(
  'mtia_submission',
  64,
  'One command in a submission ring. a..d depend on the opcode.',
  [
    { name: 'opcode', type: 'u8', doc: 'see HOST_COMMAND' },
    { name: 'flags', type: 'u8', doc: 'must be zero' },
    { name: 'reserved', type: 'u16', doc: 'must be zero' },
    {
      name: 'deadline_us',
      type: 'u32',
      doc: 'microseconds from its start after which the command fails with KERNEL_TIMEOUT; 0 = none',
    },
    { name: 'cookie', type: 'u64', doc: 'returned in the completion entry' },
    {
      name: 'a',
      type: 'u64',
      doc: 'COPY: source. FILL: 32-bit pattern. LAUNCH: kernel id. GRAPH_LAUNCH: device address of the graph. WAIT, SIGNAL, RECOVER, RESET_SEMAPHORE: semaphore number. CREATE/DESTROY_CONTEXT, ASSIGN_PAGES: context. ABORT: queue',
    },
    {
      name: 'b',
      type: 'u64',
      doc: 'COPY, FILL: destination. LAUNCH: device address of the arguments. GRAPH_LAUNCH: device address of the segment bases. WAIT, SIGNAL, RESET_SEMAPHORE: value. RECOVER: first value of the semaphore that is sound again, 0 = leave it. ASSIGN_PAGES: device address. ABORT: position of the first command, in entries submitted since ENABLE modulo 2^32',
    },
    {
      name: 'c',
      type: 'u64',
      doc: 'COPY, FILL: bytes. LAUNCH: bytes of arguments (multiple of 8, at most 512). GRAPH_LAUNCH: number of segment bases. WAIT: see WAIT_MODE. ASSIGN_PAGES: number of 64 KiB pages. SIGNAL, RESET_SEMAPHORE on queue 0: context whose semaphore it is, zero elsewhere. ABORT: number of commands, 1..256; those that have completed stay as they are',
    },
    {
      name: 'd',
      type: 'u64',
      doc: 'LAUNCH: rectangle, encoded as WORK_QUEUE_ENGINE.RECTANGLE. SIGNAL: waits for this value and higher ones fail, 0 = none, SIGNAL_FAILS_ALONE = those for the value in b. COPY_HOST_TO_DEVICE_GUNZIP: bytes of the destination. ASSIGN_PAGES: 1 = assign, 0 = take back',
    },
    { name: 'reserved_tail', type: 'u64', count: 2, doc: 'must be zero' },
  ],
);

/**
 * What a WAIT does about failure. A queue that a command failed in poisons what it signals until RECOVER; a wait for a
 * poisoned value is ABORTED, and so is every command behind it except SIGNAL, until RECOVER.
 */
export const WAIT_MODE = {
  /** Failure aborts what is behind the wait. */
  ABORTS: 0,
  /** Failure is the wait's own; what is behind it goes on. */
  ALONE: 1,
  /** As ABORTS, of a failure that the host knows of already. */
  FAILED: 2,
} as const;

/** In field d of SIGNAL. */
export const SIGNAL_FAILS_ALONE = (1n << 64n) - 1n;

/** An entry of a completion ring. */
export const COMPLETION = defineStruct('mtia_completion', 64, 'One entry of a completion ring.', [
  { name: 'sequence', type: 'u32', doc: 'number of this entry since ENABLE, from 1, written last by the queue engine' },
  { name: 'status', type: 'u32', doc: 'error code, 0 = done' },
  { name: 'cookie', type: 'u64', doc: 'of the submission' },
  { name: 'device_ns', type: 'u64', doc: 'device time that the command took, nanoseconds of the time model' },
  { name: 'jobs', type: 'u32', doc: 'PE jobs that the command launched' },
  { name: 'place', type: 'u32', doc: 'of a failure: PE index (15:0), hart (23:16), 0xffffffff = not in a PE' },
  {
    name: 'cause',
    type: 'u64',
    doc: 'of a failure: mcause or kernel value; DEADLOCK, KERNEL_TIMEOUT: HART_AT of hart 0 (7:0) and hart 1 (15:8). QUERY: firmware version',
  },
  { name: 'pc', type: 'u64', doc: 'of a failure: program counter. QUERY: capabilities' },
  {
    name: 'value',
    type: 'u64',
    doc: 'of a failure: mtval, address or offending field; DECOMPRESSION: offset in the source; DEADLOCK, KERNEL_TIMEOUT: program counter of the other hart. QUERY: number of kernels. ABORT: commands that it met. COPY_HOST_TO_DEVICE_GUNZIP: bytes written',
  },
  { name: 'job_index', type: 'u32', doc: 'of a failure in a graph: number of the job' },
  { name: 'kernel', type: 'u32', doc: 'of a failure: kernel id' },
]);

/** Of COMPLETION.pe: the failure is not one of a processing element. */
export const NOT_IN_A_PE = 0xffff_ffff;

/** Timeline semaphores of each context: 64-bit, only ever raised, zero in a new context, poisoned from some value on. */
export const TIMELINE_SEMAPHORES = 1024;

/** Words of kernel arguments at most. */
export const JOB_ARGUMENT_WORDS = 64;

/** What a processing element is given for a job. */
export const JOB_DESCRIPTOR = defineStruct(
  'mtia_job_descriptor',
  576,
  'What the work queue engine writes to the base of local memory of every PE of a job.',
  [
    { name: 'entry', type: 'u64', doc: 'address of the kernel in SRAM' },
    { name: 'context', type: 'u32', doc: 'context of every memory access' },
    { name: 'kernel', type: 'u32', doc: 'kernel id' },
    { name: 'slot', type: 'u32', doc: 'job slot' },
    { name: 'argument_words', type: 'u32', doc: 'words used of arguments' },
    { name: 'column', type: 'u8', doc: 'rectangle: first column' },
    { name: 'row', type: 'u8', doc: 'rectangle: first row' },
    { name: 'columns', type: 'u8', doc: 'rectangle: columns' },
    { name: 'rows', type: 'u8', doc: 'rectangle: rows' },
    { name: 'reserved', type: 'u32', doc: 'zero' },
    { name: 'reserved_words', type: 'u64', count: 4, doc: 'zero' },
    { name: 'arguments', type: 'u64', count: JOB_ARGUMENT_WORDS, doc: "the kernel's arguments" },
  ],
);

/** First word of a graph image. */
export const GRAPH_MAGIC = 0x4752544d; // "MTRG"
/** Segments that a graph can bind at most. */
export const GRAPH_SEGMENTS = 64;

/** Start of a graph image. */
export const GRAPH_HEADER = defineStruct(
  'mtia_graph_header',
  64,
  'A compiled graph in device memory; job_count records follow it.',
  [
    { name: 'magic', type: 'u32', doc: 'GRAPH_MAGIC' },
    { name: 'version', type: 'u32', doc: 'PROTOCOL_VERSION' },
    { name: 'job_count', type: 'u32', doc: 'number of mtia_graph_job records' },
    { name: 'segment_count', type: 'u32', doc: 'segment bases that GRAPH_LAUNCH must bind' },
    { name: 'reserved', type: 'u64', count: 6, doc: 'zero' },
  ],
);

/** Words of arguments of a job of a graph at most. */
export const GRAPH_ARGUMENT_WORDS = 32;

/** One record of a graph image. */
export const GRAPH_JOB = defineStruct('mtia_graph_job', 320, 'One job of a graph, or one copy or fill on the device.', [
  { name: 'kernel', type: 'u32', doc: 'kernel id' },
  { name: 'flags', type: 'u32', doc: 'see GRAPH_JOB_FLAG' },
  { name: 'column', type: 'u8', doc: 'rectangle: first column' },
  { name: 'row', type: 'u8', doc: 'rectangle: first row' },
  { name: 'columns', type: 'u8', doc: 'rectangle: columns' },
  { name: 'rows', type: 'u8', doc: 'rectangle: rows' },
  { name: 'argument_words', type: 'u32', doc: 'words used of arguments' },
  { name: 'reserved', type: 'u64', count: 2, doc: 'zero' },
  {
    name: 'segment',
    type: 'u8',
    count: GRAPH_ARGUMENT_WORDS,
    doc: 'of word i: 0 = taken as it is, s = the base of segment s-1 is added',
  },
  { name: 'arguments', type: 'u64', count: GRAPH_ARGUMENT_WORDS, doc: "the kernel's arguments" },
]);

/** Bits of GRAPH_JOB.flags. */
export const GRAPH_JOB_FLAG = {
  /** Starts only when all earlier jobs are done. */
  BARRIER: 1,
  /** A copy on the device, alone: arguments are source, destination, bytes; kernel and rectangle are zero. */
  COPY: 2,
  /** A fill, alone: arguments are the 32-bit pattern, destination, bytes. */
  FILL: 4,
} as const;

/** A lookup table of the SIMD engine; segments * (degree + 1) FP32 coefficients follow, lowest power first. Floats are stored as their bits. */
export const SE_TABLE = defineStruct(
  'mtia_se_table',
  32,
  'y = c0 + t*(c1 + t*(c2 + t*c3)), t = fraction of u = (x - low) * scale, segment = integer part of u.',
  [
    { name: 'low', type: 'u32', doc: 'FP32: first x of segment 0; y = below for smaller x' },
    { name: 'high', type: 'u32', doc: 'FP32: end of the last segment; y = above from here on' },
    { name: 'scale', type: 'u32', doc: 'FP32: segments / (high - low)' },
    { name: 'below', type: 'u32', doc: 'FP32' },
    { name: 'above', type: 'u32', doc: 'FP32' },
    { name: 'segments', type: 'u32', doc: '1..240' },
    { name: 'degree', type: 'u32', doc: '1 (linear) or 3 (cubic)' },
    { name: 'reserved', type: 'u32', doc: 'zero' },
  ],
);

/** "major.minor.patch" of BAR0.FIRMWARE_VERSION. */
export function firmwareVersionText(version: number): string {
  return `${version >>> 24}.${(version >>> 16) & 0xff}.${version & 0xffff}`;
}

/** First word of a firmware bundle. */
export const BUNDLE_MAGIC = 0x4246544d; // "MTFB"
/** Version of the format. */
export const BUNDLE_VERSION = 1;
/** Kinds of sections of a bundle. */
export const BUNDLE_SECTION = { MANIFEST: 1, CONTROL_FIRMWARE: 2, PE_MONITOR: 3, KERNEL: 4, SIGNATURE: 5 } as const;

/** Start of a firmware bundle. */
export const BUNDLE_HEADER = defineStruct(
  'mtia_bundle_header',
  64,
  'Start of a firmware bundle; section_count mtia_bundle_section records follow it.',
  [
    { name: 'magic', type: 'u32', doc: 'BUNDLE_MAGIC' },
    { name: 'version', type: 'u32', doc: 'BUNDLE_VERSION' },
    { name: 'total_bytes', type: 'u64', doc: 'size of the file' },
    { name: 'section_count', type: 'u32', doc: '1..64' },
    { name: 'generations', type: 'u32', doc: 'bit n: runs on generation n' },
    { name: 'firmware_version', type: 'u32', doc: 'as BAR0.FIRMWARE_VERSION' },
    { name: 'protocol_version', type: 'u32', doc: 'PROTOCOL_VERSION' },
    { name: 'reserved', type: 'u64', count: 4, doc: 'zero' },
  ],
);

/** Where a section lies, and its hash. */
export const BUNDLE_SECTION_RECORD = defineStruct(
  'mtia_bundle_section',
  96,
  'One section of a bundle; its bytes are at offset, 64-byte aligned.',
  [
    { name: 'kind', type: 'u32', doc: 'see BUNDLE_SECTION' },
    { name: 'kernel_id', type: 'u32', doc: 'of a KERNEL section' },
    { name: 'offset', type: 'u64', doc: 'from the start of the file' },
    { name: 'bytes', type: 'u64', doc: 'size' },
    { name: 'name', type: 'u8', count: 40, doc: 'zero-terminated ASCII' },
    {
      name: 'sha256',
      type: 'u8',
      count: 32,
      doc: 'of the bytes (zero for SIGNATURE). The Ed25519 signature covers header and section records',
    },
  ],
);
