/** Small models made on the spot: each operator and each way in which operators meet. */
import { describe, expect, it } from 'vitest';
import type { OnnxModel, OnnxNode, OnnxTensor } from '../../src/compiler/index.js';
import { unsupportedOperatorOf } from '../../src/compiler/index.js';
import { compileOnnx, float32, int64, kernelsOf, largestDifference, runFloats, testValues } from './support.js';

type Values = readonly number[];

interface Case {
  readonly inputs: readonly OnnxTensor[];
  readonly initializers?: readonly OnnxTensor[];
  readonly nodes: readonly OnnxNode[];
  readonly output?: { readonly shape: readonly number[]; readonly expected: Values };
  readonly outputs?: readonly string[];
}

function modelOf({ inputs, initializers = [], nodes, outputs = ['y'] }: Case): Omit<OnnxModel, 'name'> {
  const info = (tensor: OnnxTensor) => ({ name: tensor.name, type: tensor.type, shape: tensor.shape });
  return {
    inputs: inputs.map(info),
    outputs: outputs.map((name) => ({ name, type: 'float32' as const, shape: [] })),
    initializers,
    nodes,
  };
}

async function check(test: Case, tolerance = 1e-2): Promise<readonly string[]> {
  let kernels: readonly string[] = [];
  for (const generation of ['2i', 'v1'] as const) {
    const graph = await compileOnnx(modelOf(test), { generation });
    kernels = kernelsOf(graph);
    expect(graph.outputs[0]?.shape).toEqual(test.output?.shape);
    const [actual] = runFloats(graph, test.inputs);
    expect(largestDifference(actual ?? new Float32Array(), test.output?.expected ?? [])).toBeLessThanOrEqual(tolerance);
  }
  return kernels;
}

const node = (operator: string, inputs: string, outputs: string, attributes?: OnnxNode['attributes']): OnnxNode => ({
  operator,
  inputs: inputs.split(' '),
  outputs: outputs.split(' '),
  ...(attributes === undefined ? {} : { attributes }),
});

/** x [m, k] times w^T [n, k] plus b. */
function product(x: Values, w: Values, b: Values | undefined, m: number, n: number, k: number): number[] {
  return Array.from({ length: m * n }, (_, at) => {
    const [row, column] = [Math.floor(at / n), at % n];
    let sum = b?.[column] ?? 0;
    for (let i = 0; i < k; i++) sum += (x[row * k + i] ?? 0) * (w[column * k + i] ?? 0);
    return sum;
  });
}

/** columns x rows values as a matrix of rows x columns. */
function transposed(values: Values, rows: number, columns: number): number[] {
  return Array.from(
    { length: rows * columns },
    (_, at) => values[(at % columns) * rows + Math.floor(at / columns)] ?? 0,
  );
}

const [M, K, N] = [5, 7, 3];
const X = testValues(M * K, 1);
const W = testValues(N * K, 2);
const B = testValues(N, 3);
const Y = product(X, W, B, M, N, K);
const x = float32('x', [M, K], X);
const w = float32('w', [N, K], W);
const b = float32('b', [N], B);

