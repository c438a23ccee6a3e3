/** Compiles native sources with the flags of binding.gyp, for tests that drive C code through a small program. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..', '..');

interface Target {
  include_dirs: string[];
  cflags: string[];
  defines: string[];
  libraries: string[];
}

export interface CompileOptions {
  /** Appended to the flags of binding.gyp. */
  flags?: string[];
  compiler?: string;
}

function bindingTarget(): Target {
  const binding = JSON.parse(readFileSync(join(ROOT, 'binding.gyp'), 'utf8')) as { targets: Target[] };
  const target = binding.targets[0];
  if (target === undefined) throw new Error('binding.gyp has no target');
  return target;
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

/** The C files of folders of native/src, as paths from the root. */
export function nativeSources(...folders: readonly string[]): string[] {
  return folders.flatMap((folder) =>
    readdirSync(join(ROOT, 'native', 'src', folder))
      .filter((file) => file.endsWith('.c'))
      .map((file) => `native/src/${folder}/${file}`),
  );
}

/** Any header may be included by any source: a newer header makes every object stale. */
function newestHeader(): number {
  const headers = filesBelow(join(ROOT, 'native')).filter((file) => file.endsWith('.h'));
  return Math.max(...headers.map((file) => statSync(file).mtimeMs));
}

const madeAt = (file: string): number => (existsSync(file) ? statSync(file).mtimeMs : 0);

/** Test files run in parallel: each writes its own file, the last rename wins. */
function execute(command: readonly string[], output: string): void {
  const temporary = `${output}.${process.pid}`;
  const [program = '', ...parameters] = command;
  mkdirSync(dirname(output), { recursive: true });
  execFileSync(program, [...parameters, '-o', temporary], { stdio: ['ignore', 'inherit', 'inherit'] });
  renameSync(temporary, output);
}

/** The object of a source, made by this command: kept for all programs that are compiled alike. */
function compileObject(command: readonly string[], source: string, newest: number): string {
  const folder = createHash('sha256').update(command.join('\n')).digest('hex').slice(0, 8);
  const output = join(ROOT, 'build', 'test', 'objects', folder, source.replaceAll('/', '_').replace(/\.c$/, '.o'));
  const input = join(ROOT, source);
  if (madeAt(output) <= Math.max(newest, statSync(input).mtimeMs)) execute([...command, '-c', input], output);
  return output;
}

/**
 * Compiles sources (paths from the root; libraries among them are linked) into build/test/name and returns the path of the
 * program. Does again only what is older than its inputs or was made by another command.
 */
export function compileNative(name: string, sources: readonly string[], options: CompileOptions = {}): string {
  const target = bindingTarget();
  const command = [
    ...(options.compiler ?? process.env.CC ?? 'cc').split(' '),
    ...target.cflags,
    ...target.defines.map((define) => `-D${define}`),
    ...target.include_dirs.map((folder) => `-I${join(ROOT, folder)}`),
    ...(options.flags ?? []),
  ];
  const newest = newestHeader();
  const inputs = sources.map((source) =>
    source.endsWith('.c') ? compileObject(command, source, newest) : join(ROOT, source),
  );
  // The command is kept beside the program: other flags or inputs make it stale.
  const output = join(ROOT, 'build', 'test', name);
  const link = [...command, ...inputs, ...target.libraries];
  const record = `${output}.command`;
  const isTheSame = existsSync(record) && readFileSync(record, 'utf8') === link.join('\n');
  if (isTheSame && madeAt(output) > Math.max(...inputs.map(madeAt))) return output;
  execute(link, output);
  writeFileSync(record, link.join('\n'));
  return output;
}
