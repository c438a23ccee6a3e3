/** Model files through the compiler onto the chip. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compileModel, encodeCompiledGraph, readModel } from '../../src/compiler/index.js';
import type { CompiledModel, Device, TensorData } from '../../src/streaming-api/index.js';
import { openTestDevice } from './test-device.js';

const MODEL = fileURLToPath(new URL('../../examples/films-dlrm/model.pt2', import.meta.url));
const BATCH = 32;

/** The first row of every table, and a ramp for the dense features. */
function inputsOf(model: CompiledModel): Record<string, TensorData> {
  const entries = model.inputs.map(({ name, type, shape }) => {
    const elements = shape.reduce((product, dimension) => product * dimension, 1);
    const ramp = Float32Array.from({ length: elements }, (_, index) => (index % 7) / 7);
    return [name, type === 'int64' ? new BigInt64Array(elements) : ramp] as const;
  });
  return Object.fromEntries(entries);
}

const onlyOutput = (outputs: Readonly<Record<string, TensorData>>): TensorData | undefined => Object.values(outputs)[0];

describe.each(['2i', 'v1'] as const)('Device.loadModel on %s', (generation) => {
  let device: Device;
  let folder: string;

  beforeAll(async () => {
    device = await openTestDevice({ generation });
    folder = await mkdtemp(join(tmpdir(), 'mtia-load-'));
  });
  afterAll(async () => {
    await device.close();
    await rm(folder, { recursive: true });
  });

  it('compiles a model file, and gives what its compiled form gives', async () => {
    await using model = await device.loadModel(MODEL, { batch: BATCH });
    const inputs = inputsOf(model);
    const { outputs, jobs, graphUs } = await model.run(inputs);
    const scores = onlyOutput(outputs);
    expect(scores).toHaveLength(BATCH);
    for (const score of scores ?? []) {
      expect(score).toBeGreaterThan(0);
      expect(score).toBeLessThan(1);
    }
    expect(jobs).toBe(model.jobs.length);
    expect(graphUs).toBeGreaterThan(0);
    const path = join(folder, 'films.mtg');
    await writeFile(path, encodeCompiledGraph(compileModel(await readModel(MODEL), { generation, batch: BATCH })));
    await using compiled = await device.loadModel(path);
    expect(onlyOutput((await compiled.run(inputs)).outputs)).toEqual(scores);
    await expect(device.loadModel(path, { batch: BATCH })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });

  it('reports an index beyond its table, for that request only', async () => {
    await using model = await device.loadModel(MODEL, { batch: BATCH });
    const inputs = inputsOf(model);
    const indices = Object.values(inputs).find((data) => data instanceof BigInt64Array);
    const expected = await model.run(inputs);
    for (const index of [1_000_000n, -1n]) {
      indices?.fill(index, 3, 4);
      await expect(model.run(inputs)).rejects.toMatchObject({ code: 'INDEX_OUT_OF_RANGE' });
      await expect(device.synchronize()).rejects.toMatchObject({ code: 'INDEX_OUT_OF_RANGE' });
    }
    indices?.fill(0n);
    expect((await model.run(inputs)).outputs).toEqual(expected.outputs);
  });

  it('says what is wrong with a file', async () => {
    const path = join(folder, 'broken');
    await expect(device.loadModel(path)).rejects.toMatchObject({ code: 'INVALID_MODEL' });
    await writeFile(path, 'not a model');
    await expect(device.loadModel(path)).rejects.toMatchObject({
      code: 'INVALID_MODEL',
      message: expect.stringContaining(path),
    });
    const graph = encodeCompiledGraph(compileModel(await readModel(MODEL), { generation, batch: 1 }));
    await writeFile(path, graph.subarray(0, graph.byteLength - 64));
    await expect(device.loadModel(path)).rejects.toMatchObject({ code: 'INVALID_MODEL' });
    const other = generation === 'v1' ? '2i' : 'v1';
    await writeFile(path, encodeCompiledGraph(compileModel(await readModel(MODEL), { generation: other, batch: 1 })));
    await expect(device.loadModel(path)).rejects.toMatchObject({ code: 'FIRMWARE_MISMATCH' });
  });
});
