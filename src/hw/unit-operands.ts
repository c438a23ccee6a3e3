/** Opcodes of the unit commands, and what their operands may name. Encodings are this project's. */

export const OPCODE_LAUNCH = 0x0b;
/** Opcode of the custom instructions that set a command register; those of OPCODE_LAUNCH issue a command. */
export const OPCODE_COMMAND_REGISTER = 0x2b;

/** Element types of the units, as command fields hold them. */
export const DATA_TYPE = { INT8: 0, FP16: 1, BF16: 2, FP32: 3, INT32: 4 } as const;
/** Name of an element type of the units. */
export type DataTypeName = keyof typeof DATA_TYPE;
/** Bytes of one element of each type. */
export const DATA_TYPE_BYTES: Readonly<Record<DataTypeName, number>> = { INT8: 1, FP16: 2, BF16: 2, FP32: 4, INT32: 4 };

/** Functions of the SIMD engine; TABLE_0 + n applies lookup table n. */
export const SE_FUNCTION = { IDENTITY: 0, RELU: 1, TABLE_0: 16 } as const;
/**
 * Links of the reduction network (I23 section 3: unidirectional, north to south and west to east), between neighbours of the
 * job's rectangle.
 */
export const REDUCTION_LINK = { NORTH_TO_SOUTH: 0, WEST_TO_EAST: 1 } as const;
/** PEs that meet at a BARRIER: those of the job's rectangle, or of this PE's row or column of it. */
export const BARRIER_SCOPE = { RECTANGLE: 0, ROW: 1, COLUMN: 2 } as const;
/** Operations of the SIMD engine on two rows. */
export const SE_OPERATION = { ADD: 0, SUBTRACT: 1, MULTIPLY: 2, MAXIMUM: 3, MINIMUM: 4 } as const;
/** What SE_ROW_REDUCE makes of the elements of a row. */
export const SE_ROW_OPERATION = { MAXIMUM: 0, MINIMUM: 1, ABSOLUTE_MAXIMUM: 2, SUM: 3 } as const;

/** PEs that read the same addresses: those of one row, or of one column, of the job's rectangle (I23 section 3). */
export const MULTICAST_AXIS = { NONE: 0, ROW: 1, COLUMN: 2 } as const;

/** Units of a processing element, in the order of their counters. */
export const UNIT = { CP: 0, FI: 1, DPE: 2, RE: 3, SE: 4, MLU: 5 } as const;
/** Name of a fixed-function unit. */
export type UnitName = keyof typeof UNIT;
