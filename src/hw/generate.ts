/** `npm run hw`: writes the generated files; with --check, fails when one of them is stale. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { renderCHeader } from './c-header.js';
import { renderDocumentation } from './documentation.js';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

const GENERATED: readonly { readonly path: string; readonly render: () => string }[] = [
  { path: 'native/include/generated/mtia_hw.h', render: renderCHeader },
  { path: 'docs/hardware.md', render: renderDocumentation },
];

function currentText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

for (const file of GENERATED) {
  const path = join(ROOT, file.path);
  const text = file.render();
  if (currentText(path) === text) continue;
  if (process.argv.includes('--check')) {
    console.error(`${file.path} is stale: run \`npm run hw\` and commit it`);
    process.exitCode = 1;
  } else {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
  }
}
