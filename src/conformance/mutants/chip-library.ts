/** Compiles the emulated chip with one line changed. The library that users load is not touched, and knows nothing of it. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { z } from 'zod';
import { packageRoot } from '../../driver/package-root.js';

/** A source of the chip in which `from`, which occurs once, becomes `to`. */
export interface ChipChange {
  readonly source: string;
  readonly from: string;
  readonly to: string;
}

/** CC may have words of its own, as make has it (ccache cc). */
const [COMPILER = 'cc', ...COMPILER_WORDS] = (process.env.CC ?? 'cc').split(' ');
const BUILD = 'binding.gyp';
/** Where node-gyp leaves the objects of the library. */
const OBJECTS = 'build/Release/obj.target/mtia';

const WORDS = z.array(z.string());
const TARGET = z.object({
  sources: WORDS,
  include_dirs: WORDS,
  cflags: WORDS,
  defines: WORDS,
  ldflags: WORDS,
  libraries: WORDS,
});
const BINDING = z.object({ targets: z.tuple([TARGET]) });

/** Why no chip can be compiled here, in one sentence; undefined where one can. */
export function whyNoChip(): string | undefined {
  if (!existsSync(join(packageRoot(), BUILD))) return 'the sources of the chip are not here';
  return spawnSync(COMPILER, [...COMPILER_WORDS, '--version']).status === 0
    ? undefined
    : `there is no C compiler ${COMPILER}`;
}

function run(parameters: readonly string[]): void {
  const { status, stderr, error } = spawnSync(COMPILER, [...COMPILER_WORDS, ...parameters], {
    cwd: packageRoot(),
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`the changed chip does not build: ${error?.message ?? stderr}`);
}

/** The library's path, in a temporary folder that goes with the process. Throws where the change does not fit the source. */
export function buildChip({ source, from, to }: ChipChange): string {
  const root = packageRoot();
  const [target] = BINDING.parse(JSON.parse(readFileSync(join(root, BUILD), 'utf8'))).targets;
  const folder = mkdtempSync(join(tmpdir(), 'mtia-chip-'));
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  const parts = readFileSync(join(root, source), 'utf8').split(from);
  if (parts.length !== 2) throw new Error(`${source} has "${from}" ${parts.length - 1} times; mend the mutant`);
  const changed = join(folder, basename(source));
  writeFileSync(changed, parts.join(to));
  const flags = [...target.cflags, ...target.defines.map((name) => `-D${name}`), '-fPIC', '-Wno-unused'];
  const includes = target.include_dirs.map((name) => `-I${name}`);
  const object = (path: string): string => join(root, OBJECTS, path.replace(/\.c$/, '.o'));
  // What was built for the library serves here as well; without it everything is compiled.
  const others = target.sources.filter((path) => path !== source);
  const built = others.every((path) => existsSync(object(path)));
  const library = join(folder, 'mtia.so');
  const inputs = [changed, ...(built ? others.map(object) : others)];
  run([...flags, ...includes, ...target.ldflags, '-shared', ...inputs, ...target.libraries, '-o', library]);
  return library;
}
