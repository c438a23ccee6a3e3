/** Shared memory in which the inputs of a batch travel to a worker thread and its outputs back. */
import type { CompiledGraph, GraphTensor } from '../../compiler/compiled-graph.js';
import type { TensorData } from '../model-types.js';
import { unpack } from '../tensor-data.js';
import { bytesOf } from '../typed-array.js';
import { rowBytes } from './batch-sizes.js';

export class Slab {
  readonly memory: SharedArrayBuffer;
  readonly #inputBytes: number;

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

  /** Where a graph's inputs lie, placed as in its segment. */
  inputs(graph: CompiledGraph): Uint8Array {
    return new Uint8Array(this.memory, 0, graph.segments.inputs.bytes);
  }

  outputs(graph: CompiledGraph): Uint8Array {
    return new Uint8Array(this.memory, this.#inputBytes, graph.segments.outputs.bytes);
  }
}

/**
 * Writes the rows of several requests one behind the other. Rows beyond them repeat the first: whatever a row must be to
 * be accepted, that one is.
 */
export function packRows(
  requests: readonly (readonly TensorData[])[],
  graph: Pick<CompiledGraph, 'inputs'>,
  segment: Uint8Array,
): void {
  for (const [index, tensor] of graph.inputs.entries()) {
    const end = tensor.offset + tensor.bytes;
    let at = tensor.offset;
    for (const data of requests) {
      const array = data[index];
      if (array === undefined) continue;
      segment.set(bytesOf(array), at);
      at += array.byteLength;
    }
    const row = tensor.offset + rowBytes(tensor);
    for (; at < end; at += rowBytes(tensor)) segment.copyWithin(at, tensor.offset, row);
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
