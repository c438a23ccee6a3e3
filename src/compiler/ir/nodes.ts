/**
 * Nodes of the graph: a union of frozen records told apart by `kind`, named after the ATen operator whose meaning they
 * have. ONNX operators arrive here under the same names, so that everything behind the front ends exists once.
 */

import type { ConstantType } from '../tensor.js';

/** An integer in the graph: known when the file was read, or the name of an integer value. */
export type IntegerOperand = number | string;
/** Several integers, or the name of a one-dimensional integer tensor. */
export type IntegerList = readonly IntegerOperand[] | string;

interface Node<Kind extends string> {
  readonly kind: Kind;
  /** Of the node in the model, for messages. */
  readonly name: string;
  /** As the model spells it, for messages. */
  readonly operator: string;
  /** Names of the values that it defines. */
  readonly outputs: readonly string[];
}

/** input W^T + bias. */
export interface LinearNode extends Node<'linear'> {
  readonly input: string;
  readonly weight: string;
  readonly bias: string | undefined;
}
/** beta self + alpha mat1 mat2, each matrix transposed where its flag says so (ONNX Gemm). */
export interface AddmmNode extends Node<'addmm'> {
  readonly self: string | undefined;
  readonly mat1: string;
  readonly mat2: string;
  readonly alpha: number;
  readonly beta: number;
  readonly transpose1: boolean;
  readonly transpose2: boolean;
}
export interface MatmulNode extends Node<'matmul'> {
  readonly self: string;
  readonly other: string;
}
export interface UnaryNode extends Node<'relu' | 'sigmoid' | 'tanh'> {
  readonly self: string;
}
export interface EmbeddingNode extends Node<'embedding'> {
  readonly weight: string;
  readonly indices: string;
}
export interface EmbeddingBagNode extends Node<'embedding_bag'> {
  readonly weight: string;
  readonly indices: string;
  readonly offsets: string;
  readonly mode: 'sum' | 'mean' | 'max';
  readonly includeLastOffset: boolean;
  /** Row that counts as absent; undefined = none. */
  readonly paddingIndex: number | undefined;
  readonly perSampleWeights: boolean;
}
export interface ReduceNode extends Node<'sum' | 'mean'> {
  readonly self: string;
  /** Undefined: all dimensions. */
  readonly dims: IntegerList | undefined;
  readonly keepDimension: boolean;
}
export interface CatNode extends Node<'cat' | 'stack'> {
  readonly tensors: readonly string[];
  readonly dim: number;
}
export interface PermuteNode extends Node<'permute'> {
  readonly self: string;
  /** Undefined: reversed. */
  readonly dims: readonly number[] | undefined;
}
export interface TransposeNode extends Node<'transpose'> {
  readonly self: string;
  readonly dim0: number;
  readonly dim1: number;
}
export interface ReshapeNode extends Node<'reshape'> {
  readonly self: string;
  readonly shape: IntegerList;
  /** A 0 in the shape stands for the dimension of the input (ONNX). */
  readonly zeroCopies: boolean;
}
export interface FlattenNode extends Node<'flatten'> {
  readonly self: string;
  readonly start: number;
  readonly end: number;
}
/** ONNX Flatten: always a matrix. */
export interface FlattenToMatrixNode extends Node<'flatten_to_matrix'> {
  readonly self: string;
  readonly axis: number;
}
export interface UnsqueezeNode extends Node<'unsqueeze'> {
  readonly self: string;
  readonly dims: IntegerList;
}
export interface SqueezeNode extends Node<'squeeze'> {
  readonly self: string;
  /** Undefined: all dimensions of size 1. */
  readonly dims: IntegerList | undefined;
}
export interface SliceNode extends Node<'slice'> {
  readonly self: string;
  readonly starts: IntegerList;
  readonly ends: IntegerList;
  /** Undefined: the first ones. */
  readonly dims: IntegerList | undefined;
  readonly steps: IntegerList | undefined;
}
export interface SelectNode extends Node<'select'> {
  readonly self: string;
  readonly dim: number;
  readonly index: IntegerOperand;
}
/** Cuts a dimension into its outputs: sizes, or equal parts where they are undefined. */
export interface SplitNode extends Node<'split'> {
  readonly self: string;
  readonly dim: number;
  readonly sizes: IntegerList | undefined;
}
/** Advanced indexing; null = the whole dimension. */
export interface IndexNode extends Node<'index'> {
  readonly self: string;
  readonly indices: readonly (string | null)[];
}
export interface IndexSelectNode extends Node<'index_select'> {
  readonly self: string;
  readonly dim: number;
  readonly index: string;
}
export interface GatherNdNode extends Node<'gather_nd'> {
  readonly self: string;
  readonly indices: string;
  readonly batchDims: number;
}
export interface AddNode extends Node<'add'> {
  readonly self: string;
  readonly other: string;
}
export interface IdentityNode extends Node<'identity'> {
  readonly self: string;
}
/** Changes the element type; supported where it changes nothing, and for integer constants. */
export interface CastNode extends Node<'cast'> {
  readonly self: string;
  readonly type: ConstantType;
}
/** Dimensions start..end of a shape as an integer tensor, or one of them as a scalar. */
export interface ShapeNode extends Node<'shape'> {
  readonly self: string;
  readonly start: number;
  readonly end: number | undefined;
}
export interface SymSizeNode extends Node<'sym_size'> {
  readonly self: string;
  readonly dim: number;
}
export interface NumelNode extends Node<'sym_numel'> {
  readonly self: string;
}
export interface ArangeNode extends Node<'arange'> {
  readonly start: IntegerOperand;
  readonly end: IntegerOperand;
  readonly step: IntegerOperand;
}
export interface IntegerArithmeticNode extends Node<'integer_arithmetic'> {
  readonly operation: 'add' | 'sub' | 'mul' | 'floordiv';
  readonly left: IntegerOperand;
  readonly right: IntegerOperand;
}
/** Kept in the graph because it may be dead; an error only where its value is needed. */
export interface UnsupportedNode extends Node<'unsupported'> {
  readonly reason: string;
}

