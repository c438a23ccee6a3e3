/** Models that cases and tests make on the spot. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type CompiledGraph,
  type OnnxModel,
  type OnnxNode,
  type OnnxTensor,
  writeOnnxModel,
} from '../compiler/index.js';
import { encodeStruct, type Generation, GRAPH_HEADER, GRAPH_JOB, GRAPH_MAGIC, PROTOCOL_VERSION } from '../hw/index.js';
import type { TensorData } from '../streaming-api/index.js';
import type { Random } from './random.js';

const MLP_INPUTS = 24;
const MLP_OUTPUTS = 10;
const TABLE_ROWS = 50;
const BAG = 3;

function floats(random: Random, count: number): Float32Array {
  return Float32Array.from({ length: count }, () => 2 * random.next() - 1);
}

function constant(random: Random, name: string, shape: readonly number[]): OnnxTensor {
  const count = shape.reduce((product, size) => product * size, 1);
  return { name, type: 'float32', shape, data: new Uint8Array(floats(random, count).buffer) };
}

function indices(name: string, values: readonly number[]): OnnxTensor {
  const data = new Uint8Array(BigInt64Array.from(values, BigInt).buffer);
  return { name, type: 'int64', shape: [values.length], data };
}

/** Two dense layers beside a table whose rows are summed: input `x` and bags `ids`, output `y` of `MLP_OUTPUTS` columns. */
export function rankingModel(random: Random, layer = 40): OnnxModel {
  const nodes: OnnxNode[] = [
    { operator: 'Gather', inputs: ['table', 'ids'], outputs: ['rows'], attributes: { axis: 0 } },
    { operator: 'ReduceSum', inputs: ['rows', 'axes'], outputs: ['bag'], attributes: { keepdims: 0 } },
    { operator: 'Concat', inputs: ['x', 'bag'], outputs: ['features'], attributes: { axis: 1 } },
    { operator: 'Gemm', inputs: ['features', 'w1', 'b1'], outputs: ['h'], attributes: { transB: 1 } },
    { operator: 'Relu', inputs: ['h'], outputs: ['a'] },
    { operator: 'Gemm', inputs: ['a', 'w2', 'b2'], outputs: ['s'], attributes: { transB: 1 } },
    { operator: 'Sigmoid', inputs: ['s'], outputs: ['y'] },
  ];
  return {
    name: 'ranking',
    inputs: [
      { name: 'x', type: 'float32', shape: ['batch', MLP_INPUTS] },
      { name: 'ids', type: 'int64', shape: ['batch', BAG] },
    ],
    outputs: [{ name: 'y', type: 'float32', shape: ['batch', MLP_OUTPUTS] }],
    initializers: [
      indices('axes', [1]),
      constant(random, 'table', [TABLE_ROWS, 16]),
      constant(random, 'w1', [layer, MLP_INPUTS + 16]),
      constant(random, 'b1', [layer]),
      constant(random, 'w2', [MLP_OUTPUTS, layer]),
      constant(random, 'b2', [MLP_OUTPUTS]),
    ],
    nodes,
  };
}

/** One request of `rankingModel`. */
export function rankingInputs(random: Random, rows = 1): Record<'x' | 'ids', TensorData> {
  const ids = Array.from({ length: rows * BAG }, () => BigInt(random.integer(0, TABLE_ROWS - 1)));
  return { x: floats(random, rows * MLP_INPUTS), ids: BigInt64Array.from(ids) };
}

/** Rows of the output are made of rows of the input that lie elsewhere in the batch. */
export function mixingModel(): OnnxModel {
  return {
    name: 'mixing',
    inputs: [{ name: 'x', type: 'float32', shape: ['batch', 8] }],
    outputs: [{ name: 'y', type: 'float32', shape: ['batch', 16] }],
    initializers: [indices('shape', [-1, 16])],
    nodes: [
      { operator: 'Concat', inputs: ['x', 'x'], outputs: ['twice'], attributes: { axis: 0 } },
      { operator: 'Reshape', inputs: ['twice', 'shape'], outputs: ['y'], attributes: { allowzero: 0 } },
    ],
  };
}

/** Writes a model to a file of its own; `remove` deletes it. */
export async function writeModelFile(model: OnnxModel): Promise<{ path: string; remove: () => Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), 'mtia-model-'));
  const path = join(folder, `${model.name}.onnx`);
  await writeFile(path, writeOnnxModel(model));
  return { path, remove: () => rm(folder, { recursive: true, force: true }) };
}

/** A graph whose only job runs a kernel of the bundle without arguments; input `x` and output `y` are four floats each. */
export function kernelGraph(
  kernel: { readonly name: string; readonly id: number },
  generation: Generation,
): CompiledGraph {
  const image = new Uint8Array(GRAPH_HEADER.size + GRAPH_JOB.size);
  const view = new DataView(image.buffer);
  const header = { magic: GRAPH_MAGIC, version: PROTOCOL_VERSION, job_count: 1, segment_count: 4 };
  encodeStruct(GRAPH_HEADER, view, 0, header);
  encodeStruct(GRAPH_JOB, view, GRAPH_HEADER.size, { kernel: kernel.id, columns: 1, rows: 1 });
  const tensor = { type: 'float32', shape: [4], offset: 0, bytes: 16 } as const;
  return {
    name: kernel.name.toLowerCase(),
    generation,
    protocolVersion: PROTOCOL_VERSION,
    computeType: 'bf16',
    inputs: [{ ...tensor, name: 'x' }],
    outputs: [{ ...tensor, name: 'y' }],
    segments: {
      weights: { bytes: 0, memory: 'lpddr' },
      workspace: { bytes: 0, memory: 'sram' },
      inputs: { bytes: 64, memory: 'lpddr' },
      outputs: { bytes: 64, memory: 'lpddr' },
    },
    weights: new Uint8Array(),
    image,
    jobs: [{ kernel: kernel.name, nodes: [kernel.name], shape: '' }],
  };
}
