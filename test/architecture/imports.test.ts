import { dirname, join, relative } from 'node:path';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';
import { ROOT, textOf, typeScriptFiles, visit } from './sources.js';

/** What each folder of src/ may import of the others: imports point down, and debug tools stay off the driver's door. */
const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  hw: [],
  driver: ['hw'],
  memmgr: ['driver', 'hw'],
  'firmware-emu': ['driver', 'hw'],
  compiler: ['driver', 'hw'],
  'streaming-api': ['compiler', 'memmgr', 'driver', 'firmware-emu', 'hw'],
  conformance: ['streaming-api', 'compiler', 'memmgr', 'driver', 'firmware-emu', 'hw'],
  cli: ['conformance', 'streaming-api', 'compiler', 'memmgr', 'driver', 'firmware-emu', 'hw'],
};

interface Import {
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

const FILES = typeScriptFiles('src');

function specifiersOf(file: string, which: 'all' | 'loaded'): readonly string[] {
  const specifiers: string[] = [];
  visit(file, (node) => {
    const specifier = specifierOf(node, which);
    if (specifier !== undefined) specifiers.push(specifier);
  });
  return specifiers;
}

/** Modules of the project that a file names, with `.ts`: types too, or only those that are loaded when it runs. */
function modulesOf(file: string, which: 'all' | 'loaded'): readonly string[] {
  return specifiersOf(file, which)
    .filter((specifier) => specifier.startsWith('.'))
    .map((specifier) => relative(ROOT, join(ROOT, dirname(file), specifier)).replace(/\.js$/, '.ts'));
}

/** What is loaded before an entry point runs: files of the project and packages. Dynamic imports come later. */
function loadedBy(entry: string): { readonly files: ReadonlySet<string>; readonly packages: readonly string[] } {
  const files = new Set([entry]);
  for (const file of files) for (const next of modulesOf(file, 'loaded')) files.add(next);
  const named = [...files].flatMap((file) => specifiersOf(file, 'loaded'));
  const packages = named.filter((specifier) => !specifier.startsWith('.') && !specifier.startsWith('node:'));
  return { files, packages: [...new Set(packages)].sort() };
}

function specifierOf(node: ts.Node, which: 'all' | 'loaded'): string | undefined {
  const all = which === 'all';
  if (ts.isImportDeclaration(node) && (all || node.importClause?.phaseModifier !== ts.SyntaxKind.TypeKeyword)) {
    return textOfLiteral(node.moduleSpecifier);
  }
  if (ts.isExportDeclaration(node) && (all || !node.isTypeOnly)) return textOfLiteral(node.moduleSpecifier);
  if (ts.isCallExpression(node) && all && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
    return textOfLiteral(node.arguments[0]);
  }
  return undefined;
}

function textOfLiteral(node: ts.Node | undefined): string | undefined {
  return node !== undefined && ts.isStringLiteral(node) ? node.text : undefined;
}

function importsOf(file: string): readonly Import[] {
  const folder = (path: string): string => path.split('/')[1] ?? '';
  return modulesOf(file, 'all').map((target) => {
    return { file, from: folder(file), to: target.startsWith('src/') ? folder(target) : target };
  });
}

/** A file that loads itself through others, with the way; undefined where there is none. */
function circleAmong(files: readonly string[]): readonly string[] | undefined {
  const loads = new Map(files.map((file) => [file, modulesOf(file, 'loaded')]));
  const done = new Set<string>();
  const search = (file: string, way: readonly string[]): readonly string[] | undefined => {
    if (way.includes(file)) return [...way.slice(way.indexOf(file)), file];
    if (done.has(file)) return undefined;
    for (const next of loads.get(file) ?? []) {
      const circle = search(next, [...way, file]);
      if (circle !== undefined) return circle;
    }
    done.add(file);
    return undefined;
  };
  for (const file of files) {
    const circle = search(file, []);
    if (circle !== undefined) return circle;
  }
  return undefined;
}

describe('the folders of src', () => {
  const imports = FILES.flatMap(importsOf);

  it('are all listed', () => {
    expect([...new Set(imports.map((found) => found.from))].sort()).toEqual(Object.keys(ALLOWED).sort());
  });

  it('import downwards only', () => {
    // `mtia bench` runs what lies in bench/.
    const isBenchmark = ({ from, to }: Import): boolean => from === 'cli' && to.startsWith('bench/');
    const wrong = imports.filter(({ from, to }) => from !== to && !ALLOWED[from]?.includes(to));
    expect(wrong.filter((found) => !isBenchmark(found))).toEqual([]);
  });

  it('load each other without circles, file by file', () => {
    expect(imports.length).toBeGreaterThan(800);
    expect(circleAmong(FILES)).toBeUndefined();
  });

  it('are loaded when they are needed: importing the runtime loads neither compiler nor suite', () => {
    const { files, packages } = loadedBy('src/streaming-api/index.ts');
    expect(packages).toEqual(['koffi', 'pino']);
    expect([...files].filter((file) => /^src\/(compiler|conformance|cli)\//.test(file))).toEqual([
      'src/compiler/compiled-graph.ts',
    ]);
  });

  it('wait for the name of a command: the command line itself loads next to nothing', () => {
    const { files, packages } = loadedBy('src/cli/main.ts');
    expect(packages).toEqual(['commander']);
    expect([...files].filter((file) => file.startsWith('src/cli/commands/'))).toEqual(['src/cli/commands/planned.ts']);
    expect(files.size).toBeLessThan(25);
  });

  it('know nothing of the debug door or of the binding, where they stand above the driver', () => {
    const above = FILES.filter((file) => /^src\/(memmgr|compiler|streaming-api)\//.test(file));
    const mention = /DebugCalls|openEmulatorWithDebug|driver\/emulator|koffi|ffi-napi/;
    expect(above.filter((file) => mention.test(textOf(file)))).toEqual([]);
  });
});
