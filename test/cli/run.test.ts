import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readTensorProto, writeTensorProto } from '../../src/compiler/index.js';
import { loadBundle } from '../../src/firmware-emu/index.js';
import { SMALL, smallInput, smallModel, smallOutput, writeModelFolder } from './model-folder.js';
import { inPackage, linesOf, mtia, notBuilt, skipReason, temporaryFolder } from './mtia.js';
import { compileSchema, runSchema } from './schemas.js';

const BUNDLE = inPackage('firmware/bundle/mtia.bundle');

describe.skipIf(notBuilt !== undefined)(`mtia run and mtia compile${skipReason}`, () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let model: string;
  let data: string;
  const path = (name: string): string => join(folder.path, name);

  beforeAll(async () => {
    folder = await temporaryFolder();
    await writeModelFolder(folder.path);
    model = path('model.onnx');
    data = path('test_data_set_0');
  });
  afterAll(() => folder.remove());

  async function runJson(...args: readonly string[]): Promise<ReturnType<typeof runSchema.parse>> {
    const { stdout, stderr } = await mtia(['run', ...args, '--json']);
    expect(stderr).toBe('');
    return runSchema.parse(JSON.parse(stdout));
  }

  it('prints a table of outputs and says that it made the inputs', async () => {
    const { code, stdout, stderr } = await mtia(['run', model]);
    expect(code).toBe(0);
    expect(stderr).toBe('');
    expect(stdout).toContain('seeded');
    expect(stdout).toMatch(/y\s+float32\s+\[1, 7\]/);
    expect(stdout).toMatch(/wall [\d.]+ ms, device [\d.]+ µs on MTIA 2i, \d+ jobs in/);
  });

  it('makes the same inputs from the same seed only', async () => {
    const [first, again, other] = await Promise.all([
      runJson(model, '--seed', '5'),
      runJson(model, '--seed', '5'),
      runJson(model, '--seed', '6'),
    ]);
    expect(again.digest).toBe(first.digest);
    expect(other.digest).not.toBe(first.digest);
  });

  it('refuses a folder for outputs where the file system takes none', async () => {
    const { code, stderr } = await mtia(['run', model, '--out', '/proc/no/folder']);
    expect(code).toBe(2);
    expect(stderr).toMatch(/^mtia: \/proc\/no\/folder: .*\n$/);
  });

  it('makes the folder of the outputs, and those above it', async () => {
    const out = path('some/where/else');
    expect(await mtia(['run', model, '--out', `${out}/`])).toMatchObject({ code: 0 });
    expect(await readdir(out)).toEqual(['output_0.pb']);
  });

  it('computes what the data set expects, and writes it', async () => {
    const out = path('out');
    const { outputs } = await runJson(model, '--data', data, '--out', out);
    expect(outputs[0]?.shape).toEqual([SMALL.batch, SMALL.n]);
    expect(await readdir(out)).toEqual(['output_0.pb']);
    const written = readTensorProto(await readFile(join(out, 'output_0.pb')));
    const actual = new Float32Array(Uint8Array.from(written.data).buffer);
    const expected = new Float32Array(Uint8Array.from(smallOutput().data).buffer);
    expect(written.shape).toEqual([SMALL.batch, SMALL.n]);
    for (const [index, value] of expected.entries()) expect(actual[index]).toBeCloseTo(value, 1);
  });

  it.each(['v1', '2i'])('gives the same digest for a model and for its compiled graph on %s', async (device) => {
    const compiled = path(`${device}.mtg`);
    const args = ['compile', model, '-o', compiled, '--device', device, '--batch', String(SMALL.batch), '--json'];
    const { bytes, jobs } = compileSchema.parse(JSON.parse((await mtia(args)).stdout));
    expect((await readFile(compiled)).byteLength).toBe(bytes);
    const [fromModel, fromGraph] = await Promise.all([
      runJson(model, '--data', data, '--device', device),
      runJson(compiled, '--data', data, '--device', device),
    ]);
    expect(fromGraph.digest).toBe(fromModel.digest);
    expect(fromGraph.jobs).toBe(jobs.length);
  });

  it('gives the same digest on any number of threads and on either matmul path', async () => {
    const runs = await Promise.all([
      runJson(model, '--data', data, '--threads', '1'),
      runJson(model, '--data', data, '--threads', '2'),
      runJson(model, '--data', data, '--matmul', 'portable'),
    ]);
    expect(new Set(runs.map((run) => run.digest)).size).toBe(1);
  });

  it('boots a bundle that is named', async () => {
    expect((await runJson(model, '--firmware', BUNDLE)).jobs).toBeGreaterThan(0);
  });

  interface Refusal {
    readonly what: string;
    readonly args: () => Promise<readonly string[]> | readonly string[];
    /** File and field. */
    readonly names: readonly (string | RegExp)[];
  }

  const damagedBundle = async (name: string, damage: (bytes: Uint8Array) => Uint8Array): Promise<string> => {
    await writeFile(path(name), damage(Uint8Array.from(await readFile(BUNDLE))));
    return path(name);
  };
  const dataWith = async (name: string, bytes: Uint8Array): Promise<string> => {
    await writeModelFolder(path(name));
    await writeFile(join(path(name), 'test_data_set_0', 'input_0.pb'), bytes);
    return join(path(name), 'test_data_set_0');
  };

  const REFUSALS: readonly Refusal[] = [
    {
      what: 'a model that does not exist',
      args: () => ['run', path('none.onnx')],
      names: ['none.onnx', 'no such file'],
    },
    { what: 'a folder in place of a model', args: () => ['run', folder.path], names: [/is a directory/] },
    {
      what: 'a truncated model',
      args: async () => {
        await writeFile(path('short.onnx'), smallModel().subarray(0, 600));
        return ['run', path('short.onnx')];
      },
      names: ['short.onnx'],
    },
    {
      what: 'a file that is no model',
      args: async () => {
        await writeFile(path('noise.pt2'), 'PK\u0003\u0004 and no more');
        return ['run', path('noise.pt2')];
      },
      names: ['noise.pt2'],
    },
    {
      what: 'an operator that nothing computes',
      args: async () => {
        await writeFile(path('hard.onnx'), smallModel('Erf'));
        return ['run', path('hard.onnx')];
      },
      names: ['hard.onnx', 'Erf'],
    },
    {
      what: 'a bundle that does not exist',
      args: () => ['run', model, '--firmware', path('none.bundle')],
      names: ['none.bundle'],
    },
    {
      what: 'a truncated bundle',
      args: async () => ['run', model, '--firmware', await damagedBundle('short.bundle', (b) => b.subarray(0, 5000))],
      names: ['short.bundle', /total_bytes|bytes/],
    },
    {
      what: 'a bundle with a wrong signature',
      args: async () => {
        const signature = loadBundle(BUNDLE).sections.find((section) => section.kind === 'SIGNATURE');
        const at = (signature?.offset ?? 0) + (signature?.bytes.byteLength ?? 1) - 1;
        const forged = await damagedBundle('forged.bundle', (b) => b.with(at, (b[at] ?? 0) ^ 1));
        return ['run', model, '--firmware', forged];
      },
      names: ['forged.bundle', /signature/i],
    },
    {
      what: 'more threads than the chip takes',
      args: () => ['run', model, '--threads', '100000'],
      names: ['--threads 100000'],
    },
    { what: 'a folder without inputs', args: () => ['run', model, '--data', folder.path], names: [/input_0\.pb/] },
    {
      what: 'an input of the wrong shape',
      args: async () => ['run', model, '--data', await dataWith('wide', writeTensorProto(smallInput([3, 41])))],
      names: ['input_0.pb', '"x"', '41'],
    },
    {
      what: 'an input of the wrong type',
      args: async () => {
        const integers = { ...smallInput(), type: 'int32' } as const;
        return ['run', model, '--data', await dataWith('integers', writeTensorProto(integers))];
      },
      names: ['input_0.pb', '"x"', 'int32'],
    },
    {
      what: 'a truncated input',
      args: async () => ['run', model, '--data', await dataWith('cut', writeTensorProto(smallInput()).subarray(0, 50))],
      names: ['input_0.pb'],
    },
    { what: 'an output folder that is a file', args: () => ['run', model, '--out', model], names: ['model.onnx'] },
    {
      what: 'a place to compile to that does not exist',
      args: () => ['compile', model, '-o', path('no/x.mtg')],
      names: ['no/x.mtg'],
    },
  ];

  it.each(REFUSALS)('refuses $what: one sentence, exit code 2, nothing left behind', async ({ args, names }) => {
    const words = await args();
    const before = await readdir(folder.path, { recursive: true });
    const { code, stdout, stderr } = await mtia(words);
    expect(linesOf(stderr)).toHaveLength(1);
    for (const name of names) expect(stderr).toMatch(name);
    expect(stdout).toBe('');
    expect(code).toBe(2);
    expect(await readdir(folder.path, { recursive: true })).toEqual(before);
  });

  it('says how to compile for data that a compiled graph does not take', async () => {
    const compiled = path('one-row.mtg');
    await mtia(['compile', model, '-o', compiled]);
    const { code, stderr } = await mtia(['run', compiled, '--data', data]);
    expect(code).toBe(2);
    expect(stderr).toMatch(/input_0\.pb: is float32 \[3, 40\], but input "x" .* \[1, 40\]; .*\(--batch\)/);
  });

  it('refuses a compiled graph for another generation', async () => {
    const compiled = path('other.mtg');
    await mtia(['compile', model, '-o', compiled, '--device', 'v1']);
    const { code, stderr } = await mtia(['run', compiled, '--device', '2i']);
    expect(code).toBe(2);
    expect(linesOf(stderr)).toHaveLength(1);
    expect(stderr).toContain('--device v1');
  });
});
