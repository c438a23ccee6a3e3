/** A capture as the firmware walks it: nodes by depth, in as many images as copies across the host interface leave. */
import {
  decodeRectangle,
  GRAPH_JOB_FLAG,
  GRAPH_SEGMENTS,
  type GraphJobRecord,
  graphImageBytes,
  writeGraphImage,
} from '../hw/index.js';
import type { GraphNode, NodeWord, NodeWork } from './capture.js';
import type { DeviceBuffer } from './device-buffer.js';

/** Several nodes in one GRAPH_LAUNCH, or one copy across the host interface. */
export type GraphPart =
  | { readonly kind: 'image'; readonly offset: number; readonly nodes: readonly number[] }
  | { readonly kind: 'transfer'; readonly work: Extract<NodeWork, { kind: 'upload' | 'download' }> };

export interface GraphLayout {
  /** The segment bases, then the images. */
  readonly bytes: Uint8Array;
  readonly parts: readonly GraphPart[];
  /** Buffers that a replay may replace, in the order of the segments. */
  readonly segments: readonly DeviceBuffer[];
  /** Every buffer on the device. */
  readonly buffers: readonly DeviceBuffer[];
}

const BASES_BYTES = GRAPH_SEGMENTS * 8;
const FLAGS = { launch: 0, copy: GRAPH_JOB_FLAG.COPY, fill: GRAPH_JOB_FLAG.FILL } as const;

type ImageWork = Exclude<NodeWork, { kind: 'upload' | 'download' }>;

function wordsOf(work: NodeWork): readonly NodeWord[] {
  return 'device' in work ? [work.device] : work.words;
}

/** Where the address of a buffer would be, and what it would be. */
export function addressOf({ value, buffer }: NodeWord, bound: ReadonlyMap<DeviceBuffer, DeviceBuffer>): bigint {
  return buffer === undefined ? value : value + (bound.get(buffer) ?? buffer).keptAddress;
}

export function layOutGraph(nodes: readonly GraphNode[]): GraphLayout {
  const buffers = [...new Set(nodes.flatMap(({ work }) => wordsOf(work).flatMap(({ buffer }) => buffer ?? [])))];
  for (const buffer of buffers) buffer.checkUsable();
  const segments = buffers.slice(0, GRAPH_SEGMENTS);
  // A stable sort: within a depth the order of the capture stays.
  const order = nodes.map((_, index) => index).sort((a, b) => depthOf(nodes, a) - depthOf(nodes, b));
  const parts: GraphPart[] = [];
  let run: number[] = [];
  let offset = BASES_BYTES;
  const close = (): void => {
    if (run.length === 0) return;
    parts.push({ kind: 'image', offset, nodes: run });
    offset += graphImageBytes(run.length);
    run = [];
  };
  for (const index of order) {
    const work = nodes[index]?.work;
    if (work?.kind !== 'upload' && work?.kind !== 'download') {
      run.push(index);
      continue;
    }
    close();
    parts.push({ kind: 'transfer', work });
  }
  close();
  const bytes = new Uint8Array(offset);
  for (const part of parts) {
    if (part.kind !== 'image') continue;
    const records = recordsOf(part.nodes, nodes, segments);
    writeGraphImage(new DataView(bytes.buffer, part.offset), records, segments.length);
  }
  bytes.set(new Uint8Array(basesOf(segments, new Map()).buffer));
  return { bytes, parts, segments, buffers };
}

/** The base of every segment. */
export function basesOf(
  segments: readonly DeviceBuffer[],
  bound: ReadonlyMap<DeviceBuffer, DeviceBuffer>,
): BigUint64Array<ArrayBuffer> {
  return BigUint64Array.from(segments, (buffer) => (bound.get(buffer) ?? buffer).keptAddress);
}

function depthOf(nodes: readonly GraphNode[], index: number): number {
  return nodes[index]?.depth ?? 0;
}

function recordsOf(
  order: readonly number[],
  nodes: readonly GraphNode[],
  segments: readonly DeviceBuffer[],
): readonly GraphJobRecord[] {
  const numbers = new Map(segments.map((buffer, index) => [buffer, index + 1]));
  let depth = -1;
  return order.flatMap((index) => {
    const node = nodes[index];
    if (node === undefined) return [];
    const barrier = node.depth === depth ? 0 : GRAPH_JOB_FLAG.BARRIER;
    depth = node.depth;
    return [recordOf(node.work as ImageWork, barrier, numbers)];
  });
}

function recordOf(work: ImageWork, barrier: number, numbers: ReadonlyMap<DeviceBuffer, number>): GraphJobRecord {
  const segments = work.words.map(({ buffer }) => (buffer === undefined ? 0 : (numbers.get(buffer) ?? 0)));
  const words = work.words.map((word, index) => (segments[index] === 0 ? addressOf(word, new Map()) : word.value));
  const flags = FLAGS[work.kind] | barrier;
  if (work.kind !== 'launch') return { kernel: 0, flags, words, segments };
  return { kernel: work.kernel, flags, rectangle: decodeRectangle(work.rectangle), words, segments };
}
