/** The hart against qemu-riscv64 on random programs: registers, floating point flags and memory must agree bit by bit. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { compileNative, ROOT } from './compile.js';
import { randomProgram } from './hart-random.js';

const PROGRAMS = Number(process.env['HART_PROGRAMS'] ?? 24);
const FIRST_SEED = Number(process.env['HART_SEED'] ?? 1);
const INSTRUCTIONS = 2500;

const hasQemu = spawnSync('qemu-riscv64', ['--version']).status === 0;
const skipReason = hasQemu ? '' : ' (skipped: qemu-riscv64 is not installed; Debian package qemu-user)';

/** Where two dumps differ, by name: the first 512 bytes are x and f registers. */
function difference(actual: Buffer, expected: Buffer): string {
  const lines: string[] = [];
  for (let at = 0; at + 8 <= expected.length; at += 8) {
    const [a, e] = [actual.length >= at + 8 ? actual.readBigUInt64LE(at) : -1n, expected.readBigUInt64LE(at)];
    const i = at / 8;
    const name = i < 32 ? `x${i}` : i < 64 ? `f${i - 32}` : i === 64 ? 'fcsr' : `memory ${at}`;
    if (a !== e) lines.push(`${name}: hart ${a.toString(16)}, qemu ${e.toString(16)}`);
  }
  return lines.slice(0, 12).join('\n');
}

describe(`random programs${skipReason}`, () => {
  let runner = '';
  const folder = join(ROOT, 'build', 'test', 'hart-programs');
  beforeAll(() => {
    const sources = readdirSync(join(ROOT, 'native', 'src')).filter((file) => /^(hart|code_cache)\w*\.c$/.test(file));
    runner = compileNative('hart_runner', [
      ...sources.map((file) => `native/src/${file}`),
      'native/test/hart_runner.c',
    ]);
    mkdirSync(folder, { recursive: true });
  }, 120_000);

  it.skipIf(!hasQemu).each([
    { kind: 'mixed', what: 'of all extensions' },
    { kind: 'float', what: 'of floating point on corner values' },
  ] as const)('$what end in the state that qemu-riscv64 computes', ({ kind }) => {
    for (let seed = FIRST_SEED; seed < FIRST_SEED + PROGRAMS; seed++) {
      const file = join(folder, `${kind}-${process.pid}`);
      writeFileSync(file, randomProgram(seed, INSTRUCTIONS, kind), { mode: 0o755 });
      const expected = execFileSync('qemu-riscv64', [file]);
      const actual = spawnSync(runner, [file]);
      expect(actual.stderr.toString(), `seed ${seed}`).toBe('');
      expect(difference(actual.stdout, expected), `seed ${seed}`).toBe('');
    }
  });

  it('take the same steps one at a time as in one go', () => {
    for (let seed = FIRST_SEED; seed < FIRST_SEED + 3; seed++) {
      const file = join(folder, `stepped-${process.pid}`);
      writeFileSync(file, randomProgram(seed, INSTRUCTIONS));
      const [whole, stepped, short] = [1 << 20, 1, 100].map((budget) => {
        const run = spawnSync(runner, [file, '--budget', String(budget), '--report']);
        return {
          output: run.stdout,
          count: /"instructions": (\d+), "cycles": (\d+)/.exec(run.stderr.toString())?.slice(1),
        };
      });
      expect(stepped, `seed ${seed}`).toEqual(whole);
      expect(short, `seed ${seed}`).toEqual(whole);
    }
  });
});
