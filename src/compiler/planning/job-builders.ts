/** One function for each kernel: its arguments, what it touches, and how it spreads over the grid. */
import {
  ACTIVATION,
  type ActivationName,
  CONVERT_ARGUMENTS,
  COPY_ARGUMENTS,
  DATA_TYPE,
  DATA_TYPE_BYTES,
  type DataTypeName,
  EMBEDDING_BAG_ARGUMENTS,
  FULLY_CONNECTED_ARGUMENTS,
  INTERACTION_ARGUMENTS,
  QUANTIZE_ARGUMENTS,
} from '../../hw/index.js';
import { unsupported } from '../errors.js';
import type { SegmentAddress } from '../graph-image.js';
import { ELEMENTS_LIMIT } from '../lowering/matrix-operators.js';
import type { EmbeddingBag, FullyConnected, Interaction } from '../lowering/values.js';
import { BLOCK_COLUMNS, roundUp } from '../packing/pack-weights.js';
import { type Access, accessOf, addressOf, type Place, type PlannedJob } from './buffers.js';
import { HALF_BYTES, ROW_ALIGNMENT } from './composites.js';
import type { FullyConnectedWeights } from './constants.js';
import type { Grid } from './footprints.js';

export type HalfDataType = 'BF16' | 'FP16';

const COPY_ROW_LIMIT = 32768;
const SE_ELEMENTS_PER_CYCLE = 32;
const ROW_CYCLES = 40;
const INDEX_CYCLES = 30;
const SAMPLE_CYCLES = 400;
/** Items of an embedding job for each PE: enough to level out, few enough that descriptors cost nothing. */
const ITEMS_PER_PE = 4;
/** Rows that QUANTIZE deals at a time: their scales begin aligned for DMA of MTIA v1. */
const QUANTIZE_BLOCK_ROWS = 8;
/** Once for the maximum, once for the quotient. */
const cyclesOfBlock = (elements: number): number =>
  (2 * QUANTIZE_BLOCK_ROWS * elements) / SE_ELEMENTS_PER_CYCLE + ROW_CYCLES * QUANTIZE_BLOCK_ROWS;
const SAMPLE_BLOCK_LIMIT = 64;
/** Indices of a block begin aligned for DMA of MTIA v1. */
const SAMPLE_BLOCK_MULTIPLE = 4;

export interface MatrixOperand {
  readonly place: Place;
  readonly kBytes: number;
  /** INT8 only: one scale a row. */
  readonly scales?: Place;
}

/** Elements of a row at most that QUANTIZE takes. */
const QUANTIZE_ELEMENTS_LIMIT = 16384;
const INT8_ROW_ALIGNMENT = 64;

export function fullyConnectedJob(
  grid: Grid,
  operation: FullyConnected,
  input: MatrixOperand,
  output: Place,
  weights: FullyConnectedWeights,
  types: { readonly input: HalfDataType | 'INT8'; readonly output: DataTypeName },
): PlannedJob {
  const m = operation.rows;
  const n = roundUp(operation.columns, BLOCK_COLUMNS);
  const { kBytes, scales } = input;
  return {
    kernel: 'FULLY_CONNECTED',
    layout: FULLY_CONNECTED_ARGUMENTS,
    values: {
      input: addressOf(input.place),
      weight: weights.weight,
      bias: weights.bias,
      output: addressOf(output),
      m,
      n,
      k_bytes: kBytes,
      input_stride: input.place.stride,
      output_stride: output.stride,
      output_columns: Math.min(n, output.written / DATA_TYPE_BYTES[types.output]),
      type: DATA_TYPE[types.input],
      output_type: DATA_TYPE[types.output],
      activation: ACTIVATION[operation.activation],
      row_scale: scales === undefined ? 0 : addressOf(scales),
      column_scale: weights.columnScale ?? 0,
    },
    reads: [...accessOf(input.place, kBytes), ...(scales === undefined ? [] : accessOf(scales, scales.stride))],
    writes: accessOf(output, output.written),
    nodes: operation.nodes,
    shape: `m ${m}, n ${operation.columns}, k ${operation.weight.shape[1]}`,
    footprint: (maximumRows) => grid.fullyConnected(m, n, kBytes, maximumRows),
  };
}

/** INT8 bytes of a row of `elements`, as matrices are multiplied. */
export const quantizedBytes = (elements: number): number => roundUp(elements, INT8_ROW_ALIGNMENT);

