/** The RISC-V cross compiler, called so that the same sources give the same bytes in every checkout. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { MtiaError } from '../driver/errors.js';
import type { SourceChange } from './mutant-recipes.js';

const PREFIX = 'riscv64-unknown-elf-';
const COMPILER = `${PREFIX}gcc`;
const LINKER = `${PREFIX}ld`;
const OBJCOPY = `${PREFIX}objcopy`;

/** Another version makes other bytes of the same sources. */
const COMPILER_VERSION = '12.2.0';
const LINKER_VERSION = '2.40';
export const TOOLCHAIN = `${COMPILER} ${COMPILER_VERSION}, ${LINKER} ${LINKER_VERSION}`;

const FLAGS: readonly string[] = [
  '-march=rv64imafdc_zicsr_zifencei',
  '-mabi=lp64d',
  '-mcmodel=medany',
  // A misaligned access traps.
  '-mstrict-align',
  '-std=c11',
  '-ffreestanding',
  '-nostdlib',
  '-fno-asynchronous-unwind-tables',
  '-Wall',
  '-Wextra',
  '-Werror',
  '-Wl,--fatal-warnings',
  // What would differ from build to build, and padding to a page size that nothing here has.
  '-Wl,--build-id=none',
  '-Wl,-z,max-page-size=64',
];

export interface Compilation {
  readonly sources: readonly string[];
  readonly includes: readonly string[];
  readonly linkerScript: string;
  readonly options: readonly string[];
  /** Compiles one of the sources as if it read otherwise. */
  readonly change?: SourceChange;
}

function versionOf(tool: string): string | undefined {
  const result = spawnSync(tool, ['--version'], { encoding: 'utf8' });
  if (result.status !== 0) return undefined;
  return result.stdout.split('\n')[0]?.trim().split(' ').at(-1);
}

/** Why the bundles cannot be reproduced on this machine, in one line; undefined where they can. */
export function toolchainProblem(): string | undefined {
  for (const [tool, expected] of [
    [COMPILER, COMPILER_VERSION],
    [LINKER, LINKER_VERSION],
  ] as const) {
    const version = versionOf(tool);
    if (version === undefined) return `${tool} ${expected} is not installed`;
    if (version !== expected) return `${tool} is version ${version}, the bundles were built with ${expected}`;
  }
  return undefined;
}

/** Compiles relative to a package root, in a temporary folder that dispose() removes. */
export class Toolchain {
  readonly #root: string;
  readonly #folder = mkdtempSync(join(tmpdir(), 'mtia-firmware-'));
  readonly #built = new Map<string, Uint8Array>();
  readonly #objects = new Map<string, string>();

  constructor(root: string) {
    this.#root = root;
  }

  /** The linked ELF file. Throws INVALID_BUNDLE with the compiler's messages where the sources do not compile. */
  compile(compilation: Compilation): Uint8Array {
    const { includes, linkerScript, options, change } = compilation;
    const sources = compilation.sources.map((source) => (source === change?.source ? this.#changed(change) : source));
    const key = JSON.stringify(compilation);
    const before = this.#built.get(key);
    if (before !== undefined) return before;
    const output = join(this.#folder, 'output.elf');
    const flags = [...FLAGS, ...options, ...includes.map((folder) => `-I${folder}`)];
    const objects = sources.map((source) => this.#object(source, flags));
    this.#run(COMPILER, [...flags, '-T', linkerScript, ...objects, '-o', output]);
    const elf = Uint8Array.from(readFileSync(output));
    this.#built.set(key, elf);
    return elf;
  }

  /** Programs that differ in one source share the objects of the others. */
  #object(source: string, flags: readonly string[]): string {
    const key = JSON.stringify([source, flags]);
    const before = this.#objects.get(key);
    if (before !== undefined) return before;
    const object = join(this.#folder, `${this.#objects.size}.o`);
    this.#run(COMPILER, [...flags, '-c', source, '-o', object]);
    this.#objects.set(key, object);
    return object;
  }

  /** The memory image of a linked program, from its first byte. */
  memoryImage(compilation: Compilation): Uint8Array {
    const input = join(this.#folder, 'input.elf');
    const output = join(this.#folder, 'output.bin');
    writeFileSync(input, this.compile(compilation));
    this.#run(OBJCOPY, ['-O', 'binary', input, output]);
    return Uint8Array.from(readFileSync(output));
  }

  /** A changed copy of a source; its headers are found through the include folders. */
  #changed({ source, from, to }: SourceChange): string {
    const parts = readFileSync(join(this.#root, source), 'utf8').split(from);
    if (parts.length !== 2) {
      throw new MtiaError(
        'INVALID_BUNDLE',
        `${source} has "${from}" ${parts.length - 1} times; mend the mutant's recipe`,
      );
    }
    // In a folder of its own: another change of the same source is another object.
    const copy = join(mkdtempSync(join(this.#folder, 'changed-')), basename(source));
    writeFileSync(copy, parts.join(to));
    return copy;
  }

  dispose(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #run(tool: string, args: readonly string[]): void {
    // Relative paths: the bytes must not depend on where the checkout lies.
    const result = spawnSync(tool, args, { cwd: this.#root, encoding: 'utf8' });
    if (result.status === 0) return;
    const why = result.error?.message ?? result.stderr;
    throw new MtiaError('INVALID_BUNDLE', `the firmware does not build: ${tool} says\n${why}`);
  }
}
