/**
 * Command registers: operands of unit commands that a kernel sets once for many of them ("custom registers hold the fields of
 * a command", I23 section 3). Each hart has its own.
 */

/** A register that keeps an operand for commands to come, or one for each context of MML. */
export interface CommandRegister {
  readonly name: string;
  readonly index: number;
  /** Registers of this name: one for each context of MML, MML_CONTEXT_REGISTERS apart. */
  readonly count?: number;
  readonly doc: string;
}

/**
 * Sets of MML registers: 2i has multi-context GEMM instructions, which spare rewriting them (I25). v1 has the first
 * set only. Their number is assumed.
 */
export const MML_CONTEXTS = 4;
/** From a register of one context to that of the next. */
export const MML_CONTEXT_REGISTERS = 4;

const VECTOR = 'as ROW_SCALE';

/** Every command register. */
export const COMMAND_REGISTERS: readonly CommandRegister[] = [
  { name: 'DMA_SHAPE', index: 0, doc: 'rows (15:0), bytes of a row (47:16)' },
  { name: 'DMA_GLOBAL_STRIDE', index: 1, doc: 'bytes from row to row outside the PE' },
  { name: 'DMA_LOCAL_STRIDE', index: 2, doc: 'bytes from row to row in the circular buffer, a multiple of 4' },
  {
    name: 'DMA_MULTICAST',
    index: 3,
    doc: 'group of DMA_IN: axis (7:0; see MULTICAST_AXIS), bit per member (15:8): place along that row or column of the job, this PE among them; zero after every job',
  },
  { name: 'DMA_INDEX_ROWS', index: 4, doc: 'rows of the table that DMA_IN_INDEXED may read' },
  {
    name: 'DMA_CACHE_HINT',
    index: 5,
    doc: 'bit 0: DMA_IN and DMA_IN_INDEXED are the last use of what they read: it leaves the SRAM cache, and is not written back if dirty',
  },
  {
    name: 'SE_SHAPE',
    index: 6,
    doc: 'rows (15:0), elements of a row (31:16), elements left out between two of the first source (39:32) and of the second (47:40)',
  },
  {
    name: 'SE_SOURCE_STRIDE',
    index: 7,
    doc: 'bytes from row to row of the first source (31:0) and of the second (63:32)',
  },
  { name: 'SE_DESTINATION_STRIDE', index: 8, doc: 'bytes from row to row of the destination' },
  {
    name: 'ROW_SCALE',
    index: 9,
    doc: 'FP32 factors, one a row, at a read pointer: 1 to use them (0), circular buffer (15:8), offset (63:32)',
  },
  { name: 'COLUMN_SCALE', index: 10, doc: `FP32 factors, one a column; ${VECTOR}` },
  { name: 'COLUMN_BIAS', index: 11, doc: `FP32 summands, one a column; ${VECTOR}` },
  {
    name: 'MLU_SHAPE',
    index: 12,
    doc: 'rows (15:0), elements of a row (31:16), bits of an element (39:32): 4, 8, 16 or 32, elements of the source that are left out between two (47:40)',
  },
  { name: 'MLU_SOURCE_STRIDE', index: 13, doc: 'bytes from row to row of the source' },
  { name: 'MLU_DESTINATION_STRIDE', index: 14, doc: 'bytes from row to row of the destination' },
  {
    name: 'MML_SHAPE',
    index: 16,
    count: MML_CONTEXTS,
    doc: 'rows m (7:0), columns n (15:8), bytes of k (23:16), data type (31:24), blocks along k (39:32), A transposed by the MLU on its way (40)',
  },
  {
    name: 'MML_STRIDE',
    index: 17,
    count: MML_CONTEXTS,
    doc: 'bytes from row to row of A (31:0), a multiple of 4',
  },
  {
    name: 'MML_INCREMENT',
    index: 18,
    count: MML_CONTEXTS,
    doc: 'what MML with advance adds to the halves of MML_OFFSET, each modulo 2^32',
  },
  {
    name: 'MML_OFFSET',
    index: 19,
    count: MML_CONTEXTS,
    doc: 'what MML with advance adds to its offset of A (31:0) and of B (63:32)',
  },
];
