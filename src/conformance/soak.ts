/**
 * Random programs with faults and restarts, one after another for as long as is wanted; what fails is made shorter before it
 * is reported. Watches what the process holds: a leak is a failure, too.
 */
import type { FirmwareImage } from '../driver/index.js';
import type { Backend } from './backend.js';
import { GrowthWatch, greatest, type ProcessResources, processResources } from './process-resources.js';
import { randomProgram } from './programs/random-program.js';
import { shrink } from './programs/shrink.js';
import type { Step } from './programs/step.js';
import { World } from './programs/world.js';
import { Random } from './random.js';

/** How long a soak runs, and on what. */
export interface SoakOptions {
  readonly backend: Backend;
  readonly firmware: FirmwareImage;
  readonly seed: number;
  readonly minutes: number;
  /** Steps of a program; 120 when absent. */
  readonly steps?: number;
  /** Called before the process is measured. */
  readonly collectGarbage?: () => void;
  /** Called once a minute. */
  readonly onProgress?: (progress: SoakProgress) => void;
  readonly signal?: AbortSignal;
}

/** What a soak has done so far. */
export interface SoakProgress {
  readonly programs: number;
  readonly steps: number;
  /** Commands with an outcome and, mostly, bytes that were held to what they must be. */
  readonly commands: number;
  /** Steps by kind, and the work in them. */
  readonly counts: Readonly<Record<string, number>>;
  /** Devices that were closed, reset, lost or ejected with work under way, and were opened or reset then. */
  readonly restarts: number;
  /** Those of them that were Device.reset. */
  readonly resets: number;
  /** Interrupts and doorbells that went wrong. */
  readonly faults: number;
  readonly minutes: number;
  readonly resources: ProcessResources;
}

/** The random program at which a soak ended. */
export interface SoakFailure {
  /** Seed of the program alone. */
  readonly seed: number;
  readonly message: string;
  /** As short as it would get; whole where a fresh device did not fail with it. */
  readonly program: readonly Step[];
  readonly shortened: boolean;
}

/** What a soak has done in all. */
export interface SoakReport extends SoakProgress {
  readonly failure: SoakFailure | undefined;
  /** The most in the first minutes. */
  readonly atFirst: ProcessResources;
  readonly atMost: ProcessResources;
}

const STEPS = 120;
const SHRINK_MS = 120_000;
/** What depends on who is first does not fail every time. */
const ATTEMPTS = 3;
const MINUTE_MS = 60_000;

const message = (error: unknown): string => (error instanceof Error ? (error.stack ?? error.message) : String(error));

class Soak {
  readonly #options: SoakOptions;
  readonly #start = performance.now();
  #world: World;
  #programs = 0;
  readonly #growth = new GrowthWatch();
  #atMost = processResources();

  constructor(options: SoakOptions, world: World) {
    this.#options = options;
    this.#world = world;
  }

  async run(): Promise<SoakReport> {
    const { seed: first, minutes, signal, onProgress } = this.#options;
    const end = this.#start + minutes * MINUTE_MS;
    let failure: SoakFailure | undefined;
    let sampled = this.#start;
    while (performance.now() < end && !signal?.aborted && failure === undefined) {
      const seed = first + this.#programs;
      try {
        await this.#world.run(this.#program(seed));
        this.#programs++;
        this.#atMost = greatest(this.#atMost, processResources());
        if (performance.now() - sampled >= MINUTE_MS) {
          sampled += MINUTE_MS;
          const leak = this.#watch();
          onProgress?.(this.#progress());
          if (leak !== undefined) failure = { seed, message: leak, program: [], shortened: false };
        }
      } catch (error) {
        await this.#world.close().catch(() => undefined);
        failure = await this.#minimise(seed, message(error));
      }
    }
    const progress = this.#progress();
    await this.#world.close().catch(() => undefined);
    return { ...progress, failure, atFirst: this.#growth.atFirst ?? progress.resources, atMost: this.#atMost };
  }

  #program(seed: number): Step[] {
    const steps = this.#options.steps ?? STEPS;
    return randomProgram(new Random(seed, 'program'), { steps, faults: true, restarts: true });
  }

  #watch(): string | undefined {
    this.#options.collectGarbage?.();
    return this.#growth.add(processResources());
  }

  #progress(): SoakProgress {
    const { log, counts, restarts, resets, faults } = this.#world;
    return {
      programs: this.#programs,
      steps: this.#programs * (this.#options.steps ?? STEPS),
      commands: log.count,
      counts: Object.fromEntries([...counts].sort(([a], [b]) => (a < b ? -1 : 1))),
      restarts,
      resets,
      faults,
      minutes: (performance.now() - this.#start) / MINUTE_MS,
      resources: processResources(),
    };
  }

  async #minimise(seed: number, found: string): Promise<SoakFailure> {
    const { backend, firmware } = this.#options;
    const failure = async (program: readonly Step[]): Promise<string | undefined> => {
      for (let times = 0; times < ATTEMPTS; times++) {
        const why = await failureOf(backend, firmware, seed, program);
        if (why !== undefined) return why;
      }
      return undefined;
    };
    const fails = async (program: readonly Step[]): Promise<boolean> => (await failure(program)) !== undefined;
    const whole = this.#program(seed);
    if (!(await fails(whole))) return { seed, message: found, program: whole, shortened: false };
    const program = await shrink(whole, fails, SHRINK_MS);
    return { seed, message: (await failure(program)) ?? found, program, shortened: true };
  }
}

/** What a program finds on a device of its own; undefined where all is as it must be. */
export async function failureOf(
  backend: Backend,
  firmware: FirmwareImage,
  seed: number,
  program: readonly Step[],
): Promise<string | undefined> {
  let world: World | undefined;
  try {
    world = await World.open(backend, firmware, seed);
    await world.run(program);
    return undefined;
  } catch (error) {
    return message(error);
  } finally {
    await world?.close().catch(() => undefined);
  }
}

/** Ends at the first failure, or when the time is over. */
export async function soak(options: SoakOptions): Promise<SoakReport> {
  const world = await World.open(options.backend, options.firmware, options.seed);
  return new Soak(options, world).run();
}
