/** Whole models from files: what PyTorch computes is what the jobs compute, from every format. */
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  type CompiledGraph,
  compileModel,
  decodeCompiledGraph,
  encodeCompiledGraph,
  readModel,
} from '../../src/compiler/index.js';
import {
  FIXTURES,
  kernelsOf,
  largestDifference,
  readDataSet,
  runFloats,
  SHARED_ARE_HERE,
  SHARED_MODELS,
} from './support.js';

const FIXTURE_FILES = [
  ['dlrm', 'model.onnx'],
  ['dlrm', 'model-aten.pt2'],
  ['wide-and-deep', 'model.onnx'],
  ['wide-and-deep', 'model.pt2'],
] as const;

async function compileFile(path: string, folder: string, options: Partial<Parameters<typeof compileModel>[1]> = {}) {
  const model = await readModel(path);
  const data = await readDataSet(join(folder, 'test_data_set_0'));
  const inputShapes = data.inputs.map((input) => input.shape);
  return { model, data, graph: compileModel(model, { generation: '2i', inputShapes, ...options }) };
}

/** Names of nodes differ between formats; what the chip does must not. */
function withoutNames(graph: CompiledGraph) {
  return {
    image: graph.image,
    weights: graph.weights,
    segments: graph.segments,
    jobs: graph.jobs.map(({ kernel, shape }) => ({ kernel, shape })),
  };
}

describe('fixtures', () => {
  for (const [name, file] of FIXTURE_FILES) {
    for (const generation of ['2i', 'v1'] as const) {
      for (const [dtype, tolerance] of [
        ['bf16', 2e-2],
        ['fp16', 2e-3],
        ['int8', 5e-2],
      ] as const) {
        it(`${name}/${file} computes what PyTorch computes (${generation}, ${dtype})`, async () => {
          const folder = join(FIXTURES, name);
          const { data, graph } = await compileFile(join(folder, file), folder, { generation, dtype });
          const outputs = runFloats(graph, data.inputs);
          for (const [index, expected] of data.outputs.entries()) {
            const values = new Float32Array(new Uint8Array(expected.data).buffer);
            expect(graph.outputs[index]?.shape).toEqual(expected.shape);
            expect(largestDifference(outputs[index] ?? new Float32Array(), values)).toBeLessThan(tolerance);
          }
        });
      }
    }
  }

  it('makes the fewest jobs: one for all embedding bags, one for the interaction', async () => {
    const folder = join(FIXTURES, 'dlrm');
    const { graph } = await compileFile(join(folder, 'model.onnx'), folder);
    expect([...kernelsOf(graph)].sort()).toEqual([
      'CONVERT',
      'CONVERT',
      'EMBEDDING_BAG',
      'FULLY_CONNECTED',
      'FULLY_CONNECTED',
      'FULLY_CONNECTED',
      'FULLY_CONNECTED',
      'INTERACTION',
    ]);
  });

  it('writes dense features and embeddings side by side without a copy', async () => {
    const folder = join(FIXTURES, 'wide-and-deep');
    const { graph } = await compileFile(join(folder, 'model.pt2'), folder);
    expect(kernelsOf(graph)).not.toContain('COPY');
    expect(kernelsOf(graph).filter((kernel) => kernel === 'EMBEDDING_BAG')).toHaveLength(1);
  });

  for (const [name, pt2] of [
    ['dlrm', 'model-aten.pt2'],
    ['wide-and-deep', 'model.pt2'],
  ] as const) {
    it(`${name} becomes the same jobs and weights from both formats`, async () => {
      const folder = join(FIXTURES, name);
      const first = await compileFile(join(folder, 'model.onnx'), folder);
      const second = await compileFile(join(folder, pt2), folder);
      const jobs = (graph: CompiledGraph) => graph.jobs.map(({ kernel, shape }) => `${kernel}: ${shape}`);
      expect(jobs(second.graph)).toEqual(jobs(first.graph));
      expect(second.graph.segments).toEqual(first.graph.segments);
    });
  }

  it('shows symbolic dimensions, and binds them from shapes or a batch', async () => {
    const model = await readModel(join(FIXTURES, 'dlrm', 'model.onnx'));
    expect(model.inputs.map(({ name, type, shape }) => ({ name, type, shape }))).toEqual([
      { name: 'dense', type: 'float32', shape: ['batch', 5] },
      { name: 'one', type: 'int64', shape: ['batch', 1] },
      { name: 'three', type: 'int64', shape: ['batch', 3] },
    ]);
    const byName = compileModel(model, { generation: '2i', inputShapes: { dense: [9, 5] } });
    expect(byName.inputs.map((input) => input.shape)).toEqual([
      [9, 5],
      [9, 1],
      [9, 3],
    ]);
    expect(withoutNames(compileModel(model, { generation: '2i', batch: 9 }))).toEqual(withoutNames(byName));
  });

  it('refuses missing, contradicting and impossible shapes with SHAPE_MISMATCH', async () => {
    const model = await readModel(join(FIXTURES, 'dlrm', 'model-aten.pt2'));
    const wrong = [
      {},
      { batch: 0 },
      { batch: 65 },
      { batch: 1.5 },
      { inputShapes: { dense: [4, 5], one: [5, 1] } },
      { inputShapes: { dense: [4, 6] } },
      { inputShapes: { dense: [4] } },
      { inputShapes: { nothing: [4] } },
      { inputShapes: [[4, 5]] },
    ];
    for (const options of wrong) {
      expect(() => compileModel(model, { generation: '2i', ...options }), JSON.stringify(options)).toThrow(
        expect.objectContaining({ name: 'MtiaError', code: 'SHAPE_MISMATCH' }),
      );
    }
  });

  it('multiplies in INT8 and leaves tables and interaction as they are', async () => {
    const folder = join(FIXTURES, 'dlrm');
    const half = await compileFile(join(folder, 'model.onnx'), folder);
    const { graph } = await compileFile(join(folder, 'model.onnx'), folder, { dtype: 'int8' });
    expect(graph.computeType).toBe('int8');
    const others = kernelsOf(graph).filter((kernel) => kernel !== 'QUANTIZE');
    expect(others.sort()).toEqual([...kernelsOf(half.graph)].sort());
    expect(kernelsOf(graph).filter((kernel) => kernel === 'QUANTIZE')).toHaveLength(4);
    expect(decodeCompiledGraph(encodeCompiledGraph(graph))).toEqual(graph);
  });
});

