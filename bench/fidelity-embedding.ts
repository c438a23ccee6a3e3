/** Table-batched embedding with 8-bit rows, through the library's EMBEDDING_BAG kernel. */
import { randomNumbers } from '../src/conformance/random.js';
import { DATA_TYPE, EMBEDDING_BAG_ARGUMENTS, EMBEDDING_TABLE, encodeStruct } from '../src/hw/index.js';
import type { FidelityDevice, Memory } from './fidelity-device.js';
import { EMBEDDING_V1, PROVISIONED_WATTS, type PublishedEmbedding } from './fidelity-published.js';
import type { FidelityRow } from './fidelity-rows.js';
import { seededIndices } from './seeded.js';

/** Tables of a job: not published; one for each PE. */
const TABLES = 64;
const INDEX_BYTES = 8;
const SEED = 31;

/** Tables of 100 rows live in the SRAM, which caches them in the publication; those of a million rows in LPDDR. */
const memoryOf = (rows: number): Memory => (rows <= 1000 ? 'sram' : 'lpddr');

export type Bag = Pick<PublishedEmbedding, 'pooling' | 'rows' | 'elements'> & { readonly batch: number };

/** Device time of one launch in microseconds: 8-bit rows without scale, pooled to FP16. */
export async function embeddingUs(target: FidelityDevice, { pooling, rows, elements, batch }: Bag): Promise<number> {
  const memory = memoryOf(rows);
  const perTable = batch * pooling;
  const outputStride = TABLES * elements * 2;
  const descriptors = new Uint8Array(TABLES * EMBEDDING_TABLE.size);
  for (let table = 0; table < TABLES; table++) {
    encodeStruct(EMBEDDING_TABLE, new DataView(descriptors.buffer), table * EMBEDDING_TABLE.size, {
      table_offset: table * rows * elements,
      indices_offset: table * perTable * INDEX_BYTES,
      output_offset: table * elements * 2,
      rows,
      bag_length: pooling,
      row_bytes: elements,
    });
  }
  return target.launchUs({
    kernel: 'EMBEDDING_BAG',
    layout: EMBEDDING_BAG_ARGUMENTS,
    values: {
      descriptors: await target.allocateWith(descriptors, 'sram'),
      tables: await target.allocate(TABLES * rows * elements, memory),
      inputs: await target.allocateWith(seededIndices(TABLES * perTable, rows, randomNumbers(SEED)), 'sram'),
      output: await target.allocate(batch * outputStride, 'sram'),
      table_count: TABLES,
      batch,
      output_stride: outputStride,
      type: DATA_TYPE.INT8,
      elements,
      sample_block: batch,
    },
  });
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