/** The rows of `input`, `elements` long, to INT8 and a scale each. */
export function quantizeJob(
  grid: Grid,
  consumer: FullyConnected,
  input: Place,
  elements: number,
  output: { readonly place: Place; readonly scales: Place },
  type: HalfDataType,
): PlannedJob {
  const { rows, nodes, operator } = consumer;
  if (elements > QUANTIZE_ELEMENTS_LIMIT) {
    const reason = `rows of more than ${QUANTIZE_ELEMENTS_LIMIT} elements cannot be quantised; use --dtype bf16 or fp16`;
    throw unsupported(operator, nodes[0] ?? '', reason);
  }
  const bytes = elements * HALF_BYTES;
  return {
    kernel: 'QUANTIZE',
    layout: QUANTIZE_ARGUMENTS,
    values: {
      input: addressOf(input),
      output: addressOf(output.place),
      scales: addressOf(output.scales),
      rows,
      elements,
      input_stride: input.stride,
      output_stride: output.place.stride,
      input_type: DATA_TYPE[type],
    },
    reads: accessOf(input, bytes),
    writes: [...accessOf(output.place, output.place.stride), ...accessOf(output.scales, output.scales.stride)],
    nodes,
    shape: `rows ${rows}, elements ${elements}, ${type} to INT8`,
    footprint: (maximumRows) =>
      grid.dealt(
        Math.ceil(rows / QUANTIZE_BLOCK_ROWS),
        QUANTIZE_BLOCK_ROWS * (bytes + elements),
        cyclesOfBlock(elements),
        maximumRows,
      ),
  };
}

/** One job for bags of equal width and stride; their records are in the weights segment. */
export function embeddingBagJob(
  grid: Grid,
  bags: readonly { readonly operation: EmbeddingBag; readonly place: Place }[],
  descriptors: SegmentAddress,
  type: HalfDataType,
): PlannedJob {
  const first = bags[0];
  const batch = first?.operation.rows ?? 0;
  const elements = (first?.place.written ?? 0) / HALF_BYTES;
  const pes = grid.columns * grid.rows;
  const even = Math.ceil((batch * bags.length) / (pes * ITEMS_PER_PE));
  const block = roundUp(Math.min(SAMPLE_BLOCK_LIMIT, Math.max(1, even)), SAMPLE_BLOCK_MULTIPLE);
  const indices = bags.reduce((sum, { operation }) => sum + operation.bagLength, 0);
  const items = bags.length * Math.ceil(batch / block);
  const rowsOfItem = (indices * batch) / items;
  return {
    kernel: 'EMBEDDING_BAG',
    layout: EMBEDDING_BAG_ARGUMENTS,
    values: {
      descriptors,
      tables: { segment: 'weights', offset: 0 },
      inputs: { segment: 'inputs', offset: 0 },
      output: { segment: 'workspace', offset: 0 },
      table_count: bags.length,
      batch,
      output_stride: first?.place.stride ?? 0,
      type: DATA_TYPE[type],
      elements,
      sample_block: block,
    },
    reads: [],
    writes: bags.flatMap(({ place }) => accessOf(place, place.written)),
    nodes: bags.flatMap(({ operation }) => operation.nodes),
    shape: `tables ${bags.length}, batch ${batch}, elements ${first?.operation.columns}`,
    footprint: (maximumRows) =>
      grid.dealt(items, rowsOfItem * elements * HALF_BYTES, rowsOfItem * INDEX_CYCLES, maximumRows),
  };
}

export function interactionJob(
  grid: Grid,
  operation: Interaction,
  input: { readonly place: Place; readonly featureStride: number },
  output: Place,
  selection: SegmentAddress,
  type: HalfDataType,
): PlannedJob {
  const { features, elements, rows, prefixElements, prefixFeature } = operation;
  const selected = operation.selection.length;
  const bytes = features * input.featureStride;
  return {
    kernel: 'INTERACTION',
    layout: INTERACTION_ARGUMENTS,
    values: {
      input: addressOf(input.place),
      output: addressOf(output),
      selection,
      batch: rows,
      features,
      elements,
      feature_stride: input.featureStride,
      input_stride: input.place.stride,
      output_stride: output.stride,
      prefix_elements: prefixElements,
      prefix_feature: prefixFeature,
      selected_count: selected,
      type: DATA_TYPE[type],
    },
    reads: accessOf(input.place, bytes),
    writes: accessOf(output, output.stride),
    nodes: operation.nodes,
    shape: `batch ${rows}, features ${features}, elements ${elements}, selected ${selected}`,
    footprint: (maximumRows) => grid.dealt(rows, bytes + output.stride, SAMPLE_CYCLES, maximumRows),
  };
}

