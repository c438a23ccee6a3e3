/** A DLRM in the MLPerf shape with seeded weights, as an ONNX file: 26 embedding tables, two MLPs, a dot interaction. */

import { type OnnxNode, type OnnxTensor, type OnnxTensorInfo, writeOnnxModel } from '../src/compiler/index.js';
import { randomNumbers } from '../src/conformance/random.js';
import type { TensorData } from '../src/streaming-api/index.js';
import { floatTensor, integerTensor, seededFloats, seededIndices } from './seeded.js';

const TABLES = 26;
const ROWS = 2000;
const WIDTH = 128;
const FEATURES = TABLES + 1;
const PAIRS = (FEATURES * (FEATURES - 1)) / 2;
const DENSE = 13;
const BOTTOM = [DENSE, 512, 256, WIDTH] as const;
const TOP = [WIDTH + PAIRS, 1024, 1024, 512, 256, 1] as const;
const SEED = 2026;

export interface DlrmInput {
  readonly name: string;
  readonly type: 'float32' | 'int64';
  readonly shape: readonly number[];
  readonly data: TensorData;
}

interface Parts {
  readonly nodes: OnnxNode[];
  readonly initializers: OnnxTensor[];
  readonly random: () => number;
}

const tableNames = Array.from({ length: TABLES }, (_, index) => `c${index + 1}`);

/** Linear layers with ReLU between them; the name of the last one's output. */
function addMlp(
  { nodes, initializers, random }: Parts,
  prefix: string,
  input: string,
  sizes: readonly number[],
): string {
  let value = input;
  for (let layer = 1; layer < sizes.length; layer++) {
    const [k, n] = [sizes[layer - 1] ?? 0, sizes[layer] ?? 0];
    const [weight, bias, sum] = [`${prefix}.${layer}.weight`, `${prefix}.${layer}.bias`, `${prefix}.${layer}`];
    // The limit that keeps the variance of activations from layer to layer.
    initializers.push(floatTensor(weight, [n, k], seededFloats(n * k, Math.sqrt(6 / k), random)));
    initializers.push(floatTensor(bias, [n], seededFloats(n, 0.1, random)));
    nodes.push({ operator: 'Gemm', inputs: [value, weight, bias], outputs: [sum], attributes: { transB: 1 } });
    value = sum;
    if (layer === sizes.length - 1) break;
    nodes.push({ operator: 'Relu', inputs: [sum], outputs: [`${sum}.relu`] });
    value = `${sum}.relu`;
  }
  return value;
}

function addEmbeddings({ nodes, initializers, random }: Parts): string[] {
  initializers.push(integerTensor('sum.axes', [1], [1]));
  return tableNames.map((name) => {
    const [weight, rows, pooled] = [`${name}.table`, `${name}.rows`, `${name}.pooled`];
    initializers.push(floatTensor(weight, [ROWS, WIDTH], seededFloats(ROWS * WIDTH, 0.25, random)));
    nodes.push({ operator: 'Gather', inputs: [weight, name], outputs: [rows], attributes: { axis: 0 } });
    nodes.push({
      operator: 'ReduceSum',
      inputs: [rows, 'sum.axes'],
      outputs: [pooled],
      attributes: { keepdims: 0, noop_with_empty_axes: 0 },
    });
    return pooled;
  });
}

/** Products of every two features, as torch.export writes the indexing of the lower triangle. */
function addInteraction({ nodes, initializers }: Parts, features: readonly string[]): string {
  const places: number[] = [];
  for (let row = 0; row < FEATURES; row++)
    for (let column = 0; column < row; column++) places.push(row * FEATURES + column);
  initializers.push(integerTensor('stack.axis', [1], [1]));
  initializers.push(integerTensor('flat.shape', [2], [-1, FEATURES * FEATURES]));
  initializers.push(integerTensor('places', [PAIRS, 1], places));
  const stacked = features.map((feature) => {
    nodes.push({ operator: 'Unsqueeze', inputs: [feature, 'stack.axis'], outputs: [`${feature}.row`] });
    return `${feature}.row`;
  });
  nodes.push(
    { operator: 'Concat', inputs: stacked, outputs: ['stack'], attributes: { axis: 1 } },
    { operator: 'Transpose', inputs: ['stack'], outputs: ['stack.t'], attributes: { perm: [0, 2, 1] } },
    { operator: 'MatMul', inputs: ['stack', 'stack.t'], outputs: ['products'] },
    { operator: 'Reshape', inputs: ['products', 'flat.shape'], outputs: ['flat'], attributes: { allowzero: 1 } },
    { operator: 'Transpose', inputs: ['flat'], outputs: ['flat.t'], attributes: { perm: [1, 0] } },
    { operator: 'GatherND', inputs: ['flat.t', 'places'], outputs: ['pairs.t'], attributes: { batch_dims: 0 } },
    { operator: 'Transpose', inputs: ['pairs.t'], outputs: ['pairs'], attributes: { perm: [1, 0] } },
  );
  return 'pairs';
}

const INPUTS: readonly OnnxTensorInfo[] = [
  { name: 'dense', type: 'float32', shape: ['batch', DENSE] },
  ...tableNames.map((name) => ({ name, type: 'int64', shape: ['batch', 1] }) as const),
];

export function writeDlrm(): Uint8Array {
  const parts: Parts = { nodes: [], initializers: [], random: randomNumbers(SEED) };
  const bottom = addMlp(parts, 'bottom', 'dense', BOTTOM);
  parts.nodes.push({ operator: 'Relu', inputs: [bottom], outputs: ['x'] });
  const pooled = addEmbeddings(parts);
  const pairs = addInteraction(parts, ['x', ...pooled]);
  parts.nodes.push({ operator: 'Concat', inputs: ['x', pairs], outputs: ['z'], attributes: { axis: 1 } });
  const logit = addMlp(parts, 'top', 'z', TOP);
  parts.nodes.push({ operator: 'Sigmoid', inputs: [logit], outputs: ['score'] });
  return writeOnnxModel({
    name: 'dlrm',
    inputs: INPUTS,
    outputs: [{ name: 'score', type: 'float32', shape: ['batch', 1] }],
    initializers: parts.initializers,
    nodes: parts.nodes,
  });
}

export function dlrmInputs(batch: number): DlrmInput[] {
  const random = randomNumbers(SEED + batch);
  return [
    { name: 'dense', type: 'float32', shape: [batch, DENSE], data: seededFloats(batch * DENSE, 1, random) },
    ...tableNames.map(
      (name): DlrmInput => ({ name, type: 'int64', shape: [batch, 1], data: seededIndices(batch, ROWS, random) }),
    ),
  ];
}
