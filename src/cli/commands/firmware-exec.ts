/** `mtia fw exec`: a bare-metal ELF file on one hart of the chip. */
import { readFile } from 'node:fs/promises';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { CONTROL_CORE, openEmulatorWithDebug } from '../../driver/index.js';
import { DebugPort, type ExecuteResult, executeElf, type HartId, hex, parseHart } from '../../firmware-emu/index.js';
import { type Generation, SPECIFICATIONS } from '../../hw/index.js';
import { aboutFile, InputError } from '../errors.js';
import { EXIT, exitCodeHelp } from '../exit-codes.js';
import { untilInterrupted } from '../interrupt.js';
import { addJsonOption, deviceOption, type JsonFlag, positiveInteger } from '../options.js';
import { printJson, printLine } from '../output.js';

interface ExecuteFlags extends JsonFlag {
  readonly hart: HartId;
  readonly maxInstructions: number;
  readonly device: Generation;
}

const DEFAULT_HART = 'pe0.0';
const DEFAULT_INSTRUCTIONS = 100_000_000;

function hartName(text: string): HartId {
  const hart = parseHart(text);
  if (hart === undefined) throw new InvalidArgumentError('A hart is ccp, ccp.0 to ccp.3, or pe0.0 to pe63.1.');
  return hart;
}

/** Instructions of the chip, not of the host: no thread of the chip runs while it is halted. */
async function execute(file: Uint8Array, { device, hart, maxInstructions }: ExecuteFlags): Promise<ExecuteResult> {
  const { pci, debug } = openEmulatorWithDebug({ generation: device, threads: 1 });
  return untilInterrupted(
    () => executeElf(new DebugPort(debug), file, { generation: device, hart, maxInstructions }),
    async () => pci.close(),
  );
}

function sentenceOf(result: ExecuteResult): string {
  const ran = `after ${result.instructions} instructions`;
  switch (result.status) {
    case 'pass':
      return `pass ${ran}`;
    case 'fail':
      return `fail: test ${result.testNumber} ${ran}`;
    case 'trap':
      return `trap ${ran}: mcause ${hex(result.cause ?? 0n)}, mepc ${hex(result.pc)}, mtval ${hex(result.value ?? 0n)}`;
    case 'limit':
      return result.waitsFor === undefined
        ? `limit: no verdict ${ran}, pc ${hex(result.pc)}`
        : `limit: waits for ever ${ran}, pc ${hex(result.pc)}: ${result.waitsFor}`;
  }
}

const hexOrNull = (value: bigint | undefined): string | null => (value === undefined ? null : hex(value));

function report({ status, testNumber, instructions, pc, cause, value, waitsFor }: ExecuteResult): object {
  return {
    status,
    testNumber: testNumber ?? null,
    instructions,
    pc: hex(pc),
    cause: hexOrNull(cause),
    value: hexOrNull(value),
    waitsFor: waitsFor ?? null,
  };
}

function checkHart({ device, hart }: ExecuteFlags): void {
  const harts = SPECIFICATIONS[device].controlHarts.value;
  if (hart.core !== CONTROL_CORE || hart.hart < harts) return;
  throw new InputError(`--hart ccp.${hart.hart}: the control core of MTIA ${device} has ${harts} hart(s)`);
}

async function executeFile(path: string, flags: ExecuteFlags): Promise<void> {
  checkHart(flags);
  const result = await aboutFile(path, async () => execute(await readFile(path), flags));
  if (flags.json === true) printJson(report(result));
  else printLine(sentenceOf(result));
  if (result.status !== 'pass') process.exitCode = EXIT.PROGRAM_FAILED;
}

export function addExecuteCommand(firmware: Command): void {
  const command = firmware
    .command('exec')
    .description('run a bare-metal RV64 program on one hart until it writes `tohost`')
    .argument('<elf>', 'static ELF file, linked at 0x80000000')
    .addOption(
      new Option('--hart <name>', 'hart of the control core (ccp, ccp.N) or of a PE (peN.H)')
        .argParser(hartName)
        .default(parseHart(DEFAULT_HART), DEFAULT_HART),
    )
    .option('--max-instructions <n>', 'give up after about this many', positiveInteger, DEFAULT_INSTRUCTIONS)
    .addOption(deviceOption())
    .addHelpText('after', exitCodeHelp([EXIT.OK, EXIT.PROGRAM_FAILED, EXIT.BAD_INPUT, EXIT.INTERRUPTED]));
  addJsonOption(command).action(executeFile);
}
