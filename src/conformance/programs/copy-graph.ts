/** The least model there is: it gives its input back. */
import { type CompiledGraph, type GraphTensor, SEGMENT_KINDS } from '../../compiler/compiled-graph.js';
import {
  COPY_ARGUMENTS,
  encodeGraphImage,
  encodeStruct,
  type Generation,
  GRAPH_JOB_FLAG,
  type GraphJobRecord,
  KERNEL_ID,
  PROTOCOL_VERSION,
} from '../../hw/index.js';
import { ONE_PE } from '../session.js';

const ROW_BYTES = 64;
export const ROW_ELEMENTS = ROW_BYTES / Float32Array.BYTES_PER_ELEMENT;

/** Numbers of segments as graph jobs name them. */
const SEGMENT = { weights: 1, inputs: 3, outputs: 4 } as const;

/** Rows that follow each other, copied from a segment to the outputs; offsets are bytes. */
export interface RowsCopy {
  readonly from: keyof typeof SEGMENT;
  readonly source: number;
  readonly destination: number;
  readonly rows: number;
  readonly rowBytes: number;
}

/** A job of one PE that waits for those before it. */
export function copyJob({ from, source, destination, rows, rowBytes }: RowsCopy): GraphJobRecord {
  const encoded = new Uint8Array(COPY_ARGUMENTS.size);
  encodeStruct(COPY_ARGUMENTS, new DataView(encoded.buffer), 0, {
    input: source,
    output: destination,
    rows,
    row_bytes: rowBytes,
    input_stride: rowBytes,
    output_stride: rowBytes,
  });
  return {
    kernel: KERNEL_ID.COPY,
    flags: GRAPH_JOB_FLAG.BARRIER,
    rectangle: ONE_PE,
    words: [...new BigUint64Array(encoded.buffer)],
    segments: [SEGMENT[from], SEGMENT.outputs],
  };
}

/** The image of jobs over the segments of a compiled graph. */
export function imageOf(jobs: readonly GraphJobRecord[]): Uint8Array {
  return encodeGraphImage(jobs, SEGMENT_KINDS.length);
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
    image: imageOf([copyJob({ from: 'inputs', source: 0, destination: 0, rows, rowBytes: ROW_BYTES })]),
    jobs: [{ kernel: 'COPY', nodes: ['y'], shape: `${bytes} bytes` }],
  };
}
