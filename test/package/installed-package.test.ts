import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { inPackage, mtia, notBuilt, skipReason } from '../cli/mtia.js';
import { elfOf, report } from '../firmware-emu/programs.js';
import { codeBlocks, commandsNamed, docstringExamples, PAGES } from './documentation.js';
import { installPackage, PACKAGE } from './installed-package.js';

const CODE = PAGES.flatMap(codeBlocks).filter(({ language }) => language === 'ts' || language === 'js');
const nameOf = ({ page, line }: (typeof CODE)[number]): string => `${page.replace(/\W/g, '-')}-${line}`;
/** What a block says of a card of the reader's own. */
const GIVEN = `import { openEmulator } from 'mtia-runtime/driver';
globalThis.MyFunction = function () { return openEmulator({ generation: '2i', threads: 1 }); };`;
const GIVEN_TYPES = `declare const MyFunction: new () => import('mtia-runtime/driver').PciFunction;`;
/** Names that examples in comments use without saying where they come from. */
const EXAMPLE_NAMES = `import { readFile } from 'node:fs/promises';
import { parentPort as port, type Worker } from 'node:worker_threads';
import { createExecutor, Device, type DeviceBuffer, type HostBuffer, type Kernel, type Rectangle } from 'mtia-runtime';
import type { SharedDevice, SharedHostBuffer, Stream, Timeline, CompiledModel } from 'mtia-runtime';
declare const device: Device, second: Device, model: CompiledModel, kernel: Kernel, grid: Rectangle, timeline: Timeline;
declare const stream: Stream, consumer: Stream, producer: Stream, worker: Worker, message: SharedHostBuffer;
declare const buffer: DeviceBuffer, input: DeviceBuffer, output: DeviceBuffer, other: DeviceBuffer, history: DeviceBuffer;
declare const weights: DeviceBuffer, theirs: DeviceBuffer, ours: DeviceBuffer, host: HostBuffer, header: Uint8Array;
declare const data: Float32Array, result: Float32Array, x: Float32Array, rows: number, shared: SharedDevice;
declare const parentPort: NonNullable<typeof port>, loadModels: (device: Device) => void;
void [createExecutor, readFile];
`;

