/** Runs cases one after another and says how each ended. */
import type { FirmwareImage } from '../driver/index.js';
import type { Backend } from './backend.js';
import { CAPABILITIES } from './capabilities.js';
import { type ConformanceCase, Unsupported } from './case.js';
import { Fixture } from './fixture.js';
import { Random } from './random.js';
import type { Measurement, Tolerances } from './tolerances.js';

/** `unexpected-pass`: declared as an expected failure, and passed. */
export type CaseStatus = 'pass' | 'fail' | 'unsupported' | 'expected-fail' | 'unexpected-pass';

/** What came of one case. */
export interface CaseResult {
  readonly category: string;
  readonly name: string;
  readonly contract: string;
  readonly status: CaseStatus;
  /** Why it did not simply pass. */
  readonly reason: string | null;
  readonly wallMs: number;
  /** Of performance cases. */
  readonly measurements?: readonly Measurement[];
}

/** What runs on which backend. */
export interface RunOptions {
  readonly backend: Backend;
  readonly firmware: FirmwareImage;
  readonly cases: readonly ConformanceCase[];
  /** Decides everything that cases draw at random. */
  readonly seed: number;
  readonly onStart?: (declared: ConformanceCase) => void;
  readonly onResult?: (result: CaseResult) => void;
  /** Ends the run before the next case. */
  readonly signal?: AbortSignal;
  /** Limits for what performance cases measure. */
  readonly tolerances?: Tolerances;
  /** What the first failure ends: the rest of its category, or of the run. */
  readonly failureEnds?: 'category' | 'run';
  /** Milliseconds for cases that have no deadline of their own; 10 s when absent. */
  readonly defaultDeadlineMs?: number;
  /** Milliseconds for those that have one, at most. */
  readonly longestDeadlineMs?: number;
}

const DEFAULT_DEADLINE_MS = 10_000;
/** Beyond the case's own deadline: closing has one of two seconds itself. */
const CLOSE_DEADLINE_MS = 5_000;

interface Outcome {
  readonly status: 'pass' | 'fail' | 'unsupported';
  readonly reason: string | null;
  readonly measurements?: readonly Measurement[];
}

const PASS: Outcome = { status: 'pass', reason: null };

/** Why the backend cannot run the case; undefined where it can. */
function whyUnsupported(declared: ConformanceCase, backend: Backend): string | undefined {
  const missing = declared.requires?.find((capability) => !backend.capabilities.has(capability));
  if (missing !== undefined) return `${backend.name} lacks: ${CAPABILITIES[missing]}`;
  const excluded = declared.excludes?.find((capability) => backend.capabilities.has(capability));
  return excluded === undefined ? undefined : `only where not: ${CAPABILITIES[excluded]}`;
}

function within<T>(work: Promise<T>, deadlineMs: number, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} did not end within ${deadlineMs} ms`)), deadlineMs);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}

const sentence = (error: unknown): string => (error instanceof Error ? `${error.name}: ${error.message}` : `${error}`);

async function execute(declared: ConformanceCase, options: RunOptions): Promise<Outcome> {
  const { backend, firmware, seed, defaultDeadlineMs = DEFAULT_DEADLINE_MS, longestDeadlineMs } = options;
  const deadlineMs = Math.min(declared.deadlineMs ?? defaultDeadlineMs, longestDeadlineMs ?? Number.POSITIVE_INFINITY);
  const random = new Random(seed, `${declared.category}/${declared.name}`);
  const fixture = new Fixture({ backend, firmware, random, tolerances: options.tolerances ?? {} });
  let outcome = PASS;
  const strays: unknown[] = [];
  const onStray = (error: unknown): void => {
    strays.push(error);
  };
  process.on('unhandledRejection', onStray);
  try {
    await within(declared.run(fixture), deadlineMs, 'the case');
  } catch (error) {
    const status = error instanceof Unsupported ? 'unsupported' : 'fail';
    outcome = { status, reason: status === 'fail' ? sentence(error) : (error as Error).message };
  }
  try {
    await within(fixture.close(), CLOSE_DEADLINE_MS, 'closing');
  } catch (error) {
    if (outcome.status === 'pass') outcome = { status: 'fail', reason: `after the case: ${sentence(error)}` };
  } finally {
    process.off('unhandledRejection', onStray);
  }
  if (outcome.status === 'pass' && strays.length > 0) {
    outcome = { status: 'fail', reason: `a failure that nobody could have caught: ${sentence(strays[0])}` };
  }
  const { measurements } = fixture;
  return measurements.length === 0 ? outcome : { ...outcome, measurements };
}

function judge(declared: ConformanceCase, backend: Backend, outcome: Outcome): Pick<CaseResult, 'status' | 'reason'> {
  const { expectedFail } = declared;
  const expected = expectedFail !== undefined && (expectedFail.backends?.includes(backend.name) ?? true);
  if (!expected || outcome.status === 'unsupported') return outcome;
  if (outcome.status === 'fail') return { status: 'expected-fail', reason: expectedFail.reason };
  return { status: 'unexpected-pass', reason: `declared as failing: ${expectedFail.reason}` };
}

async function runCase(declared: ConformanceCase, options: RunOptions): Promise<CaseResult> {
  const { category, name, contract } = declared;
  const start = performance.now();
  const impossible = whyUnsupported(declared, options.backend);
  const outcome: Outcome =
    impossible === undefined ? await execute(declared, options) : { status: 'unsupported', reason: impossible };
  const { status, reason } = judge(declared, options.backend, outcome);
  const { measurements } = outcome;
  const wallMs = performance.now() - start;
  const result = { category, name, contract, status, reason, wallMs };
  return measurements === undefined ? result : { ...result, measurements };
}

/** Runs cases one after the other; a case that fails, hangs or loses its device does not keep the next from running. */
export async function runConformance(options: RunOptions): Promise<readonly CaseResult[]> {
  const results: CaseResult[] = [];
  const { failureEnds } = options;
  const failed = new Set<string>();
  for (const declared of options.cases) {
    if (options.signal?.aborted || (failureEnds === 'run' && failed.size > 0)) break;
    if (failureEnds === 'category' && failed.has(declared.category)) continue;
    options.onStart?.(declared);
    const result = await runCase(declared, options);
    results.push(result);
    options.onResult?.(result);
    if (result.status === 'fail') failed.add(result.category);
  }
  return results;
}

/** Counts of a run. */
export interface Summary {
  readonly passed: number;
  readonly failed: number;
  readonly unsupported: number;
  readonly expectedFailures: number;
  readonly unexpectedPasses: number;
}

/** Counts the results of a run. */
export function summarize(results: readonly CaseResult[]): Summary {
  const count = (status: CaseStatus): number => results.filter((result) => result.status === status).length;
  return {
    passed: count('pass'),
    failed: count('fail'),
    unsupported: count('unsupported'),
    expectedFailures: count('expected-fail'),
    unexpectedPasses: count('unexpected-pass'),
  };
}
