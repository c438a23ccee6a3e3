/** How much faster the emulated chip gets with every host thread that executes PEs: products, embeddings and scalar code. */
import { randomNumbers } from '../src/conformance/random.js';
import { BENCHMARK_BUNDLE } from '../src/firmware-emu/index.js';
import { type BenchmarkContext, openMeasuredDevice } from './context.js';
import { FidelityDevice } from './fidelity-device.js';
import { embeddingBuffers, embeddingLaunch } from './fidelity-embedding.js';
import { fullyConnectedLaunch } from './fidelity-fully-connected.js';
import { median, takeTurns } from './measure.js';
import type { Measurement } from './result.js';
import { seededIndices } from './seeded.js';

const LAYER = { m: 1024, k: 1024, n: 1024, type: 'FP16', memory: 'sram' } as const;
const BAGS = { tables: 64, rows: 4096, elements: 128, pooling: 20, batch: 128 } as const;
const SEED = 17;

/** Each part of the mix takes about as long on one thread. */
const PART_MS = 100;
const ROUNDS = 7;
/** A thread count is measured where it is one of these, or all of them. */
const MOST_COUNTS = 8;

const PARTS = ['products', 'embeddings', 'scalar code'] as const;
type Part = (typeof PARTS)[number];
type PartTimes = Record<Part, number>;
type Launches = Readonly<Record<Part, () => Promise<unknown>>>;

const MIX = 'all three' as const;
type Row = Part | typeof MIX;

/** A device with `threads` PE threads, and one launch of each part on all of its PEs. */
class Subject {
  readonly threads: number;
  readonly samples: PartTimes[] = [];
  readonly #launch: Launches;
  readonly #close: () => Promise<void>;

  private constructor(threads: number, launch: Launches, close: () => Promise<void>) {
    this.threads = threads;
    this.#launch = launch;
    this.#close = close;
  }

  static async open(context: BenchmarkContext, threads: number): Promise<Subject> {
    const measured = await openMeasuredDevice(context, { threads, bundle: BENCHMARK_BUNDLE });
    const { device } = measured;
    const target = new FidelityDevice(measured);
    const indices = seededIndices(BAGS.tables * BAGS.batch * BAGS.pooling, BAGS.rows, randomNumbers(SEED));
    const product = await fullyConnectedLaunch(target, LAYER);
    const bags = await embeddingLaunch(target, 'EMBEDDING_BAG', BAGS, await embeddingBuffers(target, BAGS, indices));
    const { grid } = device.properties;
    const launch = {
      products: () => target.launchUs(product),
      embeddings: () => target.launchUs(bags),
      'scalar code': () => device.defaultStream.launch(device.kernel('SCALAR_MIX'), { grid }, [1]),
    };
    return new Subject(threads, launch, async () => {
      target.release();
      await measured[Symbol.asyncDispose]();
    });
  }

  /** Milliseconds of so many launches of a part. */
  async time(part: Part, launches: number): Promise<number> {
    const start = performance.now();
    for (let i = 0; i < launches; i++) await this.#launch[part]();
    return performance.now() - start;
  }

  medianMs(row: Row): number {
    const ms = this.samples.map((times) =>
      row === MIX ? PARTS.reduce((sum, part) => sum + times[part], 0) : times[row],
    );
    return median(ms) ?? 0;
  }

  close(): Promise<void> {
    return this.#close();
  }
}

/** 1, 2, 3 ... where these are few; else 1, 2, 4 ... and all of them. */
export function threadCounts(threads: number): readonly number[] {
  if (threads <= MOST_COUNTS) return Array.from({ length: threads }, (_, index) => index + 1);
  const counts: number[] = [];
  for (let count = 1; count < threads; count *= 2) counts.push(count);
  return [...counts, threads];
}

async function launchesOf(single: Subject): Promise<PartTimes> {
  const launches: PartTimes = { products: 1, embeddings: 1, 'scalar code': 1 };
  for (const part of PARTS) {
    await single.time(part, 1);
    launches[part] = Math.max(1, Math.round(PART_MS / (await single.time(part, 1))));
  }
  return launches;
}

async function measure(subjects: readonly Subject[], launches: PartTimes, signal: AbortSignal): Promise<void> {
  const contenders = subjects.map((subject) => ({
    name: `${subject.threads}`,
    run: async (): Promise<void> => {
      const times: PartTimes = { products: 0, embeddings: 0, 'scalar code': 0 };
      for (const part of PARTS) times[part] = await subject.time(part, launches[part]);
      subject.samples.push(times);
    },
  }));
  await takeTurns(contenders, { rounds: ROUNDS, signal });
  for (const { samples } of subjects) samples.shift(); // The warm-up's.
}

function measurementOf(single: Subject, subject: Subject, row: Row): Measurement {
  const { threads } = subject;
  const perSecond = (of: Subject): number => 1000 / of.medianMs(row);
  return {
    name: `${row} on ${threads} PE threads`,
    value: perSecond(subject),
    unit: 'runs/s',
    better: 'higher',
    baseline: { name: `${threads} times 1 thread`, value: threads * perSecond(single) },
    ...(row === MIX ? { bar: { of: 'ratio', limit: 0.8 } as const } : {}),
  };
}

async function compare(subjects: readonly Subject[], signal: AbortSignal): Promise<readonly Measurement[]> {
  const [single, ...others] = subjects;
  if (single === undefined || others.length === 0) {
    const note = 'one PE thread: nothing to compare; --threads sets the number';
    return [{ name: `${MIX} on 1 PE thread`, value: null, unit: 'runs/s', better: 'higher', note }];
  }
  await measure(subjects, await launchesOf(single), signal);
  return others.flatMap((subject) => ([...PARTS, MIX] as const).map((row) => measurementOf(single, subject, row)));
}

export async function benchmarkScaling(context: BenchmarkContext): Promise<readonly Measurement[]> {
  const subjects: Subject[] = [];
  try {
    for (const count of threadCounts(context.threads)) subjects.push(await Subject.open(context, count));
    return await compare(subjects, context.signal);
  } finally {
    for (const subject of subjects) await subject.close();
  }
}
