/** The MODEL argument: a torch.export archive, an ONNX file or a compiled graph, told apart by content. */
import { readFile } from 'node:fs/promises';
import {
  type CompiledGraph,
  compileModel,
  decodeCompiledGraph,
  type InputShapes,
  isCompiledGraph,
  type ModelGraph,
  readModel,
} from '../compiler/index.js';
import { MtiaError } from '../driver/index.js';
import type { Generation } from '../hw/index.js';
import { aboutFile, InputError, inFile } from './errors.js';
import type { ComputeType } from './options.js';
import { checkAgainstGraph, checkCount, type FileTensor } from './test-data.js';

export type ModelSource =
  | { readonly kind: 'compiled'; readonly path: string; readonly graph: CompiledGraph }
  | { readonly kind: 'model'; readonly path: string; readonly model: ModelGraph };

/** What a model is compiled for. A graph that was compiled before is only checked against it. */
export interface Target {
  readonly generation: Generation;
  readonly dtype: ComputeType;
  /** Bound to symbolic dimensions that inputShapes leaves open. */
  readonly batch?: number;
  /** In the order of the inputs. */
  readonly inputShapes?: InputShapes;
}

export async function readModelSource(path: string): Promise<ModelSource> {
  return aboutFile(path, async () => {
    const bytes = await readFile(path);
    if (isCompiledGraph(bytes)) return { kind: 'compiled', path, graph: decodeCompiledGraph(bytes) };
    return { kind: 'model', path, model: await readModel(path) };
  });
}

export async function compileSource(source: ModelSource, target: Target): Promise<CompiledGraph> {
  const { path } = source;
  if (source.kind === 'model') return aboutFile(path, () => compileModel(source.model, target));
  const { graph } = source;
  if (target.generation !== graph.generation) {
    throw new InputError(`${path}: compiled for ${graph.generation}; pass --device ${graph.generation}`);
  }
  if (target.dtype !== 'auto' && target.dtype !== graph.computeType) {
    throw new InputError(`${path}: compiled for ${graph.computeType}, --dtype says ${target.dtype}; compile it again`);
  }
  return graph;
}

/** Compiles for the shapes of given data, and names the file of the data where that does not fit the model. */
export async function compileForData(
  source: ModelSource,
  target: Target,
  inputs: readonly FileTensor[],
  folder: string,
): Promise<CompiledGraph> {
  const declared = source.kind === 'model' ? source.model.inputs : source.graph.inputs;
  checkCount(inputs, declared, folder);
  try {
    const graph = await compileSource(source, { ...target, inputShapes: inputs.map((input) => input.shape) });
    const remedy =
      source.kind === 'compiled' ? '; compile the model for such data (--batch), or run the model itself' : '';
    checkAgainstGraph(inputs, graph.inputs, folder, remedy);
    return graph;
  } catch (error) {
    if (!(error instanceof MtiaError) || error.code !== 'SHAPE_MISMATCH') throw error;
    const at = declared.findIndex((input) => error.message.includes(`"${input.name}"`));
    throw inFile(inputs[at]?.path ?? folder, error);
  }
}
