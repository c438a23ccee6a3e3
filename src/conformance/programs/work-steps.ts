/** Memory, and work on it: copies, fills, launches, models, and what is wrong on purpose. */
import assert from 'node:assert/strict';
import type { ErrorName } from '../../hw/index.js';
import type { DeviceBuffer, HostBuffer, ListedCopy } from '../../streaming-api/index.js';
import { Random } from '../random.js';
import { rankingInputs, rankingModel, writeModelFile } from '../small-models.js';
import { type Account, compare, expectBytes, forget, openAccount, room } from './account.js';
import { copyGraph, ROW_ELEMENTS } from './copy-graph.js';
import { operationOf } from './operation.js';
import { FAILING_KERNELS, type Misuse, type StepOf } from './step.js';
import type { TrackedStream } from './tracked-stream.js';
import type { LoadedModel, World } from './world.js';

const KERNEL_ERROR: readonly ErrorName[] = ['KERNEL_ERROR', 'INVALID_COMMAND'];
const DEADLINE_MS = 20;
const CANCEL_MS = 3;
const CANCELLED_PATTERN = 0xabad_1dea;
const CONCURRENCY = 2;
const RANKING = 0;
const RANKING_BATCH = 4;
const RANKING_INPUTS = 5;

const itself = (account: Account): Account => account;

async function allocate(world: World, step: StepOf<'allocate'>): Promise<void> {
  const { device } = world;
  const bytes = step.words * 8;
  const on = world.stream(step.stream);
  release(world, step.buffer);
  let buffer: DeviceBuffer;
  if (step.from === 'stream') buffer = await on.stream.allocate(bytes, { memory: step.memory });
  else if (step.from === 'pool') {
    world.pool ??= device.createMemoryPool();
    buffer = await device.allocate(bytes, { pool: world.pool });
  } else buffer = await device.allocate(bytes, { memory: step.memory });
  for (const [number, other] of world.accounts) {
    const apart =
      buffer.address + BigInt(bytes) <= other.buffer.address ||
      other.buffer.address + BigInt(other.buffer.bytes) <= buffer.address;
    assert.ok(apart, `buffer ${step.buffer} at ${buffer.address} lies on buffer ${number} at ${other.buffer.address}`);
  }
  world.accounts.set(step.buffer, openAccount(buffer, step.from === 'stream' ? on : undefined));
}

/** At once, whatever still uses the buffer. */
function release(world: World, number: number): void {
  const account = world.accounts.get(number);
  if (account === undefined) return;
  account.buffer.free();
  world.freed = account.buffer;
  world.accounts.delete(number);
}

function free(world: World, { buffer, behind, stream }: StepOf<'free'>, what: string): void {
  const account = world.accounts.get(buffer);
  if (!behind || account === undefined) {
    release(world, buffer);
    return;
  }
  const on = world.stream(stream);
  world.use([account], on, 'stream', what);
  on.stream.free(account.buffer);
  world.freed = account.buffer;
  world.accounts.delete(buffer);
}

function work(world: World, step: StepOf<'work'>, what: string): void {
  const operation = operationOf(world, step.work);
  if (operation === undefined) return;
  world.count(step.work.do);
  const on = world.stream(step.stream);
  world.use(operation.accounts, on, step.by, what);
  const done = operation.enqueue(on.stream);
  world.begin(on, {
    what,
    done,
    succeeded: () => operation.apply(itself),
    failed: () => operation.spoil(itself),
  });
}

function list(world: World, step: StepOf<'list'>, what: string): void {
  const operations = step.works.flatMap((one) => {
    const operation = operationOf(world, one);
    return operation?.listed === undefined ? [] : [{ ...operation, listed: operation.listed }];
  });
  if (operations.length === 0) return;
  const on = world.stream(step.stream);
  const copies: readonly ListedCopy[] = operations.map(({ listed }) => listed);
  world.use(
    operations.flatMap(({ accounts }) => accounts),
    on,
    step.by,
    what,
  );
  world.begin(on, {
    what,
    done: on.stream.copyList(copies),
    succeeded: () => {
      for (const operation of operations) operation.apply(itself);
    },
    failed: () => {
      for (const operation of operations) operation.spoil(itself);
    },
  });
}

