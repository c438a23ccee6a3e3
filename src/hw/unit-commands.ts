/**
 * Commands of a processing element's units, launched by custom RISC-V instructions.
 *
 * The names INIT, DMA, MML, POP and REDUCE are public (I23 Fig. 8), as are the units; encodings are not, so these are
 * this project's. A command's fields come from the two source registers of its instruction and from command registers
 * ("custom registers hold the fields of a command", I23 section 3).
 *
 *   custom-0 (0x0b), R-type, funct3 = 0: launch. funct7 = command, rs1/rs2 = fields, rd = result (zero unless stated)
 *   custom-1 (0x2b), I-type, funct3 = 0: command register [imm] = rs1
 *   custom-1 (0x2b), I-type, funct3 = 1: rd = command register [imm]
 *
 * An illegal field raises exception ILLEGAL_COMMAND before anything moves; mtval = command | (field number << 8), where a
 * command register that is no named field counts as field 32 + its index.
 * A command that this generation lacks is illegal in field 63.
 * A memory access that the chip refuses raises COMMAND_BUS_FAULT on the issuing hart; mtval = address. An index outside of
 * its table raises COMMAND_INDEX_FAULT; mtval = the index.
 */

import type { UnitCommand } from './unit-commands/command.js';
import { COMMAND_PROCESSOR_COMMANDS } from './unit-commands/command-processor.js';
import { MATRIX_COMMANDS } from './unit-commands/dot-product-and-reduction.js';
import { FABRIC_INTERFACE_COMMANDS } from './unit-commands/fabric-interface.js';
import { MEMORY_LAYOUT_COMMANDS } from './unit-commands/memory-layout-unit.js';
import { SIMD_ENGINE_COMMANDS } from './unit-commands/simd-engine.js';

export type { CommandField, UnitCommand } from './unit-commands/command.js';

/** Every unit command. */
export const UNIT_COMMANDS: readonly UnitCommand[] = [
  ...COMMAND_PROCESSOR_COMMANDS,
  ...FABRIC_INTERFACE_COMMANDS,
  ...MATRIX_COMMANDS,
  ...SIMD_ENGINE_COMMANDS,
  ...MEMORY_LAYOUT_COMMANDS,
];
