import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { describe, expect, it } from 'vitest';

const ROOT = join(import.meta.dirname, '..', '..');

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

function sourceFiles(): readonly string[] {
  return readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts'))
    .map((path) => `src/${path}`);
}

function importsOf(file: string): readonly Import[] {
  const text = readFileSync(join(ROOT, file), 'utf8');
  const specifiers = [...text.matchAll(/(?:from|import)\s*\(?\s*'(\.[^']+)'/g)].map((match) => match[1] ?? '');
  const folder = (path: string): string => path.split('/')[1] ?? '';
  return specifiers.map((specifier) => {
    const target = relative(ROOT, join(ROOT, dirname(file), specifier));
    return { file, from: folder(file), to: target.startsWith('src/') ? folder(target) : target };
  });
}

describe('the folders of src', () => {
  const imports = sourceFiles().flatMap(importsOf);

  it('are all listed', () => {
    expect([...new Set(imports.map((found) => found.from))].sort()).toEqual(Object.keys(ALLOWED).sort());
  });

  it('import downwards only', () => {
    // `mtia bench` runs what lies in bench/.
    const isBenchmark = ({ from, to }: Import): boolean => from === 'cli' && to.startsWith('bench/');
    const wrong = imports.filter(({ from, to }) => from !== to && !ALLOWED[from]?.includes(to));
    expect(wrong.filter((found) => !isBenchmark(found))).toEqual([]);
  });

  it('know nothing of the debug door or of the binding, where they stand above the driver', () => {
    const above = sourceFiles().filter((file) => /^src\/(memmgr|compiler|streaming-api)\//.test(file));
    const mention = /DebugCalls|openEmulatorWithDebug|driver\/emulator|koffi|ffi-napi/;
    expect(above.filter((file) => mention.test(readFileSync(join(ROOT, file), 'utf8')))).toEqual([]);
  });
});