function read(world: World, step: StepOf<'read'>, what: string): void {
  const account = world.accounts.get(step.buffer);
  if (account === undefined) return;
  const on = world.stream(step.stream);
  const offset = Math.min(step.offset, account.bytes.byteLength);
  const bytes = room(account, offset, step.bytes);
  world.use([account], on, step.by, what);
  if (step.into === 'array' || bytes === 0) {
    const data = new Uint8Array(bytes);
    const done = on.stream.copyToHost(data, account.buffer, { sourceOffset: offset, bytes });
    world.begin(on, { what, done, succeeded: () => compare(account, offset, data, what) });
    return;
  }
  const host = world.device.allocateHost(bytes, { shared: step.into === 'shared' && canShare(world) });
  const copied = on.stream.copyToHost(host, account.buffer, { sourceOffset: offset, bytes });
  if (step.into === 'function') world.begin(on, { what, done: copied });
  readPinned(world, on, { host, copied: step.into === 'function' ? undefined : copied, account, offset, what });
}

function canShare(world: World): boolean {
  return world.backend.capabilities.has('shared host memory');
}

interface PinnedRead {
  readonly host: HostBuffer;
  /** Absent: a host function looks when its turn comes. */
  readonly copied: Promise<unknown> | undefined;
  readonly account: Account;
  readonly offset: number;
  readonly what: string;
}

function readPinned(world: World, on: TrackedStream, { host, copied, account, offset, what }: PinnedRead): void {
  let found = new Uint8Array();
  const look = (): void => {
    found = host.view.slice();
  };
  const done = copied === undefined ? on.stream.launchHostFunction(look) : copied.then(look);
  const freed = done.finally(() => host.free());
  world.begin(on, { what, done: freed, succeeded: () => compare(account, offset, found, what) });
}

function fail(world: World, { stream, kernel: name }: StepOf<'fail'>, what: string): void {
  const { code, word } = FAILING_KERNELS[name];
  const on = world.stream(stream);
  const options = { grid: { columns: 2, rows: 2 }, ...(name === 'ENDLESS' ? { deadlineMs: DEADLINE_MS } : {}) };
  const done = on.stream.launch(world.device.kernel(name), options, [word]);
  world.begin(on, { what, done, fails: code === 'KERNEL_ERROR' ? KERNEL_ERROR : [code] });
}

function cancel(world: World, { stream, buffer, what: kind }: StepOf<'cancel'>, what: string): void {
  const on = world.stream(stream);
  const controller = new AbortController();
  const { signal } = controller;
  if (kind === 'kernel') {
    const endless = world.device.kernel('ENDLESS');
    const done = on.stream.launch(endless, { grid: { columns: 1, rows: 1 }, signal });
    setTimeout(() => controller.abort(what), CANCEL_MS);
    world.begin(on, { what, done, fails: ['ABORTED'] });
    return;
  }
  const account = world.accounts.get(buffer);
  if (account === undefined) return;
  world.use([account], on, 'stream', what);
  const done = on.stream.fill(account.buffer, CANCELLED_PATTERN, { signal });
  controller.abort(what);
  const pattern = new Uint8Array(new Uint32Array(account.bytes.byteLength / 4).fill(CANCELLED_PATTERN).buffer);
  world.begin(on, {
    what,
    done,
    mayFail: ['ABORTED'],
    succeeded: () => expectBytes(account, 0, pattern),
    failed: () => forget(account, 0, account.bytes.byteLength),
  });
}

type Refused = readonly [done: Promise<unknown>, fails: readonly ErrorName[]];

