/** Nodes → operations: one pass over the graph with all shapes known. */
import { MtiaError } from '../../driver/errors.js';
import { invalidModel, unsupported } from '../errors.js';
import type { ModelGraph } from '../ir/model-graph.js';
import { type GraphNode, type NodeOf, operandsOf } from '../ir/nodes.js';
import { elementCount, integerConstant } from '../tensor.js';
import { LoweringContext, normalizeAxis } from './context.js';
import { lookup, lowerEmbeddingBag, lowerReduce } from './embedding-operators.js';
import { lowerGatherNd, lowerIndex, lowerIndexSelect } from './index-operators.js';
import { lowerAdd, lowerAddmm, lowerLinear, lowerMatmul, lowerUnary } from './matrix-operators.js';
import * as shapes from './shape-operators.js';
import { type InputSource, type Layout, type Operation, tableType, type Value } from './values.js';

export interface LoweredModel {
  readonly inputs: readonly InputSource[];
  /** One layout for each output of the model. */
  readonly outputs: readonly Layout[];
  /** Operations that the outputs need, producers first. */
  readonly operations: readonly Operation[];
}

/** Lowers a model whose inputs have the given shapes. */
export function lowerGraph(model: ModelGraph, inputShapes: readonly (readonly number[])[]): LoweredModel {
  const live = liveNodes(model);
  const context = new LoweringContext(countUses(model, live), model.inputs.length);
  const inputs = model.inputs.map((input, index): InputSource => {
    const shape = inputShapes[index] ?? [];
    const source: InputSource = Object.freeze({
      kind: 'input',
      id: index,
      index,
      name: input.name,
      type: input.type,
      elements: elementCount(shape),
    });
    const rows = shape[0] ?? 1;
    const columns = elementCount(shape) / rows;
    const pieces = [{ source, offset: 0, stride: columns, columns }];
    context.define(input.name, { kind: 'layout', type: input.type, shape, rows, pieces });
    return source;
  });
  for (const [name, tensor] of model.constants) context.define(name, { kind: 'constant', tensor });
  for (const node of live) lowerNode(context, node);
  const outputs = model.outputs.map((output) => outputLayout(context, output.name));
  return { inputs, outputs, operations: reachable(outputs) };
}

/** Before shapes are looked at: that an operator has no lowering is true for every shape. */
export function refuseUnsupported(model: ModelGraph): void {
  for (const node of liveNodes(model)) {
    if (node.kind === 'unsupported') throw unsupported(node.operator, node.name, node.reason);
  }
}

/** Nodes that the outputs depend on: an unsupported node whose result nobody reads is no obstacle. */
function liveNodes(model: ModelGraph): readonly GraphNode[] {
  const wanted = new Set(model.outputs.map((output) => output.name));
  const live: GraphNode[] = [];
  for (const node of model.nodes.toReversed()) {
    if (!node.outputs.some((output) => wanted.has(output))) continue;
    live.push(node);
    for (const operand of operandsOf(node)) wanted.add(operand);
  }
  return live.reverse();
}

function countUses(model: ModelGraph, live: readonly GraphNode[]): Map<string, number> {
  const uses = new Map<string, number>();
  const use = (name: string): void => {
    uses.set(name, (uses.get(name) ?? 0) + 1);
  };
  for (const node of live) for (const operand of operandsOf(node)) use(operand);
  for (const output of model.outputs) use(output.name);
  return uses;
}

function lowerNode(context: LoweringContext, node: GraphNode): void {
  let values: readonly Value[];
  try {
    values = node.kind === 'split' ? shapes.lowerSplit(context, node) : [lowerToValue(context, node)];
  } catch (error) {
    if (error instanceof MtiaError) throw error;
    throw invalidModel(`node "${node.name}" (${node.operator})`, String(error), error);
  }
  for (const [index, name] of node.outputs.entries()) {
    const value = values[index];
    if (value === undefined) context.defineUncomputed(name, node);
    else context.define(name, value);
  }
}

type SingleNode = Exclude<GraphNode, NodeOf<'split'>>;

/** The value of every kind of node that has one output. */
const LOWERINGS: { readonly [K in SingleNode['kind']]: (context: LoweringContext, node: NodeOf<K>) => Value } = {
  linear: lowerLinear,
  addmm: lowerAddmm,
  matmul: lowerMatmul,
  relu: lowerUnary,
  sigmoid: lowerUnary,
  tanh: lowerUnary,
  embedding: (context, node) => lookup(context, node, node.weight, node.indices),
  embedding_bag: lowerEmbeddingBag,
  sum: lowerReduce,
  mean: lowerReduce,
  cat: shapes.lowerCat,
  stack: shapes.lowerCat,
  permute: shapes.lowerPermute,
  transpose: shapes.lowerPermute,
  reshape: shapes.lowerReshape,
  flatten: shapes.lowerFlatten,
  flatten_to_matrix: shapes.lowerFlattenToMatrix,
  unsqueeze: shapes.lowerUnsqueeze,
  squeeze: shapes.lowerSqueeze,
  slice: shapes.lowerSlice,
  select: shapes.lowerSelect,
  index: lowerIndex,
  index_select: lowerIndexSelect,
  gather_nd: lowerGatherNd,
  add: lowerSum,
  identity: (context, node) => context.value(node, node.self),
  cast: lowerCast,
  shape: lowerShape,
  sym_size: lowerSize,
  sym_numel: (context, node) => scalar(elementCount(context.shape(node, node.self))),
  arange: lowerArange,
  integer_arithmetic: (context, node) => arithmetic(context, node, node.operation, node.left, node.right),
  unsupported: (_, node) => {
    throw unsupported(node.operator, node.name, node.reason);
  },
};

