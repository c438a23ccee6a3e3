/** `mtia run`: one model, one set of inputs, once. */
import type { Command } from 'commander';
import type { CompiledGraph } from '../../compiler/index.js';
import { exitCodeHelp } from '../exit-codes.js';
import { compileForData, compileSource, type ModelSource, readModelSource } from '../model-source.js';
import {
  addDeviceOptions,
  addJsonOption,
  type ComputeType,
  type DeviceFlags,
  dtypeOption,
  type JsonFlag,
  nonNegativeInteger,
  positiveInteger,
} from '../options.js';
import { printJson, printLine } from '../output.js';
import { seededInputs } from '../seeded-inputs.js';
import { type RunReport, runOnce, withDevice } from '../session.js';
import { formatNumber, formatTable } from '../table.js';
import { digestOf, firstValues, formatShape, SHOWN_VALUES, shownValues, type Tensor } from '../tensors.js';
import { readTensors, writeOutputs } from '../test-data.js';

interface RunOptions extends DeviceFlags, JsonFlag {
  readonly data?: string;
  readonly out?: string;
  readonly dtype: ComputeType;
  readonly batch: number;
  readonly seed: number;
}

interface Prepared {
  readonly graph: CompiledGraph;
  readonly inputs: readonly Tensor[];
}

async function prepare(source: ModelSource, options: RunOptions): Promise<Prepared> {
  const { device: generation, dtype, batch, data } = options;
  if (data === undefined) {
    const graph = await compileSource(source, { generation, dtype, batch });
    return { graph, inputs: seededInputs(graph.inputs, options.seed) };
  }
  const inputs = await readTensors(data, 'input');
  const graph = await compileForData(source, { generation, dtype }, inputs, data);
  return { graph, inputs };
}

function report(model: string, options: RunOptions, graph: CompiledGraph, run: RunReport): object {
  const { outputs, ...figures } = run;
  return {
    model,
    device: options.device,
    computeType: graph.computeType,
    inputs: options.data ?? `seed ${options.seed}`,
    outputs: outputs.map((output) => ({
      name: output.name,
      type: output.type,
      shape: output.shape,
      firstValues: shownValues(output),
    })),
    digest: digestOf(outputs),
    ...figures,
  };
}

function printRun(options: RunOptions, graph: CompiledGraph, run: RunReport): void {
  if (options.data === undefined) {
    printLine(`inputs: seeded (--seed ${options.seed}); give your own with --data`);
  }
  const rows = run.outputs.map((output) => [output.name, output.type, formatShape(output.shape), firstValues(output)]);
  printLine(formatTable(['output', 'type', 'shape', `first ${SHOWN_VALUES} values`], rows));
  printLine(
    `wall ${formatNumber(run.wallMs)} ms, device ${formatNumber(run.deviceUs)} µs on MTIA ${options.device}, ` +
      `${run.jobs} jobs in ${graph.computeType}`,
  );
}

async function runModel(path: string, options: RunOptions): Promise<void> {
  const source = await readModelSource(path);
  const { graph, inputs } = await prepare(source, options);
  const run = await withDevice(options, (device) => runOnce(device, graph, inputs));
  if (options.out !== undefined) await writeOutputs(options.out, run.outputs);
  if (options.json === true) printJson(report(path, options, graph, run));
  else printRun(options, graph, run);
}

/** Options and action; main.ts has made the command. */
export function defineRunCommand(command: Command): void {
  command
    .argument('<model>', 'torch.export archive (.pt2), ONNX file or compiled graph (.mtg), told apart by content')
    .option('--data <dir>', 'read input_*.pb of a test data set; without it, inputs are made from --seed')
    .option('--out <dir>', 'write output_*.pb')
    .addOption(dtypeOption())
    .option('--batch <n>', 'what symbolic dimensions stand for when there is no --data', positiveInteger, 1)
    .option('--seed <n>', 'seed of made inputs: floats in -1..1, integers 0 or 1', nonNegativeInteger, 0)
    .addHelpText('after', exitCodeHelp());
  addJsonOption(addDeviceOptions(command)).action(runModel);
}
