/** `mtia fw`: what firmware engineers do with bundles and programs. */
import type { Command } from 'commander';
import { exitCodeHelp } from '../exit-codes.js';
import { addBundleCommands } from './firmware-bundle.js';
import { addExecuteCommand } from './firmware-exec.js';
import { addPlannedFirmwareCommands } from './planned.js';

export function addFirmwareCommands(program: Command): void {
  const firmware = program
    .command('fw')
    .description('firmware: run a bare-metal program on a hart, look into a bundle')
    .helpCommand(false)
    .addHelpText('after', exitCodeHelp([0, 1, 2, 130]));
  addExecuteCommand(firmware);
  addBundleCommands(firmware);
  addPlannedFirmwareCommands(firmware);
}
