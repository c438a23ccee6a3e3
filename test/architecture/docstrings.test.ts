/** What the package exports says what it is: every declaration of an entry point, and every member of what users import. */
import { readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';

const ROOT = join(import.meta.dirname, '..', '..');

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}

/** The sources behind `exports` of package.json, by name: ".", "./driver". */
function entryPoints(): ReadonlyMap<string, string> {
  const manifest: unknown = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  const entries = isRecord(manifest) && isRecord(manifest.exports) ? Object.entries(manifest.exports) : [];
  return new Map(
    entries.map(([name, target]) => {
      const types = isRecord(target) ? String(target.types) : '';
      return [name, join(ROOT, types.replace('./dist/', '').replace('.d.ts', '.ts'))];
    }),
  );
}

const ENTRIES = entryPoints();

function openProgram(): ts.Program {
  const { config } = ts.readConfigFile(join(ROOT, 'tsconfig.json'), ts.sys.readFile);
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, ROOT);
  return ts.createProgram([...ENTRIES.values()], { ...options, noEmit: true });
}

function isDocumented(declaration: ts.Node): boolean {
  const holder = ts.isVariableDeclaration(declaration) ? declaration.parent.parent : declaration;
  return ts.getJSDocCommentsAndTags(holder).length > 0;
}

function placeOf(declaration: ts.Node, name: string): string {
  const source = declaration.getSourceFile();
  const { line } = source.getLineAndCharacterOfPosition(declaration.getStart());
  return `${relative(ROOT, source.fileName)}:${line + 1} ${name}`;
}

function membersOf(declaration: ts.Declaration): readonly ts.NamedDeclaration[] {
  if (ts.isInterfaceDeclaration(declaration)) return [...declaration.members];
  if (ts.isClassDeclaration(declaration)) return [...declaration.members];
  return [];
}

/** Members that users see; those of a symbol (disposal) are the language's own. */
function isPublic(member: ts.NamedDeclaration): boolean {
  const { name } = member;
  if (name === undefined || ts.isPrivateIdentifier(name) || ts.isComputedPropertyName(name)) return false;
  return (ts.getCombinedModifierFlags(member) & ts.ModifierFlags.Private) === 0;
}

describe('the public API', { timeout: 60_000 }, () => {
  const program = openProgram();
  const checker = program.getTypeChecker();

  function exportsOf(entry: string): readonly ts.Symbol[] {
    const source = program.getSourceFile(ENTRIES.get(entry) ?? '');
    const module = source === undefined ? undefined : checker.getSymbolAtLocation(source);
    if (module === undefined) throw new Error(`${entry} is no module`);
    return checker
      .getExportsOfModule(module)
      .map((symbol) => (symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol));
  }

  it.each([...ENTRIES.keys()])('has a docstring for every export of "%s"', (entry) => {
    const symbols = exportsOf(entry);
    expect(symbols.length).toBeGreaterThan(5);
    const missing = symbols.flatMap(({ name, declarations = [] }) =>
      declarations.some(isDocumented) ? [] : declarations.slice(0, 1).map((first) => placeOf(first, name)),
    );
    expect(missing).toEqual([]);
  });

  it('has a docstring for every option, property and method that is exported from "."', () => {
    const documented = (member: ts.NamedDeclaration): boolean => {
      const symbol = member.name === undefined ? undefined : checker.getSymbolAtLocation(member.name);
      return (symbol?.declarations ?? [member]).some(isDocumented);
    };
    const missing = exportsOf('.').flatMap(({ name, declarations = [] }) =>
      declarations
        .flatMap(membersOf)
        .filter((member) => isPublic(member) && !documented(member))
        .map((member) => placeOf(member, `${name}.${member.name?.getText() ?? ''}`)),
    );
    expect(missing).toEqual([]);
  });
});
