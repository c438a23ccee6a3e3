/** Runs the cases of `mtia verify` on one device and says how each ended. */
import { type CompiledGraph, unsupportedOperatorOf } from '../compiler/index.js';
import { MtiaError } from '../driver/index.js';
import type { ErrorName, Generation } from '../hw/index.js';
import type { Device } from '../streaming-api/index.js';
import type { VerificationCase } from './cases.js';
import { compareTensors, DEFAULT_TOLERANCE, type Difference, type Tolerance, worst } from './comparison.js';
import { InputError, InterruptedError, sentence } from './errors.js';
import { compileForData, type ModelSource, readModelSource } from './model-source.js';
import type { ComputeType } from './options.js';
import { type RunReport, runOnce } from './session.js';
import { digestOf } from './tensors.js';
import { readTensors } from './test-data.js';

export type CaseStatus = 'pass' | 'fail' | 'unsupported';

/** A line of the report; fields that a case did not get to are null. */
export interface CaseReport {
  readonly dir: string;
  readonly model: string;
  readonly status: CaseStatus;
  readonly reason: string | null;
  /** Operator without a lowering. */
  readonly operator: string | null;
  readonly computeType: string | null;
  readonly maxAbsError: number | null;
  readonly maxRelError: number | null;
  readonly digest: string | null;
  readonly wallMs: number | null;
  readonly deviceUs: number | null;
}

export interface VerificationOptions {
  readonly generation: Generation;
  readonly dtype: ComputeType;
  readonly atol?: number;
  readonly rtol?: number;
}

/** After these no further case can run: the command ends as with any other device error. */
const FATAL: ReadonlySet<ErrorName> = new Set(['DEVICE_LOST', 'DEVICE_CLOSED', 'FIRMWARE_PANIC', 'NATIVE_LIBRARY']);

interface DataSetResult extends RunReport {
  readonly difference: Difference;
}

function toleranceFor(graph: CompiledGraph, { atol, rtol }: VerificationOptions): Tolerance {
  const standard = DEFAULT_TOLERANCE[graph.computeType];
  return { atol: atol ?? standard.atol, rtol: rtol ?? standard.rtol };
}

async function runDataSet(
  device: Device,
  source: ModelSource,
  folder: string,
  options: VerificationOptions,
): Promise<DataSetResult & { readonly graph: CompiledGraph }> {
  const inputs = await readTensors(folder, 'input');
  const expected = await readTensors(folder, 'output');
  const { generation, dtype } = options;
  const graph = await compileForData(source, { generation, dtype }, inputs, folder);
  if (expected.length !== graph.outputs.length) {
    throw new InputError(`${folder}: holds ${expected.length} outputs, the model has ${graph.outputs.length}`);
  }
  const run = await runOnce(device, graph, inputs);
  const tolerance = toleranceFor(graph, options);
  const differences = run.outputs.map((output, index) => {
    const wanted = expected[index];
    return wanted === undefined ? worst([]) : compareTensors(output, wanted, tolerance);
  });
  return { ...run, graph, difference: worst(differences) };
}

/** JSON has no infinity. */
const finite = (value: number): number | null => (Number.isFinite(value) ? value : null);

function measured(subject: VerificationCase, results: readonly DataSetResult[], computeType: string): CaseReport {
  const difference = worst(results.map((result) => result.difference));
  const total = (of: (result: DataSetResult) => number): number => results.reduce((sum, result) => sum + of(result), 0);
  return {
    dir: subject.dir,
    model: subject.model,
    status: difference.violation === undefined ? 'pass' : 'fail',
    reason: difference.violation ?? null,
    operator: null,
    computeType,
    maxAbsError: finite(difference.maxAbsError),
    maxRelError: finite(difference.maxRelError),
    digest: digestOf(results.flatMap((result) => result.outputs)),
    wallMs: total((result) => result.wallMs),
    deviceUs: total((result) => result.deviceUs),
  };
}

function failed(subject: VerificationCase, error: unknown): CaseReport {
  const unsupported = error instanceof MtiaError && error.code === 'UNSUPPORTED_OPERATOR';
  return {
    dir: subject.dir,
    model: subject.model,
    status: unsupported ? 'unsupported' : 'fail',
    reason: sentence(error),
    operator: unsupported ? (unsupportedOperatorOf(error)?.operator ?? 'unknown operator') : null,
    computeType: null,
    maxAbsError: null,
    maxRelError: null,
    digest: null,
    wallMs: null,
    deviceUs: null,
  };
}

async function runCase(device: Device, subject: VerificationCase, options: VerificationOptions): Promise<CaseReport> {
  const source = await readModelSource(subject.path);
  if (subject.dataSets.length === 0) throw new InputError(`${subject.dir}: no test_data_set_0 in it`);
  const results: DataSetResult[] = [];
  let computeType = '';
  for (const folder of subject.dataSets) {
    const result = await runDataSet(device, source, folder, options);
    computeType = result.graph.computeType;
    results.push(result);
  }
  return measured(subject, results, computeType);
}

/** Reports a case as failed for whatever goes wrong in it, unless the device or the user ended everything. */
export async function verifyCase(
  device: Device,
  subject: VerificationCase,
  options: VerificationOptions,
): Promise<CaseReport> {
  try {
    return await runCase(device, subject, options);
  } catch (error) {
    if (error instanceof InterruptedError) throw error;
    if (error instanceof MtiaError && FATAL.has(error.code)) throw error;
    // Takes the failure out of the stream, so that the next case starts afresh.
    await device.synchronize().catch(() => undefined);
    return failed(subject, error);
  }
}