export interface ConvertJob {
  readonly rows: number;
  readonly columns: number;
  readonly input: Place;
  readonly inputType: DataTypeName;
  readonly output: Place;
  readonly outputType: DataTypeName;
  readonly activation?: ActivationName;
  /** Zero the rest of every output row. */
  readonly pad?: boolean;
  readonly nodes: readonly string[];
  readonly operator: string;
}

/** Conversion of a matrix, in several jobs where its rows are longer than the kernel takes. */
export function convertJobs(grid: Grid, job: ConvertJob): readonly PlannedJob[] {
  const widths = { input: DATA_TYPE_BYTES[job.inputType], output: DATA_TYPE_BYTES[job.outputType] };
  if (job.columns <= ELEMENTS_LIMIT) return [convertJob(grid, job, widths)];
  const total = job.rows * job.columns;
  if (job.input.stride === job.columns * widths.input && job.output.stride === job.columns * widths.output) {
    let columns = ELEMENTS_LIMIT;
    while (total % columns !== 0) columns--;
    const input = { ...job.input, stride: columns * widths.input };
    const output = { ...job.output, stride: columns * widths.output };
    return [convertJob(grid, { ...job, rows: total / columns, columns, input, output }, widths)];
  }
  if (job.pad === true || job.output.stride % 32 !== 0) {
    throw unsupported(job.operator, job.nodes[0] ?? '', `rows of more than ${ELEMENTS_LIMIT} elements`);
  }
  const jobs: PlannedJob[] = [];
  for (let start = 0; start < job.columns; start += ELEMENTS_LIMIT) {
    const columns = Math.min(ELEMENTS_LIMIT, job.columns - start);
    const input = { ...job.input, offset: job.input.offset + start * widths.input };
    const output = { ...job.output, offset: job.output.offset + start * widths.output };
    jobs.push(convertJob(grid, { ...job, columns, input, output }, widths));
  }
  return jobs;
}

function convertJob(
  grid: Grid,
  job: ConvertJob,
  widths: { readonly input: number; readonly output: number },
): PlannedJob {
  const { rows, columns, input, output } = job;
  const activation = job.activation ?? 'NONE';
  const bytes = columns * (widths.input + widths.output);
  return {
    kernel: activation === 'NONE' ? 'CONVERT' : 'UNARY',
    layout: CONVERT_ARGUMENTS,
    values: {
      input: addressOf(input),
      output: addressOf(output),
      rows,
      elements: columns,
      input_stride: input.stride,
      output_stride: output.stride,
      input_type: DATA_TYPE[job.inputType],
      output_type: DATA_TYPE[job.outputType],
      function: ACTIVATION[activation],
      pad: job.pad === true ? 1 : 0,
    },
    reads: accessOf(input, columns * widths.input),
    writes: job.pad === true ? accessOf(output, output.stride) : accessOf(output, columns * widths.output),
    nodes: job.nodes,
    shape: `rows ${rows}, elements ${columns}, ${job.inputType} to ${job.outputType}`,
    footprint: (maximumRows) => grid.dealt(rows, bytes, columns / SE_ELEMENTS_PER_CYCLE + ROW_CYCLES / 8, maximumRows),
  };
}

/** A place or, for constants, an address with the stride at which it is read. */
export interface CopySource {
  readonly place?: Place;
  readonly constant?: SegmentAddress;
}

/** Copies `bytes` of every row, in several jobs where rows are longer than the kernel takes. */
export function copyJobs(
  grid: Grid,
  source: CopySource,
  output: Place,
  rows: number,
  bytes: number,
  nodes: readonly string[],
): readonly PlannedJob[] {
  const jobs: PlannedJob[] = [];
  for (let start = 0; start < bytes; start += COPY_ROW_LIMIT) {
    const length = Math.min(COPY_ROW_LIMIT, bytes - start);
    const reads: readonly Access[] = source.place === undefined ? [] : accessOf(source.place, length, start);
    jobs.push({
      kernel: 'COPY',
      layout: COPY_ARGUMENTS,
      values: {
        input: source.place === undefined ? (source.constant ?? 0) : addressOf(source.place, start),
        output: addressOf(output, start),
        rows,
        row_bytes: length,
        // The same row of zeros again and again.
        input_stride: source.place?.stride ?? 0,
        output_stride: output.stride,
      },
      reads,
      writes: accessOf(output, length, start),
      nodes,
      shape: `rows ${rows}, bytes ${length}`,
      footprint: (maximumRows) => grid.dealt(rows, 2 * length, ROW_CYCLES, maximumRows),
    });
  }
  return jobs;
}

export const paddedStride = (bytes: number): number => roundUp(bytes, ROW_ALIGNMENT);