describe('matrix products', () => {
  it('Gemm with every arrangement of its constant operands', async () => {
    const shape = [M, N];
    const wT = float32('w', [K, N], transposed(W, K, N));
    await check({
      inputs: [x],
      initializers: [w, b],
      nodes: [node('Gemm', 'x w b', 'y', { transB: 1 })],
      output: { shape, expected: Y },
    });
    await check({
      inputs: [x],
      initializers: [wT, b],
      nodes: [node('Gemm', 'x w b', 'y')],
      output: { shape, expected: Y },
    });
    const scaled = product(
      X,
      W.map((v) => v * 2),
      B.map((v) => v / 4),
      M,
      N,
      K,
    );
    const attributes = { transB: 1, alpha: { float: 2 }, beta: { float: 0.25 } };
    await check({
      inputs: [x],
      initializers: [w, b],
      nodes: [node('Gemm', 'x w b', 'y', attributes)],
      output: { shape, expected: scaled },
    });
    const without = product(X, W, undefined, M, N, K);
    await check({
      inputs: [x],
      initializers: [w],
      nodes: [node('Gemm', 'x w', 'y', { transB: 1 })],
      output: { shape, expected: without },
    });
  });

  it('MatMul, Add and Relu in one job', async () => {
    const wT = float32('w', [K, N], transposed(W, K, N));
    const nodes = [node('MatMul', 'x w', 'p'), node('Add', 'b p', 's'), node('Relu', 's', 'y')];
    const expected = Y.map((v) => Math.max(0, v));
    const kernels = await check({ inputs: [x], initializers: [wT, b], nodes, output: { shape: [M, N], expected } });
    expect(kernels).toEqual(['CONVERT', 'FULLY_CONNECTED', 'CONVERT']);
  });

  // 3 columns: less than a unit of DMA; 70: more than a tile, and no whole number of units.
  it.each([3, 70])('one row of %i columns goes straight to the output', async (columns) => {
    const [row, weight] = [testValues(K, 6), testValues(columns * K, 7)];
    const kernels = await check({
      inputs: [float32('x', [1, K], row)],
      initializers: [float32('w', [columns, K], weight)],
      nodes: [node('Gemm', 'x w', 'y', { transB: 1 })],
      output: { shape: [1, columns], expected: product(row, weight, undefined, 1, columns, K) },
    });
    expect(kernels).toEqual(['CONVERT', 'FULLY_CONNECTED']);
  });

  it('MatMul along the last of three dimensions', async () => {
    const input = float32('x', [2, 3, 4], testValues(24, 4));
    const weight = testValues(5 * 4, 5);
    const initializers = [float32('w', [4, 5], transposed(weight, 4, 5))];
    const expected = product(testValues(24, 4), weight, undefined, 6, 5, 4);
    await check({
      inputs: [input],
      initializers,
      nodes: [node('MatMul', 'x w', 'y')],
      output: { shape: [2, 3, 5], expected },
    });
  });

  it('writes a row of whole DMA units straight into the output', async () => {
    const weight = testValues(16 * K, 6);
    const initializers = [float32('w', [16, K], weight)];
    const expected = product(X, weight, undefined, M, 16, K);
    const nodes = [node('Gemm', 'x w', 'p', { transB: 1 }), node('Sigmoid', 'p', 'y')];
    const output = { shape: [M, 16], expected: expected.map((v) => 1 / (1 + Math.exp(-v))) };
    expect(await check({ inputs: [x], initializers, nodes, output })).toEqual(['CONVERT', 'FULLY_CONNECTED']);
  });

  it('a product that two consumers read is computed once', async () => {
    const nodes = [
      node('Gemm', 'x w b', 'p', { transB: 1 }),
      node('Relu', 'p', 'r'),
      node('Concat', 'p r', 'y', { axis: 1 }),
    ];
    const rows = Array.from({ length: M }, (_, row) => Y.slice(row * N, row * N + N));
    const expected = rows.flatMap((row) => [...row, ...row.map((v) => Math.max(0, v))]);
    const kernels = await check({ inputs: [x], initializers: [w, b], nodes, output: { shape: [M, 2 * N], expected } });
    expect(kernels.filter((kernel) => kernel === 'FULLY_CONNECTED')).toHaveLength(1);
  });

  it('a wide product spreads over several tiles', async () => {
    const [m, n, k] = [70, 100, 130];
    const [big, weight, bias] = [testValues(m * k, 7), testValues(n * k, 8), testValues(n, 9)];
    const initializers = [float32('w', [n, k], weight), float32('b', [n], bias)];
    const expected = product(big, weight, bias, m, n, k);
    const inputs = [float32('x', [m, k], big)];
    await check({
      inputs,
      initializers,
      nodes: [node('Gemm', 'x w b', 'y', { transB: 1 })],
      output: { shape: [m, n], expected },
    });
  });
});

