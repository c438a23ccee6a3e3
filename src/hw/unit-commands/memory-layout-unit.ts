/** Commands of the memory layout unit. */
import { CB, OFFSET, rs1, rs2, type UnitCommand } from './command.js';

/** Of the memory layout unit. */
export const MEMORY_LAYOUT_COMMANDS: readonly UnitCommand[] = [
  {
    name: 'MLU_TRANSPOSE',
    code: 0x40,
    unit: 'MLU',
    doc: 'Transposes MLU_SHAPE rows x elements from read pointer + sourceOffset to elements x rows at write pointer + destinationOffset. Element- and space-checked; moves no pointer.',
    fields: [
      rs1('cbSource', 0, 8, CB),
      rs1('cbDestination', 8, 8, CB),
      rs1('sourceOffset', 32, 32, OFFSET),
      rs2('destinationOffset', 0, 32, OFFSET),
    ],
  },
  {
    name: 'MLU_COPY',
    code: 0x41,
    unit: 'MLU',
    doc: 'Copies MLU_SHAPE rows x elements between strides (concatenate, reshape, slice). Element- and space-checked; moves no pointer.',
    fields: [
      rs1('cbSource', 0, 8, CB),
      rs1('cbDestination', 8, 8, CB),
      rs1('sourceOffset', 32, 32, OFFSET),
      rs2('destinationOffset', 0, 32, OFFSET),
    ],
  },
];
