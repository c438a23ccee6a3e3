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

/** Modules of the project that a file names, with `.ts`: types too, or only those that are loaded when it runs. */
function modulesOf(file: string, which: 'all' | 'loaded'): readonly string[] {
  const modules: string[] = [];
  visit(file, (node) => {
    const specifier = specifierOf(node, which);
    if (specifier?.startsWith('.')) modules.push(relative(ROOT, join(ROOT, dirname(file), specifier)));
  });
  return modules.map((path) => path.replace(/\.js$/, '.ts'));
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

  it('know nothing of the debug door or of the binding, where they stand above the driver', () => {
    const above = FILES.filter((file) => /^src\/(memmgr|compiler|streaming-api)\//.test(file));
    const mention = /DebugCalls|openEmulatorWithDebug|driver\/emulator|koffi|ffi-napi/;
    expect(above.filter((file) => mention.test(textOf(file)))).toEqual([]);
  });
});
