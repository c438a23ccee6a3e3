/** Graph images: a header and a record for each job, as the firmware walks them. */
import { encodeStruct } from './layout.js';
import { GRAPH_HEADER, GRAPH_JOB, GRAPH_MAGIC, PROTOCOL_VERSION } from './protocol.js';
import type { Rectangle } from './rectangle.js';

/** One record. */
export interface GraphJobRecord {
  /** Kernel id; 0 for a copy or a fill. */
  readonly kernel: number;
  /** Of GRAPH_JOB_FLAG. */
  readonly flags: number;
  /** Absent for a copy or a fill. */
  readonly rectangle?: Rectangle;
  /** Arguments, 64 bits each. */
  readonly words: readonly bigint[];
  /** For each word: 0 = taken as it is, s = the base of segment s - 1 is added. */
  readonly segments: readonly number[];
}

/** Bytes of an image of so many jobs. */
export function graphImageBytes(jobs: number): number {
  return GRAPH_HEADER.size + jobs * GRAPH_JOB.size;
}

/** Writes an image to the start of `view`. */
export function writeGraphImage(view: DataView, jobs: readonly GraphJobRecord[], segmentCount: number): void {
  encodeStruct(GRAPH_HEADER, view, 0, {
    magic: GRAPH_MAGIC,
    version: PROTOCOL_VERSION,
    job_count: jobs.length,
    segment_count: segmentCount,
  });
  for (const [index, { kernel, flags, rectangle, words, segments }] of jobs.entries()) {
    encodeStruct(GRAPH_JOB, view, graphImageBytes(index), {
      kernel,
      flags,
      ...rectangle,
      argument_words: words.length,
      segment: segments,
      arguments: words,
    });
  }
}

/** An image in bytes of its own. */
export function encodeGraphImage(jobs: readonly GraphJobRecord[], segmentCount: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(graphImageBytes(jobs.length));
  writeGraphImage(new DataView(bytes.buffer), jobs, segmentCount);
  return bytes;
}
