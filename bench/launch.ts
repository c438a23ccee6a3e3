/** What a launch costs by itself: a kernel that does nothing, from submit to the resolved promise; and what the first one waits for. */
import type { Device, Kernel } from '../src/streaming-api/index.js';
import { type BenchmarkContext, openMeasuredDevice } from './context.js';
import { median, percentile, takeTurns } from './measure.js';
import type { Measurement } from './result.js';
import { measureStartUp } from './start-up.js';

const LAUNCHES = 2000;
const ROUNDS = 5;
const PIPELINED = 20_000;
/** Launches submitted together; two such batches are in flight, so that the device never runs dry. */
const BATCH = 64;
const ONE_PE = { columns: 1, rows: 1 } as const;

/** Published for CUDA: 5 to 10 µs. */
const CUDA = { name: 'CUDA null kernel, upper end (published)', value: 10 } as const;

async function oneAtATime(device: Device, kernel: Kernel, grid: { columns: number; rows: number }): Promise<number[]> {
  const stream = device.defaultStream;
  const samples: number[] = [];
  for (let i = 0; i < LAUNCHES; i++) {
    const start = performance.now();
    await stream.launch(kernel, { grid });
    samples.push((performance.now() - start) * 1000);
  }
  return samples;
}

async function pipelinedPerSecond(device: Device, kernel: Kernel): Promise<number> {
  const stream = device.defaultStream;
  let previous: Promise<unknown> = Promise.resolve();
  const start = performance.now();
  for (let done = 0; done < PIPELINED; done += BATCH) {
    let last = previous;
    for (let i = 0; i < BATCH; i++) last = stream.launch(kernel, { grid: ONE_PE });
    await previous;
    previous = last;
  }
  await stream.synchronize();
  return (Math.ceil(PIPELINED / BATCH) * BATCH * 1000) / (performance.now() - start);
}

async function launchRows(context: BenchmarkContext): Promise<readonly Measurement[]> {
  await using measured = await openMeasuredDevice(context);
  const { device } = measured;
  const kernel = device.kernel('NULL');
  const single: number[] = [];
  const whole: number[] = [];
  const rates: number[] = [];
  const wholeGrid = device.properties.grid;
  await oneAtATime(device, kernel, ONE_PE);
  await takeTurns(
    [
      { name: 'one PE', run: async () => single.push(...(await oneAtATime(device, kernel, ONE_PE))) },
      { name: 'whole grid', run: async () => whole.push(...(await oneAtATime(device, kernel, wholeGrid))) },
      { name: 'pipelined', run: async () => rates.push(await pipelinedPerSecond(device, kernel)) },
    ],
    { rounds: ROUNDS, warmUp: 0, signal: context.signal },
  );
  const pes = wholeGrid.columns * wholeGrid.rows;
  return [
    {
      ...latency('null launch, 1 PE, p50', percentile(single, 0.5)),
      baseline: CUDA,
      bar: { of: 'value', limit: 25 },
    },
    latency('null launch, 1 PE, p99', percentile(single, 0.99)),
    latency(`null launch, ${pes} PEs, p50`, percentile(whole, 0.5)),
    latency(`null launch, ${pes} PEs, p99`, percentile(whole, 0.99)),
    {
      name: `null launches, ${2 * BATCH} in flight`,
      value: median(rates),
      unit: 'launches/s',
      better: 'higher',
      bar: { of: 'value', limit: 200_000 },
    },
  ];
}

export async function benchmarkLaunch(context: BenchmarkContext): Promise<readonly Measurement[]> {
  return [...(await launchRows(context)), ...(await measureStartUp(context))];
}

function latency(name: string, value: number | null): Measurement {
  return { name, value, unit: 'µs', better: 'lower' };
}
