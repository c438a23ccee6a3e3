/** ATen operators of an exported program → nodes of the graph; both the TRAINING form and run_decompositions(). */
import { freezeNode, type GraphNode, type IntegerList } from '../ir/nodes.js';
import type { NodeArguments } from './arguments.js';

type Import = (a: NodeArguments, base: NodeBase) => GraphNode;

interface NodeBase {
  readonly name: string;
  readonly operator: string;
  readonly outputs: readonly string[];
}

const unary =
  (kind: 'relu' | 'sigmoid' | 'tanh'): Import =>
  (a, base) => ({ ...base, kind, self: a.tensor('self') });

const identity: Import = (a, base) => ({ ...base, kind: 'identity', self: a.tensor('self') });

/** Dropout is the identity in inference; a model exported in training mode means something else. */
const dropout: Import = (a, base) =>
  a.boolean('train', false)
    ? { ...base, kind: 'unsupported', reason: 'dropout in training mode; export the model after model.eval()' }
    : { ...base, kind: 'identity', self: a.tensor('input') };

const matmul =
  (self: string, other: string): Import =>
  (a, base) => ({ ...base, kind: 'matmul', self: a.tensor(self), other: a.tensor(other) });

const reshape =
  (argument: string): Import =>
  (a, base) => ({
    ...base,
    kind: 'reshape',
    self: a.tensor('self'),
    shape: a.integers(argument) ?? [],
    zeroCopies: false,
  });

const BAG_MODES = ['sum', 'mean', 'max'] as const;

/** _embedding_bag's padding_idx is -1 for none; embedding_bag.padding_idx's is None, and counts from the end if negative. */
const embeddingBag =
  (noPadding: number | undefined): Import =>
  (a, base) => {
    const padding = a.optionalInteger('padding_idx');
    return {
      ...base,
      kind: 'embedding_bag',
      weight: a.tensor('weight'),
      indices: a.tensor('indices'),
      offsets: a.tensor('offsets'),
      mode: BAG_MODES[a.integer('mode', 0)] ?? 'max',
      includeLastOffset: a.boolean('include_last_offset', false),
      paddingIndex: padding === noPadding ? undefined : padding,
      perSampleWeights: a.has('per_sample_weights'),
    };
  };

const reduce =
  (kind: 'sum' | 'mean'): Import =>
  (a, base) => ({
    ...base,
    kind,
    self: a.tensor('self'),
    dims: a.integers('dim'),
    keepDimension: a.boolean('keepdim', false),
  });

const arithmetic =
  (operation: 'add' | 'sub' | 'mul' | 'floordiv'): Import =>
  (a, base) => ({
    ...base,
    kind: 'integer_arithmetic',
    operation,
    left: a.integerOperand('a'),
    right: a.integerOperand('b'),
  });

const arange: Import = (a, base) => ({
  ...base,
  kind: 'arange',
  start: a.integerOperand('start', 0),
  end: a.integerOperand('end'),
  step: a.integerOperand('step', 1),
});

const squeeze: Import = (a, base) => ({ ...base, kind: 'squeeze', self: a.tensor('self'), dims: a.integers('dim') });

const LARGEST = Number.MAX_SAFE_INTEGER;

const split =
  (sizes: (a: NodeArguments) => IntegerList | undefined): Import =>
  (a, base) => ({ ...base, kind: 'split', self: a.tensor('self'), dim: a.integer('dim', 0), sizes: sizes(a) });

