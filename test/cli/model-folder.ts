/** A small model with data whose expected outputs are computed here, in the layout of ONNX's backend tests. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type OnnxNode, type OnnxTensor, writeOnnxModel, writeTensorProto } from '../../src/compiler/index.js';

const [BATCH, K, N] = [3, 40, 7];

export const SMALL = { batch: BATCH, k: K, n: N } as const;

function floats(name: string, shape: readonly number[], of: (index: number) => number): OnnxTensor {
  const count = shape.reduce((product, size) => product * size, 1);
  const data = Float32Array.from({ length: count }, (_, index) => of(index));
  return { name, type: 'float32', shape, data: new Uint8Array(data.buffer) };
}

// Multiples of 1/8 below 1: exact in every type that the chip multiplies in.
const weightAt = (index: number): number => ((index * 5) % 15) / 8 - 0.875;
const inputAt = (index: number): number => ((index * 3) % 13) / 8 - 0.75;
const biasAt = (index: number): number => index / 4 - 0.5;

function expectedAt(index: number): number {
  const [row, column] = [Math.floor(index / N), index % N];
  let sum = biasAt(column);
  for (let k = 0; k < K; k++) sum += inputAt(row * K + k) * weightAt(column * K + k);
  return Math.max(0, sum);
}

export const smallInput = (shape: readonly number[] = [BATCH, K]): OnnxTensor => floats('x', shape, inputAt);
export const smallOutput = (shift = 0): OnnxTensor => floats('y', [BATCH, N], (index) => expectedAt(index) + shift);

const NODES: readonly OnnxNode[] = [
  { operator: 'Gemm', inputs: ['x', 'w', 'b'], outputs: ['sum'], attributes: { transB: 1 } },
  { operator: 'Relu', inputs: ['sum'], outputs: ['y'] },
];

/** `last` replaces the activation, for operators that nothing on the chip computes. */
export function smallModel(last = 'Relu'): Uint8Array {
  return writeOnnxModel({
    name: 'small',
    inputs: [{ name: 'x', type: 'float32', shape: ['batch', K] }],
    outputs: [{ name: 'y', type: 'float32', shape: ['batch', N] }],
    initializers: [floats('w', [N, K], weightAt), floats('b', [N], biasAt)],
    nodes: NODES.map((node) => (node.operator === 'Relu' ? { ...node, operator: last } : node)),
  });
}

export interface FolderContent {
  readonly model?: Uint8Array;
  readonly input?: OnnxTensor;
  readonly output?: OnnxTensor;
}

/** Writes model.onnx and test_data_set_0; gives the folder back. */
export async function writeModelFolder(folder: string, content: FolderContent = {}): Promise<string> {
  const { model = smallModel(), input = smallInput(), output = smallOutput() } = content;
  const data = join(folder, 'test_data_set_0');
  await mkdir(data, { recursive: true });
  await writeFile(join(folder, 'model.onnx'), model);
  await writeFile(join(data, 'input_0.pb'), writeTensorProto(input));
  await writeFile(join(data, 'output_0.pb'), writeTensorProto(output));
  return folder;
}