describe.skipIf(notBuilt !== undefined)(`the package, installed from its tarball${skipReason}`, () => {
  let project: Awaited<ReturnType<typeof installPackage>>;
  beforeAll(async () => {
    project = await installPackage();
  });
  afterAll(() => project.remove());

  it('ranks films', async () => {
    const { stdout } = await project.node(join(project.package, 'dist', 'examples', 'rank-films.js'));
    expect(stdout).toMatch(/^jobs launched +[1-9]/m);
  });

  it('has all that its chip is built from', async () => {
    const [target] = JSON.parse(readFileSync(join(project.package, 'binding.gyp'), 'utf8')).targets;
    const folders = target.include_dirs.map((folder: string) => `-I${join(project.package, folder)}`);
    const sources = target.sources.map((source: string) => join(project.package, source));
    const { stdout } = await project.run('cc', ['-MM', '-D_GNU_SOURCE', ...folders, ...sources]);
    expect(stdout).toContain('chip.o:');
  });

  it('builds nothing but its chip when npm installs it, and says what that needs', async () => {
    const script = join(project.package, 'scripts', 'set-up.mjs');
    const failed = await project
      .run(process.execPath, [script], { npm_lifecycle_event: 'install', CC: '/bin/false' })
      .catch((error: { readonly code: number; readonly stderr: string }) => error);
    expect(failed).toMatchObject({ code: 1, stderr: expect.stringMatching(/^building the emulated chip \.\.\./) });
    expect(failed).toMatchObject({ stderr: expect.stringContaining('needs a C compiler, make and Python 3') });
  });

  it('says how to build where the install script did not run', async () => {
    const failing = `process.env.MTIA_LIBRARY = 'missing.so';
      const { Device } = await import('mtia-runtime');
      await Device.open().catch(({ code, message }) => console.log(code, message));`;
    const { stdout } = await project.node('--input-type=module', '--eval', failing);
    expect(stdout).toBe(
      `NATIVE_LIBRARY the emulated chip is not built: no missing.so; run \`node ${project.package}/scripts/set-up.mjs\`\n`,
    );
  });

  it('leaves out what only a checkout uses', () => {
    const outside = [
      'src',
      'test',
      'native/test',
      'native/fuzz',
      'firmware/bundle/mutants',
      'dist/tsconfig.tsbuildinfo',
    ];
    expect(outside.filter((path) => existsSync(join(project.package, path)))).toEqual([]);
  });

  it('has every file that a page of its own leads to', () => {
    const missing = PAGES.flatMap((page) => {
      const text = readFileSync(join(project.package, page), 'utf8');
      const links = [...text.matchAll(/\]\((?!https?:)([^)#]+)/g)].map((match) => match[1] ?? '');
      return links
        .filter((link) => !existsSync(join(project.package, page, '..', link)))
        .map((link) => `${page}: ${link}`);
    });
    expect(missing).toEqual([]);
  });

  it('gives each of its entry points to a program', async () => {
    const names = Object.keys(PACKAGE.exports).map((path) => path.replace(/^\./, PACKAGE.name));
    const imports = names.map((name) => `console.log('${name}', Object.keys(await import('${name}')).length > 0);`);
    const { stdout } = await project.node('--input-type=module', '--eval', imports.join('\n'));
    expect(stdout).toBe(names.map((name) => `${name} true\n`).join(''));
  });

  // The libraries' own declarations are the same for both; once is enough.
  it.each([
    ['nodenext', 'nodenext', false],
    ['esnext', 'bundler', true],
  ])('has types for what the pages show: module %s, resolution %s, strict', async (...settings) => {
    const [module, moduleResolution, skipLibCheck] = settings;
    const options = {
      module,
      skipLibCheck,
      moduleResolution,
      target: 'es2022',
      lib: ['es2023', 'esnext.disposable'],
      strict: true,
    };
    const files = [...CODE.map((block) => project.write(`${nameOf(block)}.ts`, block.text))];
    files.push(project.write('given.d.ts', GIVEN_TYPES));
    files.push(project.write('docstrings.ts', EXAMPLE_NAMES + docstringExamples()));
    const compilerOptions = { ...options, types: ['node'], noEmit: true, exactOptionalPropertyTypes: true };
    project.write('tsconfig.json', JSON.stringify({ compilerOptions, files }));
    const checked = await project.node(inPackage('node_modules/typescript/bin/tsc'), '-p', '.').catch((error) => error);
    expect(checked.stdout).toBe('');
    expect(docstringExamples().match(/async function/g)?.length).toBeGreaterThan(25);
  });

  it.each(CODE.map((block) => [`${block.page}:${block.line}`, block] as const))('runs %s', async (_, block) => {
    const { outputText } = ts.transpileModule(block.text, { compilerOptions: { module: ts.ModuleKind.ESNext } });
    project.write('given.mjs', GIVEN);
    project.write('program.elf', elfOf(report(1)));
    const { stdout } = await project.node('--import', './given.mjs', project.write(`${nameOf(block)}.mjs`, outputText));
    if (block.text.includes('console.log')) expect(stdout).not.toBe('');
  });
});

describe.skipIf(notBuilt !== undefined)(`the pages that a user reads${skipReason}`, () => {
  const help = new Map<string, Promise<string>>();
  const helpOf = (words: readonly string[]): Promise<string> => {
    const text = help.get(words.join(' ')) ?? mtia([...words, '--help']).then(({ stdout, stderr }) => stdout + stderr);
    help.set(words.join(' '), text);
    return text;
  };

  it.each(PAGES)('%s names commands and options that exist', async (page) => {
    for (const words of commandsNamed(page)) {
      const command = words.slice(0, words[0] === 'fw' ? 2 : 1).filter((word) => /^[a-z]+$/.test(word));
      const text = await helpOf(command);
      expect(text, `mtia ${words.join(' ')}`).toMatch(
        new RegExp(`^Usage: mtia ${command.join(' ')}|not in this version`),
      );
      const options = words.filter((word) => word.startsWith('--')).map((word) => word.replace(/[=,.;:].*/, ''));
      for (const option of options) expect(text, `mtia ${words.join(' ')}`).toContain(option);
    }
  });
});
