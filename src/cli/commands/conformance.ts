/** `mtia conformance`: hold a device, its firmware and this driver to docs/driver-contract.md. */
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type Command, Option } from 'commander';
import {
  type Backend,
  CASES,
  CATEGORIES,
  type CaseResult,
  emulatorBackend,
  loopbackBackend,
  MUTANTS,
  noBroadcastBackend,
  nullBackend,
  oneQueueBackend,
  oneVectorBackend,
  REPORTERS,
  type ReporterName,
  readTolerances,
  runConformance,
  type Subject,
  summarize,
  type Tolerances,
  withTestKernels,
} from '../../conformance/index.js';
import { loadBundle } from '../../firmware-emu/index.js';
import type { Generation } from '../../hw/index.js';
import { aboutFile, InputError } from '../errors.js';
import { EXIT, exitCodeHelp } from '../exit-codes.js';
import { untilInterrupted } from '../interrupt.js';
import { type MutantResult, runMutants, UNCHANGED } from '../mutant-run.js';
import { deviceOption, nonNegativeInteger } from '../options.js';
import { printJson } from '../output.js';

interface ConformanceOptions {
  readonly device: Generation;
  readonly backend: string;
  readonly firmware?: string;
  readonly allowUnsigned?: boolean;
  readonly category?: readonly string[];
  readonly reporter: ReporterName;
  readonly seed?: number;
  readonly strict?: boolean;
  readonly tolerance?: string;
  readonly mutants?: boolean;
  readonly mutant?: string;
  readonly untilCaught?: boolean;
}

const BACKENDS: Readonly<Record<string, (generation: Generation) => Backend>> = {
  emulator: emulatorBackend,
  loopback: loopbackBackend,
  null: nullBackend,
  'one-queue': oneQueueBackend,
  'one-vector': oneVectorBackend,
  'no-broadcast': noBroadcastBackend,
  v1: () => emulatorBackend('v1'),
};

function isBackend(value: unknown): value is Backend {
  return typeof value === 'object' && value !== null && 'openCard' in value && 'capabilities' in value;
}

async function findBackend(name: string, generation: Generation): Promise<Backend> {
  const known = BACKENDS[name];
  if (known !== undefined) return known(generation);
  const module: unknown = await aboutFile(name, () => import(pathToFileURL(resolve(name)).href));
  const found = typeof module === 'object' && module !== null && 'backend' in module ? module.backend : undefined;
  if (!isBackend(found)) {
    throw new InputError(`${name}: exports no \`backend\` (see Backend in mtia-runtime/conformance)`);
  }
  return found;
}

function chooseCases(categories: readonly string[] | undefined): typeof CASES {
  const unknown = categories?.find((name) => !CATEGORIES.includes(name));
  if (unknown !== undefined) throw new InputError(`no category "${unknown}"; there are ${CATEGORIES.join(', ')}`);
  return categories === undefined ? CASES : CASES.filter(({ category }) => categories.includes(category));
}

/** The subject of the run, with the defect of a mutant where one is named. */
async function findSubject(options: ConformanceOptions): Promise<Subject> {
  const backend = await findBackend(options.backend, options.device);
  const firmware = withTestKernels(loadBundle(options.firmware, { allowUnsigned: options.allowUnsigned === true }));
  if (options.mutant === undefined || options.mutant === UNCHANGED) return { backend, firmware };
  const mutant = MUTANTS.find(({ name }) => name === options.mutant);
  if (mutant === undefined)
    throw new InputError(`no mutant "${options.mutant}"; there are ${MUTANTS.map((known) => known.name).join(', ')}`);
  return mutant.apply({ backend, firmware });
}

/** A mutant that hangs every case must not take an hour: quick cases get little time, and a category ends when it fails. */
const MUTANT_RUN = { failureEnds: 'category', defaultDeadlineMs: 3_000 } as const;

async function findTolerances(path: string | undefined): Promise<Tolerances> {
  if (path === undefined) return {};
  const text = await aboutFile(path, () => readFile(path, 'utf8'));
  return aboutFile(path, async () => readTolerances(text));
}

const print = (text: string): void => {
  process.stdout.write(text);
};

