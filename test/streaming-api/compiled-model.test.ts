import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { CompiledModel, Device } from '../../src/streaming-api/index.js';
import { openTestDevice } from './test-device.js';
import { copyGraph, endlessGraph, inputsOf, WEIGHTS } from './test-graph.js';

let device: Device;
let model: CompiledModel;

beforeAll(async () => {
  device = await openTestDevice();
  model = await device.loadModel(copyGraph());
});
afterAll(() => device.close());

describe('CompiledModel.run', () => {
  it('computes outputs of every type from inputs and weights', async () => {
    const inputs = inputsOf(1);
    const result = await model.run(inputs);
    expect(result.outputs).toEqual({ copy: inputs.x, constant: WEIGHTS, bits: inputs.half });
    expect(result.jobs).toBe(3);
    expect(result.graphUs).toBeGreaterThan(0);
    expect(result.deviceUs).toBeGreaterThan(result.graphUs);
    expect(result.wallMs).toBeGreaterThan(0);
  });

  it('keeps many runs in flight apart, on one stream and on several', async () => {
    await using second = await device.createStream();
    await using third = await device.createStream();
    const streams = [device.defaultStream, second, third];
    const runs = Array.from({ length: 60 }, (_, run) => {
      const stream = streams[run % 3];
      return model.run(inputsOf(run), stream === undefined ? {} : { stream });
    });
    for (const [run, { outputs }] of (await Promise.all(runs)).entries()) {
      expect(outputs.copy).toEqual(inputsOf(run).x);
      expect(outputs.bits).toEqual(inputsOf(run).half);
    }
  });

  it('gives its memory back though the stream closes right behind it', async () => {
    const before = device.memoryStats();
    const short = await device.loadModel(copyGraph());
    for (let times = 0; times < 5; times++) {
      const stream = await device.createStream();
      const run = short.run(inputsOf(times), { stream });
      if (times > 0) await stream.close();
      expect((await run).outputs.copy).toEqual(inputsOf(times).x);
      await stream.close();
    }
    await short.close();
    expect(device.memoryStats().dram.num_allocs).toBe(before.dram.num_allocs);
  });

  it('copies inputs at the call, and gives outputs that stay', async () => {
    const given = Array.from({ length: 10 }, (_, run) => inputsOf(run));
    const running = given.map((inputs) => model.run(inputs));
    for (const inputs of given) inputs.x.fill(-1);
    const results = await Promise.all(running);
    await model.run(inputsOf(50));
    for (const [run, { outputs }] of results.entries()) expect(outputs.copy).toEqual(inputsOf(run).x);
  });

  it('writes outputs into the arrays that it is given, and the others into new ones', async () => {
    const copy = new Float32Array(20).fill(-1);
    const given = copy.subarray(2, 18);
    for (const run of [7, 8]) {
      const { outputs } = await model.run(inputsOf(run), { outputs: { copy: given } });
      expect(outputs.copy).toBe(given);
      expect(outputs).toEqual({ copy: inputsOf(run).x, constant: WEIGHTS, bits: inputsOf(run).half });
    }
    expect([...copy.subarray(0, 2), ...copy.subarray(18)]).toEqual([-1, -1, -1, -1]);
  });

  it.each([
    ['an unknown output', { y: new Float32Array(16) }, /no output "y"; its outputs are copy, constant, bits/],
    [
      'a wrong type of output',
      { copy: new Int32Array(16) },
      /output "copy" takes Float32Array for float32, got Int32Array/,
    ],
    ['a wrong size of output', { copy: new Float32Array(4) }, /output "copy" has 4 elements; float32 \[16\] takes 16/],
  ])('refuses %s, naming it', async (_, outputs, message) => {
    await expect(model.run(inputsOf(0), { outputs })).rejects.toMatchObject({
      code: 'SHAPE_MISMATCH',
      message: expect.stringMatching(message),
    });
  });

  it('takes no more bindings than it was told to', async () => {
    const before = device.memoryStats().sram.allocated_bytes;
    await using narrow = await device.loadModel(copyGraph(), { concurrency: 2 });
    await Promise.all(Array.from({ length: 10 }, (_, run) => narrow.run(inputsOf(run))));
    expect(device.memoryStats().sram.allocated_bytes).toBe(before + 2 * (4096 + 192));
  });

  it.each([
    ['a missing input', { x: new Float32Array(16) }, /input "half" is missing; pass bfloat16 \[16\]/],
    ['an unknown input', { ...inputsOf(0), y: new Float32Array(1) }, /no input "y"; its inputs are x, half/],
    [
      'a wrong type',
      { ...inputsOf(0), x: new Int32Array(16) },
      /input "x" takes Float32Array for float32, got Int32Array/,
    ],
    ['a wrong size', { ...inputsOf(0), x: new Float32Array(15) }, /input "x" has 15 elements; float32 \[16\] takes 16/],
    [
      'a plain array',
      { ...inputsOf(0), x: [1, 2] as unknown as Float32Array },
      /input "x" takes Float32Array for float32, got Array/,
    ],
  ])('refuses %s, naming it', async (_, inputs, message) => {
    await expect(model.run(inputs)).rejects.toMatchObject({
      code: 'SHAPE_MISMATCH',
      message: expect.stringMatching(message),
    });
  });

  it('ends a graph that takes too long at its deadline, and serves the next request', async () => {
    await using endless = await device.loadModel(endlessGraph());
    const late = endless.run(inputsOf(0), { deadlineMs: 50 });
    const next = model.run(inputsOf(2));
    await expect(late).rejects.toMatchObject({
      code: 'KERNEL_TIMEOUT',
      place: { command: 'GRAPH_LAUNCH', jobIndex: 0 },
    });
    expect((await next).outputs.copy).toEqual(inputsOf(2).x);
    await expect(device.synchronize()).rejects.toMatchObject({ code: 'KERNEL_TIMEOUT' });
    await expect(device.synchronize()).resolves.toBeUndefined();
  });

  it('gives outputs of a size that no input touches', async () => {
    await using constant = await device.loadModel(copyGraph({ inputs: [] }));
    expect((await constant.run({})).outputs.constant).toEqual(WEIGHTS);
  });
});

