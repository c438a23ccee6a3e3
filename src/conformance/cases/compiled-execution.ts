/** Compiled graphs: on one device, and across the worker threads of an executor. */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { compileModel, parseModel, writeOnnxModel } from '../../compiler/index.js';
import {
  type CompiledGraph,
  type CompiledModel,
  createExecutor,
  type Executor,
  type ExecutorOptions,
  type ExecutorResult,
  type TensorData,
} from '../../streaming-api/index.js';
import { category, conformanceCase, unsupported } from '../case.js';
import { rejectsWith, settlesWithin } from '../expectations.js';
import type { Fixture } from '../fixture.js';
import { kernelGraph, mixingModel, rankingInputs, rankingModel, writeModelFile } from '../small-models.js';

type Inputs = ReturnType<typeof rankingInputs>;

const MAX_BATCH = 8;
/** For work that has to end by itself: far above what it takes. */
const SOON_MS = 8000;

/** A ranking model in a file of its own, and the requests of a case. */
async function ranking(fixture: Fixture): Promise<{ path: string; request: (rows?: number) => Inputs }> {
  const { path, remove } = await writeModelFile(rankingModel(fixture.random));
  fixture.after(remove);
  return { path, request: (rows) => rankingInputs(fixture.random, rows) };
}

async function executorOf(
  fixture: Fixture,
  model: string | CompiledGraph,
  options: ExecutorOptions = {},
): Promise<Executor> {
  const { generation } = fixture.backend;
  const common = { generation, firmware: fixture.firmware, threads: 1, peThreads: 1 };
  const executor = await createExecutor(model, { ...common, ...options });
  fixture.after(() => executor.close());
  return executor;
}

/** The model on one device, for batches of one row. */
async function aloneOn(fixture: Fixture, path: string): Promise<CompiledModel> {
  const device = await fixture.device();
  return device.loadModel(path, { batch: 1 });
}

/** A graph that ends only by its deadline: it keeps the one instance of its executor for as long as a case wants. */
async function endlessExecutor(fixture: Fixture, options: ExecutorOptions = {}): Promise<Executor> {
  const id = fixture.firmware.kernels.get('ENDLESS') ?? unsupported('the bundle has no kernel ENDLESS');
  const graph = kernelGraph({ name: 'ENDLESS', id }, fixture.backend.generation);
  return executorOf(fixture, graph, { instances: 1, ...options });
}

const endlessInputs = { x: new Float32Array(4) };

const yOf = ({ outputs }: Pick<ExecutorResult, 'outputs'>): TensorData => outputs.y ?? new Float32Array();

/** The rows of several requests as a model for one row gives them. */
async function eachAlone(model: CompiledModel, inputs: Inputs, rows: number): Promise<number[]> {
  const values: number[] = [];
  for (let row = 0; row < rows; row++) {
    const part = (data: TensorData): TensorData => {
      const width = data.length / rows;
      return data.slice(row * width, (row + 1) * width);
    };
    values.push(...Array.from(yOf(await model.run({ x: part(inputs.x), ids: part(inputs.ids) })), Number));
  }
  return values;
}

const numbers = (data: TensorData): number[] => Array.from(data, Number);

const bits = [
  conformanceCase('gives the same bits and device time at any number of host threads', 'EXE-1', {}, async (fixture) => {
    const { path, request } = await ranking(fixture);
    const inputs = request(5);
    const results: unknown[] = [];
    for (const threads of [1, 2, 3]) {
      const device = await fixture.device({ threads });
      const model = await device.loadModel(path, { batch: 5 });
      const { outputs, deviceUs } = await model.run(inputs);
      results.push({ outputs, deviceUs });
    }
    assert.deepEqual(results[1], results[0]);
    assert.deepEqual(results[2], results[0]);
  }),

  conformanceCase(
    'gives the same bits beside other work on the device',
    'EXE-1',
    { requires: ['queues'] },
    async (fixture) => {
      const { path, request } = await ranking(fixture);
      const device = await fixture.device();
      const model = await device.loadModel(path, { batch: 2 });
      const inputs = request(2);
      const quiet = await model.run(inputs);
      const stream = await device.createStream();
      const other = await device.allocate(1 << 20);
      const noise = Array.from({ length: 30 }, () => stream.fill(other, 0xa5));
      const busy = await Promise.all(Array.from({ length: 10 }, () => model.run(inputs)));
      await Promise.all(noise);
      for (const { outputs } of busy) assert.deepEqual(outputs, quiet.outputs);
    },
  ),

  ...([1, 3] as const).map((instances) =>
    conformanceCase(
      `gives the same bits with ${instances} batches in flight on each of two threads`,
      'EXE-1',
      { requires: ['executor'] },
      async (fixture) => {
        const { path, request } = await ranking(fixture);
        const model = await aloneOn(fixture, path);
        const executor = await executorOf(fixture, path, { threads: 2, instances, maxBatch: 4 });
        const requests = Array.from({ length: 24 }, () => request());
        const results = await Promise.all(requests.map((inputs) => executor.run(inputs)));
        for (const [index, inputs] of requests.entries()) {
          const result = results[index];
          assert.ok(result);
          assert.deepEqual(numbers(yOf(result)), await eachAlone(model, inputs, 1), `request ${index}`);
        }
      },
    ),
  ),
];

