/** Rules of the house that no linter knows. */
import ts from 'typescript';
import { describe, expect, it } from 'vitest';
import { filesOf, textOf, typeScriptFiles, visit } from './sources.js';

/** Places of the nodes that a rule forbids. */
function found(files: readonly string[], forbids: (node: ts.Node) => boolean): readonly string[] {
  const places: string[] = [];
  for (const file of files) {
    visit(file, (node, line) => {
      if (forbids(node)) places.push(`${file}:${line}`);
    });
  }
  return places;
}

describe('TypeScript', { timeout: 60_000 }, () => {
  it('has no `any`', () => {
    const files = typeScriptFiles('src', 'bench', 'examples', 'test');
    expect(files.length).toBeGreaterThan(300);
    expect(found(files, ({ kind }) => kind === ts.SyntaxKind.AnyKeyword)).toEqual([]);
  });

  it('silences no error of the compiler', () => {
    const files = typeScriptFiles('src', 'bench', 'examples', 'test');
    expect(files.filter((file) => /@ts-(?:ignore|nocheck|expect-error)/.test(textOf(file)))).toEqual([]);
  });
});

/** Where a card is chosen; nothing else in the driver or above it may know of what a card is made. */
const CHOOSES_THE_CARD: ReadonlySet<string> = new Set([
  'src/driver/index.ts',
  'src/driver/discovery.ts',
  'src/driver/function-kinds.ts',
  'src/streaming-api/device.ts',
]);

function speaksOfEmulation(node: ts.Node): boolean {
  return (ts.isIdentifier(node) || ts.isStringLiteralLike(node)) && /emulat/i.test(node.text);
}

describe('the driver and what is above it', { timeout: 60_000 }, () => {
  const files = typeScriptFiles('src/driver', 'src/memmgr', 'src/compiler', 'src/streaming-api');

  it('do not know whether the card is emulated', () => {
    const neutral = files.filter((file) => !file.startsWith('src/driver/emulator/') && !CHOOSES_THE_CARD.has(file));
    expect(neutral.length).toBeGreaterThan(100);
    expect(found(neutral, speaksOfEmulation)).toEqual([]);
  });

  it('ask no card what it is made of', () => {
    const asks = (node: ts.Node): boolean =>
      ts.isBinaryExpression(node) &&
      node.operatorToken.kind === ts.SyntaxKind.InstanceOfKeyword &&
      /Function$/.test(node.right.getText());
    expect(found(files, asks)).toEqual([]);
  });
});

/** Lines of a file: it is read from top to bottom, so it has to be short. */
const MOST_LINES = 550;

describe('files', () => {
  it('have about 500 lines at most', () => {
    const files = filesOf('src', 'native', 'firmware', 'test', 'bench', 'scripts', 'examples').filter((file) =>
      /\.(ts|mjs|c|h|S)$/.test(file),
    );
    expect(files.length).toBeGreaterThan(500);
    const lengths = files.map((file) => ({ file, lines: textOf(file).split('\n').length }));
    expect(lengths.filter(({ lines }) => lines > MOST_LINES)).toEqual([]);
  });
});
