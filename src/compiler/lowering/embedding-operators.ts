/** Table look-ups and their sums: embedding bags in the forms that PyTorch and ONNX write them. */
import { invalidModel, shapeMismatch, unsupported } from '../errors.js';
import type { GraphNode, NodeOf } from '../ir/nodes.js';
import { type ConstantTensor, constantNumbers, elementCount } from '../tensor.js';
import { type LoweringContext, normalizeAxis } from './context.js';
import { type Lookup, layoutOf, shapeOf, tableType, type Value } from './values.js';

function tableOf(context: LoweringContext, node: GraphNode, name: string): ConstantTensor {
  const table = context.constant(node, name, 'the table');
  if (table.shape.length !== 2 || elementCount(table.shape) === 0) {
    throw unsupported(node.operator, node.name, `a table of shape [${table.shape}]`);
  }
  return table;
}

/** One row for every index; whether rows are stored or summed is up to the consumer. */
export function lookup(context: LoweringContext, node: GraphNode, weight: string, index: string): Lookup {
  const table = tableOf(context, node, weight);
  const indices = context.layout(node, index);
  return { kind: 'lookup', table, indices, nodes: [node.name], operator: node.operator };
}

/** Sum or mean over the bag dimension of a look-up. */
export function lowerReduce(context: LoweringContext, node: NodeOf<'sum' | 'mean'>): Value {
  const value = context.value(node, node.self);
  if (value.kind !== 'lookup' || node.dims === undefined) {
    throw unsupported(node.operator, node.name, 'only the sum of looked-up rows of a table is supported');
  }
  const shape = shapeOf(value);
  const dims = context.integers(node, node.dims).map((dim) => normalizeAxis(node, dim, shape.length));
  const bagAxis = shape.length - 2;
  if (dims.length !== 1 || dims[0] !== bagAxis || bagAxis < 0) {
    throw unsupported(node.operator, node.name, `along dimensions [${dims}] of looked-up rows [${shape}]`);
  }
  const bagLength = shape[bagAxis] ?? 1;
  const scale = node.kind === 'mean' ? 1 / bagLength : 1;
  const merged = { ...value, nodes: [...value.nodes, node.name] };
  const pooled = context.storeLookup(shape.slice(0, bagAxis), merged, bagLength, scale);
  return node.keepDimension ? { ...pooled, shape: shape.with(bagAxis, 1) } : pooled;
}

/** torch's embedding_bag: bags of one length, whose offsets the exported program computes from the batch. */
export function lowerEmbeddingBag(context: LoweringContext, node: NodeOf<'embedding_bag'>): Value {
  const refuse = (reason: string): Error => unsupported(node.operator, node.name, reason);
  if (node.perSampleWeights) throw refuse('per_sample_weights');
  const table = tableOf(context, node, node.weight);
  const offsetsValue = context.value(node, node.offsets);
  if (offsetsValue.kind !== 'constant') throw refuse('bags of varying length (offsets that are an input)');
  const offsets = constantNumbers(offsetsValue.tensor);
  const indices = context.layout(node, node.indices);
  const total = elementCount(indices.shape);
  const bags = offsets.length - (node.includeLastOffset ? 1 : 0);
  const bagLength = bags > 1 ? (offsets[1] ?? 0) : total;
  if (indices.shape.length !== 1 || bags < 1 || bags * bagLength !== total) {
    throw shapeMismatch(`node "${node.name}": ${bags} bags do not share ${total} indices equally`);
  }
  if (offsets.some((offset, bag) => offset !== bag * bagLength)) throw refuse('bags of varying length');
  // A bag of one row is the same row under every mode, but a mean or maximum over nothing but padding needs care.
  const padded = node.paddingIndex !== undefined;
  if (bagLength > 1 && (node.mode === 'max' || (node.mode === 'mean' && padded))) {
    throw refuse(`mode ${node.mode}${padded ? ' with padding_idx' : ''}`);
  }
  const rows = table.shape[0] ?? 0;
  if (padded && ((node.paddingIndex ?? 0) >= rows || (node.paddingIndex ?? 0) < -rows)) {
    throw invalidModel(`node "${node.name}"`, `padding_idx ${node.paddingIndex} is no row of the table`);
  }
  const { source, offset } = context.indicesOf(indices, node.name, node.operator);
  const columns = table.shape[1] ?? 1;
  const operation = context.operation({
    kind: 'embedding_bag',
    nodes: [node.name],
    operator: node.operator,
    rows: bags,
    columns,
    table,
    indices: source,
    indexOffset: offset,
    bagLength,
    paddingIndex: padded ? normalizeAxis(node, node.paddingIndex ?? 0, rows) : undefined,
    scale: node.mode === 'mean' ? 1 / bagLength : 1,
  });
  return layoutOf(operation, tableType(table), [bags, columns]);
}
