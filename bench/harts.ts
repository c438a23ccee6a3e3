/** How many RISC-V instructions the harts of a PE retire, alone on one thread and on all threads at once. */
import { BENCHMARK_BUNDLE } from '../src/firmware-emu/index.js';
import { type BenchmarkContext, type MeasuredDevice, openMeasuredDevice, rectangleFor } from './context.js';
import { median, takeTurns } from './measure.js';
import type { Measurement } from './result.js';

/**
 * Interpreters that others run firmware on, in million instructions per second on one core, with a like loop mix. They
 * were measured on another machine (docs/performance.md): a ratio to them tells the order, not the percent.
 */
const PUBLISHED = [
  { name: 'libriscv 1.11 interpreter (published)', mips: 850 },
  { name: 'spike 1.1.1 (published)', mips: 510 },
  { name: 'ttsim 1.10 (published)', mips: 290 },
] as const;

const TRIAL_REPETITIONS = 4;
/** Long enough that launch and interrupt do not show. */
const RUN_MS = 300;
const ROUNDS = 7;

interface Subject {
  readonly name: string;
  readonly measured: MeasuredDevice;
  readonly run: () => Promise<void>;
  /** Million instructions per second of every run. */
  readonly mips: number[];
}

async function createSubject(name: string, measured: MeasuredDevice, pes: number): Promise<Subject> {
  const { device, debug } = measured;
  const kernel = device.kernel('SCALAR_MIX');
  const grid = rectangleFor(pes, device);
  const mips: number[] = [];
  const launch = async (repetitions: number): Promise<number> => {
    const before = debug.counters().peInstructions;
    const start = performance.now();
    await device.defaultStream.launch(kernel, { grid }, [repetitions]);
    const ms = performance.now() - start;
    mips.push(Number(debug.counters().peInstructions - before) / ms / 1000);
    return ms;
  };
  await launch(1);
  const trialMs = await launch(TRIAL_REPETITIONS);
  const repetitions = Math.max(1, Math.round((RUN_MS / trialMs) * TRIAL_REPETITIONS));
  const run = async (): Promise<void> => {
    await launch(repetitions);
  };
  return { name, measured, run, mips };
}

async function measure(subjects: readonly Subject[], signal: AbortSignal): Promise<number[]> {
  for (const { mips } of subjects) mips.length = 0;
  await takeTurns(subjects, { rounds: ROUNDS, warmUp: 0, signal });
  return subjects.map(({ mips }) => median(mips) ?? 0);
}

function against(single: number): Measurement[] {
  return PUBLISHED.map(({ name, mips }, index) => ({
    name: `scalar harts, 1 PE on 1 thread, against ${name.split(' ')[0]}`,
    value: single,
    unit: 'MIPS',
    better: 'higher',
    baseline: { name, value: mips },
    ...(index === 0 ? { bar: { of: 'value', limit: 600 } } : {}),
  }));
}

export async function benchmarkHarts(context: BenchmarkContext): Promise<readonly Measurement[]> {
  const { threads, signal } = context;
  await using alone = await openMeasuredDevice(context, { threads: 1, bundle: BENCHMARK_BUNDLE });
  const first = await createSubject('alone', alone, 1);
  if (threads === 1) {
    const [single = 0] = await measure([first], signal);
    return against(single);
  }
  await using together = await openMeasuredDevice(context, { bundle: BENCHMARK_BUNDLE });
  const [single = 0, all = 0] = await measure([first, await createSubject('together', together, threads)], signal);
  return [
    ...against(single),
    {
      name: `scalar harts, ${threads} PEs on ${threads} threads`,
      value: all,
      unit: 'MIPS',
      better: 'higher',
      baseline: { name: `${threads} times 1 thread`, value: threads * single },
      bar: { of: 'ratio', limit: 0.8 },
    },
  ];
}
