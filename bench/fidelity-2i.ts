/** What is published of MTIA 2i in words, as rows. */
import type { CompiledGraph } from '../src/compiler/index.js';
import {
  encodeStruct,
  GRAPH_HEADER,
  GRAPH_JOB,
  GRAPH_MAGIC,
  KERNEL_ID,
  PROTOCOL_VERSION,
  SPECIFICATIONS,
} from '../src/hw/index.js';
import type { FidelityDevice } from './fidelity-device.js';
import { fullyConnectedUs, type Layer } from './fidelity-fully-connected.js';
import { STATEMENTS_2I } from './fidelity-published.js';
import type { FidelityRow } from './fidelity-rows.js';

const { fp16Tflops, lpddrGBs, eccCost } = SPECIFICATIONS['2i'];

/** ECC is on, as in all that is published (I25 section 5). */
const LPDDR_WITH_ECC = lpddrGBs.value * (1 - eccCost.value);

const GEMM: Layer = { m: 2048, k: 2048, n: 2048, type: 'FP16', memory: 'sram' };
/** Weights of 109 MB from LPDDR; activations stay on the chip (I25 section 4.2). */
const WEIGHTS: Layer = { m: 512, k: 2048, n: 26592, type: 'FP16', memory: 'lpddr', activations: 'sram' };

/** Segments of a compiled graph: none of them is used here, but all are bound. */
const SEGMENTS = 4;
/** Null jobs behind the first one, all on one PE. */
const REPLACEMENTS = 64;

function nullJobs(count: number): CompiledGraph {
  const image = new Uint8Array(GRAPH_HEADER.size + count * GRAPH_JOB.size);
  const view = new DataView(image.buffer);
  encodeStruct(GRAPH_HEADER, view, 0, {
    magic: GRAPH_MAGIC,
    version: PROTOCOL_VERSION,
    job_count: count,
    segment_count: SEGMENTS,
  });
  for (let job = 0; job < count; job++) {
    encodeStruct(GRAPH_JOB, view, GRAPH_HEADER.size + job * GRAPH_JOB.size, {
      kernel: KERNEL_ID.NULL,
      columns: 1,
      rows: 1,
    });
  }
  const none = { bytes: 0, memory: 'lpddr' } as const;
  return {
    name: `${count} null jobs`,
    generation: '2i',
    protocolVersion: PROTOCOL_VERSION,
    computeType: 'fp16',
    inputs: [],
    outputs: [],
    segments: { weights: none, workspace: none, inputs: none, outputs: none },
    weights: new Uint8Array(0),
    image,
    jobs: Array.from({ length: count }, () => ({ kernel: 'NULL', nodes: [], shape: '' })),
  };
}

async function graphUs({ device }: FidelityDevice, graph: CompiledGraph): Promise<number> {
  await using model = await device.loadModel(graph);
  return (await model.run({})).graphUs;
}

const common = { generation: '2i', group: '2i statements', isBound: true, source: 'I25' } as const;

export const STATEMENT_ROWS: readonly FidelityRow[] = [
  {
    ...common,
    name: '2048 x 2048 x 2048 FP16 from SRAM',
    unit: 'TFLOPS',
    better: 'higher',
    published: STATEMENTS_2I.gemmShareOfPeak * fp16Tflops.value,
    predict: async (target) => (2 * GEMM.m * GEMM.k * GEMM.n) / (await fullyConnectedUs(target, GEMM)) / 1e6,
  },
  {
    ...common,
    name: '512 x 26592 x 2048 FP16, weights from LPDDR',
    unit: 'GB/s',
    better: 'higher',
    published: STATEMENTS_2I.gemmShareOfLpddr * LPDDR_WITH_ECC,
    predict: async (target) => (2 * WEIGHTS.k * WEIGHTS.n) / (await fullyConnectedUs(target, WEIGHTS)) / 1000,
  },
  {
    ...common,
    name: 'launch of a job',
    unit: 'µs',
    better: 'lower',
    published: STATEMENTS_2I.launchUs,
    predict: async ({ device }) => {
      const grid = { columns: 1, rows: 1 };
      return (await device.defaultStream.launch(device.kernel('NULL'), { grid })).deviceUs;
    },
  },
  {
    ...common,
    name: 'replacement of a job on its PE',
    unit: 'µs',
    better: 'lower',
    published: STATEMENTS_2I.replaceUs,
    predict: async (target) =>
      ((await graphUs(target, nullJobs(1 + REPLACEMENTS))) - (await graphUs(target, nullJobs(1)))) / REPLACEMENTS,
  },
];