const shapes = [
  conformanceCase('refuses inputs of another shape, type or name on a device', 'EXE-2', {}, async (fixture) => {
    const { path, request } = await ranking(fixture);
    const model = await aloneOn(fixture, path);
    const inputs = request();
    const wrong: Record<string, TensorData>[] = [
      { x: inputs.x },
      { ...inputs, z: inputs.x },
      { ...inputs, ids: new Int32Array(3) },
      { ...inputs, x: inputs.x.slice(1) },
    ];
    for (const given of wrong) await rejectsWith('SHAPE_MISMATCH', model.run(given));
    assert.equal(yOf(await model.run(inputs)).length, 10);
  }),

  conformanceCase(
    'refuses a request that does not fit, and names the input, what it takes and what came',
    'EXE-2',
    { requires: ['executor'] },
    async (fixture) => {
      const { path, request } = await ranking(fixture);
      const executor = await executorOf(fixture, path, { maxBatch: 2 });
      const inputs = request();
      const wrong: readonly (readonly [RegExp, Record<string, TensorData>])[] = [
        [/input "ids" is missing; pass int64 \[1, 3\]/, { x: inputs.x }],
        [/no input "z"/, { ...inputs, z: inputs.x }],
        [/input "ids" takes BigInt64Array for int64, got Int32Array/, { ...inputs, ids: new Int32Array(3) }],
        [/input "x" has 23 elements; float32 \[1, 24\] takes 24/, { ...inputs, x: inputs.x.slice(1) }],
        [/input "ids" has 3 elements; int64 \[2, 3\] takes 6/, { ...inputs, x: request(2).x }],
        [/3 rows.*takes 2/, request(3)],
      ];
      for (const [message, given] of wrong) {
        const error = await rejectsWith('SHAPE_MISMATCH', executor.run(given));
        assert.match(error.message, message);
      }
      assert.equal(executor.stats().batches, 0);
    },
  ),
];

