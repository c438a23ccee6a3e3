#!/usr/bin/env node
/** The command line. Every failure ends here: one sentence on stderr and an exit code. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command, CommanderError } from 'commander';
import { packageRoot } from '../driver/package-root.js';
import { addPlannedCommands } from './commands/planned.js';
import { InputError, InterruptedError, inFile, sentence } from './errors.js';
import { EXIT, exitCodeHelp } from './exit-codes.js';

type Define = (command: Command) => void;

/** Loading all of them takes longer than most commands run: the file of a command is loaded where its name is given. */
const COMMANDS: readonly {
  readonly name: string;
  readonly description: string;
  readonly load: () => Promise<Define>;
}[] = [
  {
    name: 'run',
    description: 'run a model once on the device',
    load: async () => (await import('./commands/run.js')).defineRunCommand,
  },
  {
    name: 'verify',
    description: 'run models on the device and compare with expected outputs',
    load: async () => (await import('./commands/verify.js')).defineVerifyCommand,
  },
  {
    name: 'compile',
    description: 'compile a model into a graph that a device loads',
    load: async () => (await import('./commands/compile.js')).defineCompileCommand,
  },
  {
    name: 'conformance',
    description: 'hold a device, its firmware and this driver to the driver contract',
    load: async () => (await import('./commands/conformance.js')).defineConformanceCommand,
  },
  {
    name: 'info',
    description: 'print the specification of the chip, with the source of every figure',
    load: async () => (await import('./commands/info.js')).defineInfoCommand,
  },
  {
    name: 'fw',
    description: 'firmware: run a bare-metal program on a hart, look into a bundle',
    load: async () => (await import('./commands/firmware.js')).defineFirmwareCommand,
  },
  {
    name: 'bench',
    description: 'measure, next to a baseline measured in the same run',
    load: async () => (await import('./commands/bench.js')).defineBenchCommand,
  },
];

function packageVersion(): string {
  const description: unknown = JSON.parse(readFileSync(join(packageRoot(), 'package.json'), 'utf8'));
  const known = typeof description === 'object' && description !== null && 'version' in description;
  return known ? String(description.version) : 'unknown';
}

/** A variable of a script that is not set leaves an empty word, which no file and no name is. */
function refuseEmptyWords(command: Command): void {
  const words = [
    ...command.registeredArguments.map((argument, at) => [`argument <${argument.name()}>`, command.processedArgs[at]]),
    ...Object.entries(command.opts()).map(([name, value]) => [`option --${name}`, value]),
  ];
  const empty = words.find(([, value]) => value === '' || (Array.isArray(value) && value.includes('')));
  if (empty !== undefined) throw new InputError(`${empty[0]} is empty`);
}

async function createProgram(): Promise<Command> {
  const program = new Command('mtia')
    .description("Runs models on an emulated MTIA accelerator: Meta's inference chip, down to its firmware.")
    .version(packageVersion(), '-V, --version', 'print the version')
    .helpCommand(false)
    .exitOverride()
    // Usage errors are worded below, where all other errors are.
    .configureOutput({ writeErr: () => undefined })
    .addHelpText('after', exitCodeHelp([0, 1, 2, 130]));
  for (const { name, description, load } of COMMANDS) {
    const command = program.command(name).description(description);
    if (process.argv[2] === name) (await load())(command);
  }
  addPlannedCommands(program);
  program.hook('preAction', (_, command) => refuseEmptyWords(command));
  return program;
}

function exitCodeOf(error: unknown): number {
  if (error instanceof InterruptedError) return error.exitCode;
  // --help and --version arrive as errors with exit code 0.
  if (error instanceof CommanderError && error.exitCode === 0) return EXIT.OK;
  return EXIT.BAD_INPUT;
}

function report(error: unknown): void {
  process.stderr.write(`mtia: ${wording(error)}\n`);
}

function wording(error: unknown): string {
  if (!(error instanceof CommanderError)) return sentence(error);
  const group = process.argv[2] === 'fw' ? 'mtia fw' : 'mtia';
  const listed = `\`${group} --help\` lists them`;
  // No command at all: commander offers the help text, which is what was missing.
  if (error.code === 'commander.help') return `no command given; ${listed}`;
  return error.code === 'commander.unknownCommand' ? `${sentence(error)}; ${listed}` : sentence(error);
}

/** For failures that no command awaits: a promise that was dropped is still one sentence and an exit code. */
function endWith(error: unknown): never {
  report(error);
  process.exit(EXIT.BAD_INPUT);
}

async function main(): Promise<void> {
  process.on('uncaughtException', endWith);
  // A reader that has seen enough (`mtia info | head`) is no failure.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(EXIT.OK);
    endWith(inFile('standard output', error));
  });
  try {
    const program = await createProgram();
    await program.parseAsync();
  } catch (error) {
    process.exitCode = exitCodeOf(error);
    if (process.exitCode !== EXIT.OK) report(error);
  }
}

await main();
