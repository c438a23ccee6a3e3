/** What `mtia verify DIR...` finds: model files, each with the test data sets beside it. */
import { readdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { aboutFile, InputError } from './errors.js';

const MODEL_FILES = ['model.onnx', 'model.pt2'] as const;

export interface VerificationCase {
  readonly dir: string;
  /** Name of the file in `dir`. */
  readonly model: string;
  readonly path: string;
  /** Folders of the test data sets, in the order of their numbers. */
  readonly dataSets: readonly string[];
}

const byNumber = new Intl.Collator('en', { numeric: true });

async function namesIn(folder: string): Promise<string[]> {
  return aboutFile(folder, async () => (await readdir(folder)).sort(byNumber.compare));
}

/** The cases of one directory; none where no model lies in it. */
function casesOf(dir: string, names: readonly string[]): VerificationCase[] {
  const dataSets = names.filter((name) => /^test_data_set_\d+$/.test(name)).map((name) => join(dir, name));
  return MODEL_FILES.filter((model) => names.includes(model)).map((model) => ({
    dir,
    model,
    path: join(dir, model),
    dataSets,
  }));
}

/** Subdirectories whose names `readdir` gave with their type: files beside them are nobody's mistake. */
async function subdirectories(dir: string): Promise<string[]> {
  const entries = await readdir(dir, { withFileTypes: true });
  return entries
    .filter((entry) => entry.isDirectory() || entry.isSymbolicLink())
    .map((entry) => join(dir, entry.name))
    .sort(byNumber.compare);
}

async function findIn(dir: string): Promise<VerificationCase[]> {
  const own = casesOf(dir, await namesIn(dir));
  if (own.length > 0) return own;
  const found: VerificationCase[] = [];
  for (const child of await subdirectories(dir)) found.push(...casesOf(child, await namesIn(child)));
  return found;
}

/** All cases, in the order in which the directories were given. A directory without any is a mistake. */
export async function findCases(dirs: readonly string[]): Promise<VerificationCase[]> {
  const cases: VerificationCase[] = [];
  for (const dir of dirs) {
    const found = await findIn(dir);
    if (found.length === 0) {
      const beside = MODEL_FILES.some((model) => basename(dir) === model) ? `; name the directory ${dirname(dir)}` : '';
      throw new InputError(`${dir}: neither model.onnx nor model.pt2 in it or one level below${beside}`);
    }
    cases.push(...found);
  }
  return cases;
}
