/** Fixtures, data sets and comparisons that the compiler's tests share. */
import { existsSync, readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  type CompiledGraph,
  type CompileOptions,
  compileModel,
  type OnnxModel,
  type OnnxTensor,
  parseModel,
  readTensorProto,
  writeOnnxModel,
} from '../../src/compiler/index.js';
import { runGraph } from './reference-interpreter.js';

export const FIXTURES = fileURLToPath(new URL('fixtures/', import.meta.url));
/** Models that are not part of the repository. */
export const SHARED_MODELS = fileURLToPath(new URL('../../../shared/models/', import.meta.url));
export const SHARED_ARE_HERE = existsSync(SHARED_MODELS);

export interface DataSet {
  readonly inputs: readonly OnnxTensor[];
  readonly outputs: readonly OnnxTensor[];
}

export async function readDataSet(folder: string): Promise<DataSet> {
  const read = async (kind: 'input' | 'output'): Promise<OnnxTensor[]> => {
    const files = readdirSync(folder).filter((name) => name.startsWith(`${kind}_`));
    return Promise.all(
      files.map(async (_, index) => readTensorProto(await readFile(join(folder, `${kind}_${index}.pb`)))),
    );
  };
  return { inputs: await read('input'), outputs: await read('output') };
}

export function floatsOf(bytes: Uint8Array): Float32Array {
  return new Float32Array(new Uint8Array(bytes).buffer);
}

export function float32(name: string, shape: readonly number[], values: readonly number[]): OnnxTensor {
  return { name, type: 'float32', shape, data: new Uint8Array(Float32Array.from(values).buffer) };
}

export function int64(name: string, shape: readonly number[], values: readonly number[]): OnnxTensor {
  return { name, type: 'int64', shape, data: new Uint8Array(BigInt64Array.from(values, BigInt).buffer) };
}

/** Deterministic values in -1..1 with few enough bits that BF16 holds them exactly. */
export function testValues(count: number, seed = 1): number[] {
  let state = seed * 2654435761;
  return Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return ((state >>> 24) - 128) / 128;
  });
}

export function largestDifference(actual: Float32Array, expected: ArrayLike<number>): number {
  if (actual.length !== expected.length) return Number.POSITIVE_INFINITY;
  let largest = 0;
  for (let index = 0; index < actual.length; index++) {
    const difference = Math.abs((actual[index] ?? Number.NaN) - (expected[index] ?? 0));
    // NaN compares false with everything, so it must not pass for small.
    if (!(difference <= largest)) largest = Number.isNaN(difference) ? Number.POSITIVE_INFINITY : difference;
  }
  return largest;
}

/** Compiles an ONNX model made on the spot. */
export async function compileOnnx(
  model: Omit<OnnxModel, 'name'>,
  options: Partial<CompileOptions> = {},
): Promise<CompiledGraph> {
  const graph = await parseModel(writeOnnxModel({ name: 'test', ...model }), 'test', FIXTURES);
  return compileModel(graph, { generation: '2i', ...options });
}

/** Outputs as numbers, of float32 outputs. */
export function runFloats(graph: CompiledGraph, inputs: readonly OnnxTensor[]): readonly Float32Array[] {
  return runGraph(
    graph,
    inputs.map((input) => input.data),
  ).map(floatsOf);
}

export const kernelsOf = (graph: CompiledGraph): readonly string[] => graph.jobs.map((job) => job.kernel);
