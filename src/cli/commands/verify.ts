/** `mtia verify`: models against the outputs that their test data sets expect. */
import type { Command } from 'commander';
import { findCases, type VerificationCase } from '../cases.js';
import { DEFAULT_TOLERANCE } from '../comparison.js';
import { EXIT, exitCodeHelp } from '../exit-codes.js';
import {
  addDeviceOptions,
  addJsonOption,
  type ComputeType,
  type DeviceFlags,
  dtypeOption,
  type JsonFlag,
  nonNegativeNumber,
} from '../options.js';
import { printJson, printLine } from '../output.js';
import { type Progress, startProgress } from '../progress.js';
import { withDevice } from '../session.js';
import { formatNumber } from '../table.js';
import { type CaseReport, type CaseStatus, verifyCase } from '../verification.js';

interface VerifyOptions extends DeviceFlags, JsonFlag {
  readonly dtype: ComputeType;
  readonly atol?: number;
  readonly rtol?: number;
}

function caseLine(report: CaseReport): string {
  const path = `${report.dir}/${report.model}`;
  if (report.status === 'unsupported') return `unsupported: ${report.operator}  ${path}`;
  const parts = [report.status, path];
  if (report.digest !== null) {
    // Null beside a digest: the outputs hold something that is not a number.
    parts.push(`max abs error ${report.maxAbsError === null ? 'not finite' : formatNumber(report.maxAbsError)}`);
    parts.push(`${formatNumber(report.wallMs ?? 0)} ms`, `${formatNumber(report.deviceUs ?? 0)} µs on the device`);
  }
  if (report.reason !== null) parts.push(report.reason);
  return parts.join('  ');
}

async function verifyAll(
  cases: readonly VerificationCase[],
  options: VerifyOptions,
  progress: Progress,
): Promise<CaseReport[]> {
  const { device: generation, dtype, atol, rtol } = options;
  const verification = {
    generation,
    dtype,
    ...(atol === undefined ? {} : { atol }),
    ...(rtol === undefined ? {} : { rtol }),
  };
  return withDevice(options, async (device) => {
    const reports: CaseReport[] = [];
    for (const subject of cases) {
      progress.step(subject.path);
      const report = await verifyCase(device, subject, verification);
      reports.push(report);
      if (options.json !== true) progress.around(() => printLine(caseLine(report)));
    }
    return reports;
  });
}

async function verify(dirs: readonly string[], options: VerifyOptions): Promise<void> {
  const cases = await findCases(dirs);
  const progress = startProgress('verify', cases.length);
  const reports = await verifyAll(cases, options, progress).finally(() => progress.stop());
  const count = (status: CaseStatus): number => reports.filter((report) => report.status === status).length;
  const [passed, failed, unsupported] = [count('pass'), count('fail'), count('unsupported')];
  if (options.json === true) printJson({ cases: reports, passed, failed, unsupported });
  else printLine(`${passed} passed, ${failed} failed, ${unsupported} unsupported`);
  if (failed > 0) process.exitCode = EXIT.VERIFICATION_FAILED;
}

const defaults = (which: 'atol' | 'rtol'): string =>
  Object.entries(DEFAULT_TOLERANCE)
    .map(([dtype, tolerance]) => `${dtype} ${tolerance[which]}`)
    .join(', ');

const LAYOUT = `
DIR holds model.onnx, model.pt2 or both, and test_data_set_*/input_*.pb and output_*.pb; a directory of such directories
will do. Each model file is a case. Outputs agree where |actual - expected| <= atol + rtol * |expected|.`;

/** Options and action; main.ts has made the command. */
export function defineVerifyCommand(command: Command): void {
  command
    .argument('<dir...>', "directories in the layout of ONNX's backend tests")
    .addOption(dtypeOption())
    .option('--atol <x>', `absolute tolerance (default: ${defaults('atol')})`, nonNegativeNumber)
    .option('--rtol <x>', `relative tolerance (default: ${defaults('rtol')})`, nonNegativeNumber)
    .addHelpText('after', LAYOUT)
    .addHelpText('after', exitCodeHelp([0, 1, 2, 130]));
  addJsonOption(addDeviceOptions(command)).action(verify);
}
