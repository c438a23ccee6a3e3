/** torch.export archives (.pt2) → graph. Weights stay where the file has them. */
import type { z } from 'zod';
import { ELEMENT_BYTES, type ElementType } from '../compiled-graph.js';
import { invalidModel, unsupported } from '../errors.js';
import type { Dimension, DimensionRange, ModelGraph, ModelTensor } from '../ir/model-graph.js';
import { type ConstantTensor, fitsStorage } from '../tensor.js';
import { NodeArguments } from './arguments.js';
import { importAtenNode } from './operators.js';
import {
  ARGUMENT_SHAPES,
  type Argument,
  type ExportedProgram,
  exportedProgramSchema,
  INPUT_SPECS,
  parseMember,
  payloadConfigSchema,
  SCALAR_TYPES,
  SCHEMA_MAJOR,
  type SymInt,
  type TensorMeta,
  userOutputSchema,
} from './schema.js';
import { readZip } from './zip.js';

const ARCHIVE_VERSION = '0';

/** The members of an archive under its one root folder. */
class Archive {
  readonly #members: ReadonlyMap<string, Uint8Array>;
  readonly #root: string;

  constructor(bytes: Uint8Array) {
    this.#members = readZip(bytes);
    const marker = [...this.#members.keys()].find((name) => name.endsWith('/archive_format'));
    if (marker === undefined) {
      throw invalidModel('archive_format', 'not in the archive; this zip file was not written by torch.export.save');
    }
    this.#root = marker.slice(0, -'archive_format'.length);
  }

  names(folder: string): string[] {
    const prefix = this.#root + folder;
    return [...this.#members.keys()].filter((name) => name.startsWith(prefix)).map((n) => n.slice(this.#root.length));
  }

  find(name: string): Uint8Array | undefined {
    return this.#members.get(this.#root + name);
  }

  text(name: string): string {
    const bytes = this.find(name);
    if (bytes === undefined) throw invalidModel(name, 'not in the archive');
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
  }

  json(name: string): unknown {
    const text = this.text(name);
    try {
      return JSON.parse(text);
    } catch (error) {
      throw invalidModel(name, 'is not JSON', error);
    }
  }
}

/** Reads an archive; `name` names the graph. */
export function readPt2(bytes: Uint8Array, name: string): ModelGraph {
  const archive = new Archive(bytes);
  checkFormat(archive);
  const member = modelMember(archive);
  const fail = (problem: string): Error => invalidModel(member, problem);
  const json = archive.json(member);
  checkSchemaVersion(json, fail);
  const program = parseMember(exportedProgramSchema, json, fail);
  const stem = member.slice('models/'.length, -'.json'.length);
  const payloads = new Payloads(archive, stem);
  return Object.freeze({ name, format: 'pt2' as const, ...importProgram(program, payloads, fail) });
}

function checkFormat(archive: Archive): void {
  if (archive.text('archive_format').trim() !== 'pt2') throw invalidModel('archive_format', 'is not "pt2"');
  const version = archive.text('archive_version').trim();
  if (version !== ARCHIVE_VERSION) throw invalidModel('archive_version', `is ${version}; this compiler reads 0`);
  if (archive.find('byteorder') !== undefined && archive.text('byteorder').trim() !== 'little') {
    throw invalidModel('byteorder', 'is not "little"');
  }
}

function modelMember(archive: Archive): string {
  const models = archive.names('models/').filter((name) => name.endsWith('.json'));
  const only = models[0];
  if (only === undefined) throw invalidModel('models/', 'holds no exported program');
  if (models.length > 1 && !models.includes('models/model.json')) {
    throw invalidModel('models/', `holds ${models.length} programs and none is named model`);
  }
  return models.includes('models/model.json') ? 'models/model.json' : only;
}

/** Before anything else is looked at: another major version may mean something else by the same fields. */
function checkSchemaVersion(json: unknown, fail: (problem: string) => Error): void {
  const version = parseMember(exportedProgramSchema.pick({ schema_version: true }), json, fail).schema_version;
  if (version.major !== SCHEMA_MAJOR) {
    throw fail(`field schema_version.major is ${version.major}; this compiler reads ${SCHEMA_MAJOR}`);
  }
}

/** Raw storages of parameters, buffers and constants. */
class Payloads {
  readonly #archive: Archive;
  readonly #weights: ReadonlyMap<string, ConstantTensor>;
  readonly #constants: ReadonlyMap<string, ConstantTensor>;

  constructor(archive: Archive, stem: string) {
    this.#archive = archive;
    this.#weights = this.#read('data/weights/', `${stem}_weights_config.json`);
    this.#constants = this.#read('data/constants/', `${stem}_constants_config.json`);
  }

  get(name: string, spec: string): ConstantTensor {
    const tensor = this.#weights.get(name) ?? this.#constants.get(name);
    if (tensor === undefined) throw invalidModel('data/weights', `no data for ${spec} "${name}"`);
    return tensor;
  }

  #read(folder: string, config: string): Map<string, ConstantTensor> {
    const member = folder + config;
    const tensors = new Map<string, ConstantTensor>();
    if (this.#archive.find(member) === undefined) {
      const pickled = this.#archive.names(folder).find((name) => name.endsWith('.pt'));
      if (pickled === undefined) return tensors;
      throw invalidModel(pickled, 'weights are pickled; save the program again with torch 2.9 or later');
    }
    const fail = (problem: string): Error => invalidModel(member, problem);
    const { config: entries } = parseMember(payloadConfigSchema, this.#archive.json(member), fail);
    for (const [name, entry] of Object.entries(entries)) {
      if (entry.use_pickle) throw fail(`"${name}" is pickled; only plain tensors are read`);
      if (entry.tensor_meta == null) throw fail(`"${name}" has no tensor_meta`);
      const storage = this.#archive.find(folder + entry.path_name);
      if (storage === undefined)
        throw invalidModel(folder + entry.path_name, `not in the archive, but "${name}" needs it`);
      tensors.set(name, constantOf(entry.tensor_meta, storage, `${member}, "${name}"`));
    }
    return tensors;
  }
}

function constantOf(meta: TensorMeta, storage: Uint8Array, part: string): ConstantTensor {
  const type = SCALAR_TYPES[meta.dtype as keyof typeof SCALAR_TYPES];
  if (type === undefined) throw invalidModel(part, `element type ${meta.dtype} is not read`);
  const known = (value: SymInt): number => {
    if ('as_int' in value && Number.isSafeInteger(value.as_int)) return value.as_int;
    throw invalidModel(part, 'has a size that is not a number');
  };
  const tensor: ConstantTensor = {
    type,
    shape: meta.sizes.map(known),
    strides: meta.strides.map(known),
    offset: known(meta.storage_offset),
    storage,
  };
  if (tensor.shape.length !== tensor.strides.length || !fitsStorage(tensor)) {
    throw invalidModel(part, `sizes [${tensor.shape}] do not fit the ${storage.byteLength} bytes of its storage`);
  }
  return tensor;
}

type Imported = Pick<ModelGraph, 'inputs' | 'outputs' | 'ranges' | 'constants' | 'nodes'>;

function importProgram(program: ExportedProgram, payloads: Payloads, fail: (problem: string) => Error): Imported {
  const { graph, signature } = program.graph_module;
  const constants = new Map<string, ConstantTensor>();
  const inputs: ModelTensor[] = [];
  for (const spec of signature.input_specs) {
    const kind = Object.keys(spec)[0] ?? 'nothing';
    const parse = <S extends z.ZodType>(schema: S): z.infer<S> =>
      parseMember(schema, spec[kind], (problem) => fail(`signature.input_specs: ${kind}: ${problem}`));
    if (kind === 'parameter') {
      const { arg, parameter_name } = parse(INPUT_SPECS.parameter);
      constants.set(arg.name, payloads.get(parameter_name, kind));
    } else if (kind === 'buffer') {
      const { arg, buffer_name } = parse(INPUT_SPECS.buffer);
      constants.set(arg.name, payloads.get(buffer_name, kind));
    } else if (kind === 'tensor_constant') {
      const { arg, tensor_constant_name } = parse(INPUT_SPECS.tensor_constant);
      constants.set(arg.name, payloads.get(tensor_constant_name, kind));
    } else if (kind === 'user_input') {
      inputs.push(
        edgeTensor(tensorArgument(parse(INPUT_SPECS.user_input).arg, 'user_input', fail), graph.tensor_values, fail),
      );
    } else if (kind !== 'constant_input') {
      throw unsupported(kind, kind, 'a model input of this kind is not read');
    }
  }
  const outputs = signature.output_specs.map((spec) => {
    if (!('user_output' in spec)) {
      const kind = Object.keys(spec)[0] ?? 'nothing';
      throw unsupported(kind, kind, 'a model output of this kind is not written');
    }
    const { arg } = parseMember(userOutputSchema, spec.user_output, (p) => fail(`signature.output_specs: ${p}`));
    return edgeTensor(tensorArgument(arg, 'user_output', fail), graph.tensor_values, fail);
  });
  const nodes = graph.nodes.map((node, index) =>
    importAtenNode(new NodeArguments(node, index), node.outputs.flatMap(outputNames)),
  );
  return { inputs, outputs, ranges: rangesOf(program), constants, nodes };
}

function tensorArgument(argument: Argument, what: string, fail: (problem: string) => Error): string {
  if (!('as_tensor' in argument)) throw unsupported(what, what, `is ${Object.keys(argument)[0]}, not a tensor`);
  return parseMember(ARGUMENT_SHAPES.as_tensor, argument.as_tensor, (p) => fail(`${what}: ${p}`)).name;
}

const SYMBOL = /^Symbol\('([^']+)'/;

function dimensionOf(size: SymInt): Dimension {
  if ('as_int' in size) return size.as_int;
  if ('as_name' in size) return size.as_name;
  return SYMBOL.exec(size.as_expr.expr_str)?.[1] ?? size.as_expr.expr_str;
}

function edgeTensor(
  name: string,
  values: ExportedProgram['graph_module']['graph']['tensor_values'],
  fail: (problem: string) => Error,
): ModelTensor {
  const meta = Object.hasOwn(values, name) ? values[name] : undefined;
  if (meta === undefined) throw fail(`graph.tensor_values: no entry for "${name}"`);
  const type = SCALAR_TYPES[meta.dtype as keyof typeof SCALAR_TYPES];
  if (type === undefined || !Object.hasOwn(ELEMENT_BYTES, type)) {
    throw fail(`graph.tensor_values: "${name}" has element type ${type ?? meta.dtype}, which no device tensor has`);
  }
  return Object.freeze({ name, type: type as ElementType, shape: Object.freeze(meta.sizes.map(dimensionOf)) });
}

/** Names that a node's output argument defines; None and constants define nothing. */
function outputNames(output: Argument): string[] {
  const nameOf = (value: unknown): string[] => {
    if (typeof value !== 'object' || value === null) return [];
    if ('name' in value && typeof value.name === 'string') return [value.name];
    if ('as_name' in value && typeof value.as_name === 'string') return [value.as_name];
    return [];
  };
  return Object.values(output).flatMap((value) => (Array.isArray(value) ? value.flatMap(nameOf) : nameOf(value)));
}

function rangesOf(program: ExportedProgram): Map<string, DimensionRange> {
  return new Map(
    Object.entries(program.range_constraints ?? {}).map(([symbol, range]) => [
      symbol,
      { minimum: numberOrNone(range.min_val), maximum: numberOrNone(range.max_val) },
    ]),
  );
}

/** An open end is null or a word for infinity, depending on torch's version. */
function numberOrNone(value: unknown): number | undefined {
  return typeof value === 'number' ? value : undefined;
}