/** One operator of a model, under ATen's names. */
export type GraphNode =
  | LinearNode
  | AddmmNode
  | MatmulNode
  | UnaryNode
  | EmbeddingNode
  | EmbeddingBagNode
  | ReduceNode
  | CatNode
  | PermuteNode
  | TransposeNode
  | ReshapeNode
  | FlattenNode
  | FlattenToMatrixNode
  | UnsqueezeNode
  | SqueezeNode
  | SliceNode
  | SelectNode
  | SplitNode
  | IndexNode
  | IndexSelectNode
  | GatherNdNode
  | AddNode
  | IdentityNode
  | CastNode
  | ShapeNode
  | SymSizeNode
  | NumelNode
  | ArangeNode
  | IntegerArithmeticNode
  | UnsupportedNode;

/** The node of one kind. */
export type NodeOf<Kind extends GraphNode['kind']> = Extract<GraphNode, { readonly kind: Kind }>;

export function freezeNode<N extends GraphNode>(node: N): N {
  return Object.freeze(node);
}

const named = (list: IntegerList | undefined): string[] =>
  list === undefined ? [] : typeof list === 'string' ? [list] : list.filter((item) => typeof item === 'string');

const names = (...operands: (IntegerOperand | null | undefined)[]): string[] =>
  operands.filter((operand) => typeof operand === 'string');

/** Names of all values that a node reads. */
export function operandsOf(node: GraphNode): readonly string[] {
  switch (node.kind) {
    case 'linear':
      return names(node.input, node.weight, node.bias);
    case 'addmm':
      return names(node.self, node.mat1, node.mat2);
    case 'matmul':
    case 'add':
      return [node.self, node.other];
    case 'embedding':
      return [node.weight, node.indices];
    case 'embedding_bag':
      return [node.weight, node.indices, node.offsets];
    case 'sum':
    case 'mean':
    case 'unsqueeze':
    case 'squeeze':
      return [node.self, ...named(node.dims)];
    case 'cat':
    case 'stack':
      return node.tensors;
    case 'reshape':
      return [node.self, ...named(node.shape)];
    case 'slice':
      return [node.self, ...named(node.starts), ...named(node.ends), ...named(node.dims), ...named(node.steps)];
    case 'select':
      return names(node.self, node.index);
    case 'split':
      return [node.self, ...named(node.sizes)];
    case 'index':
      return names(node.self, ...node.indices);
    case 'index_select':
      return [node.self, node.index];
    case 'gather_nd':
      return [node.self, node.indices];
    case 'arange':
      return names(node.start, node.end, node.step);
    case 'integer_arithmetic':
      return names(node.left, node.right);
    case 'unsupported':
      return [];
    default:
      return [node.self];
  }
}