async function runSuite(options: ConformanceOptions, seed: number): Promise<readonly CaseResult[]> {
  const { backend, firmware } = await findSubject(options);
  const cases = chooseCases(options.category);
  const reporter = REPORTERS[options.reporter]();
  const tolerances = await findTolerances(options.tolerance);
  const stop = new AbortController();
  print(reporter.begin({ backend: backend.name, firmware: firmware.version, seed, cases: cases.length }));
  const running = runConformance({
    backend,
    firmware,
    cases,
    seed,
    tolerances,
    signal: stop.signal,
    ...(options.mutant === undefined ? {} : MUTANT_RUN),
    ...(options.untilCaught === true ? { failureEnds: 'run' } : {}),
    onResult: (result) => print(reporter.result(result)),
  });
  const results = await untilInterrupted(
    () => running,
    async () => {
      stop.abort();
      await running;
    },
  );
  print(reporter.end(results, summarize(results)));
  return results;
}

async function testSuite(options: ConformanceOptions, seed: number): Promise<void> {
  const stop = new AbortController();
  const json = options.reporter === 'json';
  const args = ['--backend', options.backend, '--device', options.device, '--seed', String(seed)];
  if (options.firmware !== undefined) args.push('--firmware', options.firmware);
  if (options.allowUnsigned === true) args.push('--allow-unsigned');
  if (options.untilCaught === true) args.push('--until-caught');
  const line = ({ name, breaks, doc, caughtBy }: MutantResult): string =>
    `${caughtBy.length === 0 ? 'SURVIVED' : 'caught  '} ${name} (${breaks}: ${doc})${caughtBy.length === 0 ? '' : `: ${caughtBy.join(', ')}`}\n`;
  const running = runMutants(args, (result) => (json ? undefined : print(line(result))), stop.signal);
  const mutants = await untilInterrupted(
    () => running,
    async () => stop.abort(),
  );
  const survivors = mutants.filter(({ caughtBy }) => caughtBy.length === 0);
  if (json) printJson({ seed, mutants, survivors: survivors.length });
  else print(`\n${mutants.length} mutants, ${survivors.length} survived\n`);
  if (survivors.length > 0) process.exitCode = EXIT.VERIFICATION_FAILED;
}

async function conformance(options: ConformanceOptions): Promise<void> {
  const seed = options.seed ?? Math.floor(Math.random() * 2 ** 32);
  if (options.mutants === true) return testSuite(options, seed);
  const summary = summarize(await runSuite(options, seed));
  const broken = summary.failed > 0 || (options.strict === true && summary.unexpectedPasses > 0);
  if (broken) process.exitCode = EXIT.VERIFICATION_FAILED;
}

/** Options and action; main.ts has made the command. */
export function defineConformanceCommand(command: Command): void {
  command
    .addOption(deviceOption())
    .option('--firmware <bundle>', 'firmware bundle to test instead of the one in the package')
    .option('--allow-unsigned', 'boot the bundle of --firmware even if nobody signed it')
    .option('--backend <name>', `${Object.keys(BACKENDS).join(', ')}, or a module that exports \`backend\``, 'emulator')
    .option('--category <name...>', 'only cases of these categories')
    .addOption(
      new Option('--reporter <name>', 'how results are printed').choices(Object.keys(REPORTERS)).default('pretty'),
    )
    .option('--seed <n>', 'seed of everything that cases draw at random (default: a new one)', nonNegativeInteger)
    .option('--tolerance <file>', 'JSON with limits for what performance cases measure; without it they only print')
    .option('--mutants', 'test the suite: run it against deliberately broken devices, drivers and firmware')
    .option('--mutant <name>', `run against one of them, or "${UNCHANGED}"`)
    .option('--until-caught', 'with --mutant or --mutants: end a run with its first failure')
    .option('--strict', 'an expected failure that passes is an error')
    .addHelpText(
      'after',
      '\nReduced cards: one-queue, one-vector, no-broadcast (of the generation of --device), and v1.',
    )
    .addHelpText('after', `\nCategories: ${CATEGORIES.join(', ')}`)
    .addHelpText('after', exitCodeHelp([0, 1, 2, 130]))
    .action(conformance);
}