describe('elementwise functions and layout', () => {
  const values = testValues(60, 10);
  const input = float32('x', [3, 4, 5], values);

  it('applies a function to a tensor of any shape in one job', async () => {
    for (const [operator, f] of [
      ['Relu', (v: number) => Math.max(0, v)],
      ['Sigmoid', (v: number) => 1 / (1 + Math.exp(-v))],
      ['Tanh', Math.tanh],
    ] as const) {
      const output = { shape: [3, 4, 5], expected: values.map(f) };
      expect(await check({ inputs: [input], nodes: [node(operator, 'x', 'y')], output }, 1e-6)).toEqual(['UNARY']);
    }
  });

  it('moves no byte it need not: reshape, flatten, identity, dropout are one copy', async () => {
    const shape = int64('shape', [2], [0, -1]);
    const cases: readonly [OnnxNode, readonly number[]][] = [
      [node('Reshape', 'x shape', 'y'), [3, 20]],
      [node('Flatten', 'x', 'y', { axis: 2 }), [12, 5]],
      [node('Flatten', 'x', 'y', { axis: -1 }), [12, 5]],
      [node('Flatten', 'x', 'y', { axis: 3 }), [60, 1]],
      [node('Identity', 'x', 'y'), [3, 4, 5]],
      [node('Dropout', 'x', 'y'), [3, 4, 5]],
      [node('Unsqueeze', 'x axes', 'y'), [3, 1, 4, 5]],
    ];
    for (const [only, expectedShape] of cases) {
      const initializers = [shape, int64('axes', [1], [1])];
      const output = { shape: expectedShape, expected: values };
      expect(await check({ inputs: [input], initializers, nodes: [only], output }, 0)).toEqual(['COPY']);
    }
  });

  it('joins and cuts inputs exactly', async () => {
    const other = float32('z', [3, 2, 5], testValues(30, 11));
    const rows = (data: Values, size: number, row: number) => data.slice(row * size, row * size + size);
    const joined = [0, 1, 2].flatMap((row) => [...rows(values, 20, row), ...rows(testValues(30, 11), 10, row)]);
    await check(
      {
        inputs: [input, other],
        nodes: [node('Concat', 'x z', 'y', { axis: 1 })],
        output: { shape: [3, 6, 5], expected: joined },
      },
      0,
    );
    const initializers = [int64('starts', [2], [1, -2]), int64('ends', [2], [3, 1000]), int64('axes', [2], [0, 2])];
    const cut = [1, 2].flatMap((a) => [0, 1, 2, 3].flatMap((i) => [3, 4].map((j) => values[a * 20 + i * 5 + j] ?? 0)));
    await check(
      {
        inputs: [input],
        initializers,
        nodes: [node('Slice', 'x starts ends axes', 'y')],
        output: { shape: [2, 4, 2], expected: cut },
      },
      0,
    );
    const parts = [node('Split', 'x sizes', 'a y', { axis: 1 })];
    const second = [0, 1, 2].flatMap((a) => values.slice(a * 20 + 5, a * 20 + 20));
    await check(
      {
        inputs: [input],
        initializers: [int64('sizes', [2], [1, 3])],
        nodes: parts,
        output: { shape: [3, 3, 5], expected: second },
      },
      0,
    );
  });

  it('computes shapes at compile time', async () => {
    const nodes = [
      node('Shape', 'x', 's'),
      node('Gather', 's zero', 'first'),
      node('Unsqueeze', 'first zero1', 'list'),
      node('Concat', 'list rest', 'target', { axis: 0 }),
      node('Reshape', 'x target', 'flat'),
      node('Relu', 'flat', 'y'),
    ];
    const initializers = [int64('zero', [], [0]), int64('zero1', [1], [0]), int64('rest', [1], [-1])];
    const output = { shape: [3, 20], expected: values.map((v) => Math.max(0, v)) };
    expect(await check({ inputs: [input], initializers, nodes, output }, 1e-6)).toEqual(['UNARY']);
  });

  it('joins two dense inputs in front of a product', async () => {
    const other = float32('z', [M, 4], testValues(M * 4, 12));
    const weight = testValues(2 * (K + 4), 13);
    const initializers = [float32('w', [2, K + 4], weight)];
    const row = (index: number) => [
      ...X.slice(index * K, index * K + K),
      ...testValues(M * 4, 12).slice(index * 4, index * 4 + 4),
    ];
    const expected = product([0, 1, 2, 3, 4].flatMap(row), weight, undefined, M, 2, K + 4);
    const nodes = [node('Concat', 'x z', 'c', { axis: 1 }), node('Gemm', 'c w', 'y', { transB: 1 })];
    await check({ inputs: [x, other], initializers, nodes, output: { shape: [M, 2], expected } });
  });

  it('packs a computed tensor whose rows are cut anew', async () => {
    const weight = testValues(6 * K, 14);
    const second = testValues(2 * 3, 15);
    const initializers = [
      float32('w', [6, K], weight),
      int64('s', [3], [M, 2, 3]),
      float32('v', [3, 2], transposed(second, 3, 2)),
    ];
    const nodes = [node('Gemm', 'x w', 'p', { transB: 1 }), node('Reshape', 'p s', 'r'), node('MatMul', 'r v', 'y')];
    const hidden = product(X, weight, undefined, M, 6, K);
    const output = { shape: [M, 2, 2], expected: product(hidden, second, undefined, M * 2, 2, 3) };
    await check({ inputs: [x], initializers, nodes, output }, 3e-2);
  });
});

