/** Runs a script in a process of its own, with the built package under the name `mtia`. */
import { spawn } from 'node:child_process';
import { fileURLToPath, pathToFileURL } from 'node:url';

const DIST = fileURLToPath(new URL('../../dist/src/', import.meta.url));
const moduleUrl = (path: string): string => JSON.stringify(pathToFileURL(`${DIST}${path}`).href);

/** What every script begins with. */
const PRELUDE = `
const { Device, createExecutor } = await import(${moduleUrl('streaming-api/index.js')});
const { openEmulator } = await import(${moduleUrl('driver/index.js')});
const { bundlePath, TEST_KERNELS_BUNDLE } = await import(${moduleUrl('firmware-emu/index.js')});
const grid = { columns: 1, rows: 1 };
const open = () => Device.open({ firmware: bundlePath(TEST_KERNELS_BUNDLE), threads: 1 });
`;

/** Starts worker threads whose bodies have what a script has, and `parentPort`. They are modules as their process is. */
const WORKER = `
const { Worker } = await import('node:worker_threads');
const startWorker = (body) => new Worker(
  'import { parentPort } from "node:worker_threads";' + ${JSON.stringify(PRELUDE)} + body,
  { eval: true },
);
const exitOf = (worker) => new Promise((resolve, reject) => worker.on('exit', resolve).on('error', reject));
const messageOf = (worker) => new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
`;

/** A script that hangs is ended by then: shortly before its test is. Instrumented code (scripts/sanitize.mjs) gets longer. */
const CHILD_DEADLINE_MS = Number(process.env.CHILD_DEADLINE_MS ?? 55_000);

export interface ChildResult {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export function runChild(script: string, environment: Readonly<Record<string, string>> = {}): Promise<ChildResult> {
  const options = { env: { ...process.env, ...environment }, timeout: CHILD_DEADLINE_MS };
  const child = spawn(process.execPath, ['--input-type=module', '--eval', PRELUDE + WORKER + script], options);
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (text) => {
    stdout += text;
  });
  child.stderr.on('data', (text) => {
    stderr += text;
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => resolve({ code, signal, stdout, stderr }));
  });
}