describe('AbortSignal', () => {
  it('has the device end what it has begun, and nothing else', async () => {
    await using endless = await device.loadModel(endlessGraph());
    const controller = new AbortController();
    const running = endless.run(inputsOf(0), { signal: controller.signal });
    const next = model.run(inputsOf(3));
    setTimeout(() => controller.abort(), 20);
    await expect(running).rejects.toMatchObject({ code: 'ABORTED' });
    // Behind it in the same stream: without an abort on the device it would never begin.
    expect((await next).outputs.copy).toEqual(inputsOf(3).x);
    await device.synchronize().catch(() => undefined);
  });

  it('rejects a run before it begins, while it waits and while it runs', async () => {
    await using endless = await device.loadModel(endlessGraph(), { concurrency: 1 });
    await expect(endless.run(inputsOf(0), { signal: AbortSignal.abort('no') })).rejects.toMatchObject({
      code: 'ABORTED',
      cause: 'no',
    });
    const controller = new AbortController();
    const { signal } = controller;
    const running = endless.run(inputsOf(0), { signal, deadlineMs: 100 });
    const waiting = endless.run(inputsOf(0), { signal });
    const outcome = Promise.allSettled([running, waiting]);
    setTimeout(() => controller.abort(), 20);
    for (const result of await outcome) expect(result).toMatchObject({ reason: { code: 'ABORTED' } });
    // The binding is still taken; it comes back when the device has ended the run.
    await expect(endless.run(inputsOf(0), { deadlineMs: 20 })).rejects.toMatchObject({ code: 'KERNEL_TIMEOUT' });
    await expect(device.synchronize()).rejects.toMatchObject({ code: 'ABORTED' });
  });

  it('leaves other runs and the pool alone', async () => {
    const controller = new AbortController();
    const runs = Array.from({ length: 40 }, (_, run) =>
      model.run(inputsOf(run), run % 2 === 0 ? { signal: controller.signal } : {}),
    );
    const outcome = Promise.allSettled(runs);
    controller.abort();
    for (const [run, result] of (await outcome).entries()) {
      if (run % 2 === 0) expect(result).toMatchObject({ status: 'rejected', reason: { code: 'ABORTED' } });
      else expect(result).toMatchObject({ status: 'fulfilled', value: { outputs: { copy: inputsOf(run).x } } });
    }
    expect((await model.run(inputsOf(7))).outputs.copy).toEqual(inputsOf(7).x);
    await device.synchronize().catch((error) => expect(error).toMatchObject({ code: 'ABORTED' }));
  });

  it('does nothing after the result', async () => {
    const controller = new AbortController();
    await model.run(inputsOf(1), { signal: controller.signal });
    controller.abort();
  });
});