describe('embeddings and interactions', () => {
  const [rows, elements, batch] = [9, 32, 4];
  const table = testValues(rows * elements, 20);
  const t = float32('t', [rows, elements], table);
  const row = (index: number) => table.slice(index * elements, (index + 1) * elements);

  it('stores looked-up rows that nobody sums', async () => {
    const ids = [3, 0, 8, 3];
    const nodes = [node('Gather', 't i', 'y', { axis: 0 })];
    const output = { shape: [batch, elements], expected: ids.flatMap(row) };
    await check({ inputs: [int64('i', [batch], ids)], initializers: [t], nodes, output }, 0);
    const pairs = { shape: [2, 2, elements], expected: ids.flatMap(row) };
    await check({ inputs: [int64('i', [2, 2], ids)], initializers: [t], nodes, output: pairs }, 0);
  });

  it('feeds flattened look-ups to a product', async () => {
    const ids = [3, 0, 8, 3];
    const weight = testValues(2 * 2 * elements, 21);
    const nodes = [
      node('Gather', 't i', 'e', { axis: 0 }),
      node('Flatten', 'e', 'f', { axis: 1 }),
      node('Gemm', 'f w', 'y', { transB: 1 }),
    ];
    const initializers = [t, float32('w', [2, 2 * elements], weight)];
    const expected = product(ids.flatMap(row), weight, undefined, 2, 2, 2 * elements);
    await check({ inputs: [int64('i', [2, 2], ids)], initializers, nodes, output: { shape: [2, 2], expected } }, 3e-2);
  });

  /** Sigmoid features of a padded width: the padding of a sigmoid is 0.5, which must not reach the products. */
  for (const [operator, f, width] of [
    ['Sigmoid', (v: number) => 1 / (1 + Math.exp(-v)), 24],
    ['Relu', (v: number) => Math.max(0, v), 24],
    ['Relu', (v: number) => Math.max(0, v), 32],
  ] as const) {
    it(`multiplies features of ${width} elements behind ${operator} with each other`, async () => {
      const weight = testValues(width * K, 22);
      const small = testValues(rows * width, 23);
      const initializers = [
        float32('w', [width, K], weight),
        float32('t', [rows, width], small),
        int64('axes', [1], [1]),
      ];
      const ids = [1, 2, 3, 4, 5];
      const nodes = [
        node('Gemm', 'x w', 'p', { transB: 1 }),
        node(operator, 'p', 'd'),
        node('Gather', 't i', 'e', { axis: 0 }),
        node('Unsqueeze', 'd axes', 'd1'),
        node('Unsqueeze', 'e axes', 'e1'),
        node('Concat', 'd1 e1', 's', { axis: 1 }),
        node('Transpose', 's', 'st', { perm: [0, 2, 1] }),
        node('MatMul', 's st', 'y'),
      ];
      const dense = product(X, weight, undefined, M, width, K).map(f);
      const expected = ids.flatMap((id, sample) => {
        const features = [dense.slice(sample * width, (sample + 1) * width), small.slice(id * width, (id + 1) * width)];
        return features.flatMap((a) => features.map((c) => a.reduce((sum, v, at) => sum + v * (c[at] ?? 0), 0)));
      });
      const scale = Math.max(...expected.map(Math.abs));
      await check(
        { inputs: [x, int64('i', [M], ids)], initializers, nodes, output: { shape: [M, 2, 2], expected } },
        scale * 1e-2,
      );
    });
  }
});

