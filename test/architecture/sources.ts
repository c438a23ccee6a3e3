/** The sources of the repository, as the rules of this folder look at them. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';

export const ROOT = join(import.meta.dirname, '..', '..');

/** Files that git tracks, or would: paths from the root. Generated ones are left out. */
export function filesOf(...folders: readonly string[]): readonly string[] {
  const list = ['ls-files', '--cached', '--others', '--exclude-standard', '--deduplicate', '--', ...folders];
  const deleted = new Set(execFileSync('git', ['ls-files', '--deleted'], { cwd: ROOT, encoding: 'utf8' }).split('\n'));
  return execFileSync('git', list, { cwd: ROOT, encoding: 'utf8' })
    .split('\n')
    .filter((path) => path !== '' && !path.includes('/generated/') && !deleted.has(path));
}

export function typeScriptFiles(...folders: readonly string[]): readonly string[] {
  return filesOf(...folders).filter((path) => path.endsWith('.ts'));
}

export function textOf(file: string): string {
  return readFileSync(join(ROOT, file), 'utf8');
}

/** Calls back for every node of a file, comments left out. */
export function visit(file: string, look: (node: ts.Node, line: number) => void): void {
  const source = ts.createSourceFile(file, textOf(file), ts.ScriptTarget.Latest, true);
  const walk = (node: ts.Node): void => {
    look(node, source.getLineAndCharacterOfPosition(node.getStart(source)).line + 1);
    ts.forEachChild(node, walk);
  };
  walk(source);
}
