/** Writes generated/onnx-proto.ts from onnx.proto (from the onnx 1.23 package): `node src/compiler/onnx/generate.mjs`. */
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
  writeFileSync(join(here, 'generated', 'onnx-proto.ts'), header + body);
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
