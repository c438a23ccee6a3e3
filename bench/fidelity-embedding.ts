/** Table-batched embedding with 8-bit rows, through a kernel that works as the published one: a bag at a time. */
import { randomNumbers } from '../src/conformance/random.js';
import { DATA_TYPE, DATA_TYPE_BYTES, EMBEDDING_BAG_ARGUMENTS, EMBEDDING_TABLE, encodeStruct } from '../src/hw/index.js';
import type { DeviceBuffer } from '../src/streaming-api/index.js';
import type { FidelityDevice, LaunchOf, Memory } from './fidelity-device.js';
import { EMBEDDING_V1, PROVISIONED_WATTS, type PublishedEmbedding } from './fidelity-published.js';
import type { FidelityRow } from './fidelity-rows.js';
import { seededIndices } from './seeded.js';

/** Tables of a job: not published; one for each PE. */
const TABLES = 64;
const INDEX_BYTES = 8;
const FP16_BYTES = DATA_TYPE_BYTES.FP16;
const SEED = 31;

/** Tables of 100 rows live in the SRAM, which caches them in the publication; those of a million rows in LPDDR. */
const memoryOf = (rows: number): Memory => (rows <= 1000 ? 'sram' : 'lpddr');

export interface EmbeddingJob {
  readonly tables: number;
  /** Of a table; elements of a row, a multiple of 32. */
  readonly rows: number;
  readonly elements: number;
  /** Indices of a bag; bags of a table. */
  readonly pooling: number;
  readonly batch: number;
}

export interface EmbeddingBuffers {
  readonly tables: DeviceBuffer;
  /** INT64, table by table, bag by bag. */
  readonly indices: DeviceBuffer;
  /** Bag by bag, table by table. */
  readonly output: DeviceBuffer;
}

/** 8-bit rows without scale, pooled to FP16. */
export async function embeddingLaunch(
  target: FidelityDevice,
  kernel: 'EMBEDDING_BAG' | 'TABLE_BATCHED_EMBEDDING',
  { tables, rows, elements, pooling, batch }: EmbeddingJob,
  buffers: EmbeddingBuffers,
): Promise<LaunchOf<typeof EMBEDDING_BAG_ARGUMENTS>> {
  const outputStride = tables * elements * FP16_BYTES;
  const descriptors = new Uint8Array(tables * EMBEDDING_TABLE.size);
  for (let table = 0; table < tables; table++) {
    encodeStruct(EMBEDDING_TABLE, new DataView(descriptors.buffer), table * EMBEDDING_TABLE.size, {
      table_offset: table * rows * elements,
      indices_offset: table * batch * pooling * INDEX_BYTES,
      output_offset: table * elements * FP16_BYTES,
      rows,
      bag_length: pooling,
      row_bytes: elements,
    });
  }
  return {
    kernel,
    layout: EMBEDDING_BAG_ARGUMENTS,
    values: {
      descriptors: await target.allocateWith(descriptors, 'sram'),
      tables: buffers.tables,
      inputs: buffers.indices,
      output: buffers.output,
      table_count: tables,
      batch,
      output_stride: outputStride,
      type: DATA_TYPE.INT8,
      elements,
      sample_block: batch,
    },
  };
}

/** Tables and output are zero. */
export async function embeddingBuffers(
  target: FidelityDevice,
  { tables, rows, elements, batch }: EmbeddingJob,
  indices: BigInt64Array,
): Promise<EmbeddingBuffers> {
  return {
    tables: await target.allocate(tables * rows * elements, memoryOf(rows)),
    indices: await target.allocateWith(indices, 'sram'),
    output: await target.allocate(batch * tables * elements * FP16_BYTES, 'sram'),
  };
}

type Bag = Pick<PublishedEmbedding, 'pooling' | 'rows' | 'elements'> & { readonly batch: number };

async function embeddingUs(target: FidelityDevice, bag: Bag): Promise<number> {
  const job = { tables: TABLES, ...bag };
  const indices = seededIndices(TABLES * bag.batch * bag.pooling, bag.rows, randomNumbers(SEED));
  const buffers = await embeddingBuffers(target, job, indices);
  return target.launchUs(await embeddingLaunch(target, 'TABLE_BATCHED_EMBEDDING', job, buffers));
}

function row(figures: PublishedEmbedding, batch: 64 | 256): FidelityRow {
  const { pooling, rows, elements } = figures;
  const perWatt = batch === 64 ? figures.batch64 : figures.batch256;
  const bytes = TABLES * batch * pooling * elements;
  return {
    generation: 'v1',
    group: `TBE, ${memoryOf(rows) === 'sram' ? 'SRAM' : 'LPDDR'}, v1`,
    name: `pooling ${pooling}, ${rows} rows of ${elements}, batch ${batch}`,
    unit: 'GB/s',
    better: 'higher',
    published: perWatt * PROVISIONED_WATTS,
    source: 'I23',
    predict: async (target) => bytes / (await embeddingUs(target, { pooling, rows, elements, batch })) / 1000,
  };
}

export const EMBEDDING_ROWS: readonly FidelityRow[] = EMBEDDING_V1.flatMap((figures) => [
  row(figures, 64),
  row(figures, 256),
]);