const batching = [
  conformanceCase('answers every request once, with the bits of running alone', 'EXE-3', {}, async (fixture) => {
    const { path, request } = await ranking(fixture);
    const model = await aloneOn(fixture, path);
    const executor = await executorOf(fixture, path, { maxBatch: MAX_BATCH });
    const sizes = Array.from({ length: 60 }, () => fixture.random.integer(1, 5));
    const requests = sizes.map((rows) => request(rows));
    let answers = 0;
    const results = await Promise.all(requests.map((inputs) => executor.run(inputs).finally(() => answers++)));
    assert.equal(answers, requests.length);
    for (const [index, inputs] of requests.entries()) {
      const result = results[index];
      assert.ok(result);
      assert.deepEqual(numbers(yOf(result)), await eachAlone(model, inputs, sizes[index] ?? 1), `request ${index}`);
    }
    const { batches, completed } = executor.stats();
    assert.equal(completed, requests.length);
    assert.ok(batches < requests.length, `${batches} batches for ${requests.length} requests`);
  }),

  ...(['bf16', 'fp16', 'int8'] as const).map((dtype) =>
    conformanceCase(`gives a row the same bits in batches of every size, in ${dtype}`, 'EXE-3', {}, async (fixture) => {
      const { path, request } = await ranking(fixture);
      const executor = await executorOf(fixture, path, { maxBatch: MAX_BATCH, dtype });
      const inputs = request(MAX_BATCH);
      const part = (data: TensorData, rows: number): TensorData => data.slice(0, (data.length / MAX_BATCH) * rows);
      const whole = numbers(yOf(await executor.run(inputs)));
      for (let rows = 1; rows < MAX_BATCH; rows++) {
        const result = await executor.run({ x: part(inputs.x, rows), ids: part(inputs.ids, rows) });
        assert.deepEqual(numbers(yOf(result)), whole.slice(0, (whole.length / MAX_BATCH) * rows), `${rows} rows`);
      }
    }),
  ),

  conformanceCase('gathers what comes together up to the largest batch', 'EXE-3', {}, async (fixture) => {
    const { path, request } = await ranking(fixture);
    const executor = await executorOf(fixture, path, { maxBatch: 4 });
    const results = await Promise.all(Array.from({ length: 8 }, () => executor.run(request())));
    assert.deepEqual(
      results.map(({ batchRows }) => batchRows),
      Array(8).fill(4),
    );
    assert.equal(executor.stats().meanBatchRows, 4);
  }),

  conformanceCase('lets a request wait for company as long as it was told', 'EXE-3', {}, async (fixture) => {
    const { path, request } = await ranking(fixture);
    const executor = await executorOf(fixture, path, { maxBatch: 2, maxDelay: 2000 });
    const first = executor.run(request());
    await sleep(20);
    assert.equal(executor.stats().batches, 0);
    const [{ batchRows, wallMs }] = await Promise.all([first, executor.run(request())]);
    assert.equal(batchRows, 2);
    assert.ok(wallMs < 1900, `a full batch does not wait any longer: ${wallMs} ms`);
    const lonely = await executor.run(request());
    assert.equal(lonely.batchRows, 1);
    assert.ok(lonely.wallMs >= 1999, `${lonely.wallMs} ms`);
  }),

  conformanceCase('copies inputs at the call', 'EXE-3', {}, async (fixture) => {
    const { path, request } = await ranking(fixture);
    const model = await aloneOn(fixture, path);
    const executor = await executorOf(fixture, path, { maxBatch: 2 });
    const inputs = request();
    const expected = await eachAlone(model, inputs, 1);
    const result = executor.run(inputs);
    (inputs.x as Float32Array).fill(9);
    assert.deepEqual(numbers(yOf(await result)), expected);
  }),

  conformanceCase('refuses to batch a model whose rows depend on each other', 'EXE-3', {}, async (fixture) => {
    const { path, remove } = await writeModelFile(mixingModel());
    fixture.after(remove);
    await rejectsWith('INVALID_MODEL', executorOf(fixture, path, { maxBatch: 4 }));
    const alone = await executorOf(fixture, path, { maxBatch: 1 });
    const x = Float32Array.from({ length: 8 }, (_, index) => index);
    assert.deepEqual(numbers(yOf(await alone.run({ x }))), [...x, ...x]);
  }),

  conformanceCase('takes a compiled graph as it is, one request at a time', 'EXE-3', {}, async (fixture) => {
    const bytes = writeOnnxModel(rankingModel(fixture.random));
    const { generation } = fixture.backend;
    const graph = compileModel(await parseModel(bytes, 'ranking', '.'), { generation, batch: 3 });
    await rejectsWith('INVALID_ARGUMENT', executorOf(fixture, graph, { maxBatch: 4 }));
    const executor = await executorOf(fixture, graph);
    const device = await fixture.device();
    const model = await device.loadModel(graph);
    const requests = Array.from({ length: 6 }, () => rankingInputs(fixture.random, 3));
    const results = await Promise.all(requests.map((inputs) => executor.run(inputs)));
    for (const [index, inputs] of requests.entries()) {
      assert.deepEqual(results[index]?.outputs, (await model.run(inputs)).outputs);
    }
  }),
];

