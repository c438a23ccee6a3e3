/**
 * What a value of the graph is once shapes are known. Reshapes, stacks, concatenations and slices move nothing: their
 * result is a list of pieces of what kernels produce. Memory is laid out for the consumer later (planning/places.ts).
 */
import type { ActivationName } from '../../hw/index.js';
import type { ElementType } from '../compiled-graph.js';
import { type ConstantTensor, elementCount } from '../tensor.js';

/** An input of the model: dense in device memory. */
export interface InputSource {
  readonly kind: 'input';
  readonly id: number;
  readonly index: number;
  readonly name: string;
  readonly type: ElementType;
  readonly elements: number;
}

interface OperationBase<Kind extends string> {
  readonly kind: Kind;
  readonly id: number;
  /** Nodes of the model that it computes. */
  readonly nodes: readonly string[];
  readonly operator: string;
  /** The result is a matrix of rows x columns. */
  readonly rows: number;
  readonly columns: number;
}

/** activation(input W^T scale + bias). */
export interface FullyConnected extends OperationBase<'fully_connected'> {
  readonly input: Layout;
  /** columns x k. */
  readonly weight: ConstantTensor;
  readonly scale: number;
  readonly bias: Float32Array | undefined;
  readonly activation: ActivationName;
}

/** Row r is the sum of `bagLength` rows of the table, times scale. */
export interface EmbeddingBag extends OperationBase<'embedding_bag'> {
  readonly table: ConstantTensor;
  readonly indices: InputSource;
  /** First index, in elements from the start of the input. */
  readonly indexOffset: number;
  readonly bagLength: number;
  /** Row that counts as zero. */
  readonly paddingIndex: number | undefined;
  readonly scale: number;
}

/** S = X X^T of every row, X being features x elements; a prefix of one feature, then S at the selected places. */
export interface Interaction extends OperationBase<'interaction'> {
  readonly input: Layout;
  readonly features: number;
  readonly elements: number;
  readonly prefixElements: number;
  readonly prefixFeature: number;
  readonly selection: readonly number[];
}

export interface Unary extends OperationBase<'unary'> {
  readonly input: Layout;
  readonly activation: ActivationName;
}

/** The elements of a layout, row-major and without gaps, so that they can be cut into rows of another length. */
export interface Pack extends OperationBase<'pack'> {
  readonly input: Layout;
}

export type Operation = FullyConnected | EmbeddingBag | Interaction | Unary | Pack;
export type Source = InputSource | Operation;

/** Element (r, c) of a piece is element offset + r * stride + c of its source, row-major. */
export interface Piece {
  readonly source: Source;
  readonly offset: number;
  readonly stride: number;
  readonly columns: number;
}

/** A tensor: `rows` rows, each the columns of the pieces one after the other. */
export interface Layout {
  readonly kind: 'layout';
  readonly type: ElementType;
  readonly shape: readonly number[];
  readonly rows: number;
  readonly pieces: readonly Piece[];
}

export interface Constant {
  readonly kind: 'constant';
  readonly tensor: ConstantTensor;
}

/** A permutation that nothing has been asked to carry out yet: dimension i is dimension dims[i] of base. */
export interface Permuted {
  readonly kind: 'permuted';
  readonly base: Layout;
  readonly dims: readonly number[];
  /** For the error where it would have to be carried out. */
  readonly node: string;
  readonly operator: string;
}

/** Rows of a table, one for every index, that nothing has been asked to store or add up yet. */
export interface Lookup {
  readonly kind: 'lookup';
  readonly table: ConstantTensor;
  readonly indices: Layout;
  readonly nodes: readonly string[];
  readonly operator: string;
}

export type Value = Layout | Constant | Permuted | Lookup;

export function shapeOf(value: Value): readonly number[] {
  switch (value.kind) {
    case 'layout':
      return value.shape;
    case 'constant':
      return value.tensor.shape;
    case 'permuted':
      return value.dims.map((axis) => value.base.shape[axis] ?? 1);
    case 'lookup':
      return [...value.indices.shape, value.table.shape[1] ?? 1];
  }
}

/** True for sources whose elements lie without gaps. */
export function isDense(source: Source): boolean {
  return source.kind === 'input' || source.kind === 'pack';
}

export function widthOf(layout: Layout): number {
  return layout.pieces.reduce((sum, piece) => sum + piece.columns, 0);
}

/** The whole result of an operation. */
export function layoutOf(operation: Operation, type: ElementType, shape: readonly number[]): Layout {
  const { rows, columns } = operation;
  return {
    kind: 'layout',
    type,
    shape,
    rows,
    pieces: [{ source: operation, offset: 0, stride: columns, columns }],
  };
}

/** The operation of which a layout is the whole result and nothing else. */
export function wholeOperation(layout: Layout): Operation | undefined {
  const piece = layout.pieces[0];
  if (layout.pieces.length !== 1 || piece === undefined || piece.source.kind === 'input') return undefined;
  return piece.offset === 0 && piece.columns === piece.source.columns && layout.rows === piece.source.rows
    ? piece.source
    : undefined;
}

/** Joins pieces that are neighbours in one source as well. */
export function joinPieces(pieces: readonly Piece[]): readonly Piece[] {
  const joined: Piece[] = [];
  for (const piece of pieces) {
    const last = joined.at(-1);
    if (
      last !== undefined &&
      last.source === piece.source &&
      last.stride === piece.stride &&
      last.offset + last.columns === piece.offset
    ) {
      joined[joined.length - 1] = { ...last, columns: last.columns + piece.columns };
    } else {
      joined.push(piece);
    }
  }
  return joined;
}

/** Columns start..end of every row. */
export function columnRange(pieces: readonly Piece[], start: number, end: number): Piece[] {
  const found: Piece[] = [];
  let at = 0;
  for (const piece of pieces) {
    const low = Math.max(start, at);
    const high = Math.min(end, at + piece.columns);
    if (low < high) found.push({ ...piece, offset: piece.offset + low - at, columns: high - low });
    at += piece.columns;
  }
  return found;
}

export function samePieces(a: readonly Piece[], b: readonly Piece[]): boolean {
  return a.length === b.length && piecesKey(a) === piecesKey(b);
}

/** Equal for equal lists of pieces. */
export function piecesKey(pieces: readonly Piece[]): string {
  return pieces.map((piece) => `${piece.source.id}:${piece.offset}:${piece.stride}:${piece.columns}`).join(' ');
}

export function rowsBefore(shape: readonly number[], axis: number): number {
  return elementCount(shape.slice(0, axis));
}

/** Type of the rows of a table where they take part in the graph. */
export function tableType(table: ConstantTensor): ElementType {
  return table.type === 'float16' || table.type === 'bfloat16' ? table.type : 'float32';
}
