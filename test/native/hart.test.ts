/** Directed tests of the hart (native/test/hart_test*.c): traps, interrupts, CSRs, counts, code that changes, threads. */
import { spawnSync } from 'node:child_process';
import { beforeAll, describe, expect, it } from 'vitest';
import { compileNative, nativeSources } from './compile.js';

const CASES = 44;
const SANITIZERS = ['-fsanitize=address,undefined', '-fno-sanitize-recover=all'];

describe.each([
  { name: 'hart_test', flags: [] },
  { name: 'hart_test_sanitized', flags: SANITIZERS },
])('hart, $name', ({ name, flags }) => {
  let program = '';
  beforeAll(() => {
    const paths = [...nativeSources('hart'), 'native/test/hart_test.c', 'native/test/hart_test_privileged.c'];
    program = compileNative(name, paths, { flags });
  }, 300_000);

  it('traps, waits, counts and fetches as the specification says', () => {
    const run = spawnSync(program, { encoding: 'utf8' });
    const lines = run.stdout.split('\n').filter((line) => line !== '');
    expect(lines.filter((line) => !line.startsWith('ok '))).toEqual([]);
    expect(run.stderr).toBe('');
    expect(lines).toHaveLength(CASES);
    expect(run.status).toBe(0);
  });
});