function lowerToValue(context: LoweringContext, node: SingleNode): Value {
  // The table has for each kind what takes nodes of that kind; the compiler does not follow it through the look-up.
  const lower = LOWERINGS[node.kind] as (context: LoweringContext, node: SingleNode) => Value;
  return lower(context, node);
}

/** A sum of integers that shapes are made of, or one that a kernel computes. */
function lowerSum(context: LoweringContext, node: NodeOf<'add'>): Value {
  return context.isConstant(node.self) && context.isConstant(node.other)
    ? arithmetic(context, node, 'add', node.self, node.other)
    : lowerAdd(context, node);
}

function lowerShape(context: LoweringContext, node: NodeOf<'shape'>): Value {
  const shape = context.shape(node, node.self);
  return { kind: 'constant', tensor: integerConstant(shape.slice(node.start, node.end)) };
}

function lowerSize(context: LoweringContext, node: NodeOf<'sym_size'>): Value {
  const shape = context.shape(node, node.self);
  return scalar(shape[normalizeAxis(node, node.dim, shape.length)] ?? 1);
}

const scalar = (value: number): Value => ({ kind: 'constant', tensor: integerConstant([value], []) });

function lowerCast(context: LoweringContext, node: NodeOf<'cast'>): Value {
  const value = context.value(node, node.self);
  if (value.kind === 'constant') {
    if (value.tensor.type === node.type) return value;
    const numbers = context.integersOf(node, node.self);
    if (!node.type.startsWith('int')) throw unsupported(node.operator, node.name, `integers to ${node.type}`);
    return { kind: 'constant', tensor: integerConstant(numbers, value.tensor.shape) };
  }
  const type =
    value.kind === 'layout' ? value.type : value.kind === 'permuted' ? value.base.type : tableType(value.table);
  if (type !== node.type) throw unsupported(node.operator, node.name, `${type} to ${node.type}`);
  return value;
}

/** Longer ranges than any batch are damage, not models. */
const ARANGE_LIMIT = 1 << 24;

function lowerArange(context: LoweringContext, node: NodeOf<'arange'>): Value {
  const [start, end, step] = [node.start, node.end, node.step].map((operand) => context.integer(node, operand));
  if (start === undefined || end === undefined || step === undefined || step === 0) {
    throw invalidModel(`node "${node.name}" (${node.operator})`, 'has step 0');
  }
  const count = Math.max(0, Math.ceil((end - start) / step));
  if (count > ARANGE_LIMIT) throw unsupported(node.operator, node.name, `a range of ${count} integers`);
  const values = Array.from({ length: count }, (_, index) => start + index * step);
  return { kind: 'constant', tensor: integerConstant(values) };
}

const ARITHMETIC = {
  add: (a: number, b: number) => a + b,
  sub: (a: number, b: number) => a - b,
  mul: (a: number, b: number) => a * b,
  floordiv: (a: number, b: number) => Math.floor(a / b),
} as const;

/** Integer arithmetic on shapes; one side may be a single value. */
function arithmetic(
  context: LoweringContext,
  node: NodeOf<'integer_arithmetic' | 'add'>,
  operation: keyof typeof ARITHMETIC,
  leftOperand: number | string,
  rightOperand: number | string,
): Value {
  const numbers = (operand: number | string): number[] =>
    typeof operand === 'number' ? [operand] : context.integersOf(node, operand);
  const shapeOfOperand = (operand: number | string): readonly number[] =>
    typeof operand === 'number' ? [] : context.shape(node, operand);
  const [left, right] = [numbers(leftOperand), numbers(rightOperand)];
  const length = Math.max(left.length, right.length);
  if ((left.length !== length && left.length !== 1) || (right.length !== length && right.length !== 1)) {
    throw unsupported(node.operator, node.name, 'lists of different lengths');
  }
  const at = (list: readonly number[], index: number): number => list[list.length === 1 ? 0 : index] ?? 0;
  const values = Array.from({ length }, (_, index) => ARITHMETIC[operation](at(left, index), at(right, index)));
  if (!values.every(Number.isSafeInteger)) throw unsupported(node.operator, node.name, 'a result out of range');
  const shape = shapeOfOperand(left.length >= right.length ? leftOperand : rightOperand);
  return { kind: 'constant', tensor: integerConstant(values, elementCount(shape) === length ? shape : [length]) };
}

function outputLayout(context: LoweringContext, name: string): Layout {
  const node: GraphNode = { kind: 'identity', name, operator: 'output', outputs: [], self: name };
  const layout = context.layout(node, name);
  if (layout.pieces.length === 0 || layout.rows === 0) throw unsupported('output', name, 'holds no elements');
  return layout;
}

/** Operations from which the outputs can be computed, producers first. */
function reachable(outputs: readonly Layout[]): readonly Operation[] {
  const found = new Map<number, Operation>();
  const visit = (layout: Layout): void => {
    for (const { source } of layout.pieces) {
      if (source.kind === 'input' || found.has(source.id)) continue;
      if (source.kind !== 'embedding_bag') visit(source.input);
      found.set(source.id, source);
    }
  };
  for (const output of outputs) visit(output);
  return [...found.values()];
}
