/** Products with constant matrices, activations, and the additions and reductions that merge into them. */

import type { ActivationName } from '../../hw/index.js';
import { shapeMismatch, unsupported } from '../errors.js';
import type { GraphNode, NodeOf } from '../ir/nodes.js';
import { type ConstantTensor, constantFloats, elementCount, permuteConstant } from '../tensor.js';
import type { LoweringContext } from './context.js';
import { interactionOf } from './interaction.js';
import {
  type FullyConnected,
  type Layout,
  layoutOf,
  type Piece,
  samePieces,
  type Unary,
  type Value,
  wholeOperation,
} from './values.js';

const ACTIVATIONS: Readonly<Record<NodeOf<'relu' | 'sigmoid' | 'tanh'>['kind'], ActivationName>> = {
  relu: 'RELU',
  sigmoid: 'SIGMOID',
  tanh: 'TANH',
};

/** Elements of a row at most, of the kernels that convert. */
export const ELEMENTS_LIMIT = 8192;

/** input weight^T scale + bias, along the last dimension of the input. */
function fullyConnected(
  context: LoweringContext,
  node: GraphNode,
  layout: Layout,
  weight: ConstantTensor,
  scale: number,
  bias: Float32Array | undefined,
): Layout {
  const [columns = 0, k = 0] = weight.shape;
  if (weight.shape.length !== 2 || layout.shape.length === 0 || layout.shape.at(-1) !== k || columns === 0) {
    throw shapeMismatch(`node "${node.name}": [${layout.shape}] does not multiply with a weight of [${weight.shape}]`);
  }
  const input = context.splitAt(node, layout, layout.shape.length - 1);
  const operation: FullyConnected = context.operation({
    kind: 'fully_connected',
    nodes: [node.name],
    operator: node.operator,
    rows: input.rows,
    columns,
    input,
    weight,
    scale,
    bias,
    activation: 'NONE',
  });
  return layoutOf(operation, layout.type, layout.shape.with(-1, columns));
}

/** A bias of one value for each column, or one for all. */
function biasOf(node: GraphNode, tensor: ConstantTensor, columns: number, scale: number): Float32Array {
  const values = constantFloats(tensor);
  const perColumn = values.length === columns && tensor.shape.at(-1) === columns;
  if (!perColumn && values.length !== 1) {
    throw unsupported(node.operator, node.name, `adds [${tensor.shape}] to ${columns} columns`);
  }
  return Float32Array.from({ length: columns }, (_, column) => (values[perColumn ? column : 0] ?? 0) * scale);
}

export function lowerLinear(context: LoweringContext, node: NodeOf<'linear'>): Value {
  const weight = context.constant(node, node.weight, 'the weight');
  const bias =
    node.bias === undefined
      ? undefined
      : biasOf(node, context.constant(node, node.bias, 'the bias'), weight.shape[0] ?? 0, 1);
  return fullyConnected(context, node, context.layout(node, node.input), weight, 1, bias);
}

export function lowerAddmm(context: LoweringContext, node: NodeOf<'addmm'>): Value {
  if (node.transpose1) throw unsupported(node.operator, node.name, 'a transposed first matrix');
  const matrix = context.constant(node, node.mat2, 'the second matrix');
  if (matrix.shape.length !== 2) throw shapeMismatch(`node "${node.name}": [${matrix.shape}] is no matrix`);
  const weight = node.transpose2 ? matrix : permuteConstant(matrix, [1, 0]);
  const bias =
    node.self === undefined || node.beta === 0
      ? undefined
      : biasOf(node, context.constant(node, node.self, 'the bias'), weight.shape[0] ?? 0, node.beta);
  return fullyConnected(context, node, context.layout(node, node.mat1), weight, node.alpha, bias);
}

export function lowerMatmul(context: LoweringContext, node: NodeOf<'matmul'>): Value {
  const other = context.value(node, node.other);
  if (other.kind === 'constant' && other.tensor.shape.length === 2) {
    return fullyConnected(
      context,
      node,
      context.layout(node, node.self),
      permuteConstant(other.tensor, [1, 0]),
      1,
      undefined,
    );
  }
  const self = context.value(node, node.self);
  if (self.kind === 'layout' && other.kind === 'permuted' && String(other.dims) === '0,2,1') {
    const { base } = other;
    if (String(self.shape) === String(base.shape) && self.rows === base.rows && samePieces(self.pieces, base.pieces)) {
      return interactionOf(context, node, self);
    }
  }
  throw unsupported(node.operator, node.name, 'multiplies two computed tensors that are not X and its transpose');
}

/** The bias of a product that has none yet; the rest of additions has no kernel. */
export function lowerAdd(context: LoweringContext, node: NodeOf<'add'>): Value {
  const constantFirst = context.isConstant(node.self);
  const product = context.layout(node, constantFirst ? node.other : node.self);
  const tensor = context.constant(node, constantFirst ? node.self : node.other, 'one of the summands');
  const whole = wholeOperation(product);
  const name = constantFirst ? node.other : node.self;
  if (whole?.kind !== 'fully_connected' || whole.activation !== 'NONE' || !context.usedOnce(name)) {
    throw unsupported(node.operator, node.name, 'only a bias behind a matrix product is supported');
  }
  if (elementCount(tensor.shape) > 1 && product.shape.at(-1) !== whole.columns) {
    throw unsupported(node.operator, node.name, 'the sum is not along the columns of the product');
  }
  const added = biasOf(node, tensor, whole.columns, 1);
  const bias = whole.bias === undefined ? added : added.map((value, column) => value + (whole.bias?.[column] ?? 0));
  const nodes = [...whole.nodes, node.name];
  return layoutOf(context.operation({ ...whole, nodes, bias }), product.type, product.shape);
}

export function lowerUnary(context: LoweringContext, node: NodeOf<'relu' | 'sigmoid' | 'tanh'>): Value {
  const layout = context.layout(node, node.self);
  const activation = ACTIVATIONS[node.kind];
  if (!['float32', 'float16', 'bfloat16'].includes(layout.type)) {
    throw unsupported(node.operator, node.name, `of ${layout.type}`);
  }
  const whole = wholeOperation(layout);
  if (whole?.kind === 'fully_connected' && whole.activation === 'NONE' && context.usedOnce(node.self)) {
    const nodes = [...whole.nodes, node.name];
    return layoutOf(context.operation({ ...whole, nodes, activation }), layout.type, layout.shape);
  }
  const cut = widest(layout) > ELEMENTS_LIMIT ? context.splitAt(node, layout, layout.shape.length - 1) : layout;
  if (widest(cut) > ELEMENTS_LIMIT) {
    throw unsupported(node.operator, node.name, `rows of more than ${ELEMENTS_LIMIT} elements`);
  }
  return { ...cut, pieces: cut.pieces.map((piece) => unaryPiece(context, node, cut, piece, activation)) };
}

const widest = (layout: Layout): number => Math.max(...layout.pieces.map((piece) => piece.columns));

function unaryPiece(
  context: LoweringContext,
  node: GraphNode,
  layout: Layout,
  piece: Piece,
  activation: ActivationName,
): Piece {
  const { rows } = layout;
  const { columns } = piece;
  const operation: Unary = context.operation({
    kind: 'unary',
    nodes: [node.name],
    operator: node.operator,
    rows,
    columns,
    input: { ...layout, shape: [rows, columns], pieces: [piece] },
    activation,
  });
  return { source: operation, offset: 0, stride: columns, columns };
}
