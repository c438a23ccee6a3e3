/** The same graphs on the emulated chip: firmware and compiler agree on what the arguments mean, on both generations. */
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { compileModel, readModel } from '../../src/compiler/index.js';
import { Device } from '../../src/streaming-api/index.js';
import { FIXTURES, largestDifference, readDataSet } from './support.js';

const FILES = [
  ['dlrm', 'model.onnx'],
  ['dlrm', 'model-aten.pt2'],
  ['wide-and-deep', 'model.onnx'],
  ['wide-and-deep', 'model.pt2'],
] as const;

describe('on the chip', () => {
  for (const generation of ['2i', 'v1'] as const) {
    it.each([
      ['bf16', 2e-2],
      ['int8', 5e-2],
    ] as const)(`${generation} computes what PyTorch computes in %s`, async (dtype, tolerance) => {
      await using device = await Device.open({ generation });
      for (const [name, file] of FILES) {
        const model = await readModel(join(FIXTURES, name, file));
        const data = await readDataSet(join(FIXTURES, name, 'test_data_set_0'));
        const graph = compileModel(model, { generation, dtype, inputShapes: data.inputs.map((input) => input.shape) });
        await using loaded = await device.loadModel(graph);
        const inputs = data.inputs.map(({ type, data: bytes }, index) => {
          const { buffer } = new Uint8Array(bytes);
          const values = type === 'int64' ? new BigInt64Array(buffer) : new Float32Array(buffer);
          return [graph.inputs[index]?.name ?? '', values] as const;
        });
        const { outputs } = await loaded.run(Object.fromEntries(inputs));
        for (const [index, expected] of data.outputs.entries()) {
          const actual = outputs[graph.outputs[index]?.name ?? ''];
          const values = new Float32Array(new Uint8Array(expected.data).buffer);
          expect(largestDifference(actual as Float32Array, values)).toBeLessThan(tolerance);
        }
      }
    });
  }
});
