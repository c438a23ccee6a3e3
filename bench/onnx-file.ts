/** A model of a benchmark as both sides read it: the same ONNX file, in a folder that is gone afterwards. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ModelGraph, readModel } from '../src/compiler/index.js';
import type { BenchmarkContext } from './context.js';
import { loadOnnxRuntime, type OnnxRuntime, type OrtSession, openOrtSession } from './onnxruntime.js';

export interface OpenModel {
  /** Of the ONNX file. */
  readonly path: string;
  readonly model: ModelGraph;
  readonly ort?: { readonly runtime: OnnxRuntime; readonly session: OrtSession };
  /** Why there is no onnxruntime to compare with. */
  readonly missing?: string;
}

async function withFile<T>(name: string, bytes: Uint8Array, work: (path: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'mtia-bench-'));
  try {
    const path = join(folder, `${name}.onnx`);
    await writeFile(path, bytes);
    return await work(path);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

export async function withOnnxModel<T>(
  name: string,
  bytes: Uint8Array,
  { threads, say, signal }: BenchmarkContext,
  work: (open: OpenModel) => Promise<T>,
): Promise<T> {
  const runtime = await loadOnnxRuntime(say, signal);
  signal.throwIfAborted();
  return withFile(name, bytes, async (path) => {
    const model = await readModel(path);
    if ('missing' in runtime) return work({ path, model, missing: runtime.missing });
    const session = await openOrtSession(runtime, path, threads);
    try {
      return await work({ path, model, ort: { runtime, session } });
    } finally {
      await session.release();
    }
  });
}
