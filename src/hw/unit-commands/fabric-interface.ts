/** Commands of the fabric interface: DMA. */
import { CB, OFFSET, rs1, rs2, type UnitCommand } from './command.js';

/** Of the fabric interface. */
export const FABRIC_INTERFACE_COMMANDS: readonly UnitCommand[] = [
  {
    name: 'DMA_IN',
    code: 0x10,
    unit: 'FI',
    doc: 'DMA get: DMA_SHAPE rows from memory to write pointer + offset, row r at r * DMA_LOCAL_STRIDE; then, unless keep is set, produces offset + rows * DMA_LOCAL_STRIDE bytes. Space-checked.',
    fields: [
      rs1('address', 0, 64, 'any'),
      rs2('cb', 0, 8, CB),
      rs2('keep', 8, 1, '1: do not move the write pointer'),
      rs2('offset', 32, 32, OFFSET),
    ],
  },
  {
    name: 'DMA_OUT',
    code: 0x11,
    unit: 'FI',
    doc: 'DMA put: DMA_SHAPE rows from read pointer + offset to memory; then, unless keep is set, consumes offset + rows * DMA_LOCAL_STRIDE bytes. Element-checked.',
    fields: [
      rs1('address', 0, 64, 'any'),
      rs2('cb', 0, 8, CB),
      rs2('keep', 8, 1, '1: do not move the read pointer'),
      rs2('offset', 32, 32, OFFSET),
    ],
  },
  {
    name: 'DMA_IN_INDEXED',
    code: 0x12,
    unit: 'FI',
    doc: 'As DMA_IN, but row r comes from address + index r * DMA_GLOBAL_STRIDE. The indices lie at read pointer + indexOffset of cbIndex, whose pointer stays. One that is negative or not below DMA_INDEX_ROWS raises COMMAND_INDEX_FAULT before anything moves. Element- and space-checked.',
    fields: [
      rs1('address', 0, 64, 'of row 0 of the table'),
      rs2('cb', 0, 8, CB),
      rs2('keep', 60, 1, '1: do not move the write pointer'),
      rs2('offset', 16, 22, OFFSET),
      rs2('cbIndex', 8, 8, CB),
      rs2('indexOffset', 38, 22, OFFSET),
      rs2('indexType', 61, 1, '0: INT32, 1: INT64'),
    ],
  },
  {
    name: 'DMA_PREFETCH',
    code: 0x13,
    unit: 'FI',
    doc: 'Brings DMA_SHAPE rows, DMA_GLOBAL_STRIDE apart, from LPDDR into the SRAM cache (LLC). A hint: nothing waits for it, and without a cache it does nothing. The rows must be readable by the context.',
    fields: [rs1('address', 0, 64, 'any')],
  },
];