const cancellation = [
  conformanceCase('cancels requests by their signal, wherever they are', 'EXE-4', {}, async (fixture) => {
    const executor = await endlessExecutor(fixture);
    await rejectsWith('ABORTED', executor.run(endlessInputs, { signal: AbortSignal.abort() }));
    const [running, waiting] = [new AbortController(), new AbortController()];
    const first = executor.run(endlessInputs, { signal: running.signal, deadlineMs: 300 });
    const second = executor.run(endlessInputs, { signal: waiting.signal });
    first.catch(() => undefined);
    await sleep(50);
    assert.deepEqual([executor.stats().running, executor.stats().queued], [1, 1]);
    waiting.abort();
    await rejectsWith('ABORTED', second);
    assert.equal(executor.stats().queued, 0);
    running.abort();
    await rejectsWith('ABORTED', first);
    await settlesWithin(SOON_MS, 'drain()', executor.drain());
  }),

  conformanceCase('gives the device back when everyone in a batch has cancelled', 'EXE-4', {}, async (fixture) => {
    const executor = await endlessExecutor(fixture);
    const controller = new AbortController();
    const endless = executor.run(endlessInputs, { signal: controller.signal });
    endless.catch(() => undefined);
    while (executor.stats().running === 0) await sleep(5);
    await sleep(20);
    controller.abort();
    await rejectsWith('ABORTED', endless);
    // Begins only when the graph without end has ended, long before the deadline that executors give to every run.
    const start = performance.now();
    await rejectsWith('DEADLINE_EXCEEDED', executor.run(endlessInputs, { deadlineMs: 100 }));
    await settlesWithin(SOON_MS, 'close()', executor.close());
    assert.ok(performance.now() - start < SOON_MS);
  }),

  conformanceCase('cancels one request of a batch and answers the others', 'EXE-4', {}, async (fixture) => {
    const { path, request } = await ranking(fixture);
    const executor = await executorOf(fixture, path, { maxBatch: 4, maxDelay: 30 });
    const controller = new AbortController();
    const requests = [0, 1, 2].map((index) =>
      executor.run(request(), index === 1 ? { signal: controller.signal } : {}),
    );
    controller.abort();
    const settled = await Promise.allSettled(requests);
    assert.deepEqual(
      settled.map(({ status }) => status),
      ['fulfilled', 'rejected', 'fulfilled'],
    );
    assert.equal(executor.stats().failed, 1);
  }),

  conformanceCase(
    'ends what is late, waiting or running, and serves the next request',
    'EXE-4',
    {},
    async (fixture) => {
      const executor = await endlessExecutor(fixture);
      const running = executor.run(endlessInputs, { deadlineMs: 150 });
      const waiting = executor.run(endlessInputs, { deadlineMs: 40 });
      await Promise.all([rejectsWith('DEADLINE_EXCEEDED', waiting), rejectsWith('DEADLINE_EXCEEDED', running)]);
      const next = executor.run(endlessInputs, { deadlineMs: 100 });
      await rejectsWith('DEADLINE_EXCEEDED', next);
      await settlesWithin(SOON_MS, 'drain()', executor.drain());
      assert.equal(executor.stats().workersLost, 0);
    },
  ),

  conformanceCase('fails a bad request of a batch, and only that one', 'EXE-4', {}, async (fixture) => {
    const { path, request } = await ranking(fixture);
    const executor = await executorOf(fixture, path, { maxBatch: 8 });
    const bad = request();
    (bad.ids as BigInt64Array).fill(1_000_000n);
    const requests = Array.from({ length: 6 }, (_, index) => (index === 3 ? bad : request()));
    const settled = await Promise.allSettled(requests.map((inputs) => executor.run(inputs)));
    for (const [index, result] of settled.entries()) {
      assert.equal(result.status, index === 3 ? 'rejected' : 'fulfilled', `request ${index}`);
    }
    await rejectsWith('INDEX_OUT_OF_RANGE', executor.run(bad));
  }),

  conformanceCase('runs requests of a higher priority first', 'EXE-4', {}, async (fixture) => {
    const { path, request } = await ranking(fixture);
    const executor = await executorOf(fixture, path, { maxBatch: 1, instances: 1 });
    const order: number[] = [];
    const priorities = [0, 1, 0, 2, 1];
    await Promise.all(
      priorities.map((priority, index) => executor.run(request(), { priority }).then(() => order.push(index))),
    );
    assert.deepEqual(order, [3, 1, 4, 0, 2]);
  }),
];

