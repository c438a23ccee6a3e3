/** onnxruntime-node, the baseline: large, and of no use to anything else, so it is installed when first wanted. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { packageRoot } from '../src/driver/package-root.js';
import type { TensorData } from '../src/streaming-api/index.js';

export interface OrtTensor {
  readonly data: TensorData;
  readonly dims: readonly number[];
}

export interface OrtSession {
  /** fetches: tensors that take the outputs; new ones where there are none. */
  run(
    feeds: Readonly<Record<string, OrtTensor>>,
    fetches?: Readonly<Record<string, OrtTensor>>,
  ): Promise<Readonly<Record<string, OrtTensor>>>;
  release(): Promise<void>;
}

interface OrtSessionOptions {
  readonly intraOpNumThreads: number;
  readonly interOpNumThreads: number;
  readonly executionMode: 'sequential';
}

/** The part of onnxruntime-node that is used here. */
export interface OnnxRuntime {
  readonly InferenceSession: { create(path: string, options: OrtSessionOptions): Promise<OrtSession> };
  readonly Tensor: new (type: 'float32' | 'int64', data: TensorData, dims: readonly number[]) => OrtTensor;
}

export const ORT_NAME = 'onnxruntime-node fp32';
const INSTALL_TIMEOUT_MS = 10 * 60_000;

function isOnnxRuntime(module: unknown): module is OnnxRuntime {
  return typeof module === 'object' && module !== null && 'InferenceSession' in module && 'Tensor' in module;
}

function install(folder: string, signal: AbortSignal): Promise<void> {
  // The install script only fetches GPU libraries; the CPU library is part of the package.
  const args = [
    'install',
    '--prefix',
    folder,
    '--ignore-scripts',
    '--no-audit',
    '--no-fund',
    '--loglevel',
    'error',
    '--fetch-retries',
    '1',
  ];
  return new Promise((resolve, reject) => {
    const npm = spawn('npm', args, { stdio: ['ignore', 'ignore', 'pipe'], signal, timeout: INSTALL_TIMEOUT_MS });
    let errors = '';
    npm.stderr.on('data', (text: Buffer) => {
      errors += text.toString();
    });
    npm.on('error', reject);
    npm.on('close', (code) => {
      const [firstLine = ''] = errors.trim().split('\n');
      if (code === 0) resolve();
      else
        reject(new Error(`npm install ended with ${code ?? 'a timeout'}${firstLine === '' ? '' : `: ${firstLine}`}`));
    });
  });
}

async function importFrom(folder: string): Promise<OnnxRuntime> {
  const entry = createRequire(join(folder, 'package.json')).resolve('onnxruntime-node');
  const imported: { readonly default?: unknown } = await import(pathToFileURL(entry).href);
  const module = imported.default ?? imported;
  if (!isOnnxRuntime(module)) throw new Error('it does not export InferenceSession and Tensor');
  return module;
}

/** The library, or one sentence on why there is none: a benchmark then goes without its baseline. */
export async function loadOnnxRuntime(
  say: (line: string) => void,
  signal: AbortSignal,
): Promise<OnnxRuntime | { readonly missing: string }> {
  const folder = join(packageRoot(), 'bench');
  const installed = await importFrom(folder).catch(() => undefined);
  if (installed !== undefined) return installed;
  try {
    if (!existsSync(join(folder, 'package.json'))) throw new Error('bench/package.json is not part of this package');
    say('installing onnxruntime-node into bench/ to compare with (once, about 290 MB)');
    await install(folder, signal);
    return await importFrom(folder);
  } catch (error) {
    return { missing: `onnxruntime-node is not available: ${error instanceof Error ? error.message : String(error)}` };
  }
}

export function openOrtSession(runtime: OnnxRuntime, path: string, threads: number): Promise<OrtSession> {
  const options = { intraOpNumThreads: threads, interOpNumThreads: 1, executionMode: 'sequential' } as const;
  return runtime.InferenceSession.create(path, options);
}
