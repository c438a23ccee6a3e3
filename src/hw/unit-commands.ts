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

import { MML_CONTEXTS } from './command-registers.js';
import type { UnitName } from './unit-operands.js';

/** One field of a unit command. */
export interface CommandField {
  readonly name: string;
  /** rs1, rs2, or the name of a command register. */
  readonly from: string;
  readonly low: number;
  readonly bits: number;
  readonly legal: string;
}

/** A command of a fixed-function unit: a custom instruction of the harts. */
export interface UnitCommand {
  readonly name: string;
  readonly code: number;
  readonly unit: UnitName;
  readonly fields: readonly CommandField[];
  readonly doc: string;
}

const rs1 = (name: string, low: number, bits: number, legal: string): CommandField => ({
  name,
  from: 'rs1',
  low,
  bits,
  legal,
});
const rs2 = (name: string, low: number, bits: number, legal: string): CommandField => ({
  name,
  from: 'rs2',
  low,
  bits,
  legal,
});

const CB = 'an initialised circular buffer';
const OFFSET = 'any; the block must not straddle the end of the buffer inside a row';
const TYPE = 'see DATA_TYPE';

/** Of MML and MML_SPARSE. */
const MML_FIELDS: readonly CommandField[] = [
  rs1('accumulator', 0, 8, '0..3'),
  rs1('cbA', 8, 8, CB),
  rs1('cbB', 16, 8, CB),
  rs1('offsetA', 32, 32, OFFSET),
  rs2('offsetB', 0, 32, OFFSET),
  { name: 'm', from: 'MML_SHAPE', low: 0, bits: 8, legal: '1..32' },
  { name: 'n', from: 'MML_SHAPE', low: 8, bits: 8, legal: '1..32' },
  { name: 'kBytes', from: 'MML_SHAPE', low: 16, bits: 8, legal: '32 or 64' },
  { name: 'type', from: 'MML_SHAPE', low: 24, bits: 8, legal: 'INT8, FP16 or BF16' },
  { name: 'kBlocks', from: 'MML_SHAPE', low: 32, bits: 8, legal: '1 on v1, 1..64 on 2i' },
  { name: 'transposeA', from: 'MML_SHAPE', low: 40, bits: 1, legal: '0 or 1' },
  rs1('context', 24, 2, `0 on v1, 0..${MML_CONTEXTS - 1} on 2i`),
  rs1('advance', 26, 1, '0 on v1, 0 or 1 on 2i'),
];

