/** Compiles the chip and its C programs with other flags than the library users get: for sanitizers and fuzzers. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('..', import.meta.url));
const { cflags, defines, include_dirs, ldflags, libraries } = JSON.parse(
  readFileSync(join(ROOT, 'binding.gyp'), 'utf8'),
).targets[0];

function filesIn(folder, pattern) {
  return readdirSync(join(ROOT, folder))
    .filter((name) => pattern.test(name))
    .map((name) => `${folder}/${name}`);
}

const sourcesOf = (...folders) => folders.flatMap((folder) => filesIn(`native/src/${folder}`, /\.c$/));

export const HART = sourcesOf('hart');
export const PE = [...sourcesOf('processing-element', 'arithmetic'), ...HART];
export const CHIP = [...sourcesOf('chip', 'host-interface', 'control-core', 'memory'), ...PE];
export const HART_TESTS = filesIn('native/test', /^hart_test\w*\.c$/);
export const PE_TESTS = filesIn('native/test', /^(pe|matmul)_test\w*\.c$/);

/** One call of the compiler, which may have words of its own (ccache cc); the flags given come after those of binding.gyp. Throws where it fails. */
export function compile(compiler, output, sources, flags) {
  const path = join(ROOT, output);
  mkdirSync(dirname(path), { recursive: true });
  const linked = flags.includes('-shared') ? ldflags : [];
  const folders = include_dirs.map((folder) => `-I${folder}`);
  // Tests leave cases out under a sanitizer, and with them what only those call.
  const mine = ['-O1', '-fno-omit-frame-pointer', '-Wno-unused-function'];
  const parameters = [...cflags, ...mine, ...defines.map((name) => `-D${name}`), ...folders];
  const [program, ...words] = compiler.split(' ');
  run(program, [...words, ...parameters, ...linked, ...flags, ...sources, ...libraries, '-o', path]);
  return path;
}

/** Runs in the root folder with what it prints shown. Throws where it fails. */
export function run(command, parameters, environment = {}) {
  const result = spawnSync(command, parameters, {
    cwd: ROOT,
    stdio: 'inherit',
    env: { ...process.env, ...environment },
  });
  if (result.status !== 0) throw new Error(`${command}: ${result.error?.message ?? result.signal ?? result.status}`);
}
