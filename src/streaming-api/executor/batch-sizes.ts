/** For which numbers of rows a model is compiled, and whether its rows can be gathered at all. */
import type { CompiledGraph, GraphTensor } from '../../compiler/compiled-graph.js';
import type { ModelGraph } from '../../compiler/index.js';
import { invalidArgument } from '../../driver/errors.js';

export const DEFAULT_MAX_BATCH = 32;

/** Powers of two from the fewest rows that the model takes up to `maxBatch`, and `maxBatch` itself. */
export function batchSizes(minimum: number, maxBatch: number): readonly number[] {
  const sizes: number[] = [];
  for (let size = minimum; size < maxBatch; size = 2 ** Math.floor(Math.log2(size) + 1)) sizes.push(size);
  return [...sizes, Math.max(minimum, maxBatch)];
}

/** The symbol that is the first dimension of every input, and the only one; undefined where there is none such. */
export function batchSymbolOf(model: ModelGraph): string | undefined {
  const [symbol] = model.inputs[0]?.shape ?? [];
  if (typeof symbol !== 'string') return undefined;
  const rowwise = model.inputs.every(({ shape }) => {
    const [first, ...rest] = shape ?? [];
    return first === symbol && rest.every((dimension) => typeof dimension === 'number');
  });
  return rowwise ? symbol : undefined;
}

/** Throws INVALID_ARGUMENT where an output does not have one row, always of the same shape, for each row of the batch. */
export function checkOutputRows(graph: CompiledGraph, smallest: CompiledGraph): void {
  const size = rowsOf(graph);
  for (const [index, { name, shape }] of graph.outputs.entries()) {
    const [rows, ...row] = shape;
    const [, ...expected] = smallest.outputs[index]?.shape ?? [];
    if (rows === size && row.length === expected.length && row.every((entry, axis) => entry === expected[axis]))
      continue;
    throw invalidArgument(
      `model ${graph.name} cannot be batched: output "${name}" is [${shape.join(', ')}] for a batch of ${size}; ` +
        'compile it for one shape and pass the compiled graph',
    );
  }
}

/** Rows of a graph whose first dimension is the batch. */
export function rowsOf(graph: Pick<CompiledGraph, 'inputs'>): number {
  return graph.inputs[0]?.shape[0] ?? 1;
}

/** Bytes of one row of a tensor. */
export function rowBytes(tensor: GraphTensor): number {
  return tensor.bytes / Math.max(1, tensor.shape[0] ?? 1);
}
