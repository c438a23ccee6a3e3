/** `mtia bench`: how fast, against what, measured side by side in the same run. */
import { access, constants, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Argument, type Command } from 'commander';
import {
  BENCHMARKS,
  type BenchmarkName,
  type BenchmarkResult,
  type Machine,
  runBenchmarks,
} from '../../../bench/index.js';
import type { Generation } from '../../hw/index.js';
import { aboutFile, namingThreads } from '../errors.js';
import { exitCodeHelp } from '../exit-codes.js';
import { untilInterrupted } from '../interrupt.js';
import { addJsonOption, deviceOption, type JsonFlag, positiveInteger } from '../options.js';
import { printJson, printLine } from '../output.js';
import { startProgress } from '../progress.js';
import { formatNumber, formatTable } from '../table.js';

interface BenchOptions extends JsonFlag {
  readonly device: Generation;
  readonly threads?: number;
  readonly chart?: string;
  readonly quick?: boolean;
}

function machineLine(machine: Machine): string {
  const { cpu, cores, architecture, node, threads, matmulPath, loadAverage } = machine;
  return (
    `${cpu}, ${cores} cores, ${architecture}, Node ${node}, ${threads} PE threads, matmul path ${matmulPath}, ` +
    `load average ${formatNumber(loadAverage)} at the start`
  );
}

const shown = (value: number | null): string => (value === null ? '–' : formatNumber(value));

function verdict({ bar, meetsBar }: BenchmarkResult): string {
  if (bar === null) return '';
  if (meetsBar === null) return `${bar}: not measured`;
  return `${bar}: ${meetsBar ? 'met' : 'missed'}`;
}

function printResults(machine: Machine, results: readonly BenchmarkResult[]): void {
  printLine(machineLine(machine));
  printLine('');
  const rows = results.map((result) => [
    result.name,
    shown(result.value),
    result.unit,
    shown(result.baseline),
    result.baselineName ?? '',
    result.ratio === null ? '' : `${formatNumber(result.ratio)}x`,
    verdict(result),
  ]);
  printLine(formatTable(['benchmark', '>value', 'unit', '>baseline', 'baseline is', '>ratio', 'bar'], rows));
  for (const { name, note } of results) if (note !== undefined) printLine(`${name}: ${note}`);
}

async function bench(names: readonly BenchmarkName[], options: BenchOptions): Promise<void> {
  const chosen = names.length === 0 ? BENCHMARKS : BENCHMARKS.filter((name) => names.includes(name));
  const { device: generation, threads, chart, quick = false } = options;
  // Before minutes of work, not after them.
  if (chart !== undefined) await aboutFile(chart, () => access(dirname(chart), constants.W_OK));
  const progress = startProgress('bench', chosen.length);
  const stop = new AbortController();
  const running = runBenchmarks(chosen, {
    generation,
    quick,
    ...(threads === undefined ? {} : { threads }),
    ...(chart === undefined ? {} : { writeChart: (svg: string) => aboutFile(chart, () => writeFile(chart, svg)) }),
    signal: stop.signal,
    onStart: (name) => progress.step(name),
    say: (line) => progress.around(() => process.stderr.write(`${line}\n`)),
  });
  const release = async (): Promise<void> => {
    stop.abort();
    await running.catch(() => undefined);
    progress.stop();
  };
  const { machine, results } = await namingThreads(threads, () => untilInterrupted(() => running, release));
  if (options.json === true) printJson({ machine, results });
  else printResults(machine, results);
}

/** Options and action; main.ts has made the command. */
export function defineBenchCommand(command: Command): void {
  command
    .addArgument(new Argument('[name...]', 'benchmarks; all where none is named').choices(BENCHMARKS))
    .addOption(deviceOption())
    .option('--threads <n>', 'host threads that execute PEs (default: the processors of this machine)', positiveInteger)
    .option('--chart <file>', 'fidelity: draw predicted over published as an SVG')
    .option('--quick', 'fidelity: every fifth row of each group, and all statements')
    .addHelpText(
      'after',
      '\nA ratio above 1 is ahead of the baseline, whichever way the unit counts. onnxruntime-node is installed into bench/\nwhen a benchmark first wants it; without it the rows have no baseline and say why.',
    )
    .addHelpText('after', exitCodeHelp());
  addJsonOption(command).action(bench);
}
