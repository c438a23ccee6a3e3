/** Commands that a later version brings. Their names are known, so they say what serves instead and are no typing error. */
import type { Command } from 'commander';
import { InputError } from '../errors.js';

/** What serves until then, by command. */
type Planned = Readonly<Record<string, string>>;

const COMMANDS: Planned = {
  smi: 'a program asks Device.memoryStats() and Device.snapshot(), `mtia info` prints the specification',
  gdb: '`mtia fw exec` runs a program on a hart, DebugPort of mtia-runtime/firmware-emu reads registers and memory',
  trace: 'events and answers of models carry device time, `mtia fw exec --json` counts instructions',
};

const FIRMWARE_COMMANDS: Planned = {
  build: '`npm run firmware` in a checkout builds every bundle',
  sign: '`npm run firmware` in a checkout signs what it builds',
  diff: '`mtia fw inspect --json` prints the hash of every section, of either bundle',
  swap: 'a device that is opened with `firmware` boots that bundle',
  compare:
    '`mtia verify --json --firmware BUNDLE` prints the digest of the outputs and the device time, for either bundle',
};

function add(parent: Command, path: string, commands: Planned): void {
  for (const [name, instead] of Object.entries(commands)) {
    parent
      .command(name, { hidden: true })
      .helpOption(false)
      .allowUnknownOption()
      .allowExcessArguments()
      .action(() => {
        throw new InputError(`${path}${name} is not in this version; until it is, ${instead}`);
      });
  }
}

export function addPlannedCommands(program: Command): void {
  add(program, '', COMMANDS);
}

export function addPlannedFirmwareCommands(firmware: Command): void {
  add(firmware, 'fw ', FIRMWARE_COMMANDS);
}
