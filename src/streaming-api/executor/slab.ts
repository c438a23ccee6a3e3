/** Shared memory in which the inputs of a batch travel to a worker thread and its outputs back. */
import type { CompiledGraph, GraphTensor } from '../../compiler/compiled-graph.js';
import type { TensorData } from '../model-types.js';
import { typedArrayOver, unpack } from '../tensor-data.js';
import { rowBytes } from './batch-sizes.js';

export interface SlabTensors {
  readonly inputs: Readonly<Record<string, TensorData>>;
  readonly outputs: Readonly<Record<string, TensorData>>;
}

export class Slab {
  readonly memory: SharedArrayBuffer;
  readonly #inputBytes: number;
  readonly #inputs = new Map<CompiledGraph, readonly TensorData[]>();
  readonly #tensors = new Map<CompiledGraph, SlabTensors>();

  /** Bytes that hold inputs and outputs of every graph. */
  static allocate(graphs: readonly CompiledGraph[]): SharedArrayBuffer {
    const [inputs, outputs] = Slab.#sizes(graphs);
    return new SharedArrayBuffer(inputs + outputs);
  }

  static #sizes(graphs: readonly CompiledGraph[]): readonly [inputs: number, outputs: number] {
    const largest = (kind: 'inputs' | 'outputs'): number =>
      Math.max(...graphs.map(({ segments }) => segments[kind].bytes));
    return [largest('inputs'), largest('outputs')];
  }

  constructor(memory: SharedArrayBuffer, graphs: readonly CompiledGraph[]) {
    this.memory = memory;
    [this.#inputBytes] = Slab.#sizes(graphs);
  }

  /** Where a graph's inputs lie, in their order. */
  inputs(graph: CompiledGraph): readonly TensorData[] {
    const known = this.#inputs.get(graph);
    if (known !== undefined) return known;
    const segment = new Uint8Array(this.memory, 0, graph.segments.inputs.bytes);
    const views = graph.inputs.map(({ type, offset, bytes }) => typedArrayOver(type, segment, offset, bytes));
    this.#inputs.set(graph, views);
    return views;
  }

  /** Views of a graph's tensors by name: a run copies out of the ones and into the others. */
  tensors(graph: CompiledGraph): SlabTensors {
    const known = this.#tensors.get(graph);
    if (known !== undefined) return known;
    const segment = this.outputs(graph);
    const views = this.inputs(graph);
    const inputs = graph.inputs.map(({ name }, index) => [name, views[index] ?? new Uint8Array()] as const);
    const outputs = graph.outputs.map(({ name, type, offset, bytes }) => {
      return [name, typedArrayOver(type, segment, offset, bytes)] as const;
    });
    const tensors = { inputs: Object.fromEntries(inputs), outputs: Object.fromEntries(outputs) };
    this.#tensors.set(graph, tensors);
    return tensors;
  }

  /** Where a graph's outputs lie, placed as in its segment. */
  outputs(graph: CompiledGraph): Uint8Array {
    return new Uint8Array(this.memory, this.#inputBytes, graph.segments.outputs.bytes);
  }
}

/**
 * Writes the rows of several requests one behind the other into views of the graph's inputs. Rows beyond them repeat the
 * first: whatever a row must be to be accepted, that one is.
 */
export function packRows(
  requests: readonly (readonly TensorData[])[],
  tensors: readonly GraphTensor[],
  views: readonly TensorData[],
): void {
  for (const [index, view] of views.entries()) {
    let at = 0;
    for (const data of requests) {
      const array = data[index];
      if (array === undefined) continue;
      // Both have the type of the tensor: checkInputs saw to it.
      view.set(array as never, at);
      at += array.length;
    }
    const row = view.length / Math.max(1, tensors[index]?.shape[0] ?? 1);
    for (; at < view.length; at += row) view.copyWithin(at, 0, row);
  }
}

/** Copies `rows` rows from row `first` on out of every tensor. */
export function unpackRows(
  tensors: readonly GraphTensor[],
  segment: Uint8Array,
  first: number,
  rows: number,
): Record<string, TensorData> {
  const parts = tensors.map((tensor) => ({
    ...tensor,
    offset: tensor.offset + first * rowBytes(tensor),
    bytes: rows * rowBytes(tensor),
  }));
  return unpack(parts, segment);
}
