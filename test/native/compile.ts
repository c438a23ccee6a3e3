/** Compiles native sources with the flags of binding.gyp, for tests that drive C code through a small program. */
import { execFileSync } from 'node:child_process';
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

/** Any header may be included by any source: a newer header makes every program stale. */
function newestInput(sources: string[]): number {
  const headers = filesBelow(join(ROOT, 'native')).filter((file) => file.endsWith('.h'));
  return Math.max(...[...sources, ...headers].map((file) => statSync(file).mtimeMs));
}

/**
 * Compiles sources (paths from the root) into build/test/name and returns the path of the program. Does nothing where the
 * program is newer than its inputs and was made by the same command.
 */
export function compileNative(name: string, sources: string[], options: CompileOptions = {}): string {
  const target = bindingTarget();
  const output = join(ROOT, 'build', 'test', name);
  const inputs = sources.map((source) => join(ROOT, source));
  // The command is kept beside the program: other flags or sources make it stale.
  const command = [
    ...(options.compiler ?? process.env.CC ?? 'cc').split(' '),
    ...target.cflags,
    ...target.defines.map((define) => `-D${define}`),
    ...target.include_dirs.map((folder) => `-I${join(ROOT, folder)}`),
    ...(options.flags ?? []),
    ...inputs,
    ...target.libraries,
  ];
  const record = `${output}.command`;
  const text = command.join('\n');
  const sameCommand = existsSync(output) && existsSync(record) && readFileSync(record, 'utf8') === text;
  if (sameCommand && statSync(output).mtimeMs > newestInput(inputs)) return output;

  mkdirSync(dirname(output), { recursive: true });
  // Test files run in parallel: each writes its own file, the last rename wins.
  const temporary = `${output}.${process.pid}`;
  const [compiler = 'cc', ...parameters] = command;
  execFileSync(compiler, [...parameters, '-o', temporary], { stdio: ['ignore', 'inherit', 'inherit'] });
  renameSync(temporary, output);
  writeFileSync(record, text);
  return output;
}
