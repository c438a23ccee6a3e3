/** Model files become compiled graphs. The only file here that knows the compiler. */
import { open, readFile } from 'node:fs/promises';
import type { CompiledGraph } from '../compiler/compiled-graph.js';
import { invalidArgument, MtiaError } from '../driver/errors.js';
import type { FirmwareImage } from '../driver/index.js';
import { type Generation, PROTOCOL_VERSION } from '../hw/index.js';
import { batchSizes, batchSymbolOf, checkOutputRows, DEFAULT_MAX_BATCH } from './executor/batch-sizes.js';
import type { CompileChoices, GraphSet } from './executor/compiler-worker.js';
import type { LoadOptions } from './model-types.js';

const HEAD_BYTES = 64;

/**
 * Reads a .pt2, .onnx or .mtg file, told apart by content, and compiles it where that is not done yet. The compiler is
 * loaded here and not before: who brings compiled graphs along needs none of it.
 */
export async function readGraph(path: string, generation: Generation, options: CompileChoices): Promise<CompiledGraph> {
  const compiler = await import('../compiler/index.js');
  if (compiler.isCompiledGraph(await readHead(path))) {
    checkNoCompileOptions(options);
    return readCompiledGraph(path, generation);
  }
  const { dtype, batch, inputShapes } = options;
  return compiler.compileModel(await compiler.readModel(path), {
    generation,
    ...(dtype === undefined ? {} : { dtype }),
    ...(batch === undefined ? {} : { batch }),
    ...(inputShapes === undefined ? {} : { inputShapes }),
  });
}

async function readCompiledGraph(path: string, generation: Generation): Promise<CompiledGraph> {
  const compiler = await import('../compiler/index.js');
  try {
    return compiler.decodeCompiledGraph(await readFile(path), { generation });
  } catch (error) {
    throw error instanceof MtiaError ? new MtiaError(error.code, `${path}: ${error.message}`, { cause: error }) : error;
  }
}

/** For programs that no compiler has checked. Throws INVALID_ARGUMENT. */
export function checkModel(model: string | CompiledGraph): void {
  if (typeof model === 'string' || (typeof model === 'object' && model?.image instanceof Uint8Array)) return;
  throw invalidArgument(`a model is the path of a file or a compiled graph, got ${model}`);
}

/**
 * Reads a model for an executor: compiled for every size of a batch where the first dimension of each input is the same
 * symbol, and as it is where its shapes are fixed.
 */
export async function readBatchedGraphs(
  path: string,
  generation: Generation,
  { dtype, maxBatch }: { readonly dtype: LoadOptions['dtype']; readonly maxBatch: number | undefined },
): Promise<GraphSet> {
  const compiler = await import('../compiler/index.js');
  if (compiler.isCompiledGraph(await readHead(path))) {
    checkNoCompileOptions({ dtype });
    return fixedShape(await readCompiledGraph(path, generation), maxBatch);
  }
  const model = await compiler.readModel(path);
  const choices = { generation, ...(dtype === undefined ? {} : { dtype }) };
  const symbol = batchSymbolOf(model);
  if (symbol === undefined) return fixedShape(compiler.compileModel(model, choices), maxBatch);
  const sizes = batchSizes(model.ranges.get(symbol)?.minimum ?? 1, maxBatch ?? DEFAULT_MAX_BATCH);
  const graphs = compiler.compileBatches(model, sizes, choices);
  for (const graph of graphs) checkOutputRows(graph, graphs[0] ?? graph);
  return { graphs, batched: true };
}

/** A graph of one shape runs one request at a time. */
export function fixedShape(graph: CompiledGraph, maxBatch: number | undefined): GraphSet {
  if (maxBatch === undefined || maxBatch === 1) return { graphs: [graph], batched: false };
  throw invalidArgument(
    `model ${graph.name} has a fixed shape, so its requests cannot be batched: leave maxBatch out, or pass a model ` +
      'file whose inputs all begin with the same symbolic dimension',
  );
}

/** The first bytes of a file; none where it cannot be read, which is for the reader of models to explain. */
async function readHead(path: string): Promise<Uint8Array> {
  try {
    await using file = await open(path);
    const { buffer, bytesRead } = await file.read(new Uint8Array(HEAD_BYTES), 0, HEAD_BYTES, 0);
    return buffer.subarray(0, bytesRead);
  } catch {
    return new Uint8Array();
  }
}

/** A compiled graph is compiled: options that would have to change it are a misunderstanding. */
export function checkNoCompileOptions({ batch, inputShapes, dtype }: CompileChoices): void {
  if ((batch ?? inputShapes ?? dtype) === undefined) return;
  throw invalidArgument('a compiled graph has its shapes and type; pass batch, inputShapes and dtype to the compiler');
}

/** Refuses a graph that was compiled for something else than this device with this firmware. */
export function checkGraph(graph: CompiledGraph, generation: Generation, firmware: FirmwareImage): void {
  if (graph.generation !== generation) {
    throw mismatch(`model ${graph.name} is compiled for ${graph.generation}, the device is ${generation}`);
  }
  if (graph.protocolVersion !== PROTOCOL_VERSION) {
    throw mismatch(
      `model ${graph.name} is compiled for protocol ${graph.protocolVersion}, this is ${PROTOCOL_VERSION}`,
    );
  }
  const known = new Set([...firmware.kernels.keys()].map((name) => name.toUpperCase()));
  const missing = graph.jobs.find((job) => !known.has(job.kernel.toUpperCase()));
  if (missing === undefined) return;
  throw mismatch(`model ${graph.name} needs kernel ${missing.kernel}, which firmware ${firmware.version} lacks`);
}

function mismatch(message: string): MtiaError {
  return new MtiaError('FIRMWARE_MISMATCH', `${message}; compile the model again`);
}
