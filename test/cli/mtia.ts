/** Runs the built command line as a child process, as a user does. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
export const inPackage = (path: string): string => join(ROOT, path);
const MAIN = inPackage('dist/src/cli/main.js');

/** Models that lie beside the checkout where the project is developed. */
export const SHARED_MODELS = inPackage('../shared/models');

const PARTS = [MAIN, inPackage('build/Release/mtia.so'), inPackage('firmware/bundle/mtia.bundle')];

/** Why nothing can run; undefined where everything is built. */
export const notBuilt: string | undefined = PARTS.find((part) => !existsSync(part));
/** Appended to the name of a suite that is skipped. */
export const skipReason = notBuilt === undefined ? '' : ` (skipped: ${notBuilt} is not built)`;

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface StartOptions {
  /** Sent after `afterMs`. */
  readonly signal?: NodeJS.Signals;
  readonly afterMs?: number;
  /** Added to the environment. */
  readonly env?: Readonly<Record<string, string>>;
}

export function mtia(args: readonly string[], { signal, afterMs = 0, env = {} }: StartOptions = {}): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [MAIN, ...args], {
      cwd: ROOT,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...env },
    });
    let [stdout, stderr] = ['', ''];
    child.stdout.on('data', (data: Buffer) => {
      stdout += data.toString();
    });
    child.stderr.on('data', (data: Buffer) => {
      stderr += data.toString();
    });
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stdout, stderr }));
    if (signal !== undefined) setTimeout(() => child.kill(signal), afterMs);
  });
}

export const linesOf = (text: string): string[] => text.split('\n').filter((line) => line !== '');

export async function temporaryFolder(): Promise<{ readonly path: string; readonly remove: () => Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), 'mtia-cli-test-'));
  return { path, remove: () => rm(path, { recursive: true, force: true }) };
}
