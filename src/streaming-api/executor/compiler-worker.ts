/** What the compiler's thread runs. */
import type { CompiledGraph } from '../../compiler/compiled-graph.js';
import type { Generation } from '../../hw/index.js';
import { readBatchedGraphs, readGraph } from '../graph-source.js';
import type { LoadOptions } from '../model-types.js';
import { type Answer, answer, shareGraphs } from './messages.js';

/** Undefined fields count as absent: structured clones keep them. */
export type CompileChoices = {
  readonly [Key in 'dtype' | 'batch' | 'inputShapes']?: LoadOptions[Key] | undefined;
};

export interface CompileTask {
  readonly path: string;
  readonly generation: Generation;
  readonly options: CompileChoices;
  /** Present where a graph is wanted for every size of a batch. */
  readonly batches?: { readonly maxBatch: number | undefined };
}

export interface GraphSet {
  /** The smallest batch first; one graph where the model has a fixed shape. */
  readonly graphs: readonly CompiledGraph[];
  /** Whether the first dimension of every input and output is the batch. */
  readonly batched: boolean;
}

async function compile({ path, generation, options, batches }: CompileTask): Promise<GraphSet> {
  if (batches === undefined) return { graphs: [await readGraph(path, generation, options)], batched: false };
  return readBatchedGraphs(path, generation, { dtype: options.dtype, maxBatch: batches.maxBatch });
}

export default function compileTask(task: CompileTask): Promise<Answer<GraphSet>> {
  return answer(async () => {
    const { graphs, batched } = await compile(task);
    return { graphs: shareGraphs(graphs), batched };
  });
}
