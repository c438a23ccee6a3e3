/** Commands of the dot-product engine and of the reduction engine, whose accumulators it adds to. */
import { MML_CONTEXTS } from '../command-registers.js';
import { LIMITS } from '../register-values.js';
import { CB, type CommandField, OFFSET, rs1, rs2, type UnitCommand } from './command.js';

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
  { name: 'kBlocks', from: 'MML_SHAPE', low: 32, bits: 8, legal: `1..${LIMITS.MML_BLOCKS}` },
  { name: 'transposeA', from: 'MML_SHAPE', low: 40, bits: 1, legal: '0 or 1' },
  rs1('context', 24, 2, `0..${MML_CONTEXTS - 1}`),
  rs1('advance', 26, 1, '0 or 1'),
];

/** Of the dot-product engine and the reduction engine. */
export const MATRIX_COMMANDS: readonly UnitCommand[] = [
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
    doc: 'accumulator[m][n] += A[m][k] * B[k][n] for one block (MML_SHAPE): A is m rows of k bytes, MML_STRIDE apart; B is k/4 rows of 32 groups of 4 bytes (group n holds the 4 bytes of k of column n), so 2048 bytes for 64 bytes of k. Blocks along k follow at +k bytes in A and +(k/4)*128 bytes in B. With transposeA, A lies as rows of k of m elements each, MML_STRIDE apart, and passes through the MLU on its way (I23 section 3). context chooses the MML registers (multi-context GEMM, I25). With advance the halves of MML_OFFSET are added to both offsets; when the command has been accepted, MML_INCREMENT is added to MML_OFFSET. Element-checked; moves no pointer.',
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
    doc: 'Minimum and maximum of each row of an accumulator, for dynamic quantisation (I25): two FP32 values a row, to write pointer + offset of cb, row r at r * stride. With merge set what lies there takes part. Space-checked; moves no pointer.',
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
    doc: 'As MML with 2:4 sparse B, at twice the k a cycle: of every 4 elements of k of a column two are kept. A block of B is k/8 rows of 32 groups of 4 bytes (group n of row r holds bytes 4r..4r+3 of the kept values of column n), then for each of 32 columns (elements of k)/8 bytes of positions: 4 bits for 4 elements of k, low bits first, bits 1:0 the place of the first kept value and 3:2 that of the second. With k = 64 bytes: 1024 + 256 bytes (INT8) or 1024 + 128 (FP16, BF16). Positions that do not ascend make offsetB illegal. Blocks along k follow each other; none may straddle the end of the buffer. Element-checked; moves no pointer.',
    fields: MML_FIELDS,
  },
];
