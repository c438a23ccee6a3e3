/** Kernels of the library: identifiers and argument structures, shared by the compiler and firmware/kernels. */
import { defineStruct } from './layout.js';

/** Kernels of the library: the numbers by which LAUNCH and graphs name them. */
export const KERNEL_ID = {
  NULL: 0,
  FULLY_CONNECTED: 1,
  EMBEDDING_BAG: 2,
  INTERACTION: 3,
  CONVERT: 4,
  UNARY: 5,
  COPY: 6,
  QUANTIZE: 7,
  /** Ids from here on are free for kernels outside the library. */
  FIRST_EXTERNAL: 256,
} as const;
/** Name of a kernel of the library. */
export type KernelName = keyof typeof KERNEL_ID;

/** Activation of a fused kernel or the function of UNARY. */
export const ACTIVATION = { NONE: 0, RELU: 1, SIGMOID: 2, TANH: 3 } as const;
/** Function that a kernel applies to its results. */
export type ActivationName = keyof typeof ACTIVATION;

/** Values with which a kernel returns; 0 is success. They become error codes of the completion. */
export const KERNEL_RESULT = { OK: 0, BAD_GRID: 1, BAD_ARGUMENT: 2, INDEX_OUT_OF_RANGE: 3, LOCAL_MEMORY: 4 } as const;

/** Arguments of FULLY_CONNECTED. */
export const FULLY_CONNECTED_ARGUMENTS = defineStruct(
  'mtia_fully_connected_arguments',
  96,
  'output[m][n] = activation(input[m][k] * weight[n][k] + bias[n]). The rectangle splits m over its rows and n over its columns. INT8: activation(INT32 sum * row_scale[m] * column_scale[n] + bias[n]).',
  [
    { name: 'input', type: 'u64', doc: 'm rows of type, input_stride apart; k is padded to a multiple of 64 bytes' },
    {
      name: 'weight',
      type: 'u64',
      doc: 'DPE blocks: for every 32 columns of n, for every 64 bytes of k: 2048 bytes (see MML)',
    },
    { name: 'bias', type: 'u64', doc: 'FP32, n padded to a multiple of 32 with zeros; 0 = no bias' },
    { name: 'output', type: 'u64', doc: 'm rows of output_type, output_stride apart' },
    { name: 'm', type: 'u32', doc: 'rows' },
    { name: 'n', type: 'u32', doc: 'columns, padded to a multiple of 32' },
    { name: 'k_bytes', type: 'u32', doc: 'bytes of a row of input, a multiple of 64' },
    { name: 'input_stride', type: 'u32', doc: 'bytes, a multiple of 64' },
    { name: 'output_stride', type: 'u32', doc: 'bytes, a multiple of 32' },
    {
      name: 'output_columns',
      type: 'u32',
      doc: 'columns stored: n, or fewer in the last block (rest of a row is not written)',
    },
    { name: 'type', type: 'u32', doc: 'DATA_TYPE of input and weight: FP16, BF16 or INT8' },
    { name: 'output_type', type: 'u32', doc: 'DATA_TYPE: FP16, BF16 or FP32' },
    { name: 'activation', type: 'u32', doc: 'see ACTIVATION' },
    {
      name: 'row_tile',
      type: 'u32',
      doc: 'rows of one output tile: 32 or 64; tiles are dealt to the rows of the rectangle in turn',
    },
    { name: 'column_tile', type: 'u32', doc: 'columns of one output tile: 32 or 64' },
    {
      name: 'row_parts',
      type: 'u32',
      doc: 'rows of the grid that tiles are dealt to, a divisor of those of the rectangle, whose bands then stand side by side; 0 = as the rectangle',
    },
    {
      name: 'row_scale',
      type: 'u64',
      doc: 'INT8: FP32, one a row of input (what QUANTIZE wrote); else zero',
    },
    {
      name: 'column_scale',
      type: 'u64',
      doc: 'INT8: FP32, one a column of weight, n padded to a multiple of 32; else zero',
    },
  ],
);

/** One table of EMBEDDING_BAG. */
export const EMBEDDING_TABLE = defineStruct(
  'mtia_embedding_table',
  64,
  'One embedding bag of a table-batched job; an array of these lies in device memory.',
  [
    { name: 'table_offset', type: 'u64', doc: 'first row of the table, from the base argument tables' },
    { name: 'indices_offset', type: 'u64', doc: 'batch * bag_length INT64 indices, from the base argument inputs' },
    { name: 'output_offset', type: 'u64', doc: 'where the pooled row of sample 0 goes, from the base argument output' },
    {
      name: 'rows',
      type: 'u64',
      doc: 'rows of the table; an index outside 0..rows-1 ends the job with INDEX_OUT_OF_RANGE',
    },
    { name: 'bag_length', type: 'u32', doc: 'indices of one sample' },
    { name: 'row_bytes', type: 'u32', doc: 'bytes of a row of type, a multiple of 32' },
    { name: 'reserved', type: 'u64', count: 3, doc: 'zero' },
  ],
);

/** Arguments of EMBEDDING_BAG. */
export const EMBEDDING_BAG_ARGUMENTS = defineStruct(
  'mtia_embedding_bag_arguments',
  64,
  'Sum pooling of all embedding bags of a model in one job (table-batched embedding). Pairs of table and block of samples are dealt to the PEs in turn.',
  [
    { name: 'descriptors', type: 'u64', doc: 'table_count mtia_embedding_table records' },
    { name: 'tables', type: 'u64', doc: 'base of table_offset' },
    { name: 'inputs', type: 'u64', doc: 'base of indices_offset' },
    { name: 'output', type: 'u64', doc: 'base of output_offset' },
    { name: 'table_count', type: 'u32', doc: 'embedding bags' },
    { name: 'batch', type: 'u32', doc: 'samples' },
    { name: 'output_stride', type: 'u32', doc: 'bytes from sample to sample of the output, a multiple of 32' },
    {
      name: 'type',
      type: 'u32',
      doc: 'DATA_TYPE of tables and output: FP16, BF16 or FP32; or INT8 rows, whose sums become FP16',
    },
    {
      name: 'elements',
      type: 'u32',
      doc: 'elements of an embedding row; a row is read and written up to the next multiple of 32 bytes',
    },
    { name: 'sample_block', type: 'u32', doc: 'samples of one work item' },
    { name: 'reserved', type: 'u64', doc: 'zero' },
  ],
);

