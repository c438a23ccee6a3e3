/** The least model there is: it gives its input back. */
import type { CompiledGraph, GraphTensor } from '../../compiler/compiled-graph.js';
import {
  COPY_ARGUMENTS,
  encodeStruct,
  type Generation,
  GRAPH_HEADER,
  GRAPH_JOB,
  GRAPH_JOB_FLAG,
  GRAPH_MAGIC,
  KERNEL_ID,
  PROTOCOL_VERSION,
} from '../../hw/index.js';

const ROW_BYTES = 64;
export const ROW_ELEMENTS = ROW_BYTES / Float32Array.BYTES_PER_ELEMENT;

/** Numbers of segments as graph jobs name them. */
const SEGMENT = { inputs: 3, outputs: 4 } as const;

function copyArguments(rows: number): readonly bigint[] {
  const encoded = new Uint8Array(COPY_ARGUMENTS.size);
  const values = {
    input: 0,
    output: 0,
    rows,
    row_bytes: ROW_BYTES,
    input_stride: ROW_BYTES,
    output_stride: ROW_BYTES,
  };
  encodeStruct(COPY_ARGUMENTS, new DataView(encoded.buffer), 0, values);
  return [...new BigUint64Array(encoded.buffer)];
}

function image(rows: number): Uint8Array {
  const bytes = new Uint8Array(GRAPH_HEADER.size + GRAPH_JOB.size);
  const view = new DataView(bytes.buffer);
  encodeStruct(GRAPH_HEADER, view, 0, {
    magic: GRAPH_MAGIC,
    version: PROTOCOL_VERSION,
    job_count: 1,
    segment_count: 4,
  });
  const words = copyArguments(rows);
  encodeStruct(GRAPH_JOB, view, GRAPH_HEADER.size, {
    kernel: KERNEL_ID.COPY,
    flags: GRAPH_JOB_FLAG.BARRIER,
    columns: 1,
    rows: 1,
    argument_words: words.length,
    segment: [SEGMENT.inputs, SEGMENT.outputs],
    arguments: words,
  });
  return bytes;
}

/** `y` is `x`, rows of 16 numbers. */
export function copyGraph(generation: Generation, rows: number): CompiledGraph {
  const bytes = rows * ROW_BYTES;
  const tensor = (name: string): GraphTensor => ({
    name,
    type: 'float32',
    shape: [rows, ROW_ELEMENTS],
    offset: 0,
    bytes,
  });
  return {
    name: `copy of ${rows} rows`,
    generation,
    protocolVersion: PROTOCOL_VERSION,
    computeType: 'bf16',
    inputs: [tensor('x')],
    outputs: [tensor('y')],
    segments: {
      weights: { bytes: 0, memory: 'lpddr' },
      workspace: { bytes: 0, memory: 'sram' },
      inputs: { bytes, memory: 'lpddr' },
      outputs: { bytes, memory: 'sram' },
    },
    weights: new Uint8Array(0),
    image: image(rows),
    jobs: [{ kernel: 'COPY', nodes: ['y'], shape: `${bytes} bytes` }],
  };
}
