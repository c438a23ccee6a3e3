/** Compiling to INT8: what is quantised, how weights round, and what has no INT8. */
import { describe, expect, it } from 'vitest';
import type { OnnxNode, OnnxTensor } from '../../src/compiler/index.js';
import { columnScales, packQuantizedWeight } from '../../src/compiler/packing/quantize-weights.js';
import { denseConstant } from '../../src/compiler/tensor.js';
import { compileOnnx, float32, kernelsOf, largestDifference, runFloats, testValues } from './support.js';

const node = (operator: string, inputs: string, outputs: string, attributes?: OnnxNode['attributes']): OnnxNode => ({
  operator,
  inputs: inputs.split(' '),
  outputs: outputs.split(' '),
  ...(attributes === undefined ? {} : { attributes }),
});

const info = ({ name, type, shape }: OnnxTensor) => ({ name, type, shape });

function compileInt8(x: OnnxTensor, initializers: readonly OnnxTensor[], nodes: readonly OnnxNode[], outputs = ['y']) {
  const model = {
    inputs: [info(x)],
    outputs: outputs.map((name) => ({ name, type: 'float32' as const, shape: [] })),
    initializers,
    nodes,
  };
  return compileOnnx(model, { generation: '2i', dtype: 'int8' });
}

function constant(shape: readonly number[], values: readonly number[]) {
  return denseConstant('float32', shape, new Uint8Array(Float32Array.from(values).buffer));
}

describe('weights', () => {
  it('have one scale a column and round to the nearest integer, ties to even', () => {
    const weight = constant([3, 4], [127, -127, 2.5, 3.5, 0, 0, 0, 0, -12.7, 6.35, 0.15, -0.05]);
    const scales = columnScales(weight, 2);
    expect(scales).toEqual(Float32Array.of(2, 0, Math.fround(Math.fround(25.4) / 127)));
    const packed = new Uint8Array(2048);
    packQuantizedWeight(weight, 2, scales ?? new Float32Array(), 64, [{ source: 0, target: 0, count: 4 }], packed);
    const column = (index: number) => [...new Int8Array(packed.buffer, index * 4, 4)];
    expect(column(0)).toEqual([127, -127, 2, 4]);
    expect(column(1)).toEqual([0, 0, 0, 0]);
    expect(column(2)[0]).toBe(-127);
    expect(packed.subarray(12).every((byte) => byte === 0)).toBe(true);
  });

  it('that are not finite are refused by name', async () => {
    const x = float32('x', [2, 2], [1, 2, 3, 4]);
    for (const value of [Number.NaN, Number.NEGATIVE_INFINITY]) {
      const w = float32('w', [2, 2], [1, value, 2, 3]);
      await expect(compileInt8(x, [w], [node('MatMul', 'x w', 'y')])).rejects.toMatchObject({
        code: 'UNSUPPORTED_OPERATOR',
        message: expect.stringContaining('--dtype bf16'),
      });
    }
  });
});

describe('inputs', () => {
  it('that several products read are quantised once', async () => {
    const x = float32('x', [3, 8], testValues(24, 1));
    const [a, b] = [float32('a', [8, 4], testValues(32, 2)), float32('b', [8, 4], testValues(32, 3))];
    const nodes = [node('MatMul', 'x a', 'y'), node('MatMul', 'x b', 'z')];
    const graph = await compileInt8(x, [a, b], nodes, ['y', 'z']);
    expect(kernelsOf(graph).filter((kernel) => kernel === 'QUANTIZE')).toHaveLength(1);
    expect(kernelsOf(graph).filter((kernel) => kernel === 'FULLY_CONNECTED')).toHaveLength(2);
  });

  it('are scaled by their own elements: the padding of a sigmoid does not count', async () => {
    const [m, k, n] = [2, 5, 3];
    const x = float32('x', [m, k], testValues(m * k, 4));
    // Values of the sigmoid near 1e-4, beside padding of 0.5 if it counted.
    const w = float32('w', [k, n], new Array<number>(k * n).fill(0));
    const b = float32('b', [n], [-9, -8, -10]);
    const v = float32('v', [2 * n, 2], testValues(4 * n, 5));
    const nodes = [
      node('MatMul', 'x w', 'p'),
      node('Add', 'p b', 'q'),
      node('Sigmoid', 'q', 's'),
      node('Concat', 's s', 'c', { axis: 1 }),
      node('MatMul', 'c v', 'y'),
    ];
    const graph = await compileInt8(x, [w, b, v], nodes);
    const [actual] = runFloats(graph, [x]);
    const values = new Float32Array(new Uint8Array(v.data).buffer);
    const s = [-9, -8, -10].map((bias) => 1 / (1 + Math.exp(-bias)));
    const expected = Array.from({ length: m * 2 }, (_, at) =>
      [...s, ...s].reduce((sum, value, row) => sum + value * (values[row * 2 + (at % 2)] ?? 0), 0),
    );
    expect(largestDifference(actual ?? new Float32Array(), expected)).toBeLessThan(2e-5);
  });

  it('with rows that no PE can hold are refused by name', async () => {
    const x = float32('x', [1, 16448], testValues(16448, 6));
    const w = float32('w', [16448, 1], testValues(16448, 7));
    await expect(compileInt8(x, [w], [node('MatMul', 'x w', 'y')])).rejects.toMatchObject({
      code: 'UNSUPPORTED_OPERATOR',
      message: expect.stringContaining('16384 elements'),
    });
  });
});
