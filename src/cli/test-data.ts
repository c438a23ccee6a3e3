/** Test data sets in the layout of ONNX's backend tests: input_0.pb, input_1.pb, ..., output_0.pb, ... */
import { existsSync, statSync } from 'node:fs';
import { mkdir, readdir, readFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { type GraphTensor, readTensorProto, writeTensorProto } from '../compiler/index.js';
import { writeWhole } from './atomic-file.js';
import { aboutFile, InputError } from './errors.js';
import { formatShape, type Tensor } from './tensors.js';

type Role = 'input' | 'output';

/** A tensor, and the file that it came from. */
export interface FileTensor extends Tensor {
  readonly path: string;
}

/** The numbered files of one role; a gap in the numbers is a mistake that would shift every later tensor. */
async function numberedFiles(folder: string, role: Role): Promise<string[]> {
  const names = await aboutFile(folder, () => readdir(folder));
  const numbers = names
    .map((name) => new RegExp(`^${role}_(\\d+)\\.pb$`).exec(name)?.[1])
    .filter((digits) => digits !== undefined)
    .map(Number)
    .sort((a, b) => a - b);
  const gap = numbers.findIndex((number, index) => number !== index);
  if (gap >= 0) throw new InputError(`${folder}: ${role}_${gap}.pb is missing, ${role}_${numbers[gap]}.pb exists`);
  return numbers.map((number) => join(folder, `${role}_${number}.pb`));
}

export async function readTensors(folder: string, role: Role): Promise<readonly FileTensor[]> {
  const paths = await numberedFiles(folder, role);
  if (paths.length === 0) throw new InputError(`${folder}: no ${role}_0.pb in it; name a test data set`);
  return Promise.all(
    paths.map((path) => aboutFile(path, async () => ({ ...readTensorProto(await readFile(path)), path }))),
  );
}

export function checkCount(tensors: readonly unknown[], declared: readonly unknown[], folder: string): void {
  if (tensors.length === declared.length) return;
  throw new InputError(`${folder}: holds ${tensors.length} inputs, the model has ${declared.length}`);
}

/** Refuses data that the graph was not compiled for, naming the file and the input. */
export function checkAgainstGraph(
  tensors: readonly FileTensor[],
  declared: readonly GraphTensor[],
  folder: string,
  remedy = '',
): void {
  checkCount(tensors, declared, folder);
  for (const [index, { name, type, shape }] of declared.entries()) {
    const tensor = tensors[index];
    if (tensor === undefined) continue;
    const [has, wants] = [`${tensor.type} ${formatShape(tensor.shape)}`, `${type} ${formatShape(shape)}`];
    if (has !== wants)
      throw new InputError(`${tensor.path}: is ${has}, but input "${name}" of the model is ${wants}${remedy}`);
  }
}

/** As `recursive` of mkdir, which never returns where the file system takes no folders at all (/proc). */
async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path);
  } catch (error) {
    if (existsSync(path) && statSync(path).isDirectory()) return;
    if (existsSync(path) || existsSync(dirname(path))) throw error;
    await makeFolder(dirname(path));
    await mkdir(path);
  }
}

/** Writes output_0.pb, output_1.pb, ...; creates the folder where it is missing. */
export async function writeOutputs(folder: string, outputs: readonly Tensor[]): Promise<void> {
  await aboutFile(folder, () => makeFolder(resolve(folder)));
  for (const [index, output] of outputs.entries()) {
    await writeWhole(join(folder, `output_${index}.pb`), writeTensorProto(output));
  }
}