/** Arguments of INTERACTION. */
export const INTERACTION_ARGUMENTS = defineStruct(
  'mtia_interaction_arguments',
  72,
  'Per sample: S = X X^T for the features x elements matrix X; output row = dense prefix, then S at the selected places. Samples are dealt to the PEs.',
  [
    { name: 'input', type: 'u64', doc: 'batch samples, input_stride apart; feature f at f * feature_stride' },
    {
      name: 'output',
      type: 'u64',
      doc: 'batch rows, output_stride apart, zero from the last written element to the end of the row',
    },
    {
      name: 'selection',
      type: 'u64',
      doc: 'selected places of S: selected_count u32 of row * features + column, padded to a multiple of 32 bytes',
    },
    { name: 'batch', type: 'u32', doc: 'samples' },
    { name: 'features', type: 'u32', doc: '1..64 rows of X' },
    { name: 'elements', type: 'u32', doc: 'columns of X' },
    { name: 'feature_stride', type: 'u32', doc: 'bytes, a multiple of 64; padding is zero or multiplies to zero' },
    { name: 'input_stride', type: 'u32', doc: 'bytes from sample to sample' },
    { name: 'output_stride', type: 'u32', doc: 'bytes from row to row, a multiple of 32' },
    {
      name: 'prefix_elements',
      type: 'u32',
      doc: 'elements of feature prefix_feature copied to the front of the row; 0 = none',
    },
    { name: 'prefix_feature', type: 'u32', doc: 'which feature is the prefix' },
    { name: 'selected_count', type: 'u32', doc: 'selected places' },
    { name: 'type', type: 'u32', doc: 'DATA_TYPE of input and output: FP16 or BF16' },
    { name: 'reserved', type: 'u64', doc: 'zero' },
  ],
);

/** Arguments of CONVERT and UNARY. */
export const CONVERT_ARGUMENTS = defineStruct(
  'mtia_convert_arguments',
  48,
  'Converts a matrix from one type to another and pads its rows with zeros to output_stride. Blocks of rows are dealt to the PEs. Also applies a function: kernel UNARY uses the same arguments.',
  [
    { name: 'input', type: 'u64', doc: 'rows, input_stride apart' },
    { name: 'output', type: 'u64', doc: 'rows, output_stride apart' },
    { name: 'rows', type: 'u32', doc: 'rows' },
    { name: 'elements', type: 'u32', doc: 'elements of a row, at most 8192' },
    { name: 'input_stride', type: 'u32', doc: 'bytes; need not be aligned' },
    {
      name: 'output_stride',
      type: 'u32',
      doc: 'bytes, a multiple of 32: from the last element to the end of the row zero is written where pad is set. Or, with pad clear, elements * bytes of output_type: rows without gaps',
    },
    { name: 'input_type', type: 'u32', doc: 'DATA_TYPE' },
    { name: 'output_type', type: 'u32', doc: 'DATA_TYPE' },
    { name: 'function', type: 'u32', doc: 'see ACTIVATION' },
    { name: 'pad', type: 'u32', doc: '1: zero the rest of every output row' },
  ],
);

/** Arguments of COPY. */
export const COPY_ARGUMENTS = defineStruct(
  'mtia_copy_arguments',
  48,
  'Copies a block of rows between strides (cat, stack, slice, view). Blocks of rows are dealt to the PEs.',
  [
    { name: 'input', type: 'u64', doc: 'rows, input_stride apart' },
    { name: 'output', type: 'u64', doc: 'rows, output_stride apart' },
    { name: 'rows', type: 'u32', doc: 'rows' },
    { name: 'row_bytes', type: 'u32', doc: 'bytes of a row, at most 32768' },
    { name: 'input_stride', type: 'u64', doc: 'bytes' },
    { name: 'output_stride', type: 'u64', doc: 'bytes' },
    { name: 'reserved', type: 'u64', doc: 'zero' },
  ],
);

/** Arguments of QUANTIZE. */
export const QUANTIZE_ARGUMENTS = defineStruct(
  'mtia_quantize_arguments',
  48,
  'Symmetric dynamic quantisation, row by row (I25): scales[row] = max |input[row]| / 127, output = input / scales[row] in INT8. Blocks of rows are dealt to the PEs.',
  [
    { name: 'input', type: 'u64', doc: 'rows of input_type, input_stride apart' },
    { name: 'output', type: 'u64', doc: 'rows of INT8, output_stride apart; zero behind the elements' },
    { name: 'scales', type: 'u64', doc: 'FP32, one a row' },
    { name: 'rows', type: 'u32', doc: 'rows' },
    { name: 'elements', type: 'u32', doc: 'elements of a row, 1..16384' },
    { name: 'input_stride', type: 'u32', doc: 'bytes, a multiple of 32' },
    { name: 'output_stride', type: 'u32', doc: 'bytes, a multiple of 64, at most 63 more than elements' },
    { name: 'input_type', type: 'u32', doc: 'DATA_TYPE: FP16 or BF16' },
    { name: 'reserved', type: 'u32', doc: 'zero' },
  ],
);
