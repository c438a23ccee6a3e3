/**
 * Random programs with faults and restarts, one after another for as long as is wanted; what fails is made shorter before it
 * is reported. Watches what the process holds: a leak is a failure, too.
 */
import { readdirSync } from 'node:fs';
import type { FirmwareImage } from '../driver/index.js';
import type { Backend } from './backend.js';
import { shrink } from './programs/shrink.js';
import { randomProgram, type Step } from './programs/step.js';
import { World } from './programs/world.js';
import { Random } from './random.js';

export interface SoakOptions {
  readonly backend: Backend;
  readonly firmware: FirmwareImage;
  readonly seed: number;
  readonly minutes: number;
  readonly onProgress?: (progress: SoakProgress) => void;
  readonly signal?: AbortSignal;
}

export interface SoakProgress {
  readonly programs: number;
  readonly steps: number;
  /** Devices that were closed, reset or ejected with work under way, and opened again. */
  readonly restarts: number;
  readonly minutes: number;
  /** Of the process. */
  readonly residentBytes: number;
  readonly descriptors: number;
}

export interface SoakFailure {
  /** Seed of the program alone. */
  readonly seed: number;
  readonly message: string;
  /** As short as it would get; empty where a fresh device does not fail with it. */
  readonly program: readonly Step[];
}

export interface SoakReport extends SoakProgress {
  readonly failure: SoakFailure | undefined;
  /** When memory was first at rest. */
  readonly residentAtFirst: number;
}

const STEPS = 120;
const SHRINK_MS = 120_000;
/** Programs after which the process holds what it will always hold. */
const WARM_UP = 20;

const descriptors = (): number => readdirSync('/proc/self/fd').length;
const message = (error: unknown): string => (error instanceof Error ? error.message : String(error));
const programOf = (seed: number): Step[] =>
  randomProgram(new Random(seed, 'program'), { steps: STEPS, faults: true, restarts: true });

async function failureOf(options: SoakOptions, seed: number, program: readonly Step[]): Promise<string | undefined> {
  let world: World | undefined;
  try {
    world = await World.open(options.backend, options.firmware, seed);
    await world.run(program);
    return undefined;
  } catch (error) {
    return message(error);
  } finally {
    await world?.close().catch(() => undefined);
  }
}

async function minimise(options: SoakOptions, seed: number, found: string): Promise<SoakFailure> {
  const fails = async (program: readonly Step[]): Promise<boolean> =>
    (await failureOf(options, seed, program)) !== undefined;
  const whole = programOf(seed);
  if (!(await fails(whole))) return { seed, message: found, program: [] };
  const program = await shrink(whole, fails, SHRINK_MS);
  return { seed, message: (await failureOf(options, seed, program)) ?? found, program };
}

/** Ends at the first failure, or when the time is over. */
export async function soak(options: SoakOptions): Promise<SoakReport> {
  const start = performance.now();
  const end = start + options.minutes * 60_000;
  let [programs, steps, restarts, residentAtFirst] = [0, 0, 0, 0];
  let failure: SoakFailure | undefined;
  let world = await World.open(options.backend, options.firmware, options.seed);
  const progress = (): SoakProgress => ({
    programs,
    steps,
    restarts: restarts + world.restarts,
    minutes: (performance.now() - start) / 60_000,
    residentBytes: process.memoryUsage.rss(),
    descriptors: descriptors(),
  });
  while (performance.now() < end && !options.signal?.aborted) {
    const seed = options.seed + programs;
    try {
      await world.run(programOf(seed));
    } catch (error) {
      restarts += world.restarts;
      await world.close().catch(() => undefined);
      failure = await minimise(options, seed, message(error));
      world = await World.open(options.backend, options.firmware, seed);
      break;
    }
    programs++;
    steps += STEPS;
    if (programs === WARM_UP) residentAtFirst = process.memoryUsage.rss();
    options.onProgress?.(progress());
  }
  const report = { ...progress(), failure, residentAtFirst };
  await world.close();
  return report;
}
