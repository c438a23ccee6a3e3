/**
 * Executors as a service uses them. What they promise to every request is in the conformance suite, category "compiled
 * execution"; here is what lies around it.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { compileModel, encodeCompiledGraph, parseModel, readModel, writeOnnxModel } from '../../src/compiler/index.js';
import { Random } from '../../src/conformance/random.js';
import { rankingInputs, rankingModel } from '../../src/conformance/small-models.js';
import {
  addDeviceProvider,
  CONTROL_CORE,
  type DebugCalls,
  openEmulator,
  openEmulatorWithDebug,
} from '../../src/driver/index.js';
import {
  createExecutor,
  Device,
  type Executor,
  type ExecutorOptions,
  type TensorData,
} from '../../src/streaming-api/index.js';
import { runChild } from './child-process.js';
import { openTestDevice } from './test-device.js';

const FILMS = fileURLToPath(new URL('../../examples/films-dlrm/model.pt2', import.meta.url));
const ONE_THREAD: ExecutorOptions = { threads: 1, peThreads: 1 };

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mtia-executor-'));
});
afterAll(() => rm(folder, { recursive: true }));

function slice(inputs: Readonly<Record<string, TensorData>>, rows: number, first: number, count: number) {
  const entries = Object.entries(inputs).map(([name, data]) => {
    const width = data.length / rows;
    return [name, data.slice(first * width, (first + count) * width)] as const;
  });
  return Object.fromEntries(entries);
}

describe('createExecutor', () => {
  it('serves a torch.export archive, row by row as a device does', async () => {
    await using executor = await createExecutor(FILMS, { ...ONE_THREAD, maxBatch: 16 });
    await using device = await openTestDevice();
    await using model = await device.loadModel(FILMS, { batch: 64 });
    const inputs = Object.fromEntries(
      model.inputs.map(({ name, type, shape }) => {
        const elements = shape.reduce((product, size) => product * size, 1);
        const ids = BigInt64Array.from({ length: elements }, (_, index) => BigInt(index % 5));
        return [name, type === 'int64' ? ids : Float32Array.from(ids, (id) => Number(id) / 7)] as const;
      }),
    );
    const [output = ''] = model.outputs.map(({ name }) => name);
    const expected = (await model.run(inputs)).outputs[output];
    const counts = [1, 2, 3, 5, 8, 13, 16, 16];
    let first = 0;
    const runs = counts.map((count) => {
      const run = executor.run(slice(inputs, 64, first, count));
      first += count;
      return run;
    });
    const rows = (await Promise.all(runs)).flatMap(({ outputs }) => Array.from(outputs[output] ?? [], Number));
    expect(rows).toEqual(Array.from(expected ?? [], Number));
    expect(executor.stats()).toMatchObject({ completed: counts.length, failed: 0, workers: 1 });
  });

  it('serves a compiled graph from its file', async () => {
    const path = join(folder, 'films.mtg');
    const graph = compileModel(await readModel(FILMS), { generation: '2i', batch: 2 });
    await writeFile(path, encodeCompiledGraph(graph));
    await using executor = await createExecutor(path, ONE_THREAD);
    expect(executor.maxBatch).toBe(1);
    expect(executor.inputs).toEqual(graph.inputs);
    await expect(createExecutor(path, { ...ONE_THREAD, maxBatch: 8 })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
    await expect(createExecutor(path, { ...ONE_THREAD, generation: 'v1' })).rejects.toMatchObject({
      code: 'FIRMWARE_MISMATCH',
    });
  });

  it.each<readonly [string, string, ExecutorOptions]>([
    ['no threads', FILMS, { threads: 0 }],
    ['half an instance', FILMS, { instances: 0.5 }],
    ['an empty batch', FILMS, { maxBatch: 0 }],
    ['a queue without room', FILMS, { queueLimit: 0 }],
    ['a negative delay', FILMS, { maxDelay: -1 }],
    ['a deadline that has passed', FILMS, { deadlineMs: 0 }],
  ])('refuses %s', async (_, model, options) => {
    await expect(createExecutor(model, options)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });

  it('says what is wrong with a model, and with its firmware', async () => {
    const missing = join(folder, 'missing.onnx');
    await expect(createExecutor(missing, ONE_THREAD)).rejects.toMatchObject({
      code: 'INVALID_MODEL',
      message: expect.stringContaining(missing),
    });
    await expect(createExecutor(FILMS, { ...ONE_THREAD, firmware: missing })).rejects.toMatchObject({
      code: 'INVALID_BUNDLE',
    });
  });
});

describe('a row of a batch', () => {
  // Layers of other widths are cut into other tiles, and other batches into other rectangles of the grid.
  it.each([8, 40, 130, 600, 1500])('has the same bits in batches of every size, with %d columns', async (layer) => {
    const random = new Random(layer, 'batches');
    const model = await parseModel(writeOnnxModel(rankingModel(random, layer)), 'ranking', folder);
    await using device = await openTestDevice();
    const inputs = rankingInputs(random, 256);
    for (const dtype of ['bf16', 'fp16', 'int8'] as const) {
      let longest: number[] = [];
      for (const batch of [256, 128, 100, 64, 33, 32, 16, 8, 5, 4, 2, 1]) {
        await using loaded = await device.loadModel(compileModel(model, { generation: '2i', batch, dtype }));
        const { outputs } = await loaded.run(slice(inputs, 256, 0, batch));
        const rows = Array.from(outputs.y ?? [], Number);
        if (longest.length === 0) longest = rows;
        expect(rows, `${dtype}, batch ${batch}`).toEqual(longest.slice(0, rows.length));
      }
    }
  });
});

describe('the event loop', () => {
  /** Longest time between two turns of a timer, and the time of the whole. */
  async function longestPause(work: () => Promise<unknown>): Promise<{ pauseMs: number; wholeMs: number }> {
    const start = performance.now();
    let last = start;
    let pauseMs = 0;
    const timer = setInterval(() => {
      const now = performance.now();
      pauseMs = Math.max(pauseMs, now - last);
      last = now;
    }, 1);
    await work();
    clearInterval(timer);
    const end = performance.now();
    return { pauseMs: Math.max(pauseMs, end - last), wholeMs: end - start };
  }

  it('goes on while a model is compiled', async ({ annotate }) => {
    const path = join(folder, 'wide.onnx');
    await writeFile(path, writeOnnxModel(rankingModel(new Random(1, 'wide'), 60_000)));
    await using device = await openTestDevice();
    const { pauseMs, wholeMs } = await longestPause(() => device.loadModel(path, { batch: 1 }));
    await annotate(`loadModel: ${wholeMs.toFixed(0)} ms, longest pause ${pauseMs.toFixed(1)} ms`);
    expect(pauseMs).toBeLessThan(wholeMs / 2);
  });
});