const OPERATORS: Readonly<Record<string, Import>> = {
  'aten.linear.default': (a, base) => ({
    ...base,
    kind: 'linear',
    input: a.tensor('input'),
    weight: a.tensor('weight'),
    bias: a.optionalTensor('bias'),
  }),
  'aten.addmm.default': (a, base) => ({
    ...base,
    kind: 'addmm',
    self: a.tensor('self'),
    mat1: a.tensor('mat1'),
    mat2: a.tensor('mat2'),
    alpha: a.float('alpha', 1),
    beta: a.float('beta', 1),
    transpose1: false,
    transpose2: false,
  }),
  'aten.mm.default': matmul('self', 'mat2'),
  'aten.bmm.default': matmul('self', 'mat2'),
  'aten.matmul.default': matmul('self', 'other'),
  'aten.relu.default': unary('relu'),
  'aten.relu_.default': unary('relu'),
  'aten.sigmoid.default': unary('sigmoid'),
  'aten.tanh.default': unary('tanh'),
  'aten.embedding.default': (a, base) => ({
    ...base,
    kind: 'embedding',
    weight: a.tensor('weight'),
    indices: a.tensor('indices'),
  }),
  'aten.embedding_bag.padding_idx': embeddingBag(undefined),
  'aten.embedding_bag.default': embeddingBag(undefined),
  'aten._embedding_bag.default': embeddingBag(-1),
  'aten._embedding_bag_forward_only.default': embeddingBag(-1),
  'aten.sum.dim_IntList': reduce('sum'),
  'aten.sum.default': reduce('sum'),
  'aten.mean.dim': reduce('mean'),
  'aten.cat.default': (a, base) => ({
    ...base,
    kind: 'cat',
    tensors: a.tensors('tensors'),
    dim: a.integer('dim', 0),
  }),
  'aten.stack.default': (a, base) => ({
    ...base,
    kind: 'stack',
    tensors: a.tensors('tensors'),
    dim: a.integer('dim', 0),
  }),
  'aten.permute.default': (a, base) => ({
    ...base,
    kind: 'permute',
    self: a.tensor('self'),
    dims: (a.integers('dims') ?? []) as readonly number[],
  }),
  'aten.transpose.int': (a, base) => ({
    ...base,
    kind: 'transpose',
    self: a.tensor('self'),
    dim0: a.integer('dim0'),
    dim1: a.integer('dim1'),
  }),
  'aten.t.default': (a, base) => ({ ...base, kind: 'permute', self: a.tensor('self'), dims: undefined }),
  'aten.numpy_T.default': (a, base) => ({ ...base, kind: 'permute', self: a.tensor('self'), dims: undefined }),
  'aten.mT.default': (a, base) => ({ ...base, kind: 'transpose', self: a.tensor('self'), dim0: -2, dim1: -1 }),
  'aten.reshape.default': reshape('shape'),
  'aten.view.default': reshape('size'),
  'aten._unsafe_view.default': reshape('size'),
  'aten.flatten.using_ints': (a, base) => ({
    ...base,
    kind: 'flatten',
    self: a.tensor('self'),
    start: a.integer('start_dim', 0),
    end: a.integer('end_dim', -1),
  }),
  'aten.unsqueeze.default': (a, base) => ({
    ...base,
    kind: 'unsqueeze',
    self: a.tensor('self'),
    dims: [a.integer('dim')],
  }),
  'aten.squeeze.default': squeeze,
  'aten.squeeze.dim': squeeze,
  'aten.squeeze.dims': squeeze,
  'aten.slice.Tensor': (a, base) => ({
    ...base,
    kind: 'slice',
    self: a.tensor('self'),
    dims: [a.integer('dim', 0)],
    starts: [a.integerOperand('start', 0)],
    ends: [a.integerOperand('end', LARGEST)],
    steps: [a.integerOperand('step', 1)],
  }),
  'aten.select.int': (a, base) => ({
    ...base,
    kind: 'select',
    self: a.tensor('self'),
    dim: a.integer('dim'),
    index: a.integerOperand('index'),
  }),
  'aten.split_with_sizes.default': split((a) => a.integers('split_sizes')),
  'aten.index.Tensor': (a, base) => ({
    ...base,
    kind: 'index',
    self: a.tensor('self'),
    indices: a.optionalTensors('indices'),
  }),
  'aten.index_select.default': (a, base) => ({
    ...base,
    kind: 'index_select',
    self: a.tensor('self'),
    dim: a.integer('dim'),
    index: a.tensor('index'),
  }),
  'aten.add.Tensor': (a, base) =>
    a.float('alpha', 1) === 1
      ? { ...base, kind: 'add', self: a.tensor('self'), other: a.tensor('other') }
      : { ...base, kind: 'unsupported', reason: 'alpha other than 1' },
  'aten.dropout.default': dropout,
  'aten.clone.default': identity,
  'aten.alias.default': identity,
  'aten.contiguous.default': identity,
  'aten.detach.default': identity,
  'aten.lift_fresh_copy.default': identity,
  'aten.sym_size.int': (a, base) => ({
    ...base,
    kind: 'sym_size',
    self: a.tensor('self'),
    dim: a.integer('dim'),
  }),
  'aten.sym_numel.default': (a, base) => ({ ...base, kind: 'sym_numel', self: a.tensor('self') }),
  'aten.arange.default': arange,
  'aten.arange.start': arange,
  'aten.arange.start_step': arange,
  '_operator.add': arithmetic('add'),
  '_operator.sub': arithmetic('sub'),
  '_operator.mul': arithmetic('mul'),
  '_operator.floordiv': arithmetic('floordiv'),
};

/** The node of the graph for one node of the program. */
export function importAtenNode(node: NodeArguments, outputs: readonly string[]): GraphNode {
  const operator = node.target.replace(/^torch\.ops\./, '');
  const base: NodeBase = { name: node.name, operator, outputs };
  const importNode = Object.hasOwn(OPERATORS, operator) ? OPERATORS[operator] : undefined;
  if (importNode === undefined) return freezeNode({ ...base, kind: 'unsupported', reason: 'no lowering' });
  return freezeNode(importNode(node, base));
}
