/**
 * Writes generated/onnx-proto.ts from onnx.proto (from the onnx 1.23 package).
 *
 *   node src/compiler/onnx/generate.mjs           writes the file
 *   node src/compiler/onnx/generate.mjs --check   fails where the file is stale
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = fileURLToPath(new URL('.', import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), 'onnx-proto-'));
try {
  const script = join(scratch, 'onnx.js');
  const without = ['create', 'verify', 'convert', 'delimited', 'comments', 'typeurl', 'service'].map(
    (f) => `--no-${f}`,
  );
  execFileSync(
    'npx',
    [
      'pbjs',
      '-t',
      'static-module',
      '-w',
      'es6',
      '--dependency',
      'protobufjs/minimal.js',
      ...without,
      '-r',
      'onnx',
      '-o',
      script,
      join(here, 'onnx.proto'),
    ],
    { stdio: 'inherit' },
  );
  const header = '// @ts-nocheck: generated from onnx.proto by generate.mjs; typed by ../messages.ts. Do not edit.\n';
  const body = readFileSync(script, 'utf8').replace(/^\/\*eslint-disable.*\n/, '');
  const output = join(here, 'generated', 'onnx-proto.ts');
  if (!process.argv.includes('--check')) {
    writeFileSync(output, header + body);
  } else if (readFileSync(output, 'utf8') !== header + body) {
    console.error('src/compiler/onnx/generated/onnx-proto.ts is stale: run node src/compiler/onnx/generate.mjs');
    process.exitCode = 1;
  }
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