describe('the card of an executor', () => {
  /** A card that a test can take off the bus and put back. */
  async function cardOfMine(): Promise<{
    readonly device: Device;
    readonly eject: () => void;
    readonly insert: () => void;
  }> {
    const pci = openEmulator({ generation: '2i', threads: 1 });
    const command = (value: number) => () => pci.configWrite(PCI_COMMAND, 2, value);
    return { device: await Device.open({ pci }), eject: command(0), insert: command(PCI_MEMORY_AND_BUS_MASTER) };
  }
  const PCI_COMMAND = 4;
  const PROGRAM_COUNTER = 32;
  const PCI_MEMORY_AND_BUS_MASTER = 6;

  const request = (executor: Executor): Record<string, TensorData> =>
    Object.fromEntries(
      executor.inputs.map(({ name, type, shape }) => {
        const elements = shape.reduce((product, size) => product * size, 1);
        return [name, type === 'int64' ? new BigInt64Array(elements) : new Float32Array(elements)] as const;
      }),
    );
  const codes = (settled: readonly PromiseSettledResult<unknown>[]): readonly string[] =>
    settled.map((result) => (result.status === 'fulfilled' ? 'answered' : String(result.reason.code)));

  it("may be the caller's, who goes on using it", async () => {
    const { device } = await cardOfMine();
    await using model = await device.loadModel(FILMS, { batch: 1 });
    const executor = await createExecutor(FILMS, { device, threads: 2, maxBatch: 4 });
    const inputs = request(executor);
    const [alone, ...together] = await Promise.all([
      model.run(inputs),
      ...Array.from({ length: 20 }, () => executor.run(inputs)),
    ]);
    for (const { outputs } of together) expect(outputs).toEqual(alone.outputs);
    await executor.close();
    expect((await model.run(inputs)).outputs).toEqual(alone.outputs);
    await expect(createExecutor(FILMS, { device, peThreads: 1 })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    await device.close();
  });

  it('may be reset under load: what was under way is tried once more', async () => {
    const { device } = await cardOfMine();
    await using executor = await createExecutor(FILMS, { device, threads: 2, maxBatch: 2 });
    const inputs = request(executor);
    const expected = (await executor.run(inputs)).outputs;
    for (let reset = 0; reset < 2; reset++) {
      const runs = Array.from({ length: 60 }, () => executor.run(inputs));
      await runs[0];
      await device.reset('the test asks for it');
      for (const { outputs } of await Promise.all(runs)) expect(outputs).toEqual(expected);
    }
    expect(executor.stats()).toMatchObject({ failed: 0, workersLost: 0 });
    await executor.close();
    await device.close();
  });

  it('says that it is lost where nobody brings it back, to every request, and serves again when somebody does', async () => {
    const { device, eject, insert } = await cardOfMine();
    await using executor = await createExecutor(FILMS, { device, threads: 1, maxBatch: 2 });
    const inputs = request(executor);
    const expected = (await executor.run(inputs)).outputs;
    const runs = Array.from({ length: 40 }, () => executor.run(inputs));
    const settled = Promise.allSettled(runs);
    await runs[0];
    eject();
    const ends = codes(await settled);
    expect(new Set(ends)).toEqual(new Set(['answered', 'DEVICE_LOST']));
    await expect(executor.run(inputs)).rejects.toMatchObject({ code: 'DEVICE_LOST' });
    insert();
    await device.reset('it is in its slot again').catch(() => undefined);
    expect((await executor.run(inputs)).outputs).toEqual(expected);
    await executor.close();
    await device.close();
  });

  it('is reset by the executor where it is its own and its firmware has trapped', async () => {
    let debug: DebugCalls | undefined;
    const remove = addDeviceProvider(() => [
      {
        name: 'a card with a debug door',
        generation: '2i',
        open: (options) => {
          const card = openEmulatorWithDebug({ ...options, generation: '2i' });
          debug = card.debug;
          return card.pci;
        },
      },
    ]);
    vi.stubEnv('MTIA_EMULATED_DEVICES', '');
    const executor = await createExecutor(FILMS, { ...ONE_THREAD, maxBatch: 2 });
    vi.unstubAllEnvs();
    remove();
    const inputs = request(executor);
    const expected = (await executor.run(inputs)).outputs;
    const runs = Array.from({ length: 40 }, () => executor.run(inputs));
    await runs[0];
    debug?.halt();
    debug?.registerWrite(CONTROL_CORE, 0, PROGRAM_COUNTER, 0n);
    debug?.resume();
    for (const { outputs } of await Promise.all(runs)) expect(outputs).toEqual(expected);
    expect(executor.stats()).toMatchObject({ failed: 0, workersLost: 0, workers: 1 });
    await executor.close();
  });

  it('fails what waits when the caller closes it', async () => {
    const { device } = await cardOfMine();
    await using executor = await createExecutor(FILMS, { device, threads: 1, maxBatch: 1 });
    const inputs = request(executor);
    const runs = Array.from({ length: 40 }, () => executor.run(inputs));
    const settled = Promise.allSettled(runs);
    await runs[0];
    await device.close();
    expect(new Set(codes(await settled))).toEqual(new Set(['answered', 'DEVICE_CLOSED']));
  });
});

describe('a process with an executor', () => {
  const model = JSON.stringify(FILMS);
  const PRELUDE = `
    const executor = await createExecutor(${model}, { threads: 2, peThreads: 1, maxBatch: 4 });
    const inputs = () => Object.fromEntries(executor.inputs.map(({ name, type, shape }) => {
      const elements = shape.reduce((product, size) => product * size, 1);
      return [name, type === 'int64' ? new BigInt64Array(elements) : new Float32Array(elements)];
    }));
  `;
  const CLEAN = { signal: null, stderr: '' };
  const run = (script: string) => runChild(PRELUDE + script, { MTIA_FFI: 'koffi' });

  it('ends by itself while the executor is idle', async () => {
    expect(await run(`await executor.run(inputs()); console.log('done');`)).toMatchObject({
      ...CLEAN,
      code: 0,
      stdout: 'done\n',
    });
  });

  it('stays alive until what it waits for is answered', async () => {
    const script = `for (let i = 0; i < 20; i++) executor.run(inputs()).then(() => process.stdout.write('.'));`;
    expect(await run(script)).toMatchObject({ ...CLEAN, code: 0, stdout: '.'.repeat(20) });
  });

  it('ends after close', async () => {
    const script = `
      const runs = Array.from({ length: 50 }, () => executor.run(inputs()));
      await executor.close();
      console.log((await Promise.all(runs)).length);`;
    expect(await run(script)).toMatchObject({ ...CLEAN, code: 0, stdout: '50\n' });
  });

  it('ends through process.exit() with requests under way', async () => {
    const script = `
      const serve = async () => { for (;;) await executor.run(inputs()); };
      for (let i = 0; i < 8; i++) void serve();
      setTimeout(() => process.exit(7), 50);`;
    expect(await run(script)).toMatchObject({ ...CLEAN, code: 7 });
  });

  it('outlives worker threads that end before they were ready, and is closed in the middle of it', async () => {
    const script = `
      const running = setInterval(() => undefined, 1000);
      for (const pauseMs of [0, 20, 100]) {
        await executor.terminateWorker(0);
        await new Promise((resolve) => setTimeout(resolve, pauseMs));
        await executor.terminateWorker(0);
        while (executor.stats().workers < 2) await new Promise((resolve) => setTimeout(resolve, 10));
      }
      await executor.run(inputs());
      await executor.terminateWorker(0);
      await executor.terminateWorker(0);
      await executor.close();
      clearInterval(running);
      console.log('closed');`;
    expect(await run(script)).toMatchObject({ ...CLEAN, code: 0, stdout: 'closed\n' });
  });

  it('outlives its worker threads, all of them and again and again', async () => {
    const script = `
      let answered = 0;
      let stop = false;
      const serve = async () => { while (!stop) { await executor.run(inputs()); answered++; } };
      const serving = Array.from({ length: 8 }, serve);
      for (let round = 0; round < 3; round++) {
        while (executor.stats().workers < 2) await new Promise((resolve) => setTimeout(resolve, 10));
        const before = answered;
        while (answered === before) await new Promise((resolve) => setTimeout(resolve, 1));
        await executor.terminateWorker(round % 2);
      }
      stop = true;
      await Promise.all(serving);
      console.log(executor.stats().workersLost, executor.stats().failed);
      await executor.close();`;
    expect(await run(script)).toMatchObject({ ...CLEAN, code: 0, stdout: '3 0\n' });
  });
});
