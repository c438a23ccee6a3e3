/** Operators that only give elements another place: they become views, or pieces of layouts. */
import { invalidModel, shapeMismatch, unsupported } from '../errors.js';
import type { GraphNode, NodeOf } from '../ir/nodes.js';
import {
  type ConstantTensor,
  constantNumbers,
  elementCount,
  integerConstant,
  permuteConstant,
  reshapeConstant,
  sliceConstant,
} from '../tensor.js';
import { checkPieces, type LoweringContext, normalizeAxis } from './context.js';
import { foldInteraction, selectColumns } from './interaction.js';
import { columnRange, joinPieces, type Layout, type Piece, shapeOf, type Value } from './values.js';

const partOf = (node: GraphNode): string => `node "${node.name}" (${node.operator})`;

/** The same elements in the same order under another shape. */
function reshaped(context: LoweringContext, node: GraphNode, value: Value, shape: readonly number[]): Value {
  if (elementCount(shape) !== elementCount(shapeOf(value))) {
    throw shapeMismatch(`${partOf(node)}: [${shapeOf(value)}] has no shape [${shape}]`);
  }
  if (value.kind === 'constant') return { kind: 'constant', tensor: reshapeConstant(value.tensor, shape) };
  if (value.kind === 'lookup' && shape.length === 2 && shape[1] === value.table.shape[1]) {
    return { ...value, indices: { ...value.indices, shape: shape.slice(0, 1) } };
  }
  return { ...context.asLayout(node, value), shape };
}

export function lowerReshape(context: LoweringContext, node: NodeOf<'reshape'>): Value {
  const value = context.value(node, node.self);
  const old = shapeOf(value);
  const asked = context.integers(node, node.shape);
  const shape = asked.map((size, axis) => (size === 0 && node.zeroCopies ? (old[axis] ?? 0) : size));
  const open = shape.indexOf(-1);
  if (open >= 0) {
    const known = shape.reduce((product, size, axis) => (axis === open ? product : product * size), 1);
    shape[open] = elementCount(old) / known;
  }
  if (shape.some((size) => !Number.isInteger(size) || size < 0)) {
    throw shapeMismatch(`${partOf(node)}: [${old}] cannot take the shape [${asked}]`);
  }
  return reshaped(context, node, value, shape);
}

export function lowerFlatten(context: LoweringContext, node: NodeOf<'flatten'>): Value {
  const value = context.value(node, node.self);
  const shape = shapeOf(value);
  if (shape.length === 0) return reshaped(context, node, value, [1]);
  const start = normalizeAxis(node, node.start, shape.length);
  const end = normalizeAxis(node, node.end, shape.length);
  if (end < start) throw invalidModel(partOf(node), `dimension ${node.end} lies before ${node.start}`);
  const middle = elementCount(shape.slice(start, end + 1));
  return reshaped(context, node, value, [...shape.slice(0, start), middle, ...shape.slice(end + 1)]);
}

export function lowerFlattenToMatrix(context: LoweringContext, node: NodeOf<'flatten_to_matrix'>): Value {
  const value = context.value(node, node.self);
  const shape = shapeOf(value);
  // Negative axes count from the rank, though the rank itself is legal as well.
  const axis = node.axis === shape.length ? node.axis : normalizeAxis(node, node.axis, Math.max(1, shape.length));
  return reshaped(context, node, value, [elementCount(shape.slice(0, axis)), elementCount(shape.slice(axis))]);
}

export function lowerUnsqueeze(context: LoweringContext, node: NodeOf<'unsqueeze'>): Value {
  const value = context.value(node, node.self);
  const old = shapeOf(value);
  const dims = context.integers(node, node.dims);
  const rank = old.length + dims.length;
  const added = new Set(dims.map((dim) => normalizeAxis(node, dim, rank)));
  if (added.size !== dims.length) throw invalidModel(partOf(node), `dimensions [${dims}] name one twice`);
  let next = 0;
  const shape = Array.from({ length: rank }, (_, axis) => (added.has(axis) ? 1 : (old[next++] ?? 1)));
  return reshaped(context, node, value, shape);
}

export function lowerSqueeze(context: LoweringContext, node: NodeOf<'squeeze'>): Value {
  const value = context.value(node, node.self);
  const shape = shapeOf(value);
  const dims = node.dims === undefined ? undefined : context.integers(node, node.dims);
  const wanted = new Set(dims?.map((dim) => normalizeAxis(node, dim, shape.length)) ?? shape.keys());
  return reshaped(
    context,
    node,
    value,
    shape.filter((size, axis) => size !== 1 || !wanted.has(axis)),
  );
}

