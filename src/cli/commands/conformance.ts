/** `mtia conformance`: hold a device, its firmware and this driver to docs/driver-contract.md. */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type Command, Option } from 'commander';
import {
  type Backend,
  CASES,
  CATEGORIES,
  type CaseResult,
  emulatorBackend,
  FIGURES,
  loopbackBackend,
  noBroadcastBackend,
  nullBackend,
  oneQueueBackend,
  oneVectorBackend,
  REPORTERS,
  type ReporterName,
  readTolerances,
  runConformance,
  summarize,
  type Tolerances,
  withTestKernels,
} from '../../conformance/index.js';
import type { Mutant, Subject } from '../../conformance/mutants/index.js';
import { loadBundle } from '../../firmware-emu/index.js';
import type { Generation } from '../../hw/index.js';
import { aboutFile, InputError } from '../errors.js';
import { EXIT, exitCodeHelp } from '../exit-codes.js';
import { untilInterrupted } from '../interrupt.js';
import {
  type MutantExtent,
  type MutantReport,
  type MutantResult,
  runMutants,
  survived,
  UNCHANGED,
} from '../mutant-run.js';
import { deviceOption, nonNegativeInteger, positiveInteger } from '../options.js';
import { printJson } from '../output.js';
import { startProgress } from '../progress.js';

interface ConformanceOptions {
  readonly device: Generation;
  readonly backend: string;
  readonly firmware?: string;
  readonly allowUnsigned?: boolean;
  readonly category?: readonly string[];
  readonly case?: readonly string[];
  readonly reporter: ReporterName;
  readonly seed?: number;
  readonly strict?: boolean;
  readonly tolerance?: string;
  /** True, or the names of some. */
  readonly mutants?: true | readonly string[];
  readonly mutant?: string;
  readonly untilCaught?: boolean;
  readonly everyCategory?: boolean;
  readonly jobs: number;
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
  if (!existsSync(name)) {
    throw new InputError(`--backend ${name}: neither a file nor one of ${Object.keys(BACKENDS).join(', ')}`);
  }
  const module: unknown = await aboutFile(name, () => import(pathToFileURL(resolve(name)).href));
  const found = typeof module === 'object' && module !== null && 'backend' in module ? module.backend : undefined;
  if (!isBackend(found)) {
    throw new InputError(`${name}: exports no \`backend\` (see Backend in mtia-runtime/conformance)`);
  }
  return found;
}

function chooseCategories(categories: readonly string[] | undefined): readonly string[] {
  const unknown = categories?.find((name) => !CATEGORIES.includes(name));
  if (unknown !== undefined) throw new InputError(`no category "${unknown}"; there are ${CATEGORIES.join(', ')}`);
  return CATEGORIES.filter((name) => categories?.includes(name) ?? true);
}

/** Of the categories chosen, the cases whose "category: name" has one of the texts given in it. */
function chooseCases(options: ConformanceOptions): typeof CASES {
  const categories = chooseCategories(options.category);
  const named = ({ category, name }: (typeof CASES)[number]): boolean =>
    options.case?.some((text) => `${category}: ${name}`.includes(text)) ?? true;
  const chosen = CASES.filter((declared) => categories.includes(declared.category) && named(declared));
  if (chosen.length === 0) throw new InputError(`no case has "${options.case?.join('" or "')}" in its name`);
  return chosen;
}

/** They are loaded only where they are asked for. */
async function findMutants(names: readonly string[] | undefined): Promise<readonly Mutant[]> {
  const { MUTANTS } = await import('../../conformance/mutants/index.js');
  const known = MUTANTS.map(({ name }) => name);
  const unknown = names?.find((name) => !known.includes(name));
  if (unknown !== undefined) throw new InputError(`no mutant "${unknown}"; there are ${known.join(', ')}`);
  return MUTANTS.filter(({ name }) => names?.includes(name) ?? true);
}

/** The subject of the run, with the defect of a mutant where one is named. */
async function findSubject(options: ConformanceOptions): Promise<Subject> {
  const backend = await findBackend(options.backend, options.device);
  const firmware = withTestKernels(loadBundle(options.firmware, { allowUnsigned: options.allowUnsigned === true }));
  if (options.mutant === undefined || options.mutant === UNCHANGED) return { backend, firmware };
  const [mutant] = await findMutants([options.mutant]);
  return (await mutant?.apply({ backend, firmware })) ?? { backend, firmware };
}

/** A mutant that hangs every case must not take an hour: none gets much time, and a category ends when it fails. */
const MUTANT_RUN = { failureEnds: 'category', longestDeadlineMs: 40_000 } as const;

async function findTolerances(path: string | undefined): Promise<Tolerances> {
  if (path === undefined) return {};
  const text = await aboutFile(path, () => readFile(path, 'utf8'));
  const tolerances = await aboutFile(path, async () => readTolerances(text));
  const unknown = Object.keys(tolerances).find((name) => !FIGURES.some((figure) => figure === name));
  if (unknown !== undefined)
    throw new InputError(`${path}: nothing measures "${unknown}"; there are ${FIGURES.join(', ')}`);
  return tolerances;
}

