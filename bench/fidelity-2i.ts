/** What is published of MTIA 2i in words, as rows. */
import { SPECIFICATIONS } from '../src/hw/index.js';
import { fullyConnectedUs, type Layer } from './fidelity-fully-connected.js';
import { STATEMENTS_2I } from './fidelity-published.js';
import type { FidelityRow } from './fidelity-rows.js';

const { fp16Tflops, lpddrGBs, eccCost } = SPECIFICATIONS['2i'];

/** ECC is on, as in all that is published (I25 section 5). */
const LPDDR_WITH_ECC = lpddrGBs.value * (1 - eccCost.value);

const GEMM: Layer = { m: 2048, k: 2048, n: 2048, type: 'FP16', memory: 'sram' };
/** Weights of 109 MB from LPDDR; activations stay on the chip (I25 section 4.2). */
const WEIGHTS: Layer = { m: 512, k: 2048, n: 26592, type: 'FP16', memory: 'lpddr', activations: 'sram' };

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
];