export function lowerPermute(context: LoweringContext, node: NodeOf<'permute' | 'transpose'>): Value {
  const value = context.value(node, node.self);
  const shape = shapeOf(value);
  const dims = permutationOf(node, shape.length);
  if (value.kind === 'constant') return { kind: 'constant', tensor: permuteConstant(value.tensor, dims) };
  const base = value.kind === 'permuted' ? value.base : context.asLayout(node, value);
  const composed = value.kind === 'permuted' ? dims.map((dim) => value.dims[dim] ?? 0) : dims;
  // Where only dimensions of one element move, the elements stay in order.
  const moving = composed.filter((dim) => base.shape[dim] !== 1);
  if (moving.every((dim, index) => index === 0 || dim > (moving[index - 1] ?? 0))) {
    return { ...base, shape: composed.map((dim) => base.shape[dim] ?? 1) };
  }
  return { kind: 'permuted', base, dims: composed, node: node.name, operator: node.operator };
}

function permutationOf(node: NodeOf<'permute' | 'transpose'>, rank: number): number[] {
  const dims = Array.from({ length: rank }, (_, axis) => axis);
  if (node.kind === 'transpose') {
    const [first, second] = [normalizeAxis(node, node.dim0, rank), normalizeAxis(node, node.dim1, rank)];
    return dims.with(first, second).with(second, first);
  }
  if (node.dims === undefined) return dims.reverse();
  const given = node.dims.map((dim) => normalizeAxis(node, dim, rank));
  if (given.length !== rank || new Set(given).size !== rank) {
    throw invalidModel(partOf(node), `[${node.dims}] is no permutation of ${rank} dimensions`);
  }
  return given;
}

export function lowerCat(context: LoweringContext, node: NodeOf<'cat' | 'stack'>): Value {
  const stacks = node.kind === 'stack';
  const values = node.tensors.map((name) => context.value(node, name));
  const first = values[0];
  if (first === undefined) throw invalidModel(partOf(node), 'joins nothing');
  const rank = shapeOf(first).length + (stacks ? 1 : 0);
  const axis = normalizeAxis(node, node.dim, rank);
  const shapes = values.map((value) => (stacks ? shapeOf(value).toSpliced(axis, 0, 1) : shapeOf(value)));
  const shape = joinedShape(node, shapes, axis);
  if (values.every((value) => value.kind === 'constant')) return catConstants(node, values, shape);
  const layouts = values.map((value, index) =>
    context.splitAt(node, { ...context.asLayout(node, value), shape: shapes[index] ?? [] }, axis),
  );
  const [type, rows] = [layouts[0]?.type ?? 'float32', layouts[0]?.rows ?? 1];
  if (layouts.some((layout) => layout.type !== type)) throw unsupported(node.operator, node.name, 'types differ');
  const pieces = foldInteraction(
    context,
    node,
    layouts.flatMap((layout) => layout.pieces),
    rows,
  );
  return { kind: 'layout', type, shape, rows, pieces: joinPieces(pieces) };
}

function joinedShape(node: GraphNode, shapes: readonly (readonly number[])[], axis: number): number[] {
  const first = shapes[0] ?? [];
  for (const shape of shapes) {
    if (shape.length !== first.length || shape.some((size, at) => at !== axis && size !== first[at])) {
      throw shapeMismatch(`${partOf(node)}: [${first}] and [${shape}] do not join along dimension ${axis}`);
    }
  }
  return first.with(
    axis,
    shapes.reduce((sum, shape) => sum + (shape[axis] ?? 0), 0),
  );
}

/** Shapes are put together from such: one-dimensional and of integers. */
function catConstants(node: GraphNode, values: readonly Value[], shape: readonly number[]): Value {
  const tensors = values.flatMap((value) => (value.kind === 'constant' ? [value.tensor] : []));
  if (shape.length !== 1 || tensors.some((tensor) => !tensor.type.startsWith('int'))) {
    throw unsupported(node.operator, node.name, 'joining constants other than short lists of integers');
  }
  return { kind: 'constant', tensor: integerConstant(tensors.flatMap(constantNumbers)) };
}

interface Range {
  readonly axis: number;
  readonly start: number;
  readonly step: number;
  readonly count: number;
}

