/** Graph images: the records that the firmware walks, written from jobs and checked when they come from a file. */
import {
  encodeGraphImage,
  encodeStruct,
  GRAPH_ARGUMENT_WORDS,
  GRAPH_HEADER,
  GRAPH_JOB,
  GRAPH_JOB_FLAG,
  GRAPH_MAGIC,
  KERNEL_ID,
  type KernelName,
  placeFields,
  type Rectangle,
  type StructLayout,
} from '../hw/index.js';
import { SEGMENT_KINDS, type SegmentKind } from './compiled-graph.js';
import { invalidModel } from './errors.js';

/** An address that the runtime completes with the base of a segment. */
export interface SegmentAddress {
  readonly segment: SegmentKind;
  readonly offset: number;
}

export type ArgumentValue = number | SegmentAddress;

export interface ImageJob {
  readonly kernel: KernelName;
  readonly layout: StructLayout;
  readonly values: Readonly<Record<string, ArgumentValue>>;
  readonly rectangle: Required<Rectangle>;
  readonly barrier: boolean;
}

const WORD_BYTES = 8;

export function encodeJobs(jobs: readonly ImageJob[]): Uint8Array {
  const records = jobs.map((job) => ({
    kernel: KERNEL_ID[job.kernel],
    flags: job.barrier ? GRAPH_JOB_FLAG.BARRIER : 0,
    rectangle: job.rectangle,
    ...argumentWords(job),
  }));
  return encodeGraphImage(records, SEGMENT_KINDS.length);
}

function argumentWords(job: ImageJob): { readonly words: readonly bigint[]; readonly segments: readonly number[] } {
  const bytes = new DataView(new ArrayBuffer(job.layout.size));
  const segments = new Array<number>(job.layout.size / WORD_BYTES).fill(0);
  const plain: Record<string, number> = {};
  for (const field of placeFields(job.layout)) {
    const value = job.values[field.name] ?? 0;
    plain[field.name] = typeof value === 'number' ? value : value.offset;
    if (typeof value !== 'number') segments[field.offset / WORD_BYTES] = SEGMENT_KINDS.indexOf(value.segment) + 1;
  }
  encodeStruct(job.layout, bytes, 0, plain);
  return { words: segments.map((_, word) => bytes.getBigUint64(word * WORD_BYTES, true)), segments };
}

/** Checks an image from a file: every record, and every relocated word against the size of its segment. */
export function checkGraphImage(
  image: Uint8Array,
  segmentBytes: Readonly<Record<SegmentKind, number>>,
  gridWidth: number,
  gridHeight: number,
): number {
  const view = new DataView(image.buffer, image.byteOffset, image.byteLength);
  const fail = (problem: string): Error => invalidModel('graph image', problem);
  if (image.byteLength < GRAPH_HEADER.size || view.getUint32(0, true) !== GRAPH_MAGIC) throw fail('has no header');
  const jobs = view.getUint32(8, true);
  if (image.byteLength !== GRAPH_HEADER.size + jobs * GRAPH_JOB.size) {
    throw fail(`has ${image.byteLength} bytes, which ${jobs} jobs do not fill`);
  }
  if (view.getUint32(12, true) !== SEGMENT_KINDS.length) throw fail('binds another number of segments');
  for (let index = 0; index < jobs; index++) {
    checkJob(view, GRAPH_HEADER.size + index * GRAPH_JOB.size, segmentBytes, gridWidth, gridHeight, (problem) =>
      fail(`job ${index} ${problem}`),
    );
  }
  return jobs;
}

const JOB_FIELDS = new Map(placeFields(GRAPH_JOB).map((field) => [field.name, field.offset]));
const at = (name: string): number => JOB_FIELDS.get(name) ?? 0;

function checkJob(
  view: DataView,
  start: number,
  segmentBytes: Readonly<Record<SegmentKind, number>>,
  gridWidth: number,
  gridHeight: number,
  fail: (problem: string) => Error,
): void {
  const byte = (name: string): number => view.getUint8(start + at(name));
  if (byte('columns') < 1 || byte('column') + byte('columns') > gridWidth) throw fail('leaves the grid');
  if (byte('rows') < 1 || byte('row') + byte('rows') > gridHeight) throw fail('leaves the grid');
  const words = view.getUint32(start + at('argument_words'), true);
  if (words > GRAPH_ARGUMENT_WORDS) throw fail(`has ${words} argument words`);
  for (let word = 0; word < GRAPH_ARGUMENT_WORDS; word++) {
    const segment = view.getUint8(start + at('segment') + word);
    if (segment === 0) continue;
    const kind = SEGMENT_KINDS[segment - 1];
    if (kind === undefined) throw fail(`refers to segment ${segment}`);
    const offset = view.getBigUint64(start + at('arguments') + word * WORD_BYTES, true);
    if (offset > BigInt(segmentBytes[kind])) throw fail(`reaches beyond the end of the ${kind} segment`);
  }
}
