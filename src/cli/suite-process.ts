/** A run of the conformance suite in a process of its own, watched case by case: a defect may end it, or have it hang. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { CaseResult } from '../conformance/index.js';
import { InputError } from './errors.js';
import { EXIT } from './exit-codes.js';

export interface SuiteRun {
  readonly results: readonly CaseResult[];
  /** The case during which the process ended or hung, where one did. */
  readonly broken?: CaseResult;
}

/** Longer than any case may take: the process itself hangs. */
const SILENCE_MS = 90_000;

type Line =
  | { readonly type: 'begin' | 'end' }
  | { readonly type: 'start'; readonly category: string; readonly name: string; readonly contract: string }
  | ({ readonly type: 'result' } & CaseResult);

/**
 * @param args options of `mtia conformance` without its reporter
 * @param signal ends the process
 * @throws InputError where the options are refused
 */
export function runSuiteProcess(args: readonly string[], signal: AbortSignal): Promise<SuiteRun> {
  const results: CaseResult[] = [];
  let under: Pick<CaseResult, 'category' | 'name' | 'contract'> | undefined;
  let [ended, silent, complaint] = [false, false, ''];
  // A process that is killed leaves its temporary files.
  const folder = mkdtempSync(join(tmpdir(), 'mtia-suite-'));
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [process.argv[1] ?? '', 'conformance', ...args, '--reporter', 'ndjson'], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, TMPDIR: folder },
    });
    const kill = (): void => void child.kill('SIGKILL');
    const silence = setTimeout(() => {
      silent = true;
      kill();
    }, SILENCE_MS);
    const take = (line: Line): void => {
      silence.refresh();
      if (line.type === 'start') under = line;
      if (line.type === 'result') {
        results.push(line);
        under = undefined;
      }
      if (line.type !== 'end') return;
      ended = true;
      // What a defect has left behind may keep the process alive.
      kill();
    };
    signal.addEventListener('abort', kill);
    createInterface({ input: child.stdout }).on('line', (text) => take(JSON.parse(text) as Line));
    child.stderr.on('data', (data: Buffer) => {
      complaint += data.toString();
    });
    child.on('error', reject);
    child.on('close', (code, killedBy) => {
      clearTimeout(silence);
      rmSync(folder, { recursive: true, force: true });
      signal.removeEventListener('abort', kill);
      if (code === EXIT.BAD_INPUT) return reject(new InputError(complaint.trim().replace(/^mtia: /, '')));
      if (ended || signal.aborted) return resolve({ results });
      const reason = silent
        ? `the process hung for ${SILENCE_MS} ms`
        : `the process ended: ${killedBy ?? `exit ${code}`}`;
      const at = under ?? { category: 'lifecycle', name: 'between cases', contract: 'LIFE-2' };
      const { category, name, contract } = at;
      return resolve({ results, broken: { category, name, contract, status: 'fail', reason, wallMs: 0 } });
    });
  });
}
