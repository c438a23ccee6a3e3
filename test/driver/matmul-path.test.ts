/** Which instructions of the host the emulated card computes with: chosen, forced, refused. */
import { afterEach, describe, expect, it, vi } from 'vitest';
import { MATMUL_PATHS, type MatmulPath, MtiaError, openEmulatorWithDebug } from '../../src/driver/index.js';

function pathOf(matmulPath?: MatmulPath): string {
  const { pci, debug } = openEmulatorWithDebug({
    generation: 'v1',
    threads: 1,
    ...(matmulPath === undefined ? {} : { matmulPath }),
  });
  try {
    return debug.matmulPath();
  } finally {
    void pci.close();
  }
}

/** The path in use, or the error that says why not. */
function attempt(path: MatmulPath): string | MtiaError {
  try {
    return pathOf(path);
  } catch (error) {
    if (error instanceof MtiaError) return error;
    throw error;
  }
}

describe('the matmul path', () => {
  afterEach(() => vi.unstubAllEnvs());

  it('is the one that was asked for, or an error that names those of this host', () => {
    const attempts = MATMUL_PATHS.filter((path) => path !== 'fastest').map((path) => [path, attempt(path)] as const);
    const here = attempts.filter(([path, found]) => found === path).map(([path]) => path);
    expect(here).toContain('portable');
    for (const [path, found] of attempts) {
      if (found === path) continue;
      expect(found).toMatchObject({ code: 'CHIP_MATMUL_PATH' });
      expect(String(found)).toContain(`"${path}"; it has fastest, portable`);
      for (const other of here) expect(String(found)).toContain(other);
    }
    // AMX and NEON are of different processors: at least one of them is refused everywhere.
    expect(here.length).toBeLessThan(attempts.length);
  });

  it('is what MTIA_MATMUL says where no option does', () => {
    vi.stubEnv('MTIA_MATMUL', 'portable');
    expect(pathOf()).toBe('portable');
    const fastest = pathOf('fastest');
    vi.stubEnv('MTIA_MATMUL', undefined);
    expect(pathOf()).toBe(fastest);
    vi.stubEnv('MTIA_MATMUL', 'abacus');
    expect(() => pathOf()).toThrow(/MTIA_MATMUL is "abacus"; set it to one of fastest, portable/);
  });
});
