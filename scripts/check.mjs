/**
 * Everything that must hold of the sources before a test runs: format and lint, types of the tests, and generated files
 * that are as fresh as what they are generated from.
 *
 *   node scripts/check.mjs
 */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const tool = (...path) => join(ROOT, 'node_modules', ...path);

const CHECKS = [
  { name: 'format and lint', args: [tool('@biomejs', 'biome', 'bin', 'biome'), 'check', '--error-on-warnings', '.'] },
  { name: 'types', args: [tool('typescript', 'bin', 'tsc'), '-p', join(ROOT, 'tsconfig.check.json')] },
  { name: 'hardware description', args: [join(ROOT, 'dist', 'src', 'hw', 'generate.js'), '--check'] },
  { name: 'lookup tables', args: [join(ROOT, 'scripts', 'generate-se-tables.mjs'), '--check'] },
  { name: 'ONNX schema', args: [join(ROOT, 'src', 'compiler', 'onnx', 'generate.mjs'), '--check'] },
  { name: 'firmware bundles', args: [join(ROOT, 'dist', 'src', 'firmware-emu', 'build-bundles.js'), '--check'] },
];

for (const check of CHECKS) {
  const result = spawnSync(process.execPath, check.args, { cwd: ROOT, stdio: 'inherit' });
  if (result.status !== 0) {
    console.error(`check failed: ${check.name}`);
    process.exitCode = 1;
  }
}
