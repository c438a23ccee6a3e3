/** Shared memory in which the inputs of a batch travel to a worker thread and its outputs back. */
import type { CompiledGraph, GraphTensor } from '../../compiler/compiled-graph.js';
import type { TensorData } from '../model-types.js';
import { typedArrayOver, unpack } from '../tensor-data.js';
import { rowBytes } from './batch-sizes.js';
import { Segment } from './row-record.js';

export interface SlabTensors {
  readonly inputs: Readonly<Record<string, TensorData>>;
  readonly outputs: Readonly<Record<string, TensorData>>;
}

export class Slab {
  readonly memory: SharedArrayBuffer;
  /** Where a graph's inputs lie, placed as in its segment. */
  readonly inputs: Segment;
  readonly #inputBytes: number;
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
    this.inputs = new Segment(memory, 0, this.#inputBytes);
  }

  /** Views of a graph's tensors by name: a run copies out of the ones and into the others. */
  tensors(graph: CompiledGraph): SlabTensors {
    const known = this.#tensors.get(graph);
    if (known !== undefined) return known;
    const views = (tensors: readonly GraphTensor[], segment: Uint8Array): Record<string, TensorData> =>
      Object.fromEntries(
        tensors.map(({ name, type, offset, bytes }) => [name, typedArrayOver(type, segment, offset, bytes)] as const),
      );
    const tensors = {
      inputs: views(graph.inputs, this.inputs.bytes),
      outputs: views(graph.outputs, this.outputs(graph)),
    };
    this.#tensors.set(graph, tensors);
    return tensors;
  }

  /** Where a graph's outputs lie, placed as in its segment. */
  outputs(graph: CompiledGraph): Uint8Array {
    return new Uint8Array(this.memory, this.#inputBytes, graph.segments.outputs.bytes);
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
