/** Files: what they hold comes back, and no damage to them does anything but raise an MtiaError. */
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  compileModel,
  decodeCompiledGraph,
  encodeCompiledGraph,
  isCompiledGraph,
  parseModel,
  readModel,
  readTensorProto,
  writeOnnxModel,
  writeTensorProto,
} from '../../src/compiler/index.js';
import { encodeModelMessage } from '../../src/compiler/onnx/messages.js';
import { readZip } from '../../src/compiler/pt2/zip.js';
import { MtiaError } from '../../src/driver/errors.js';
import { FIXTURES, float32, int64, testValues } from './support.js';

let scratch = '';
beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'mtia-compiler-'));
});
afterAll(() => rm(scratch, { recursive: true, force: true }));

const dlrm = (file: string): Promise<Buffer> => readFile(join(FIXTURES, 'dlrm', file));
const invalid = (text: string) => ({ code: 'INVALID_MODEL', message: expect.stringContaining(text) as string });

async function compiledFixture(): Promise<Uint8Array> {
  const model = await readModel(join(FIXTURES, 'dlrm', 'model.onnx'));
  return encodeCompiledGraph(compileModel(model, { generation: '2i', batch: 3 }));
}

describe('content decides', () => {
  it('whatever a file is called', async () => {
    await writeFile(join(scratch, 'a.onnx'), await dlrm('model-aten.pt2'));
    await writeFile(join(scratch, 'b.pt2'), await dlrm('model.onnx'));
    expect(await readModel(join(scratch, 'a.onnx'))).toMatchObject({ name: 'a', format: 'pt2' });
    expect(await readModel(join(scratch, 'b.pt2'))).toMatchObject({ name: 'b', format: 'onnx' });
  });

  it('and what is no model is refused with the name of the file', async () => {
    await writeFile(join(scratch, 'c.onnx'), 'this is text');
    await writeFile(join(scratch, 'd.onnx'), '');
    await writeFile(join(scratch, 'e.onnx'), await compiledFixture());
    for (const name of ['c.onnx', 'd.onnx', 'e.onnx', 'missing.onnx']) {
      await expect(readModel(join(scratch, name))).rejects.toMatchObject(invalid(name));
    }
  });
});

