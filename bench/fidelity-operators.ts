/** The other operators of I23 on many matrices of M = 256, K = 128, N = 32, through BATCHED_MATRICES and UNARY. */
import { ACTIVATION, CONVERT_ARGUMENTS, DATA_TYPE } from '../src/hw/index.js';
import type { FidelityDevice, Memory } from './fidelity-device.js';
import { OPERATORS_V1 } from './fidelity-published.js';
import type { FidelityRow } from './fidelity-rows.js';

const M = 256;
const K = 128;
const N = 32;
/** How many matrices is not published; so many that launch and first load do not show, and that all fit into the SRAM. */
const BATCH = 512;

interface Batched {
  /** Number of the operation in BATCHED_MATRICES. */
  readonly operation: number;
  /** Bytes of one matrix: both operands, output. */
  readonly first: number;
  readonly second: number;
  readonly output: number;
}

/** FP16 in and out, but INT8 after quantize and before dequantize; dequantize gives FP32, as the SIMD engine of v1. */
export const BATCHED = {
  batchMatMul: { operation: 0, first: M * K * 2, second: K * N * 2, output: M * N * 2 },
  transpose: { operation: 1, first: M * K * 2, second: 0, output: M * K * 2 },
  concat: { operation: 2, first: M * K * 2, second: M * N * 2, output: M * (K + N) * 2 },
  quantize: { operation: 3, first: M * K * 2, second: 0, output: M * K },
  dequantize: { operation: 4, first: M * K, second: 0, output: M * K * 4 },
} as const satisfies Record<string, Batched>;

/** Bytes in and out per second, in GB/s. */
async function batchedGBs(target: FidelityDevice, of: Batched, memory: Memory): Promise<number> {
  const operands = [of.first, of.second, of.output];
  const buffers = [];
  for (const bytes of operands) buffers.push(await target.allocate(Math.max(64, bytes * BATCH), memory));
  const { defaultStream, properties } = target.device;
  const kernel = target.device.kernel('BATCHED_MATRICES');
  const { deviceUs } = await defaultStream.launch(kernel, { grid: properties.grid }, [of.operation, ...buffers, BATCH]);
  return (operands.reduce((sum, bytes) => sum + bytes) * BATCH) / deviceUs / 1000;
}

async function tanhGBs(target: FidelityDevice, memory: Memory): Promise<number> {
  const rows = M * BATCH;
  const stride = K * 2;
  const us = await target.launchUs({
    kernel: 'UNARY',
    layout: CONVERT_ARGUMENTS,
    values: {
      input: await target.allocate(rows * stride, memory),
      output: await target.allocate(rows * stride, memory),
      rows,
      elements: K,
      input_stride: stride,
      output_stride: stride,
      input_type: DATA_TYPE.FP16,
      output_type: DATA_TYPE.FP16,
      function: ACTIVATION.TANH,
    },
  });
  return (2 * rows * stride) / us / 1000;
}

const PREDICT: Readonly<
  Record<keyof typeof OPERATORS_V1, (target: FidelityDevice, memory: Memory) => Promise<number>>
> = {
  batchMatMul: (target, memory) => batchedGBs(target, BATCHED.batchMatMul, memory),
  transpose: (target, memory) => batchedGBs(target, BATCHED.transpose, memory),
  concat: (target, memory) => batchedGBs(target, BATCHED.concat, memory),
  quantize: (target, memory) => batchedGBs(target, BATCHED.quantize, memory),
  dequantize: (target, memory) => batchedGBs(target, BATCHED.dequantize, memory),
  tanh: tanhGBs,
};

export const OPERATOR_ROWS: readonly FidelityRow[] = (['sram', 'lpddr'] as const).flatMap((memory) =>
  (Object.keys(OPERATORS_V1) as (keyof typeof OPERATORS_V1)[]).map((name) => ({
    generation: 'v1' as const,
    group: `operators, ${memory === 'sram' ? 'SRAM' : 'LPDDR'}, v1`,
    name,
    unit: 'GB/s',
    better: 'higher' as const,
    published: OPERATORS_V1[name][memory],
    source: 'I23',
    predict: (target: FidelityDevice) => PREDICT[name](target, memory),
  })),
);
