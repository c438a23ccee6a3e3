/** Compiled graphs written by hand, so that these tests need no compiler. */
import type { CompiledGraph, GraphTensor } from '../../src/compiler/compiled-graph.js';
import { EXTERNAL_KERNEL_ID } from '../../src/firmware-emu/index.js';
import {
  COPY_ARGUMENTS,
  encodeStruct,
  type FieldValue,
  GRAPH_HEADER,
  GRAPH_JOB,
  GRAPH_JOB_FLAG,
  GRAPH_MAGIC,
  KERNEL_ID,
  PROTOCOL_VERSION,
} from '../../src/hw/index.js';

/** Numbers of segments as graph jobs name them. */
const SEGMENT = { weights: 1, inputs: 3, outputs: 4 } as const;

interface Job {
  readonly kernel: number;
  readonly words: readonly bigint[];
  readonly segments: readonly number[];
}

function image(jobs: readonly Job[]): Uint8Array {
  const bytes = new Uint8Array(GRAPH_HEADER.size + jobs.length * GRAPH_JOB.size);
  const view = new DataView(bytes.buffer);
  const header = { magic: GRAPH_MAGIC, version: PROTOCOL_VERSION, job_count: jobs.length, segment_count: 4 };
  encodeStruct(GRAPH_HEADER, view, 0, header);
  for (const [index, { kernel, words, segments }] of jobs.entries()) {
    encodeStruct(GRAPH_JOB, view, GRAPH_HEADER.size + index * GRAPH_JOB.size, {
      kernel,
      flags: GRAPH_JOB_FLAG.BARRIER,
      columns: 1,
      rows: 1,
      argument_words: words.length,
      segment: segments,
      arguments: words,
    });
  }
  return bytes;
}

function copyJob(from: keyof typeof SEGMENT, source: number, destination: number, bytes: number): Job {
  const encoded = new Uint8Array(COPY_ARGUMENTS.size);
  const values: Record<string, FieldValue> = {
    input: source,
    output: destination,
    rows: 1,
    row_bytes: bytes,
    input_stride: bytes,
    output_stride: bytes,
  };
  encodeStruct(COPY_ARGUMENTS, new DataView(encoded.buffer), 0, values);
  return {
    kernel: KERNEL_ID.COPY,
    words: [...new BigUint64Array(encoded.buffer)],
    segments: [SEGMENT[from], SEGMENT.outputs],
  };
}

const tensor = (
  name: string,
  type: GraphTensor['type'],
  elements: number,
  offset: number,
  bytes: number,
): GraphTensor => ({
  name,
  type,
  shape: [elements],
  offset,
  bytes,
});

const ELEMENTS = 16;
const BYTES = ELEMENTS * 4;

/** Weights of `copyGraph`. */
export const WEIGHTS = Float32Array.from({ length: ELEMENTS }, (_, index) => index + 0.5);

/** Outputs: `copy` of input `x`, `bits` of input `half` and `constant` from the weights. */
export function copyGraph(overrides: Partial<CompiledGraph> = {}): CompiledGraph {
  return {
    name: 'copies',
    generation: '2i',
    protocolVersion: PROTOCOL_VERSION,
    computeType: 'bf16',
    inputs: [tensor('x', 'float32', ELEMENTS, 0, BYTES), tensor('half', 'bfloat16', ELEMENTS, 64, BYTES / 2)],
    outputs: [
      tensor('copy', 'float32', ELEMENTS, 0, BYTES),
      tensor('constant', 'float32', ELEMENTS, 64, BYTES),
      tensor('bits', 'bfloat16', ELEMENTS, 128, BYTES / 2),
    ],
    segments: {
      weights: { bytes: BYTES, memory: 'lpddr' },
      workspace: { bytes: 4096, memory: 'sram' },
      inputs: { bytes: 128, memory: 'lpddr' },
      outputs: { bytes: 192, memory: 'sram' },
    },
    weights: new Uint8Array(WEIGHTS.buffer),
    image: image([
      copyJob('inputs', 0, 0, BYTES),
      copyJob('weights', 0, 64, BYTES),
      copyJob('inputs', 64, 128, BYTES / 2),
    ]),
    jobs: ['copy', 'constant', 'bits'].map((node) => ({ kernel: 'COPY', nodes: [node], shape: `${BYTES} bytes` })),
    ...overrides,
  };
}

/** Never ends. */
export function endlessGraph(): CompiledGraph {
  return copyGraph({
    name: 'endless',
    image: image([{ kernel: EXTERNAL_KERNEL_ID.ENDLESS, words: [], segments: [] }]),
    jobs: [{ kernel: 'ENDLESS', nodes: ['loop'], shape: '' }],
  });
}

/** Inputs that `copyGraph` takes; every value tells the run by its number. */
export function inputsOf(run: number): { x: Float32Array; half: Uint16Array } {
  return {
    x: Float32Array.from({ length: ELEMENTS }, (_, index) => run * 100 + index),
    half: Uint16Array.from({ length: ELEMENTS }, (_, index) => run * 100 + index),
  };
}
