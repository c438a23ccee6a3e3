/** Timing side by side: contenders take turns, so that whatever else the machine does hits all of them alike. */
import { setTimeout as sleep } from 'node:timers/promises';

/** Threads of a contender may spin on for a while after its last run, as onnxruntime's do: the next shall not pay for it. */
const SETTLE_MS = 10;

export interface Contender {
  readonly name: string;
  run(): Promise<unknown>;
}

export interface Rounds {
  readonly rounds: number;
  /** Runs of one contender before the next has its turn; each run is a sample of its own. */
  readonly block?: number;
  readonly warmUp?: number;
  readonly signal: AbortSignal;
}

async function time(run: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await run();
  return performance.now() - start;
}

/** Milliseconds of every run, by contender. */
export async function takeTurns(
  contenders: readonly Contender[],
  { rounds, block = 1, warmUp = 1, signal }: Rounds,
): Promise<ReadonlyMap<string, readonly number[]>> {
  const samples = new Map<string, number[]>(contenders.map(({ name }) => [name, []]));
  for (const { run } of contenders) for (let i = 0; i < warmUp; i++) await run();
  for (let round = 0; round < rounds; round++) {
    // Who goes first changes from round to round: the first finds the machine colder.
    for (let turn = 0; turn < contenders.length; turn++) {
      const contender = contenders[(round + turn) % contenders.length];
      if (contender === undefined) continue;
      signal.throwIfAborted();
      await sleep(SETTLE_MS);
      for (let i = 0; i < block; i++) samples.get(contender.name)?.push(await time(contender.run));
    }
  }
  return samples;
}

/** The value below which `share` of the samples lie (nearest rank); null without samples. */
export function percentile(samples: readonly number[] | undefined, share: number): number | null {
  if (samples === undefined || samples.length === 0) return null;
  const sorted = [...samples].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? null;
}

export function median(samples: readonly number[] | undefined): number | null {
  return percentile(samples, 0.5);
}
