/** State of one lowering: values by name, and the conversions that every operator needs. */
import { invalidModel, unsupported } from '../errors.js';
import type { GraphNode, IntegerList, IntegerOperand } from '../ir/nodes.js';
import { type ConstantTensor, constantNumbers, elementCount } from '../tensor.js';
import {
  isDense,
  type Layout,
  layoutOf,
  type Operation,
  type Piece,
  rowsBefore,
  shapeOf,
  tableType,
  type Value,
  widthOf,
} from './values.js';

/** Longer integer tensors are data, not shapes. */
const FOLD_LIMIT = 65536;

type WithoutId<O> = O extends Operation ? Omit<O, 'id'> : never;

export class LoweringContext {
  readonly #values = new Map<string, Value>();
  readonly #uncomputed = new Map<string, GraphNode>();
  readonly #uses: ReadonlyMap<string, number>;
  #nextId: number;

  constructor(uses: ReadonlyMap<string, number>, firstId: number) {
    this.#uses = uses;
    this.#nextId = firstId;
  }

  define(name: string, value: Value): void {
    this.#values.set(name, value);
  }

  /** Records an output that the lowering of a node does not give, such as the mask of a dropout. */
  defineUncomputed(name: string, node: GraphNode): void {
    this.#uncomputed.set(name, node);
  }

  value(node: GraphNode, name: string): Value {
    const value = this.#values.get(name);
    if (value === undefined) {
      const producer = this.#uncomputed.get(name);
      if (producer !== undefined) throw unsupported(producer.operator, producer.name, `its output "${name}"`);
      throw invalidModel(`node "${node.name}" (${node.operator})`, `reads "${name}", which nothing before it defines`);
    }
    return value;
  }

  /** True where the consumer at hand is the only one, so that it may be merged into the producer. */
  usedOnce(name: string): boolean {
    return (this.#uses.get(name) ?? 0) <= 1;
  }

  operation<O extends Operation>(operation: WithoutId<O>): O {
    return Object.freeze({ ...operation, id: this.#nextId++ }) as unknown as O;
  }

  constant(node: GraphNode, name: string, what: string): ConstantTensor {
    const value = this.value(node, name);
    if (value.kind !== 'constant') throw unsupported(node.operator, node.name, `${what} must be a constant`);
    return value.tensor;
  }

  /** The value as something that lies in memory. */
  layout(node: GraphNode, name: string): Layout {
    return this.asLayout(node, this.value(node, name));
  }

  asLayout(node: GraphNode, value: Value): Layout {
    switch (value.kind) {
      case 'layout':
        return value;
      case 'permuted':
        throw unsupported(
          value.operator,
          value.node,
          `the permutation [${value.dims}] cannot be carried out by itself`,
        );
      case 'constant':
        throw unsupported(node.operator, node.name, 'a constant operand is not supported here');
      case 'lookup':
        return this.storeLookup(value.indices.shape, value, 1, 1);
    }
  }

  /** Rows of a table, added up in bags of `bagLength` neighbours. */
  storeLookup(
    shape: readonly number[],
    lookup: Extract<Value, { readonly kind: 'lookup' }>,
    bagLength: number,
    scale: number,
  ): Layout {
    const columns = lookup.table.shape[1] ?? 1;
    const indices = this.indicesOf(lookup.indices, lookup.nodes.at(-1) ?? '', lookup.operator);
    const operation = this.operation({
      kind: 'embedding_bag',
      nodes: lookup.nodes,
      operator: lookup.operator,
      rows: elementCount(shape),
      columns,
      table: lookup.table,
      indices: indices.source,
      indexOffset: indices.offset,
      bagLength,
      paddingIndex: undefined,
      scale,
    });
    return layoutOf(operation, tableType(lookup.table), [...shape, columns]);
  }

  /** Where indices lie: the embedding kernel reads them from an input of the model, one after the other. */
  indicesOf(layout: Layout, node: string, operator: string) {
    const piece = layout.pieces[0];
    if (layout.type !== 'int64')
      throw unsupported(operator, node, `indices are ${layout.type}; only int64 is supported`);
    if (piece?.source.kind !== 'input' || !isContiguous(layout)) {
      throw unsupported(operator, node, 'indices must be an input of the model, as a whole');
    }
    return { source: piece.source, offset: piece.offset };
  }

  /** The same elements cut into `rows` rows; packs them first where they do not lie in a line. */
  withRows(node: GraphNode, layout: Layout, rows: number): Layout {
    if (layout.rows === rows) return layout;
    const columns = elementCount(layout.shape) / rows;
    const only = layout.pieces[0];
    if (only !== undefined && isDense(only.source) && isContiguous(layout)) {
      return { ...layout, rows, pieces: [{ ...only, stride: columns, columns }] };
    }
    const pack = this.operation({
      kind: 'pack',
      nodes: [node.name],
      operator: node.operator,
      rows: layout.rows,
      columns: widthOf(layout),
      input: layout,
    });
    return { ...layout, rows, pieces: [{ source: pack, offset: 0, stride: columns, columns }] };
  }

  /** Cut so that dimension `axis` and those behind it make a row. */
  splitAt(node: GraphNode, layout: Layout, axis: number): Layout {
    return this.withRows(node, layout, rowsBefore(layout.shape, axis));
  }

  isConstant(name: string): boolean {
    return this.#values.get(name)?.kind === 'constant';
  }

  integer(node: GraphNode, operand: IntegerOperand): number {
    if (typeof operand === 'number') return operand;
    const numbers = this.integersOf(node, operand);
    const only = numbers[0];
    if (numbers.length !== 1 || only === undefined) {
      throw unsupported(node.operator, node.name, `"${operand}" must be one integer`);
    }
    return only;
  }

  integers(node: GraphNode, list: IntegerList): number[] {
    if (typeof list === 'string') return this.integersOf(node, list);
    return list.map((item) => this.integer(node, item));
  }

  integersOf(node: GraphNode, name: string): number[] {
    const tensor = this.constant(node, name, `"${name}"`);
    if (!tensor.type.startsWith('int') || elementCount(tensor.shape) > FOLD_LIMIT) {
      throw unsupported(node.operator, node.name, `"${name}" must be a short list of integers`);
    }
    return constantNumbers(tensor);
  }

  shape(node: GraphNode, name: string): readonly number[] {
    return shapeOf(this.value(node, name));
  }
}

/** True where a layout is one stretch of its source. */
export function isContiguous(layout: Layout): boolean {
  const piece: Piece | undefined = layout.pieces[0];
  return layout.pieces.length === 1 && piece !== undefined && (piece.stride === piece.columns || layout.rows === 1);
}

/** Counts from the end where negative; `count` positions are legal. */
export function normalizeAxis(node: GraphNode, axis: number, count: number): number {
  const normal = axis < 0 ? axis + count : axis;
  if (Number.isInteger(normal) && normal >= 0 && normal < count) return normal;
  throw invalidModel(
    `node "${node.name}" (${node.operator})`,
    `dimension ${axis} does not exist in ${count} dimensions`,
  );
}

/** Every piece may become a job of its own. */
const PIECE_LIMIT = 256;

export function checkPieces(node: GraphNode, count: number): void {
  if (count > PIECE_LIMIT) throw unsupported(node.operator, node.name, `picks ${count} separate columns`);
}