/** Every unit command. */
export const UNIT_COMMANDS: readonly UnitCommand[] = [
  {
    name: 'CB_INIT',
    code: 0x01,
    unit: 'CP',
    doc: 'INIT: places a circular buffer in local memory and empties it.',
    fields: [
      rs1('cb', 0, 8, '0..31'),
      rs1('base', 32, 32, 'multiple of 32, inside local memory'),
      rs2('bytes', 0, 32, 'multiple of 32, not zero, inside local memory'),
    ],
  },
  {
    name: 'CB_PUSH',
    code: 0x02,
    unit: 'CP',
    doc: 'Moves the write pointer: data written at offsets becomes elements. Waits for space.',
    fields: [rs1('cb', 0, 8, CB), rs2('bytes', 0, 32, 'at most the size of the buffer')],
  },
  {
    name: 'CB_POP',
    code: 0x03,
    unit: 'CP',
    doc: 'POP: moves the read pointer: elements become space. Waits for the elements.',
    fields: [rs1('cb', 0, 8, CB), rs2('bytes', 0, 32, 'at most the size of the buffer')],
  },
  {
    name: 'CB_WAIT_DATA',
    code: 0x04,
    unit: 'CP',
    doc: 'Stalls the hart until its earlier commands on the buffer are done and that many bytes can be read; rd = local address of the read pointer.',
    fields: [rs1('cb', 0, 8, CB), rs2('bytes', 0, 32, 'at most the size of the buffer')],
  },
  {
    name: 'CB_WAIT_SPACE',
    code: 0x05,
    unit: 'CP',
    doc: 'Stalls the hart until its earlier commands on the buffer are done and that many bytes can be written; rd = local address of the write pointer.',
    fields: [rs1('cb', 0, 8, CB), rs2('bytes', 0, 32, 'at most the size of the buffer')],
  },
  {
    name: 'FENCE',
    code: 0x06,
    unit: 'CP',
    doc: 'Stalls the hart until all of its earlier commands are done.',
    fields: [],
  },
  {
    name: 'SEMAPHORE_POST',
    code: 0x07,
    unit: 'CP',
    doc: 'Adds to a semaphore of this PE, at once.',
    fields: [rs1('semaphore', 0, 8, '0..15'), rs2('value', 0, 32, 'any')],
  },
  {
    name: 'SEMAPHORE_WAIT',
    code: 0x08,
    unit: 'CP',
    doc: 'Stalls the hart until the semaphore is at least value, then subtracts it.',
    fields: [rs1('semaphore', 0, 8, '0..15'), rs2('value', 0, 32, 'any')],
  },
  {
    name: 'ATOMIC_ADD',
    code: 0x09,
    unit: 'CP',
    doc: 'Adds to a semaphore of a PE of the job. With flag set the hart stalls for the reply: rd = the value before.',
    fields: [
      rs1('semaphore', 0, 8, '0..13'),
      rs1('flag', 8, 1, '1: wait for the reply'),
      rs1('column', 16, 8, "of the PE, from the corner of the job's rectangle"),
      rs1('row', 24, 8, "of the PE, from the corner of the job's rectangle; its part of the job has not ended"),
      rs2('value', 0, 64, 'any, modulo 2^64'),
    ],
  },
  {
    name: 'ATOMIC_WAIT',
    code: 0x0a,
    unit: 'CP',
    doc: 'Stalls the hart until a semaphore of a PE of the job is at least value; rd = what it was. With flag set value is subtracted from it in the same step.',
    fields: [
      rs1('semaphore', 0, 8, '0..13'),
      rs1('flag', 8, 1, '1: subtract'),
      rs1('column', 16, 8, "of the PE, from the corner of the job's rectangle"),
      rs1('row', 24, 8, "of the PE, from the corner of the job's rectangle; its part of the job has not ended"),
      rs2('value', 0, 64, 'any, unsigned'),
    ],
  },
  {
    name: 'BARRIER',
    code: 0x0b,
    unit: 'CP',
    doc: 'Stalls the hart until one hart of every PE of the scope stands at a barrier of this scope.',
    fields: [rs1('scope', 0, 8, 'see BARRIER_SCOPE')],
  },
  {
    name: 'DMA_IN',
    code: 0x10,
    unit: 'FI',
    doc: 'DMA get: DMA_SHAPE rows from memory to write pointer + offset, row r at r * DMA_LOCAL_STRIDE; then, unless keep is set, produces offset + rows * DMA_LOCAL_STRIDE bytes. Space-checked.',
    fields: [
      rs1('address', 0, 64, 'aligned as the generation demands (v1: 32 bytes)'),
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
      rs1('address', 0, 64, 'aligned as the generation demands (v1: 32 bytes)'),
      rs2('cb', 0, 8, CB),
      rs2('keep', 8, 1, '1: do not move the read pointer'),
      rs2('offset', 32, 32, OFFSET),
    ],
  },
  {
    name: 'DMA_IN_INDEXED',
    code: 0x12,
    unit: 'FI',
    doc: '2i: as DMA_IN, but row r comes from address + index r * DMA_GLOBAL_STRIDE. The indices lie at read pointer + indexOffset of cbIndex, whose pointer stays. One that is negative or not below DMA_INDEX_ROWS raises COMMAND_INDEX_FAULT before anything moves. Element- and space-checked.',
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
    doc: '2i: brings DMA_SHAPE rows, DMA_GLOBAL_STRIDE apart, from LPDDR into the SRAM cache (LLC). A hint: nothing waits for it, and without a cache it does nothing. The rows must be readable by the context.',
    fields: [rs1('address', 0, 64, 'any')],
  },
  {
    name: 'ACC_INIT',
    code: 0x20,
    unit: 'RE',
    doc: 'INIT of an accumulator: every row becomes zero, or (bias = 1) the n 4-byte values at read pointer + offset of cb, the rest zero. INT32 for INT8 products, FP32 otherwise.',
    fields: [
      rs1('accumulator', 0, 8, '0..3'),
      rs1('bias', 8, 1, '0 or 1'),
      rs1('cb', 16, 8, CB),
      rs1('offset', 32, 32, OFFSET),
      rs2('n', 0, 8, '1..32 when bias is set'),
    ],
  },
  {
    name: 'MML',
    code: 0x21,
    unit: 'DPE',
    doc: 'accumulator[m][n] += A[m][k] * B[k][n] for one block (MML_SHAPE): A is m rows of k bytes, MML_STRIDE apart; B is k/4 rows of 32 groups of 4 bytes (group n holds the 4 bytes of k of column n), so 2048 bytes for 64 bytes of k. Blocks along k follow at +k bytes in A and +(k/4)*128 bytes in B (2i only; 1 on v1). With transposeA, A lies as rows of k of m elements each, MML_STRIDE apart, and passes through the MLU on its way (I23 section 3). context chooses the MML registers (2i: multi-context GEMM, I25). With advance (2i) the halves of MML_OFFSET are added to both offsets; when the command has been accepted, MML_INCREMENT is added to MML_OFFSET. Element-checked; moves no pointer.',
    fields: MML_FIELDS,
  },
  {
    name: 'REDUCE',
    code: 0x22,
    unit: 'RE',
    doc: 'rows x columns of an accumulator pass through SE function and are converted to type, to write pointer + offset of cb, row r at r * stride. Space-checked; moves no pointer.',
    fields: [
      rs1('accumulator', 0, 8, '0..3'),
      rs1('cb', 8, 8, CB),
      rs1('function', 16, 8, 'see SE_FUNCTION'),
      rs1('type', 24, 8, 'FP16, BF16, FP32 (INT32 of an INT8 accumulator)'),
      rs1('offset', 32, 32, OFFSET),
      rs2('rows', 0, 8, '1..32'),
      rs2('columns', 8, 8, '1..32'),
      rs2('stride', 32, 32, 'at least columns * bytes of type'),
    ],
  },
  {
    name: 'RE_ROW_RANGE',
    code: 0x24,
    unit: 'RE',
    doc: '2i: minimum and maximum of each row of an accumulator, for dynamic quantisation (I25): two FP32 values a row, to write pointer + offset of cb, row r at r * stride. With merge set what lies there takes part. Space-checked; moves no pointer.',
    fields: [
      rs1('accumulator', 0, 8, '0..3'),
      rs1('cb', 8, 8, CB),
      rs1('merge', 16, 1, '0 or 1'),
      rs1('offset', 32, 32, OFFSET),
      rs2('rows', 0, 8, '1..32'),
      rs2('columns', 8, 8, '1..32'),
      rs2('stride', 32, 32, 'at least 8'),
    ],
  },
  {
    name: 'REDUCE_DEQUANTIZE',
    code: 0x25,
    unit: 'RE',
    doc: 'As REDUCE, but before function every value is multiplied by the factor of its row (ROW_SCALE), then by that of its column (COLUMN_SCALE), then COLUMN_BIAS is added; each of the three only where its register says so. Element- and space-checked; moves no pointer.',
    fields: [
      rs1('accumulator', 0, 8, '0..3'),
      rs1('cb', 8, 8, CB),
      rs1('function', 16, 8, 'see SE_FUNCTION'),
      rs1('type', 24, 8, 'INT8, FP16, BF16 or FP32'),
      rs1('offset', 32, 32, OFFSET),
      rs2('rows', 0, 8, '1..32'),
      rs2('columns', 8, 8, '1..32'),
      rs2('stride', 32, 32, 'at least columns * bytes of type'),
    ],
  },
  {
    name: 'REDUCE_SEND',
    code: 0x23,
    unit: 'RE',
    doc: "Sends rows x columns of an accumulator, as they are, over a link of the reduction network to the southern or eastern neighbour. Waits while the link's FIFO is full.",
    fields: [
      rs1('accumulator', 0, 8, '0..3'),
      rs1('link', 8, 8, 'see REDUCTION_LINK; the neighbour must belong to the job'),
      rs1('type', 24, 8, 'INT32 of an INT8 accumulator, FP32 of others'),
      rs2('rows', 0, 8, '1..32'),
      rs2('columns', 8, 8, '1..32'),
    ],
  },
  {
    name: 'REDUCE_RECEIVE',
    code: 0x2f,
    unit: 'RE',
    doc: 'Adds the next block of the link from the northern or western neighbour to rows x columns of an accumulator. Waits for the block, which must have this shape and type.',
    fields: [
      rs1('accumulator', 0, 8, '0..3'),
      rs1('link', 8, 8, 'see REDUCTION_LINK; the neighbour must belong to the job'),
      rs1('type', 24, 8, 'INT32 or FP32: that of the block and of the accumulator'),
      rs2('rows', 0, 8, '1..32'),
      rs2('columns', 8, 8, '1..32'),
    ],
  },
  {
    name: 'MML_SPARSE',
    code: 0x26,
    unit: 'DPE',
    doc: '2i: as MML with 2:4 sparse B, at twice the k a cycle: of every 4 elements of k of a column two are kept. A block of B is k/8 rows of 32 groups of 4 bytes (group n of row r holds bytes 4r..4r+3 of the kept values of column n), then for each of 32 columns (elements of k)/8 bytes of positions: 4 bits for 4 elements of k, low bits first, bits 1:0 the place of the first kept value and 3:2 that of the second. With k = 64 bytes: 1024 + 256 bytes (INT8) or 1024 + 128 (FP16, BF16). Positions that do not ascend make offsetB illegal. Blocks along k follow each other; none may straddle the end of the buffer. Element-checked; moves no pointer.',
    fields: MML_FIELDS,
  },
  {
    name: 'SE_LOAD_TABLE',
    code: 0x30,
    unit: 'SE',
    doc: 'Loads a lookup table (struct mtia_se_table) from local memory into slot.',
    fields: [
      rs1('slot', 0, 8, '0..7'),
      rs1('address', 32, 32, 'offset in local memory, multiple of 32'),
      rs2('bytes', 0, 32, 'size of the table, at most 4096'),
    ],
  },
  {
    name: 'SE_UNARY',
    code: 0x31,
    unit: 'SE',
    doc: 'function of every element of SE_SHAPE, from read pointer + sourceOffset to write pointer + destinationOffset. At most 32 rows (v1) or 128 rows (2i). Element- and space-checked; moves no pointer.',
    fields: [
      rs1('cbSource', 0, 8, CB),
      rs1('cbDestination', 8, 8, CB),
      rs1('function', 16, 8, 'see SE_FUNCTION'),
      rs1('typeIn', 24, 4, TYPE),
      rs1('typeOut', 28, 4, TYPE),
      rs1('sourceOffset', 32, 32, OFFSET),
      rs2('destinationOffset', 0, 32, OFFSET),
    ],
  },
  {
    name: 'SE_BINARY',
    code: 0x32,
    unit: 'SE',
    doc: 'operation on every pair of elements of SE_SHAPE in FP32, then conversion. Sources at read pointer + offset of two buffers. With perRow set the second source has one element a row, which all elements of the row meet. Element- and space-checked; moves no pointer.',
    fields: [
      rs1('cbFirst', 0, 8, CB),
      rs1('cbDestination', 8, 8, CB),
      rs1('operation', 16, 7, 'see SE_OPERATION'),
      rs1('perRow', 23, 1, '0 or 1'),
      rs1('typeIn', 24, 4, TYPE),
      rs1('typeOut', 28, 4, TYPE),
      rs1('firstOffset', 32, 32, OFFSET),
      rs2('destinationOffset', 0, 32, OFFSET),
      rs2('secondOffset', 32, 24, OFFSET),
      rs2('cbSecond', 56, 8, CB),
    ],
  },
  {
    name: 'SE_ROW_ACCUMULATE',
    code: 0x33,
    unit: 'SE',
    doc: 'Sums the rows of SE_SHAPE in FP32, in row order, into one row of typeOut. At most 32 rows (v1) or 128 rows (2i). With accumulate set the FP32 destination row is the first summand. Element- and space-checked; moves no pointer.',
    fields: [
      rs1('cbSource', 0, 8, CB),
      rs1('cbDestination', 8, 8, CB),
      rs1('accumulate', 16, 1, '1 only where typeOut is FP32'),
      rs1('typeIn', 24, 4, TYPE),
      rs1('typeOut', 28, 4, TYPE),
      rs1('sourceOffset', 32, 32, OFFSET),
      rs2('destinationOffset', 0, 32, OFFSET),
    ],
  },
  {
    name: 'SE_QUANTIZE',
    code: 0x34,
    unit: 'SE',
    doc: 'SE_SHAPE elements to INT8, symmetric: times the reciprocal of an FP32 scale, to nearest even, -127..127. The scale of row r lies at read pointer + scaleOffset + 4 r of cbScale, or one for all rows. Element- and space-checked; moves no pointer.',
    fields: [
      rs1('cbSource', 0, 8, CB),
      rs1('cbDestination', 8, 8, CB),
      rs1('perRow', 16, 1, '1: a scale for each row; 0: one for all'),
      rs1('typeIn', 24, 4, TYPE),
      rs1('sourceOffset', 32, 32, OFFSET),
      rs2('destinationOffset', 0, 32, OFFSET),
      rs2('scaleOffset', 32, 24, OFFSET),
      rs2('cbScale', 56, 8, CB),
    ],
  },
  {
    name: 'SE_DEQUANTIZE',
    code: 0x35,
    unit: 'SE',
    doc: 'SE_SHAPE elements times the factor of their row (ROW_SCALE), times that of their column (COLUMN_SCALE), plus COLUMN_BIAS, each only where its register says so; then function and conversion. Element- and space-checked; moves no pointer.',
    fields: [
      rs1('cbSource', 0, 8, CB),
      rs1('cbDestination', 8, 8, CB),
      rs1('function', 16, 8, 'see SE_FUNCTION'),
      rs1('typeIn', 24, 4, TYPE),
      rs1('typeOut', 28, 4, 'INT8, FP16, BF16 or FP32'),
      rs1('sourceOffset', 32, 32, OFFSET),
      rs2('destinationOffset', 0, 32, OFFSET),
    ],
  },
  {
    name: 'SE_ROW_REDUCE',
    code: 0x36,
    unit: 'SE',
    doc: 'operation over the elements of each row of SE_SHAPE: one FP32 value a row, SE_DESTINATION_STRIDE apart. With merge set what lies there takes part. Assumed: published of MTIA 2i are the range of an accumulator row (RE) and sums over rows. Element- and space-checked; moves no pointer.',
    fields: [
      rs1('cbSource', 0, 8, CB),
      rs1('cbDestination', 8, 8, CB),
      rs1('operation', 16, 4, 'see SE_ROW_OPERATION'),
      rs1('merge', 20, 1, '0 or 1'),
      rs1('typeIn', 24, 4, TYPE),
      rs1('sourceOffset', 32, 32, OFFSET),
      rs2('destinationOffset', 0, 32, OFFSET),
    ],
  },
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