export function lowerSlice(context: LoweringContext, node: NodeOf<'slice'>): Value {
  const shape = context.shape(node, node.self);
  const starts = context.integers(node, node.starts);
  const ends = context.integers(node, node.ends);
  const dims = node.dims === undefined ? starts.map((_, index) => index) : context.integers(node, node.dims);
  const steps = node.steps === undefined ? starts.map(() => 1) : context.integers(node, node.steps);
  let value = context.value(node, node.self);
  for (const [index, dim] of dims.entries()) {
    const axis = normalizeAxis(node, dim, shape.length);
    const size = shape[axis] ?? 1;
    const step = steps[index] ?? 1;
    if (step < 1) throw unsupported(node.operator, node.name, `step ${step}`);
    const clamp = (at: number): number => Math.min(size, Math.max(0, at < 0 ? at + size : at));
    const start = clamp(starts[index] ?? 0);
    const count = Math.max(0, Math.ceil((clamp(ends[index] ?? size) - start) / step));
    if (count === 0) throw unsupported(node.operator, node.name, `nothing is left of dimension ${axis}`);
    value = sliced(context, node, value, { axis, start, step, count });
  }
  return value;
}

function sliced(context: LoweringContext, node: GraphNode, value: Value, range: Range): Value {
  const { axis, start, step, count } = range;
  const shape = shapeOf(value);
  if (value.kind === 'constant') {
    return { kind: 'constant', tensor: sliceConstant(value.tensor, axis, start, step, count) };
  }
  if (start === 0 && step === 1 && count === shape[axis]) return value;
  const layout = context.splitAt(node, context.asLayout(node, value), axis);
  const inner = elementCount(shape.slice(axis + 1));
  const pieces: Piece[] = [];
  if (step === 1) pieces.push(...columnRange(layout.pieces, start * inner, (start + count) * inner));
  else {
    checkPieces(node, count);
    for (let at = 0; at < count; at++) {
      const column = (start + at * step) * inner;
      pieces.push(...columnRange(layout.pieces, column, column + inner));
    }
  }
  return { ...layout, shape: shape.with(axis, count), pieces: joinPieces(pieces) };
}

export function lowerSelect(context: LoweringContext, node: NodeOf<'select'>): Value {
  const value = context.value(node, node.self);
  const shape = shapeOf(value);
  const axis = normalizeAxis(node, node.dim, shape.length);
  const start = normalizeAxis(node, context.integer(node, node.index), shape[axis] ?? 1);
  const one = sliced(context, node, value, { axis, start, step: 1, count: 1 });
  return reshaped(context, node, one, shape.toSpliced(axis, 1));
}

export function lowerSplit(context: LoweringContext, node: NodeOf<'split'>): readonly Value[] {
  const value = context.value(node, node.self);
  const shape = shapeOf(value);
  const axis = normalizeAxis(node, node.dim, shape.length);
  const size = shape[axis] ?? 1;
  const equal = Math.ceil(size / node.outputs.length);
  const sizes =
    node.sizes === undefined
      ? node.outputs.map((_, index) => Math.min(equal, size - index * equal))
      : context.integers(node, node.sizes);
  if (sizes.length !== node.outputs.length || sizes.reduce((a, b) => a + b, 0) !== size || Math.min(...sizes) < 1) {
    throw shapeMismatch(`${partOf(node)}: parts [${sizes}] do not make up dimension ${axis} of [${shape}]`);
  }
  let start = 0;
  return sizes.map((count) => {
    const part = sliced(context, node, value, { axis, start, step: 1, count });
    start += count;
    return part;
  });
}

/** Entries of consecutive dimensions `first`, `first + 1`, ... of a layout at flat positions, as one dimension. */
export function gatherColumns(
  context: LoweringContext,
  node: GraphNode,
  layout: Layout,
  first: number,
  dimensions: number,
  positions: readonly number[],
): Layout {
  const split = context.splitAt(node, layout, first);
  const inner = elementCount(layout.shape.slice(first + dimensions));
  const shape = [...layout.shape.slice(0, first), positions.length, ...layout.shape.slice(first + dimensions)];
  return selectColumns(context, node, split, positions, inner, shape);
}

/** Indices as positions 0..size-1. */
export function positionsOf(node: GraphNode, indices: ConstantTensor, size: number): number[] {
  if (!indices.type.startsWith('int')) throw unsupported(node.operator, node.name, 'indices must be integers');
  return constantNumbers(indices).map((index) => normalizeAxis(node, index, size));
}
