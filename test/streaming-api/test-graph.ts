/** Compiled graphs written by hand, so that these tests need no compiler. */
import type { CompiledGraph, GraphTensor } from '../../src/compiler/compiled-graph.js';
import { copyJob, imageOf } from '../../src/conformance/programs/copy-graph.js';
import { ONE_PE } from '../../src/conformance/session.js';
import { EXTERNAL_KERNEL_ID } from '../../src/firmware-emu/index.js';
import { GRAPH_JOB_FLAG, PROTOCOL_VERSION } from '../../src/hw/index.js';

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
    image: imageOf([
      copyJob({ from: 'inputs', source: 0, destination: 0, rows: 1, rowBytes: BYTES }),
      copyJob({ from: 'weights', source: 0, destination: 64, rows: 1, rowBytes: BYTES }),
      copyJob({ from: 'inputs', source: 64, destination: 128, rows: 1, rowBytes: BYTES / 2 }),
    ]),
    jobs: ['copy', 'constant', 'bits'].map((node) => ({ kernel: 'COPY', nodes: [node], shape: `${BYTES} bytes` })),
    ...overrides,
  };
}

/** Never ends. */
export function endlessGraph(): CompiledGraph {
  return copyGraph({
    name: 'endless',
    image: imageOf([
      { kernel: EXTERNAL_KERNEL_ID.ENDLESS, flags: GRAPH_JOB_FLAG.BARRIER, rectangle: ONE_PE, words: [], segments: [] },
    ]),
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