describe('damaged files', () => {
  /** Everything a reader may do with a file: read it, compile it. */
  async function survive(bytes: Uint8Array): Promise<void> {
    try {
      compileModel(await parseModel(bytes, 'damaged', FIXTURES), { generation: '2i', batch: 2 });
    } catch (error) {
      if (!(error instanceof MtiaError)) throw error;
      expect(error.message.length).toBeGreaterThan(0);
    }
  }

  for (const file of ['model.onnx', 'model-aten.pt2']) {
    it(`${file}: truncation and flipped bits raise an MtiaError or nothing`, async () => {
      const bytes = await dlrm(file);
      const damage = fc.oneof(
        fc.nat(bytes.length).map((length) => bytes.subarray(0, length)),
        fc.array(fc.tuple(fc.nat(bytes.length - 1), fc.nat(7)), { minLength: 1, maxLength: 8 }).map((flips) => {
          const copy = new Uint8Array(bytes);
          for (const [at, bit] of flips) copy[at] = (copy[at] ?? 0) ^ (1 << bit);
          return copy;
        }),
      );
      await fc.assert(fc.asyncProperty(damage, survive), { numRuns: 300 });
    });
  }

  it('model.json: values replaced at random raise an MtiaError or nothing', async () => {
    const bytes = await dlrm('model-aten.pt2');
    const text = bytes.toString('latin1');
    const start = text.indexOf('{"graph_module"');
    const end = text.indexOf('PK', start);
    const digits = [...text.slice(start, end).matchAll(/\d/g)].map((match) => start + match.index);
    await fc.assert(
      fc.asyncProperty(
        fc.nat(digits.length - 1),
        fc.constantFrom('9', '0', '-', '"', '}', 'n'),
        async (index, value) => {
          const copy = new Uint8Array(bytes);
          copy[digits[index] ?? 0] = value.charCodeAt(0);
          await survive(copy);
        },
      ),
      { numRuns: 300 },
    );
  });

  it('.mtg: every truncation and every flipped bit is an INVALID_MODEL', async () => {
    const bytes = await compiledFixture();
    const refused = (damaged: Uint8Array): void => {
      expect(() => decodeCompiledGraph(damaged)).toThrow(
        expect.objectContaining({ code: expect.stringMatching(/INVALID_MODEL|FIRMWARE_MISMATCH/) as string }),
      );
    };
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.nat(7), (at, bit) => {
        const copy = new Uint8Array(bytes);
        copy[at] = (copy[at] ?? 0) ^ (1 << bit);
        refused(copy);
        refused(bytes.subarray(0, at));
      }),
      { numRuns: 200 },
    );
  });

  it('.mtg: damage under a right checksum is found as well', async () => {
    const bytes = await compiledFixture();
    fc.assert(
      fc.property(fc.integer({ min: 8, max: 8000 }), fc.integer({ min: 0, max: 255 }), (at, value) => {
        if (at >= 32 && at < 64) return;
        const copy = new Uint8Array(bytes);
        copy[at] = value;
        const hash = createHash('sha256').update(copy.subarray(0, 32)).update(new Uint8Array(32));
        copy.set(hash.update(copy.subarray(64)).digest(), 32);
        try {
          decodeCompiledGraph(copy);
        } catch (error) {
          if (!(error instanceof MtiaError)) throw error;
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe('compiled graphs', () => {
  it('come back as they were', async () => {
    const model = await readModel(join(FIXTURES, 'wide-and-deep', 'model.pt2'));
    const graph = compileModel(model, { generation: 'v1', batch: 4, dtype: 'fp16' });
    const file = encodeCompiledGraph(graph);
    expect(isCompiledGraph(file)).toBe(true);
    expect(isCompiledGraph(await dlrm('model.onnx'))).toBe(false);
    const back = decodeCompiledGraph(file, { generation: 'v1' });
    expect({ ...back, image: [...back.image], weights: [...back.weights] }).toEqual({
      ...graph,
      image: [...graph.image],
      weights: [...graph.weights],
    });
    expect(encodeCompiledGraph(back)).toEqual(file);
  });

  it('for another chip or protocol are a FIRMWARE_MISMATCH', async () => {
    const bytes = await compiledFixture();
    expect(() => decodeCompiledGraph(bytes, { generation: 'v1' })).toThrow(
      expect.objectContaining({ code: 'FIRMWARE_MISMATCH' }),
    );
    const other = encodeCompiledGraph({ ...decodeCompiledGraph(bytes), protocolVersion: 99 });
    expect(() => decodeCompiledGraph(other)).toThrow(expect.objectContaining({ code: 'FIRMWARE_MISMATCH' }));
  });

  it('lie in sections of 64 bytes and in segments with aligned tensors', async () => {
    const graph = decodeCompiledGraph(await compiledFixture());
    for (const tensor of [...graph.inputs, ...graph.outputs]) expect(tensor.offset % 64).toBe(0);
    expect(graph.weights.byteOffset % 64).toBe(0);
    expect(graph.segments.workspace.memory).toBe('sram');
  });
});

describe('TensorProto', () => {
  it('is read as it was written', () => {
    for (const tensor of [float32('a', [2, 3], testValues(6)), int64('b', [], [-5]), float32('c', [0, 4], [])]) {
      const back = readTensorProto(writeTensorProto(tensor));
      expect({ ...back, data: [...back.data] }).toEqual({ ...tensor, data: [...tensor.data] });
    }
  });

  it('refuses data of the wrong size', () => {
    const short = writeTensorProto({ ...float32('a', [2, 3], testValues(6)), shape: [2, 4] });
    expect(() => readTensorProto(short)).toThrow(expect.objectContaining(invalid('"a"')));
    expect(() => readTensorProto(new Uint8Array([255, 255]))).toThrow(MtiaError);
  });
});

describe('external data', () => {
  const values = testValues(12, 3);

  function modelWith(location: string, length = '48'): Uint8Array {
    const externalData = [
      { key: 'location', value: location },
      { key: 'offset', value: '64' },
      { key: 'length', value: length },
    ];
    const tensor = (name: string, dims: readonly number[]) => ({
      name,
      type: { tensorType: { elemType: 1, shape: { dim: dims.map((dimValue) => ({ dimValue })) } } },
    });
    return encodeModelMessage({
      irVersion: 10,
      opsetImport: [{ domain: '', version: 20 }],
      graph: {
        name: 'external',
        node: [{ opType: 'MatMul', name: 'm', input: ['x', 'w'], output: ['y'] }],
        initializer: [{ name: 'w', dims: [4, 3], dataType: 1, dataLocation: 1, externalData }],
        input: [tensor('x', [2, 4])],
        output: [tensor('y', [2, 3])],
      },
    });
  }

  it('is read from beside the model, and only from there', async () => {
    const inner = join(scratch, 'model');
    await mkdir(inner, { recursive: true });
    const data = new Uint8Array(64 + 48);
    data.set(new Uint8Array(Float32Array.from(values).buffer), 64);
    await writeFile(join(inner, 'weights.bin'), data);
    await writeFile(join(scratch, 'secret.bin'), data);
    await symlink(join(scratch, 'secret.bin'), join(inner, 'link.bin'));
    const model = await parseModel(modelWith('weights.bin'), 'external', inner);
    expect(compileModel(model, { generation: '2i' }).jobs.map((job) => job.kernel)).toContain('FULLY_CONNECTED');
    const outside = ['../secret.bin', join(scratch, 'secret.bin'), 'a/../../secret.bin', '', '.', 'link.bin', 'x\0y'];
    for (const location of outside) {
      await expect(parseModel(modelWith(location), 'external', inner), location).rejects.toMatchObject(
        invalid('external_data location'),
      );
    }
    await expect(parseModel(modelWith('absent.bin'), 'external', inner)).rejects.toMatchObject(invalid('absent.bin'));
    await expect(parseModel(modelWith('weights.bin', '49'), 'external', inner)).rejects.toMatchObject(
      invalid('weights.bin'),
    );
  });
});

describe('zip archives', () => {
  /** One stored member, with 64-bit sizes if asked for, as writers of large archives make them. */
  function archive(content: Uint8Array, zip64: boolean, method = 0): Uint8Array {
    const name = Buffer.from('a/b');
    const local = Buffer.alloc(30);
    local.writeUInt32LE(0x04034b50, 0);
    local.writeUInt16LE(name.length, 26);
    local.writeUInt16LE(5, 28);
    const head = Buffer.concat([local, name, Buffer.from('ZZZZZ')]);
    const extra = Buffer.alloc(zip64 ? 28 : 0);
    const central = Buffer.alloc(46);
    central.writeUInt32LE(0x02014b50, 0);
    central.writeUInt16LE(method, 10);
    central.writeUInt16LE(name.length, 28);
    central.writeUInt16LE(extra.length, 30);
    for (const at of [20, 24]) central.writeUInt32LE(zip64 ? 0xffff_ffff : content.length, at);
    central.writeUInt32LE(zip64 ? 0xffff_ffff : 0, 42);
    if (zip64) {
      extra.writeUInt16LE(1, 0);
      extra.writeUInt16LE(24, 2);
      extra.writeBigUInt64LE(BigInt(content.length), 4);
      extra.writeBigUInt64LE(BigInt(content.length), 12);
    }
    const directory = Buffer.concat([central, name, extra]);
    const start = head.length + content.length;
    const end64 = Buffer.alloc(zip64 ? 76 : 0);
    if (zip64) {
      end64.writeUInt32LE(0x06064b50, 0);
      end64.writeBigUInt64LE(1n, 32);
      end64.writeBigUInt64LE(BigInt(directory.length), 40);
      end64.writeBigUInt64LE(BigInt(start), 48);
      end64.writeUInt32LE(0x07064b50, 56);
      end64.writeBigUInt64LE(BigInt(start + directory.length), 64);
    }
    const end = Buffer.alloc(22);
    end.writeUInt32LE(0x06054b50, 0);
    end.writeUInt16LE(zip64 ? 0xffff : 1, 10);
    end.writeUInt32LE(zip64 ? 0xffff_ffff : directory.length, 12);
    end.writeUInt32LE(zip64 ? 0xffff_ffff : start, 16);
    return Buffer.concat([head, content, directory, end64, end]);
  }

  const content = Uint8Array.from([1, 2, 3, 4]);

  it('give members as views, with sizes of 32 and of 64 bits', () => {
    for (const zip64 of [false, true]) {
      const bytes = archive(content, zip64);
      const member = readZip(bytes).get('a/b');
      expect([...(member ?? [])]).toEqual([1, 2, 3, 4]);
      expect(member?.buffer).toBe(bytes.buffer);
    }
  });

  it('that are compressed, cut off or lie about sizes are refused', () => {
    expect(() => readZip(archive(content, false, 8))).toThrow(expect.objectContaining(invalid('"a/b"')));
    for (const zip64 of [false, true]) {
      const bytes = archive(content, zip64);
      for (let length = 0; length < bytes.length; length++) {
        expect(() => readZip(bytes.subarray(0, length))).toThrow(MtiaError);
      }
    }
  });
});

describe('older exporters', () => {
  it('name initializers among the inputs and keep axes in attributes', async () => {
    const bytes = writeOnnxModel({
      name: 'old',
      opset: 9,
      inputs: [
        { name: 'x', type: 'float32', shape: ['n', 4] },
        { name: 'w', type: 'float32', shape: [3, 4] },
      ],
      outputs: [{ name: 'y', type: 'float32', shape: ['n', 1, 3] }],
      initializers: [float32('w', [3, 4], testValues(12))],
      nodes: [
        { operator: 'Gemm', inputs: ['x', 'w'], outputs: ['p'], attributes: { transB: 1 } },
        { operator: 'Unsqueeze', inputs: ['p'], outputs: ['y'], attributes: { axes: [1] } },
      ],
    });
    const model = await parseModel(bytes, 'old', FIXTURES);
    expect(model.inputs.map((input) => input.name)).toEqual(['x']);
    expect(compileModel(model, { generation: '2i', batch: 2 }).outputs[0]?.shape).toEqual([2, 1, 3]);
  });
});
