/** Feature interaction: products of a sample's features, of which a model keeps some, behind a prefix of one feature. */
import { unsupported } from '../errors.js';
import type { GraphNode } from '../ir/nodes.js';
import { checkPieces, type LoweringContext } from './context.js';
import {
  columnRange,
  type Interaction,
  joinPieces,
  type Layout,
  layoutOf,
  type Piece,
  samePieces,
  wholeOperation,
  widthOf,
} from './values.js';

const MAXIMUM_FEATURES = 64;

/** X X^T for X of shape [rows, features, elements], all places of it. */
export function interactionOf(context: LoweringContext, node: GraphNode, layout: Layout): Layout {
  const input = context.splitAt(node, layout, 1);
  const [rows = 1, features = 1, elements = 1] = layout.shape;
  if (features > MAXIMUM_FEATURES) {
    throw unsupported(node.operator, node.name, `${features} features; at most ${MAXIMUM_FEATURES} are supported`);
  }
  const operation: Interaction = context.operation({
    kind: 'interaction',
    nodes: [node.name],
    operator: node.operator,
    rows,
    columns: features * features,
    input,
    features,
    elements,
    prefixElements: 0,
    prefixFeature: 0,
    selection: Array.from({ length: features * features }, (_, place) => place),
  });
  return layoutOf(operation, layout.type, [rows, features, features]);
}

/** Blocks of `inner` columns at `positions`; from an interaction they become its selection. */
export function selectColumns(
  context: LoweringContext,
  node: GraphNode,
  layout: Layout,
  positions: readonly number[],
  inner: number,
  shape: readonly number[],
): Layout {
  const places = positions.flatMap((position) => Array.from({ length: inner }, (_, at) => position * inner + at));
  const whole = wholeOperation(layout);
  if (whole?.kind === 'interaction' && whole.prefixElements === 0) {
    const selection = places.map((place) => whole.selection[place] ?? 0);
    const nodes = [...whole.nodes, node.name];
    return layoutOf(context.operation({ ...whole, nodes, columns: selection.length, selection }), layout.type, shape);
  }
  const pieces = joinPieces(
    positions.flatMap((position) => columnRange(layout.pieces, position * inner, (position + 1) * inner)),
  );
  checkPieces(node, pieces.length);
  return { ...layout, shape, pieces };
}

/** In a row of pieces: a feature of X followed by the interaction of X becomes the prefix of that interaction. */
export function foldInteraction(
  context: LoweringContext,
  node: GraphNode,
  pieces: readonly Piece[],
  rows: number,
): readonly Piece[] {
  const folded: Piece[] = [];
  for (const piece of pieces) {
    const prefix = folded.at(-1);
    const merged = prefix === undefined ? undefined : withPrefix(context, node, prefix, piece, rows);
    if (merged === undefined) folded.push(piece);
    else folded[folded.length - 1] = merged;
  }
  return folded;
}

function withPrefix(
  context: LoweringContext,
  node: GraphNode,
  prefix: Piece,
  piece: Piece,
  rows: number,
): Piece | undefined {
  const { source } = piece;
  if (source.kind !== 'interaction' || source.prefixElements !== 0 || source.rows !== rows) return undefined;
  if (piece.offset !== 0 || piece.columns !== source.columns) return undefined;
  for (let feature = 0; feature < source.features; feature++) {
    const start = feature * source.elements;
    if (prefix.columns > source.elements || start + prefix.columns > widthOf(source.input)) continue;
    if (!samePieces(columnRange(source.input.pieces, start, start + prefix.columns), [prefix])) continue;
    const columns = prefix.columns + source.columns;
    const nodes = [...source.nodes, node.name];
    const merged = context.operation({
      ...source,
      nodes,
      columns,
      prefixElements: prefix.columns,
      prefixFeature: feature,
    });
    return { source: merged, offset: 0, stride: columns, columns };
  }
  return undefined;
}