const print = (text: string): void => {
  process.stdout.write(text);
};

async function runSuite(options: ConformanceOptions, seed: number): Promise<readonly CaseResult[]> {
  const { backend, firmware } = await findSubject(options);
  const cases = chooseCases(options);
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
    onStart: (declared) => print(reporter.start?.(declared) ?? ''),
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

function mutantLine(result: MutantResult): string {
  const { name, breaks, doc, caughtBy, missedBy, unavailable, wallMs } = result;
  const subject = `${name} (${breaks}: ${doc})`;
  if (unavailable !== undefined) return `n/a      ${subject}: ${unavailable}\n`;
  if (survived(result)) return `SURVIVED ${subject}\n`;
  const missed = missedBy.length === 0 ? '' : `, not by ${missedBy.join(', ')}`;
  return `caught   ${subject}: ${caughtBy.join(', ')}${missed} [${(wallMs / 1000).toFixed(1)} s]\n`;
}

/** As the report of one run, of the suite without a defect, with the mutants beside it. */
function mutantJson({ control, mutants }: MutantReport, header: object, survivors: number, wallMs: number): object {
  const { passed, failed, unsupported, expectedFailures, unexpectedPasses } = summarize(control);
  const counts = { passed, failed, unsupported, expectedFailures, unexpectedPasses };
  return { ...header, cases: control, ...counts, mutants, survivors, wallMs };
}

/** Options of this run that each of its processes gets. */
function passedOn(options: ConformanceOptions, seed: number): string[] {
  const args = ['--backend', options.backend, '--device', options.device, '--seed', String(seed)];
  if (options.firmware !== undefined) args.push('--firmware', options.firmware);
  if (options.allowUnsigned === true) args.push('--allow-unsigned');
  return args;
}

function extentOf({ untilCaught, everyCategory }: ConformanceOptions): MutantExtent {
  if (everyCategory === true) return 'every';
  return untilCaught === true ? 'first' : 'promised';
}

async function testSuite(options: ConformanceOptions, seed: number): Promise<void> {
  const stop = new AbortController();
  const start = performance.now();
  const json = options.reporter === 'json';
  if (!json && options.reporter !== 'pretty') {
    throw new InputError(`--mutants has no report for --reporter ${options.reporter}; use pretty or json`);
  }
  const mutants = await findMutants(options.mutants === true ? undefined : options.mutants);
  const categories = chooseCategories(options.category);
  const progress = startProgress('mutants', mutants.length);
  progress.step('the suite without a defect');
  const running = runMutants({
    args: passedOn(options, seed),
    mutants,
    categories,
    jobs: options.jobs,
    extent: extentOf(options),
    onResult: (result) => {
      progress.step(result.name);
      if (!json) progress.around(() => print(mutantLine(result)));
    },
    signal: stop.signal,
  });
  const report = await untilInterrupted(
    () => running,
    async () => {
      stop.abort();
      progress.stop();
    },
  );
  const survivors = report.mutants.filter(survived).length;
  const wallMs = performance.now() - start;
  if (json) printJson(mutantJson(report, { backend: options.backend, seed }, survivors, wallMs));
  else {
    const { passed } = summarize(report.control);
    const time = `${(wallMs / 60_000).toFixed(1)} minutes, ${options.jobs} at a time, seed ${seed}`;
    print(
      `\nwithout a defect ${passed} cases passed; ${report.mutants.length} mutants, ${survivors} survived (${time})\n`,
    );
  }
  if (survivors > 0) process.exitCode = EXIT.VERIFICATION_FAILED;
}

async function conformance(options: ConformanceOptions): Promise<void> {
  const seed = options.seed ?? Math.floor(Math.random() * 2 ** 32);
  if (options.mutants !== undefined) return testSuite(options, seed);
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
    .option('--case <text...>', 'only cases whose "category: name" has one of these texts in it')
    .addOption(
      new Option('--reporter <name>', 'how results are printed').choices(Object.keys(REPORTERS)).default('pretty'),
    )
    .option('--seed <n>', 'seed of everything that cases draw at random (default: a new one)', nonNegativeInteger)
    .option('--tolerance <file>', 'JSON with limits for what performance cases measure; without it they only print')
    .option('--mutants [name...]', 'test the suite: run it against deliberately broken chips, drivers and firmware')
    .option('--every-category', 'with --mutants: all categories, instead of those that promise what is broken')
    .option('--until-caught', 'with --mutant or --mutants: end a run with its first failure')
    .addOption(
      new Option('--jobs <n>', 'with --mutants: how many at a time')
        .argParser(positiveInteger)
        .default(availableParallelism()),
    )
    .option('--mutant <name>', `run against one of them in this process, or "${UNCHANGED}"`)
    .option('--strict', 'an expected failure that passes is an error')
    .addHelpText(
      'after',
      '\nReduced cards: one-queue, one-vector, no-broadcast (of the generation of --device), and v1.',
    )
    .addHelpText('after', `\nCategories: ${CATEGORIES.join(', ')}`)
    .addHelpText('after', exitCodeHelp([0, 1, 2, 130]))
    .action(conformance);
}