describe('CompiledModel', () => {
  it('says what it takes, gives and does', () => {
    expect(model.name).toBe('copies');
    expect(model.inputs.map(({ name, type, shape }) => [name, type, shape])).toEqual([
      ['x', 'float32', [16]],
      ['half', 'bfloat16', [16]],
    ]);
    expect(model.outputs.map(({ name }) => name)).toEqual(['copy', 'constant', 'bits']);
    expect(model.jobs).toHaveLength(3);
    expect(model.weightsBytes).toBe(64);
  });

  it.each([
    ['another chip', { generation: 'v1' as const }, /compiled for v1, the device is 2i/],
    ['another protocol', { protocolVersion: 99 }, /protocol 99/],
    [
      'a kernel that the firmware lacks',
      { jobs: [{ kernel: 'SOFTMAX', nodes: [], shape: '' }] },
      /needs kernel SOFTMAX/,
    ],
  ])('is refused for %s', async (_, overrides, message) => {
    await expect(device.loadModel(copyGraph(overrides))).rejects.toMatchObject({
      code: 'FIRMWARE_MISMATCH',
      message: expect.stringMatching(message),
    });
  });

  it('is refused when its image is malformed, by the firmware and for that run only', async () => {
    await using broken = await device.loadModel(copyGraph({ image: new Uint8Array(1024) }));
    await expect(broken.run(inputsOf(0))).rejects.toMatchObject({ code: 'INVALID_GRAPH' });
    await expect(model.run(inputsOf(0))).resolves.toBeDefined();
    await expect(device.synchronize()).rejects.toMatchObject({ code: 'INVALID_GRAPH' });
  });

  it('gives all of its memory back, after the runs in flight', async () => {
    const before = device.memoryStats();
    const short = await device.loadModel(copyGraph(), { concurrency: 1 });
    const running = short.run(inputsOf(3));
    const waiting = short.run(inputsOf(4));
    await Promise.all([short.close(), short.close()]);
    expect((await running).outputs.copy).toEqual(inputsOf(3).x);
    expect((await waiting).outputs.copy).toEqual(inputsOf(4).x);
    await expect(short.run(inputsOf(0))).rejects.toMatchObject({ code: 'DEVICE_CLOSED' });
    const after = device.memoryStats();
    for (const memory of ['dram', 'sram', 'pinned'] as const) {
      expect(after[memory].allocated_bytes).toBe(before[memory].allocated_bytes);
    }
  });

  it('does not fit: says so, and leaves nothing behind', async () => {
    const before = device.memoryStats().dram.allocated_bytes;
    const { segments } = copyGraph();
    const huge = copyGraph({ segments: { ...segments, workspace: { bytes: 2 ** 40, memory: 'sram' } } });
    await using large = await device.loadModel(huge);
    await expect(large.run(inputsOf(0))).rejects.toMatchObject({ code: 'OUT_OF_DEVICE_MEMORY' });
    await large.close();
    expect(device.memoryStats().dram.allocated_bytes).toBe(before);
  });

  it('runs with fewer bindings where memory does not suffice for all', async () => {
    const { segments } = copyGraph();
    const wide = copyGraph({ segments: { ...segments, workspace: { bytes: 25 * 2 ** 30, memory: 'lpddr' } } });
    await using large = await device.loadModel(wide, { concurrency: 4 });
    const results = await Promise.all(Array.from({ length: 8 }, (_, run) => large.run(inputsOf(run))));
    expect(results.map(({ outputs }) => outputs.copy?.[0])).toEqual([0, 100, 200, 300, 400, 500, 600, 700]);
  });

  it('gives up the binding of a run whose stream broke, and goes on with another', async () => {
    await using hasty = await openTestDevice({ deadlineMs: 250 });
    await using stream = await hasty.createStream();
    const endless = await hasty.loadModel(endlessGraph(), { concurrency: 1 });
    await expect(endless.run(inputsOf(0), { stream })).rejects.toMatchObject({ code: 'DEVICE_TIMEOUT' });
    await stream.close();
    await expect(endless.run(inputsOf(0), { deadlineMs: 20 })).rejects.toMatchObject({ code: 'KERNEL_TIMEOUT' });
    await endless.close();
    await using good = await hasty.loadModel(copyGraph());
    expect((await good.run(inputsOf(1))).outputs.copy).toEqual(inputsOf(1).x);
  });

  it('ends with its device', async () => {
    const other = await openTestDevice();
    const endless = await other.loadModel(endlessGraph(), { concurrency: 1 });
    const outcome = Promise.allSettled([endless.run(inputsOf(0)), endless.run(inputsOf(1))]);
    await new Promise((resolve) => setTimeout(resolve, 20));
    await other.close();
    for (const result of await outcome) expect(result).toMatchObject({ reason: { code: 'DEVICE_CLOSED' } });
    await expect(endless.run(inputsOf(0))).rejects.toMatchObject({ code: 'DEVICE_CLOSED' });
  });
});
