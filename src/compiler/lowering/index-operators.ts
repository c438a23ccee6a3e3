/** Indexing with constant indices: rows of tables, entries of shapes, columns of tensors. */
import { invalidModel, unsupported } from '../errors.js';
import type { GraphNode, NodeOf } from '../ir/nodes.js';
import { type ConstantTensor, constantNumbers, elementCount, integerConstant } from '../tensor.js';
import { type LoweringContext, normalizeAxis } from './context.js';
import { lookup } from './embedding-operators.js';
import { gatherColumns, positionsOf } from './shape-operators.js';
import { type Layout, shapeOf, type Value } from './values.js';

/** torch's index_select, and ONNX Gather, whose index may have any shape. */
export function lowerIndexSelect(context: LoweringContext, node: NodeOf<'index_select'>): Value {
  const self = context.value(node, node.self);
  const shape = shapeOf(self);
  const axis = normalizeAxis(node, node.dim, shape.length);
  const index = context.value(node, node.index);
  if (self.kind === 'constant') {
    if (index.kind !== 'constant') {
      if (axis !== 0) throw unsupported(node.operator, node.name, `looks up along dimension ${axis} of a table`);
      return lookup(context, node, node.self, node.index);
    }
    return gatherIntegers(node, self.tensor, index.tensor, axis);
  }
  if (index.kind !== 'constant') throw unsupported(node.operator, node.name, 'gathers from computed rows');
  const { base, dims } = viewOf(context, node, self);
  const positions = positionsOf(node, index.tensor, shape[axis] ?? 1);
  const gathered = gatherColumns(context, node, base, dims[axis] ?? 0, 1, positions);
  const indexShape = index.tensor.shape;
  if (isIdentity(dims)) {
    return { ...gathered, shape: [...shape.slice(0, axis), ...indexShape, ...shape.slice(axis + 1)] };
  }
  if (indexShape.length !== 1) throw unsupported(node.operator, node.name, 'an index of several dimensions');
  return { kind: 'permuted', base: gathered, dims, node: node.name, operator: node.operator };
}

/** Entries of a list of integers: how ONNX takes a shape apart. */
function gatherIntegers(node: GraphNode, self: ConstantTensor, index: ConstantTensor, axis: number): Value {
  if (self.shape.length !== 1 || axis !== 0 || !self.type.startsWith('int')) {
    throw unsupported(node.operator, node.name, 'gathers from a constant with constant indices');
  }
  const values = constantNumbers(self);
  const picked = positionsOf(node, index, values.length).map((position) => values[position] ?? 0);
  return { kind: 'constant', tensor: integerConstant(picked, index.shape) };
}

interface View {
  readonly base: Layout;
  readonly dims: readonly number[];
}

function viewOf(context: LoweringContext, node: GraphNode, value: Value): View {
  if (value.kind === 'permuted') return value;
  const base = context.asLayout(node, value);
  return { base, dims: base.shape.map((_, axis) => axis) };
}

const isIdentity = (dims: readonly number[]): boolean => dims.every((dim, axis) => dim === axis);

/** x[:, i, j]: constant index tensors for consecutive dimensions. */
export function lowerIndex(context: LoweringContext, node: NodeOf<'index'>): Value {
  const layout = context.layout(node, node.self);
  const first = node.indices.findIndex((index) => index !== null);
  if (first < 0) return layout;
  const indices = node.indices.slice(first).filter((index) => index !== null);
  const rest = node.indices.slice(first + indices.length);
  if (rest.some((index) => index !== null) || node.indices.slice(first, first + indices.length).includes(null)) {
    throw unsupported(node.operator, node.name, 'indices of dimensions that do not follow each other');
  }
  const tensors = indices.map((name) => context.constant(node, name, 'an index'));
  const indexShape = tensors[0]?.shape ?? [];
  if (tensors.some((tensor) => String(tensor.shape) !== String(indexShape))) {
    throw unsupported(node.operator, node.name, 'index tensors of different shapes');
  }
  const perDimension = tensors.map((tensor, at) => positionsOf(node, tensor, layout.shape[first + at] ?? 1));
  const positions = Array.from({ length: elementCount(indexShape) }, (_, entry) =>
    perDimension.reduce((flat, values, at) => flat * (layout.shape[first + at] ?? 1) + (values[entry] ?? 0), 0),
  );
  const gathered = gatherColumns(context, node, layout, first, tensors.length, positions);
  const behind = layout.shape.slice(first + tensors.length);
  return { ...gathered, shape: [...layout.shape.slice(0, first), ...indexShape, ...behind] };
}

/** ONNX GatherND; exporters reach columns with it by permuting them to the front. */
export function lowerGatherNd(context: LoweringContext, node: NodeOf<'gather_nd'>): Value {
  if (node.batchDims !== 0) throw unsupported(node.operator, node.name, `batch_dims ${node.batchDims}`);
  const { base, dims } = viewOf(context, node, context.value(node, node.self));
  const indices = context.constant(node, node.indices, 'the index');
  const depth = indices.shape.at(-1) ?? 0;
  const [count = 0] = indices.shape;
  if (indices.shape.length !== 2 || depth < 1 || depth > dims.length) {
    throw unsupported(node.operator, node.name, `an index of shape [${indices.shape}]`);
  }
  const indexed = dims.slice(0, depth);
  const first = Math.min(...indexed);
  if (Math.max(...indexed) !== first + depth - 1) {
    throw unsupported(node.operator, node.name, 'indices of dimensions that do not follow each other');
  }
  const numbers = constantNumbers(indices);
  const positions = Array.from({ length: count }, (_, entry) =>
    flatPosition(node, base, indexed, first, numbers, entry),
  );
  const gathered = gatherColumns(context, node, base, first, depth, positions);
  // The indexed dimensions became one, at `first`; those behind it moved forward.
  const moved = [first, ...dims.slice(depth).map((dim) => (dim > first ? dim - depth + 1 : dim))];
  if (isIdentity(moved)) return gathered;
  return { kind: 'permuted', base: gathered, dims: moved, node: node.name, operator: node.operator };
}

function flatPosition(
  node: GraphNode,
  base: Layout,
  indexed: readonly number[],
  first: number,
  numbers: readonly number[],
  entry: number,
): number {
  const depth = indexed.length;
  let flat = 0;
  for (let axis = first; axis < first + depth; axis++) {
    const at = numbers[entry * depth + indexed.indexOf(axis)];
    if (at === undefined) throw invalidModel(`node "${node.name}"`, 'its index is cut off');
    const size = base.shape[axis] ?? 1;
    flat = flat * size + normalizeAxis(node, at, size);
  }
  return flat;
}
