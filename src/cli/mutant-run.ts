/** Runs the conformance suite against mutants, each in processes of its own: a defect may leave anything behind. */
import type { CaseResult } from '../conformance/index.js';
import type { Mutant } from '../conformance/mutants/index.js';
import { InputError } from './errors.js';
import { runSuiteProcess } from './suite-process.js';

export interface MutantResult extends Pick<Mutant, 'name' | 'breaks' | 'doc'> {
  /** Categories in which a case failed that passes without the defect; none: the mutant survived. */
  readonly caughtBy: readonly string[];
  /** Categories that promise what is broken, ran, and let it pass. */
  readonly missedBy: readonly string[];
  /** The first case of each category that caught it, and why it failed. */
  readonly cases: readonly { readonly category: string; readonly name: string; readonly reason: string | null }[];
  /** Why it could not be had here, where it could not. */
  readonly unavailable?: string;
  readonly wallMs: number;
}

export interface MutantRunOptions {
  /** Options that every run gets: backend, device, firmware, seed. */
  readonly args: readonly string[];
  readonly mutants: readonly Mutant[];
  readonly categories: readonly string[];
  /** Mutants at a time. */
  readonly jobs: number;
  /** What of the suite a mutant meets. */
  readonly extent: MutantExtent;
  readonly onResult: (result: MutantResult) => void;
  readonly signal: AbortSignal;
}

/**
 * `promised`: the categories that promise what it breaks, and the others only if those all let it pass, until one catches
 * it. `first`: as `promised`, up to the first failure. `every`: all categories.
 */
export type MutantExtent = 'promised' | 'first' | 'every';

/** Stands for no defect at all: what the suite says of it, it would say of every mutant. */
export const UNCHANGED = 'unchanged';

export interface MutantReport {
  /** Every case without a defect. */
  readonly control: readonly CaseResult[];
  readonly mutants: readonly MutantResult[];
}

const isFailure = ({ status }: CaseResult): boolean => status === 'fail';
const fullName = ({ category, name }: Pick<CaseResult, 'category' | 'name'>): string => `${category}: ${name}`;
const each = (option: string, values: readonly string[]): string[] => (values.length === 0 ? [] : [option, ...values]);

async function run(options: MutantRunOptions, name: string, more: readonly string[]): Promise<readonly CaseResult[]> {
  const { results, broken } = await runSuiteProcess([...options.args, '--mutant', name, ...more], options.signal);
  return broken === undefined ? results : [...results, broken];
}

/** Of options that are given twice the second counts. */
const backendOf = ({ backend }: Mutant): readonly string[] => (backend === undefined ? [] : ['--backend', backend]);

/** Without the defect, right behind: what fails then has failed for another reason, a busy machine for example. */
async function confirm(
  options: MutantRunOptions,
  mutant: Mutant,
  failures: readonly CaseResult[],
): Promise<readonly CaseResult[]> {
  if (failures.length === 0) return failures;
  const cases = each('--case', failures.map(fullName));
  const again = await run(options, UNCHANGED, [...cases, ...backendOf(mutant)]);
  const failed = new Set(again.filter(isFailure).map(fullName));
  return failures.filter((failure) => !failed.has(fullName(failure)));
}

async function findFailures(
  options: MutantRunOptions,
  mutant: Mutant,
  categories: readonly string[],
  untilCaught: boolean,
): Promise<readonly CaseResult[]> {
  if (categories.length === 0 || options.signal.aborted) return [];
  const chosen = [...each('--category', categories), ...backendOf(mutant)];
  const more = untilCaught ? [...chosen, '--until-caught'] : chosen;
  return confirm(options, mutant, (await run(options, mutant.name, more)).filter(isFailure));
}

async function runMutant(options: MutantRunOptions, mutant: Mutant): Promise<MutantResult> {
  const start = performance.now();
  const { name, breaks, doc } = mutant;
  const unavailable = mutant.unavailable?.();
  if (unavailable !== undefined) {
    return { name, breaks, doc, caughtBy: [], missedBy: [], cases: [], unavailable, wallMs: 0 };
  }
  const promised = options.categories.filter((name) => mutant.promisedBy.includes(name));
  const others = options.categories.filter((name) => !mutant.promisedBy.includes(name));
  const { extent } = options;
  let failures = await findFailures(options, mutant, promised, extent === 'first');
  if (extent === 'every' || failures.length === 0) {
    failures = [...failures, ...(await findFailures(options, mutant, others, extent !== 'every'))];
  }
  const caughtBy = [...new Set(failures.map(({ category }) => category))];
  return {
    name,
    breaks,
    doc,
    caughtBy,
    missedBy: extent === 'first' ? [] : promised.filter((category) => !caughtBy.includes(category)),
    cases: failures.map(({ category, name, reason }) => ({ category, name, reason })),
    wallMs: performance.now() - start,
  };
}

/** It was there, and nothing caught it. */
export function survived({ caughtBy, unavailable }: MutantResult): boolean {
  return caughtBy.length === 0 && unavailable === undefined;
}

/** What fails once and passes when it is tried again has failed for the machine's sake. */
async function runControl(options: MutantRunOptions): Promise<readonly CaseResult[]> {
  const first = await run(options, UNCHANGED, each('--category', options.categories));
  const doubtful = first.filter(isFailure).map(fullName);
  const again = doubtful.length === 0 ? [] : await run(options, UNCHANGED, each('--case', doubtful));
  const failed = again.filter(isFailure);
  if (failed.length > 0) {
    const names = failed.map((failure) => `"${fullName(failure)}" (${failure.reason})`);
    throw new InputError(`without a defect these fail: ${names.join(', ')}; run without --mutants first`);
  }
  return first.map((result) => again.find((other) => fullName(other) === fullName(result)) ?? result);
}

/** Throws where a case fails without a defect: its failure says nothing of a mutant then. */
export async function runMutants(options: MutantRunOptions): Promise<MutantReport> {
  const control = await runControl(options);
  const waiting = [...options.mutants];
  const mutants: MutantResult[] = [];
  const work = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined && !options.signal.aborted; next = waiting.shift()) {
      const result = await runMutant(options, next);
      if (options.signal.aborted) return;
      mutants.push(result);
      options.onResult(result);
    }
  };
  await Promise.all(Array.from({ length: options.jobs }, work));
  const order = options.mutants.map(({ name }) => name);
  return { control, mutants: mutants.sort((a, b) => order.indexOf(a.name) - order.indexOf(b.name)) };
}