describe('what has no lowering', () => {
  const refused = async (
    nodes: readonly OnnxNode[],
    inputs: readonly OnnxTensor[] = [x],
    initializers: readonly OnnxTensor[] = [],
  ) => {
    const error = await compileOnnx(modelOf({ inputs, initializers, nodes })).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(error).toMatchObject({ name: 'MtiaError', code: 'UNSUPPORTED_OPERATOR' });
    expect((error as Error).message).toContain(unsupportedOperatorOf(error)?.operator);
    return unsupportedOperatorOf(error);
  };

  it('is refused by the name of operator and node', async () => {
    expect(await refused([{ ...node('Softmax', 'x', 'y'), name: 'attention' }])).toEqual({
      operator: 'Softmax',
      node: 'attention',
    });
    expect((await refused([node('MatMul', 'x z', 'y')], [x, float32('z', [K, N], testValues(K * N))]))?.operator).toBe(
      'MatMul',
    );
    expect((await refused([node('Add', 'x x', 'y')]))?.operator).toBe('Add');
    expect((await refused([node('Transpose', 'x', 'y')]))?.operator).toBe('Transpose');
    expect((await refused([node('ReduceSum', 'x', 'y')]))?.operator).toBe('ReduceSum');
    const ids = float32('i', [2], [0, 1]);
    expect((await refused([node('Gather', 'w i', 'y')], [ids], [w]))?.operator).toBe('Gather');
  });

  it('is no obstacle where nobody reads its result', async () => {
    const nodes = [node('Softmax', 'x', 'unused'), node('Relu', 'x', 'y')];
    const graph = await compileOnnx(modelOf({ inputs: [x], nodes }));
    expect(kernelsOf(graph)).toEqual(['UNARY']);
  });

  it('names the operator whatever is wrong besides: types, shapes, other outputs', async () => {
    const half: OnnxTensor = { name: 'h', type: 'float32', shape: [0, 2], data: new Uint8Array(0) };
    expect((await refused([node('Softmax', 'h', 'y')], [half]))?.operator).toBe('Softmax');
    expect((await refused([node('Relu', 'h', 'y')], [half]))?.operator).toBe('empty input');
    expect((await refused([node('Dropout', 'x', 'z y')]))?.operator).toBe('Dropout');
  });

  it('a model that reads what nobody defines is malformed, not unsupported', async () => {
    await expect(compileOnnx(modelOf({ inputs: [x], nodes: [node('Relu', 'nothing', 'y')] }))).rejects.toMatchObject({
      code: 'INVALID_MODEL',
    });
    await expect(compileOnnx(modelOf({ inputs: [x], nodes: [] }))).rejects.toMatchObject({ code: 'INVALID_MODEL' });
  });

  it('shapes that do not fit are a SHAPE_MISMATCH', async () => {
    const nodes = [node('Gemm', 'x w', 'y', { transB: 1 })];
    const initializers = [float32('w', [N, K + 1], testValues(N * (K + 1)))];
    await expect(compileOnnx(modelOf({ inputs: [x], initializers, nodes }))).rejects.toMatchObject({
      code: 'SHAPE_MISMATCH',
    });
  });
});
