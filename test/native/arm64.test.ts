/** The native sources on 64-bit Arm, cross-compiled and run under qemu (scripts/test-arm64.mjs). */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ROOT } from './compile.js';

const SKIPPED = 77;

describe('on 64-bit Arm', () => {
  it('compiles without warnings and computes the bits of the portable code', { timeout: 300_000 }, ({ skip }) => {
    const result = spawnSync(process.execPath, [join(ROOT, 'scripts', 'test-arm64.mjs')], { encoding: 'utf8' });
    if (result.status === SKIPPED) skip(result.stderr.trim());
    expect(result.stderr).toBe('');
    const lines = result.stdout.split('\n').filter((line) => line !== '');
    expect(lines.filter((line) => !line.startsWith('ok '))).toEqual([]);
    expect(lines).toContain('ok every_path_gives_the_bits_of_the_portable_one');
    expect(result.status).toBe(0);
  });
});
