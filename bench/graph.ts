/** What a launch costs in a graph that is replayed, beside the same launch by itself: on the event loop, and until it is done. */
import type { Device, DeviceBuffer, Graph } from '../src/streaming-api/index.js';
import { type BenchmarkContext, openMeasuredDevice } from './context.js';
import { median, takeTurns } from './measure.js';
import type { Measurement } from './result.js';

const LAUNCHES = [100, 1000] as const;
const ROUNDS = 7;
/** Replays of a graph of one launch until the engine has compiled the call, as it has that of eager launches. */
const WARM_UP_REPLAYS = 3000;
const ONE_PE = { columns: 1, rows: 1 } as const;
/** The bar of docs/performance.md. */
const BAR = { of: 'ratio', limit: 10 } as const;

interface Cost {
  /** Microseconds until the call returned, of one launch. */
  readonly enqueue: number[];
  /** Microseconds until all of them were done, of one launch. */
  readonly total: number[];
}

async function measure(launches: number, cost: Cost, start: () => Promise<unknown>): Promise<void> {
  const begin = performance.now();
  const done = start();
  const enqueued = performance.now();
  await done;
  const end = performance.now();
  cost.enqueue.push(((enqueued - begin) * 1000) / launches);
  cost.total.push(((end - begin) * 1000) / launches);
}

/** The arguments that a small kernel has: two buffers and a number. */
function enqueue(device: Device, launches: number, [a, b]: readonly [DeviceBuffer, DeviceBuffer]): Promise<unknown> {
  const stream = device.defaultStream;
  const kernel = device.kernel('NULL');
  let last: Promise<unknown> = Promise.resolve();
  for (let index = 0; index < launches; index++) last = stream.launch(kernel, { grid: ONE_PE }, [a, b, index]);
  return last;
}

async function oneByOne(
  device: Device,
  launches: number,
  [a, b]: readonly [DeviceBuffer, DeviceBuffer],
): Promise<void> {
  const kernel = device.kernel('NULL');
  for (let index = 0; index < launches; index++) {
    await device.defaultStream.launch(kernel, { grid: ONE_PE }, [a, b, index]);
  }
}

async function compare(
  device: Device,
  launches: number,
  buffers: readonly [DeviceBuffer, DeviceBuffer],
  graph: Graph,
  signal: AbortSignal,
): Promise<readonly Measurement[]> {
  const eager: Cost = { enqueue: [], total: [] };
  const awaited: Cost = { enqueue: [], total: [] };
  const replay: Cost = { enqueue: [], total: [] };
  await takeTurns(
    [
      { name: 'eager', run: () => measure(launches, eager, () => enqueue(device, launches, buffers)) },
      { name: 'one by one', run: () => measure(launches, awaited, () => oneByOne(device, launches, buffers)) },
      { name: 'replay', run: () => measure(launches, replay, () => graph.replay(device.defaultStream)) },
    ],
    { rounds: ROUNDS, warmUp: 2, signal },
  );
  const row = (name: string, value: number | null, baselineName: string, baseline: number | null): Measurement => ({
    name: `${name}, ${launches} launches`,
    value,
    unit: 'µs a launch',
    better: 'lower',
    baseline: { name: baselineName, value: baseline },
  });
  return [
    { ...row('replay on the event loop', median(replay.enqueue), 'eager launches', median(eager.enqueue)), bar: BAR },
    row('replay until done', median(replay.total), 'eager launches, all in flight', median(eager.total)),
    row('replay until done', median(replay.total), 'eager launches, one by one', median(awaited.total)),
  ];
}

export async function benchmarkGraph(context: BenchmarkContext): Promise<readonly Measurement[]> {
  await using measured = await openMeasuredDevice(context);
  const { device } = measured;
  const buffers = [await device.allocate(64), await device.allocate(64)] as const;
  const rows: Measurement[] = [];
  await using small = await device.capture(device.defaultStream, () => void enqueue(device, 1, buffers));
  for (let times = 0; times < WARM_UP_REPLAYS; times += 100) {
    for (let index = 0; index < 100; index++) void small.replay(device.defaultStream);
    await device.defaultStream.synchronize();
  }
  for (const launches of LAUNCHES) {
    const stream = device.defaultStream;
    await using graph = await device.capture(stream, () => void enqueue(device, launches, buffers));
    rows.push(...(await compare(device, launches, buffers, graph, context.signal)));
  }
  return rows;
}
