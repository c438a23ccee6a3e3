/** Code blocks and commands of the pages that a user reads. */
import { readdirSync, readFileSync } from 'node:fs';
import { textOf, typeScriptFiles } from '../architecture/sources.js';
import { inPackage } from '../cli/mtia.js';

export const PAGES = [
  'README.md',
  'examples/README.md',
  ...readdirSync(inPackage('docs'))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
];

export interface CodeBlock {
  readonly page: string;
  readonly line: number;
  readonly language: string;
  readonly text: string;
}

export function codeBlocks(page: string): readonly CodeBlock[] {
  const text = readFileSync(inPackage(page), 'utf8');
  return [...text.matchAll(/^```(\w*)\n(.*?)^```$/gms)].map((match) => ({
    page,
    line: text.slice(0, match.index).split('\n').length,
    language: match[1] ?? '',
    text: match[2] ?? '',
  }));
}

/** The examples in comments of the sources, each in a function of its own. */
export function docstringExamples(): string {
  const files = typeScriptFiles('src').filter((file) => textOf(file).includes('```ts'));
  const examples = files.flatMap((file) =>
    [...textOf(file).matchAll(/^( *)\* ```ts\n(.*?)^\1\* ```$/gms)].map(
      ([, , lines = '']) =>
        `// ${file}\nasync function example() {\n${lines.replace(/^ *\* ?/gm, '')}}\nvoid example;\n`,
    ),
  );
  return examples.map((example, number) => example.replaceAll('example', `example${number}`)).join('');
}

/** The words of each `mtia ...` that a page names: in a line of a block, or between backticks. */
export function commandsNamed(page: string): readonly (readonly string[])[] {
  const text = readFileSync(inPackage(page), 'utf8');
  const found = [...text.matchAll(/^(?:npx )?mtia (.*)$|`(?:npx )?mtia ([^`]*)`/gm)];
  return found.map((match) => (match[1] ?? match[2] ?? '').replace(/ {2,}.*| # .*/, '').split(/\s+/));
}
