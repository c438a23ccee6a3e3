/** `mtia compile`: from a model to the file that a device loads. */
import type { Command } from 'commander';
import { type CompiledGraph, encodeCompiledGraph, SEGMENT_KINDS } from '../../compiler/index.js';
import type { Generation } from '../../hw/index.js';
import { writeWhole } from '../atomic-file.js';
import { InputError } from '../errors.js';
import { exitCodeHelp } from '../exit-codes.js';
import { compileSource, readModelSource } from '../model-source.js';
import {
  addJsonOption,
  type ComputeType,
  deviceOption,
  dtypeOption,
  type JsonFlag,
  positiveInteger,
} from '../options.js';
import { printJson, printLine } from '../output.js';
import { formatNumber, formatTable } from '../table.js';

interface CompileOptions extends JsonFlag {
  readonly output: string;
  readonly device: Generation;
  readonly dtype: ComputeType;
  readonly batch: number;
}

function report(path: string, options: CompileOptions, graph: CompiledGraph, bytes: number, ms: number): object {
  return {
    model: path,
    output: options.output,
    device: graph.generation,
    computeType: graph.computeType,
    bytes,
    compileMs: ms,
    inputs: graph.inputs.map(({ name, type, shape }) => ({ name, type, shape })),
    outputs: graph.outputs.map(({ name, type, shape }) => ({ name, type, shape })),
    segments: Object.fromEntries(SEGMENT_KINDS.map((kind) => [kind, graph.segments[kind].bytes])),
    jobs: graph.jobs,
  };
}

function printGraph(options: CompileOptions, graph: CompiledGraph, bytes: number, ms: number): void {
  const rows = graph.jobs.map(({ kernel, shape, nodes }, index) => [
    String(index),
    kernel,
    shape,
    nodes.length > 3 ? `${nodes.slice(0, 3).join(' ')} … (${nodes.length})` : nodes.join(' '),
  ]);
  printLine(formatTable(['>job', 'kernel', 'shape', 'nodes'], rows));
  printLine(
    `${options.output}: ${formatNumber(bytes)} bytes for MTIA ${graph.generation}, ${graph.jobs.length} jobs in ` +
      `${graph.computeType}, compiled in ${formatNumber(ms)} ms`,
  );
}

async function compileFile(path: string, options: CompileOptions): Promise<void> {
  const source = await readModelSource(path);
  if (source.kind === 'compiled') throw new InputError(`${path}: is a compiled graph already; name its source`);
  const { device: generation, dtype, batch } = options;
  const start = performance.now();
  const graph = await compileSource(source, { generation, dtype, batch });
  const file = encodeCompiledGraph(graph);
  const ms = performance.now() - start;
  await writeWhole(options.output, file);
  if (options.json === true) printJson(report(path, options, graph, file.byteLength, ms));
  else printGraph(options, graph, file.byteLength, ms);
}

/** Options and action; main.ts has made the command. */
export function defineCompileCommand(command: Command): void {
  command
    .argument('<model>', 'torch.export archive (.pt2) or ONNX file')
    .requiredOption('-o, --output <file>', 'the compiled graph (.mtg); appears whole or not at all')
    .addOption(deviceOption())
    .addOption(dtypeOption())
    .option('--batch <n>', 'what symbolic dimensions stand for', positiveInteger, 1)
    .addHelpText('after', exitCodeHelp());
  addJsonOption(command).action(compileFile);
}