function misuse(world: World, { stream, buffer, kind }: StepOf<'misuse'>, what: string): void {
  const account = world.accounts.get(buffer);
  const on = world.stream(stream);
  const { device, freed } = world;
  const refused: Readonly<Record<Misuse, () => Refused | undefined>> = {
    'beyond the end': () =>
      account && [
        on.stream.copyToDevice(account.buffer, new Uint8Array(4), { destinationOffset: account.bytes.byteLength }),
        ['INVALID_ARGUMENT'],
      ],
    'odd fill': () => account && [on.stream.fill(account.buffer, 1, { offset: 1, bytes: 4 }), ['INVALID_ARGUMENT']],
    'no such kernel': () => {
      assert.throws(() => device.kernel('NO_SUCH_KERNEL'), { code: 'UNKNOWN_KERNEL' });
      return undefined;
    },
    'no such grid': () => [
      on.stream.launch(device.kernel('NULL'), { grid: { columns: 9, rows: 1 } }),
      ['INVALID_GRID', 'INVALID_ARGUMENT'],
    ],
    'freed buffer': () => freed && [on.stream.fill(freed, 0), ['DEVICE_CLOSED', 'INVALID_ARGUMENT']],
  };
  const [done, fails] = refused[kind]() ?? [];
  if (done !== undefined && fails !== undefined) {
    world.begin(on, { what, done, fails, refused: kind !== 'no such grid' });
  }
}

async function model(world: World, step: StepOf<'model'>, what: string): Promise<void> {
  const loaded = world.models.get(step.model) ?? (await load(world, step.model, what));
  while (loaded.runs.length >= CONCURRENCY) {
    world.openGates();
    await loaded.runs.shift()?.catch(() => undefined);
  }
  const on = world.stream(step.stream);
  const { inputs, expected } = step.model === RANKING ? rankingRun(world, step.seed) : copyRun(step.model, step.seed);
  const run = loaded.model.run(inputs, { stream: on.stream });
  loaded.runs.push(run);
  const done = run.then(({ outputs }) => assert.deepEqual(outputs.y, expected, what));
  world.begin(on, { what, done });
}

function copyRun(rows: number, seed: number) {
  const random = new Random(seed, 'inputs');
  const x = Float32Array.from({ length: rows * ROW_ELEMENTS }, () => random.integer(-1e6, 1e6));
  return { inputs: { x }, expected: x };
}

function rankingRun(world: World, seed: number) {
  const number = seed % RANKING_INPUTS;
  const inputs = rankingInputs(new Random(number, 'ranking inputs'), RANKING_BATCH);
  return { inputs, expected: world.outputs.get(`${number}`) as Float32Array };
}

/** From now on a run is enqueued at the time of the call: its memory is there. */
async function load(world: World, number: number, what: string): Promise<LoadedModel> {
  const onDefault = world.stream(0);
  await world.ready(onDefault, what);
  const { device, backend } = world;
  if (number === RANKING) {
    const file = await writeModelFile(rankingModel(new Random(1, 'ranking')));
    const loading = device.loadModel(file.path, { batch: RANKING_BATCH, concurrency: CONCURRENCY });
    const loaded = { model: await loading.finally(file.remove), runs: [] };
    for (let number = 0; number < RANKING_INPUTS; number++) {
      const { inputs } = rankingRun(world, number);
      const [first, second] = await Promise.all([loaded.model.run(inputs), loaded.model.run(inputs)]);
      const expected = world.outputs.get(`${number}`) ?? first.outputs.y;
      assert.deepEqual([first.outputs.y, second.outputs.y], [expected, expected], `${what}: ranking ${number}`);
      world.outputs.set(`${number}`, expected as Float32Array);
    }
    world.models.set(number, loaded);
    return loaded;
  }
  const loaded = {
    model: await device.loadModel(copyGraph(backend.generation, number), { concurrency: CONCURRENCY }),
    runs: [],
  };
  const { inputs } = copyRun(number, 0);
  await Promise.all([loaded.model.run(inputs), loaded.model.run(inputs)]);
  world.models.set(number, loaded);
  return loaded;
}

export const WORK_STEPS = { allocate, free, work, list, read, fail, cancel, misuse, model } as const;
