/** Model files: what they are is told from their content, never from their name. */
import { readFile, realpath } from 'node:fs/promises';
import { basename, dirname, extname, isAbsolute, resolve, sep } from 'node:path';
import { MtiaError } from '../driver/errors.js';
import { guardFile, invalidModel } from './errors.js';
import type { ModelGraph } from './ir/model-graph.js';
import { isCompiledGraph } from './mtg-file.js';
import { externalLocations, importOnnx, readOnnxMessage } from './onnx/read-onnx.js';
import type { ExternalData } from './onnx/tensor-proto.js';
import { readPt2 } from './pt2/read-pt2.js';
import { isZip } from './pt2/zip.js';

/** What a model file is read for. */
export interface ReadModelOptions {
  /** Name of the graph; the file's name without its extension where absent. */
  readonly name?: string;
}

/**
 * Reads a model: a torch.export archive (.pt2) or an ONNX file.
 *
 * @example
 * const model = await readModel('films.pt2');
 * console.log(model.inputs.map((input) => `${input.name}: ${input.shape}`));
 */
export async function readModel(path: string, options: ReadModelOptions = {}): Promise<ModelGraph> {
  const bytes = await readBytes(path, 'model file');
  const name = options.name ?? basename(path, extname(path));
  try {
    return await parseModel(bytes, name, dirname(path));
  } catch (error) {
    if (!(error instanceof MtiaError)) throw error;
    throw new MtiaError(error.code, `${path}: ${error.message}`, { cause: error.cause ?? error });
  }
}

/** Reads a model from memory; `directory` is where an ONNX file may keep tensors outside of it. */
export async function parseModel(bytes: Uint8Array, name: string, directory: string): Promise<ModelGraph> {
  if (bytes.byteLength === 0) throw invalidModel('file', 'is empty');
  if (isZip(bytes)) return guardFile('archive', () => readPt2(bytes, name));
  if (isCompiledGraph(bytes)) throw invalidModel('file', 'is a compiled graph already; load it, or compile its source');
  const { graph } = readMessage(bytes);
  const external = await readExternalData(externalLocations(graph), directory);
  return guardFile('ONNX ModelProto', () => importOnnx(graph, name, external));
}

/** Protobuf has no magic number: whatever is nothing else may be ONNX. */
function readMessage(bytes: Uint8Array): ReturnType<typeof readOnnxMessage> {
  try {
    return readOnnxMessage(bytes);
  } catch (error) {
    if (!(error instanceof MtiaError)) throw error;
    const problem = `${error.message}; it is damaged, or not a model (.pt2, .onnx or .mtg)`;
    throw new MtiaError(error.code, problem, { cause: error });
  }
}

async function readBytes(path: string, part: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (error) {
    throw invalidModel(`${part} ${path}`, error instanceof Error ? error.message : 'cannot be read', error);
  }
}

async function readExternalData(locations: ReadonlySet<string>, directory: string): Promise<ExternalData> {
  const files = new Map<string, Uint8Array>();
  for (const location of locations) files.set(location, await readExternalFile(location, directory));
  return (location, offset, length, part) => {
    const file = files.get(location);
    if (file === undefined) throw invalidModel(part, `external_data location "${location}" was not read`);
    const end = length === undefined ? file.byteLength : offset + length;
    if (end > file.byteLength || offset > end) throw invalidModel(part, `reaches beyond the end of "${location}"`);
    return file.subarray(offset, end);
  };
}

/** A model from an untrusted source must not read files elsewhere, neither by its path nor through a symbolic link. */
async function readExternalFile(location: string, directory: string): Promise<Uint8Array> {
  const part = `external_data location "${location}"`;
  const inside = (path: string, root: string): boolean => path.startsWith(root.endsWith(sep) ? root : root + sep);
  const root = resolve(directory);
  const path = resolve(root, location);
  if (location === '' || location.includes('\0') || isAbsolute(location) || !inside(path, root)) {
    throw invalidModel(part, 'leaves the directory of the model');
  }
  let real: string;
  try {
    real = await realpath(path);
  } catch (error) {
    throw invalidModel(part, error instanceof Error ? error.message : 'cannot be read', error);
  }
  if (!inside(real, await realpath(root))) throw invalidModel(part, 'leads out of the directory of the model');
  return readBytes(real, 'external data file');
}