describe.skipIf(!SHARED_ARE_HERE)('shared models', () => {
  for (const name of ['films-dlrm', 'criteo-dlrm']) {
    const folder = join(SHARED_MODELS, name);

    it(`${name} computes what PyTorch computes`, async () => {
      const { data, graph } = await compileFile(join(folder, 'model.pt2'), folder);
      const expected = data.outputs[0];
      if (expected === undefined) throw new Error('no expected output');
      const [actual] = runFloats(graph, data.inputs);
      const values = new Float32Array(new Uint8Array(expected.data).buffer);
      expect(largestDifference(actual ?? new Float32Array(), values)).toBeLessThan(2e-2);
    });

    it(`${name} is the same to the byte from both formats, at every batch`, async () => {
      const onnx = await readModel(join(folder, 'model.onnx'));
      const pt2 = await readModel(join(folder, 'model.pt2'));
      for (const batch of [1, 33]) {
        const first = withoutNames(compileModel(onnx, { generation: '2i', batch }));
        const second = withoutNames(compileModel(pt2, { generation: '2i', batch }));
        expect(second.jobs).toEqual(first.jobs);
        expect(Buffer.compare(second.image, first.image)).toBe(0);
        expect(Buffer.compare(second.weights, first.weights)).toBe(0);
      }
    });
  }

  it('reads and compiles 36 MB in well under a second', async () => {
    const start = performance.now();
    compileModel(await readModel(join(SHARED_MODELS, 'criteo-dlrm', 'model.pt2')), { generation: '2i', batch: 512 });
    expect(performance.now() - start).toBeLessThan(1000);
  });
});
