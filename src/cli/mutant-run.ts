/** Runs the conformance suite against every mutant, each in a process of its own: a defect may leave anything behind. */
import { spawn } from 'node:child_process';
import { cpus } from 'node:os';
import { type CaseResult, MUTANTS, type Mutant } from '../conformance/index.js';
import { InputError } from './errors.js';

export interface MutantResult {
  readonly name: string;
  readonly breaks: string;
  readonly doc: string;
  /** Categories in which a case failed; none: the mutant survived. */
  readonly caughtBy: readonly string[];
}

/** Stands for no defect at all: what the suite says of it, it would say of every mutant. */
export const UNCHANGED = 'unchanged';

/** A mutant that makes the suite itself hang is caught as well. */
const DEADLINE_MS = 300_000;

type Named = Pick<Mutant, 'name' | 'doc'> & { readonly breaks: string };

function runMutant(mutant: Named, args: readonly string[]): Promise<MutantResult> {
  const { name, breaks, doc } = mutant;
  return new Promise((resolve, reject) => {
    const main = process.argv[1] ?? '';
    const options = ['conformance', ...args, '--mutant', name, '--reporter', 'json'];
    const child = spawn(process.execPath, [main, ...options], {
      stdio: ['ignore', 'pipe', 'ignore'],
      timeout: DEADLINE_MS,
    });
    let text = '';
    child.stdout.on('data', (data: Buffer) => {
      text += data.toString();
    });
    child.on('error', reject);
    child.on('close', () => resolve({ name, breaks, doc, caughtBy: failedCategories(text) }));
  });
}

/** A process that ended without a report was brought down by the defect. */
function failedCategories(text: string): readonly string[] {
  let report: unknown;
  try {
    report = JSON.parse(text);
  } catch {
    return ['the process ended'];
  }
  const { cases } = report as { readonly cases: readonly CaseResult[] };
  return [...new Set(cases.filter(({ status }) => status === 'fail').map(({ category }) => category))];
}

/** @param args options that every run gets: backend, device, seed */
export async function runMutants(
  args: readonly string[],
  onResult: (result: MutantResult) => void,
  signal: AbortSignal,
): Promise<readonly MutantResult[]> {
  const control = await runMutant({ name: UNCHANGED, breaks: 'nothing', doc: 'no defect' }, args);
  if (control.caughtBy.length > 0) {
    throw new InputError(`without a defect these fail: ${control.caughtBy.join(', ')}; run without --mutants first`);
  }
  const waiting = [...MUTANTS];
  const results: MutantResult[] = [];
  const work = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined && !signal.aborted; next = waiting.shift()) {
      const result = await runMutant(next, args);
      results.push(result);
      onResult(result);
    }
  };
  await Promise.all(Array.from({ length: Math.max(1, cpus().length) }, work));
  return results;
}
