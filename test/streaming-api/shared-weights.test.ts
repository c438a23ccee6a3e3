/** Several sizes of a batch of one model on a device: one copy of their weights, the results of models of their own. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { compileBatches, compileModel, type ModelGraph, readModel } from '../../src/compiler/index.js';
import { type CompiledModel, Device, type TensorData } from '../../src/streaming-api/index.js';

const FILMS = 'examples/films-dlrm/model.pt2';
const SIZES = [1, 4, 16, 64];

let device: Device;
let films: ModelGraph;

beforeAll(async () => {
  device = await Device.open({ generation: '2i', threads: 2 });
  films = await readModel(FILMS);
});
afterAll(() => device.close());

/** Of the model's first rows, unlike each other; every index is one that its table has. */
function rows({ inputs }: CompiledModel): Record<string, TensorData> {
  return Object.fromEntries(
    inputs.map(({ name, type, shape }) => {
      const elements = shape.reduce((product, size) => product * size, 1);
      const number = (index: number): number => ((index * 37) % 7) / 7;
      if (type === 'int64') return [name, BigInt64Array.from({ length: elements }, (_, index) => BigInt(index % 3))];
      return [name, Float32Array.from({ length: elements }, (_, index) => number(index))];
    }),
  );
}

it('packs what the sizes have in common once', () => {
  const graphs = compileBatches(films, SIZES, { generation: '2i' });
  const [alone] = SIZES.map((batch) => compileModel(films, { generation: '2i', batch }));
  expect(new Set(graphs.map(({ weights }) => weights)).size).toBe(1);
  expect(graphs[0]?.weights.byteLength).toBeLessThan(1.1 * (alone?.weights.byteLength ?? 0));
});

it('computes bit by bit what each size computes by itself', async () => {
  const together = await device.loadModels(compileBatches(films, SIZES, { generation: '2i' }));
  for (const [index, batch] of SIZES.entries()) {
    await using alone = await device.loadModel(compileModel(films, { generation: '2i', batch }));
    const model = together[index] as CompiledModel;
    expect((await model.run(rows(model))).outputs).toEqual((await alone.run(rows(alone))).outputs);
  }
  await Promise.all(together.map((model) => model.close()));
});

it('uploads the weights once, and keeps them until the last model is closed', async () => {
  const held = (): number => {
    const { dram, sram } = device.memoryStats();
    return dram.allocated_bytes + sram.allocated_bytes;
  };
  const before = held();
  const graphs = compileBatches(films, SIZES, { generation: '2i' });
  const images = graphs.reduce((bytes, { image }) => bytes + image.byteLength, 0);
  const models = await device.loadModels(graphs);
  expect(held() - before).toBe(images + (graphs[0]?.weights.byteLength ?? 0));
  const last = models.at(-1) as CompiledModel;
  const { outputs } = await last.run(rows(last));
  await Promise.all(models.slice(0, -1).map((model) => model.close()));
  expect((await last.run(rows(last))).outputs).toEqual(outputs);
  await last.close();
  expect(held()).toBe(before);
});

it('leaves nothing behind where one of the graphs cannot be loaded', async () => {
  const before = device.memoryStats().dram.num_allocs + device.memoryStats().sram.num_allocs;
  const [first, second] = compileBatches(films, [1, 2], { generation: '2i' });
  const foreign = { ...second, generation: 'v1' } as NonNullable<typeof second>;
  await expect(device.loadModels([first as NonNullable<typeof first>, foreign])).rejects.toMatchObject({
    code: 'FIRMWARE_MISMATCH',
  });
  expect(device.memoryStats().dram.num_allocs + device.memoryStats().sram.num_allocs).toBe(before);
});
