/** ONNX operators → nodes of the graph. Older operator sets keep in attributes what newer ones take as inputs. */
import { freezeNode, type GraphNode, type IntegerList } from '../ir/nodes.js';
import type { OnnxNodeReader } from './attributes.js';
import { ONNX_TYPES } from './tensor-proto.js';

interface NodeBase {
  readonly name: string;
  readonly operator: string;
  readonly outputs: readonly string[];
}

type Import = (node: OnnxNodeReader, base: NodeBase) => GraphNode;

const unary =
  (kind: 'relu' | 'sigmoid' | 'tanh'): Import =>
  (node, base) => ({ ...base, kind, self: node.input(0) });

const identity: Import = (node, base) => ({ ...base, kind: 'identity', self: node.input(0) });

/** Axes of ReduceSum, Squeeze, Unsqueeze: an input since opset 13, an attribute before. */
const axes = (node: OnnxNodeReader, input: number): IntegerList | undefined =>
  node.optionalInput(input) ?? node.integers('axes');

const reduce =
  (kind: 'sum' | 'mean'): Import =>
  (node, base) => {
    const dims = axes(node, 1);
    if (dims === undefined && node.integer('noop_with_empty_axes', 0) === 1) return identity(node, base);
    return { ...base, kind, self: node.input(0), dims, keepDimension: node.integer('keepdims', 1) === 1 };
  };

const arithmetic =
  (operation: 'sub' | 'mul' | 'floordiv'): Import =>
  (node, base) => ({ ...base, kind: 'integer_arithmetic', operation, left: node.input(0), right: node.input(1) });

const unsupportedUse = (base: NodeBase, reason: string): GraphNode => ({ ...base, kind: 'unsupported', reason });

const OPERATORS: Readonly<Record<string, Import>> = {
  Gemm: (node, base) => ({
    ...base,
    kind: 'addmm',
    self: node.optionalInput(2),
    mat1: node.input(0),
    mat2: node.input(1),
    alpha: node.float('alpha', 1),
    beta: node.float('beta', 1),
    transpose1: node.integer('transA', 0) !== 0,
    transpose2: node.integer('transB', 0) !== 0,
  }),
  MatMul: (node, base) => ({ ...base, kind: 'matmul', self: node.input(0), other: node.input(1) }),
  Add: (node, base) =>
    // Until opset 6 an axis said where the second operand lies along the first; -1 is what broadcasting does by itself.
    node.integer('axis', -1) === -1
      ? { ...base, kind: 'add', self: node.input(0), other: node.input(1) }
      : unsupportedUse(base, 'broadcasts along an axis'),
  Sub: arithmetic('sub'),
  Mul: arithmetic('mul'),
  Div: arithmetic('floordiv'),
  Relu: unary('relu'),
  Sigmoid: unary('sigmoid'),
  Tanh: unary('tanh'),
  Gather: (node, base) => ({
    ...base,
    kind: 'index_select',
    self: node.input(0),
    dim: node.integer('axis', 0),
    index: node.input(1),
  }),
  GatherND: (node, base) => ({
    ...base,
    kind: 'gather_nd',
    self: node.input(0),
    indices: node.input(1),
    batchDims: node.integer('batch_dims', 0),
  }),
  ReduceSum: reduce('sum'),
  ReduceMean: reduce('mean'),
  Concat: (node, base) => ({ ...base, kind: 'cat', tensors: node.inputs, dim: node.integer('axis', 1) }),
  Transpose: (node, base) => ({ ...base, kind: 'permute', self: node.input(0), dims: node.integers('perm') }),
  Reshape: (node, base) => ({
    ...base,
    kind: 'reshape',
    self: node.input(0),
    shape: node.optionalInput(1) ?? node.integers('shape') ?? [],
    zeroCopies: node.integer('allowzero', 0) === 0,
  }),
  Flatten: (node, base) => ({
    ...base,
    kind: 'flatten_to_matrix',
    self: node.input(0),
    axis: node.integer('axis', 1),
  }),
  Unsqueeze: (node, base) => ({ ...base, kind: 'unsqueeze', self: node.input(0), dims: axes(node, 1) ?? [] }),
  Squeeze: (node, base) => ({ ...base, kind: 'squeeze', self: node.input(0), dims: axes(node, 1) }),
  Slice: (node, base) => ({
    ...base,
    kind: 'slice',
    self: node.input(0),
    starts: node.optionalInput(1) ?? node.integers('starts') ?? [],
    ends: node.optionalInput(2) ?? node.integers('ends') ?? [],
    dims: axes(node, 3),
    steps: node.optionalInput(4),
  }),
  Split: (node, base) => ({
    ...base,
    kind: 'split',
    self: node.input(0),
    dim: node.integer('axis', 0),
    sizes: node.optionalInput(1) ?? node.integers('split'),
  }),
  Identity: identity,
  Dropout: (node, base) =>
    node.optionalInput(2) === undefined && node.integer('is_test', 1) === 1
      ? identity(node, base)
      : unsupportedUse(base, 'training_mode is an input'),
  Cast: (node, base) => {
    const type = ONNX_TYPES[node.integer('to', 0)];
    if (type === undefined) return unsupportedUse(base, `to type ${node.integer('to', 0)}`);
    return { ...base, kind: 'cast', self: node.input(0), type };
  },
  Shape: (node, base) => ({
    ...base,
    kind: 'shape',
    self: node.input(0),
    start: node.integer('start', 0),
    end: node.optionalInteger('end'),
  }),
};

/** The node of the graph for one ONNX node. */
export function importOnnxNode(node: OnnxNodeReader): GraphNode {
  const base: NodeBase = { name: node.name, operator: node.operator, outputs: node.outputs };
  const importNode = Object.hasOwn(OPERATORS, node.operator) ? OPERATORS[node.operator] : undefined;
  if (importNode === undefined) return freezeNode(unsupportedUse(base, 'no lowering'));
  return freezeNode(importNode(node, base));
}
