/** Options that several commands share, and how their values are read. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import { MATMUL_PATHS, type MatmulPath } from '../driver/index.js';
import type { Generation } from '../hw/index.js';

/** Where commands run, as commander leaves it. */
export interface DeviceFlags {
  readonly device: Generation;
  readonly firmware?: string;
  readonly allowUnsigned?: boolean;
  readonly threads?: number;
  readonly matmul?: MatmulPath;
  readonly logLevel: string;
}

export type ComputeType = 'bf16' | 'fp16' | 'int8' | 'auto';

export interface JsonFlag {
  readonly json?: boolean;
}

function wholeNumber(text: string, minimum: number): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value) || value < minimum) {
    throw new InvalidArgumentError(`"${text}" is not a whole number of at least ${minimum}.`);
  }
  return value;
}

export function positiveInteger(text: string): number {
  return wholeNumber(text, 1);
}

export function nonNegativeInteger(text: string): number {
  return wholeNumber(text, 0);
}

export function nonNegativeNumber(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value) || value < 0) {
    throw new InvalidArgumentError(`"${text}" is not a number of at least 0.`);
  }
  return value;
}

export function deviceOption(): Option {
  return new Option('--device <generation>', 'generation of the chip').choices(['2i', 'v1']).default('2i');
}

export function dtypeOption(): Option {
  return new Option('--dtype <type>', 'type in which matrices are multiplied')
    .choices(['auto', 'bf16', 'fp16', 'int8'])
    .default('auto');
}

export function addJsonOption(command: Command): Command {
  return command.option('--json', 'print one JSON object instead of text');
}

export function addDeviceOptions(command: Command): Command {
  return command
    .addOption(deviceOption())
    .option('--firmware <bundle>', 'firmware bundle to boot instead of the one in the package')
    .option('--allow-unsigned', 'boot the bundle of --firmware even if nobody signed it')
    .option('--threads <n>', 'host threads that execute PEs (default: the processors of this machine)', positiveInteger)
    .addOption(
      new Option(
        '--matmul <path>',
        'how the host computes; results are the same bit by bit (default: MTIA_MATMUL, or the fastest)',
      ).choices(MATMUL_PATHS),
    )
    .addOption(
      new Option('--log-level <level>', 'what driver, firmware and runtime log to stderr, as JSON lines')
        .choices(['silent', 'error', 'warn', 'info', 'debug', 'trace'])
        .default('silent'),
    );
}
