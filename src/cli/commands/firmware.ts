/** `mtia fw`: what firmware engineers do with bundles and programs. */
import type { Command } from 'commander';
import { exitCodeHelp } from '../exit-codes.js';
import { addBundleCommands } from './firmware-bundle.js';
import { addExecuteCommand } from './firmware-exec.js';
import { addPlannedFirmwareCommands } from './planned.js';

/** Its commands; main.ts has made `fw` itself. */
export function defineFirmwareCommand(firmware: Command): void {
  firmware.helpCommand(false).addHelpText('after', exitCodeHelp([0, 1, 2, 130]));
  addExecuteCommand(firmware);
  addBundleCommands(firmware);
  addPlannedFirmwareCommands(firmware);
}