const pressure = [
  conformanceCase('refuses by name what its queue has no room for', 'EXE-5', {}, async (fixture) => {
    const executor = await endlessExecutor(fixture, { queueLimit: 2, deadlineMs: 300 });
    const first = executor.run(endlessInputs);
    first.catch(() => undefined);
    await sleep(50);
    const accepted = [executor.run(endlessInputs), executor.run(endlessInputs)];
    for (const request of accepted) request.catch(() => undefined);
    await rejectsWith('EXECUTOR_FULL', executor.run(endlessInputs));
    await rejectsWith('DEADLINE_EXCEEDED', first);
    for (const request of accepted) await rejectsWith('DEADLINE_EXCEEDED', request);
  }),

  conformanceCase('holds callers back until its queue has room, in their order', 'EXE-5', {}, async (fixture) => {
    const { path, request } = await ranking(fixture);
    const options = { maxBatch: 1, instances: 1, queueLimit: 2, whenFull: 'wait' } as const;
    const executor = await executorOf(fixture, path, options);
    const order: number[] = [];
    const runs = Array.from({ length: 20 }, (_, index) => executor.run(request()).then(() => order.push(index)));
    assert.deepEqual([executor.stats().queued, executor.stats().heldBack], [2, 18]);
    await Promise.all(runs);
    assert.deepEqual(
      order,
      Array.from({ length: 20 }, (_, index) => index),
    );
  }),

  conformanceCase('answers on drain everything that it accepted, and takes no more', 'EXE-5', {}, async (fixture) => {
    const { path, request } = await ranking(fixture);
    const executor = await executorOf(fixture, path, { maxBatch: 2, maxDelay: 60_000 });
    const runs = Array.from({ length: 31 }, () => executor.run(request()));
    const drained = executor.drain();
    await rejectsWith('DEVICE_CLOSED', executor.run(request()));
    await drained;
    assert.equal(executor.stats().completed, 31);
    assert.equal((await Promise.all(runs)).length, 31);
  }),

  conformanceCase('closes once, after everything is answered', 'EXE-5', {}, async (fixture) => {
    const { path, request } = await ranking(fixture);
    const executor = await executorOf(fixture, path, { maxBatch: 4 });
    const runs = Array.from({ length: 9 }, () => executor.run(request()));
    await Promise.all([executor.close(), executor.close()]);
    assert.equal((await Promise.all(runs)).length, 9);
    await rejectsWith('DEVICE_CLOSED', executor.run(request()));
    await executor.close();
  }),
];

const crashes = [
  conformanceCase('replaces a worker thread that ended while it was idle', 'EXE-6', {}, async (fixture) => {
    const { path, request } = await ranking(fixture);
    const executor = await executorOf(fixture, path, { maxBatch: 2 });
    const inputs = request();
    const before = await executor.run(inputs);
    await executor.terminateWorker(0);
    assert.deepEqual((await executor.run(inputs)).outputs, before.outputs);
    assert.equal(executor.stats().workersLost, 1);
  }),

  conformanceCase('answers every request although a worker thread ends under load', 'EXE-6', {}, async (fixture) => {
    const { path, request } = await ranking(fixture);
    const executor = await executorOf(fixture, path, { threads: 2, maxBatch: 2 });
    const requests = Array.from({ length: 60 }, () => request());
    const expected = await Promise.all(requests.map((inputs) => executor.run(inputs)));
    const runs = Promise.all(requests.map((inputs) => executor.run(inputs)));
    await sleep(1);
    await executor.terminateWorker(0);
    for (const [index, { outputs }] of (await runs).entries()) assert.deepEqual(outputs, expected[index]?.outputs);
    assert.equal(executor.stats().workersLost, 1);
  }),

  conformanceCase('fails by name a request that two worker threads ended with', 'EXE-6', {}, async (fixture) => {
    const executor = await endlessExecutor(fixture);
    const request = executor.run(endlessInputs);
    request.catch(() => undefined);
    const untilRunning = async (lost: number): Promise<void> => {
      while (executor.stats().running === 0 || executor.stats().workersLost < lost || executor.stats().workers === 0) {
        await sleep(5);
      }
      await sleep(20);
    };
    for (const lost of [0, 1]) {
      await untilRunning(lost);
      await executor.terminateWorker(0);
    }
    await rejectsWith('WORKER_LOST', request);
    await rejectsWith('DEADLINE_EXCEEDED', executor.run(endlessInputs, { deadlineMs: 100 }));
  }),
];

export const compiledExecutionCases = [
  ...category('compiled execution', { requires: ['kernels'] }, [...bits, ...shapes]),
  ...category('compiled execution', { requires: ['kernels', 'executor'], deadlineMs: 30_000 }, [
    ...batching,
    ...cancellation,
    ...pressure,
    ...crashes,
  ]),
];
