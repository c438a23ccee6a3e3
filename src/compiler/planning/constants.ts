/** What jobs read besides tensors: packed weights, tables and their records, selections, rows of zeros. */
import { EMBEDDING_TABLE, encodeStruct } from '../../hw/index.js';
import type { GraphTensor } from '../compiled-graph.js';
import { unsupported } from '../errors.js';
import type { SegmentAddress } from '../graph-image.js';
import type { EmbeddingBag, FullyConnected } from '../lowering/values.js';
import type { HalfType } from '../packing/half-types.js';
import {
  BLOCK_COLUMNS,
  type ColumnRun,
  packedWeightBytes,
  packTable,
  packWeight,
  roundUp,
} from '../packing/pack-weights.js';
import { columnScales, packQuantizedWeight } from '../packing/quantize-weights.js';
import type { WeightsSegment } from '../packing/weights-segment.js';
import type { ConstantTensor } from '../tensor.js';
import type { Place, WorkspaceBuffer } from './buffers.js';

const INDEX_BYTES = 8;

/** Bags of one job. Their records name places in the workspace, which come late. */
export interface EmbeddingGroup {
  readonly descriptors: SegmentAddress;
  readonly locate: (addressOf: (buffer: WorkspaceBuffer) => number) => void;
}

/** Where the constants of a FULLY_CONNECTED job lie. */
export interface FullyConnectedWeights {
  readonly weight: SegmentAddress;
  readonly bias: SegmentAddress;
  /** INT8 only. */
  readonly columnScale?: SegmentAddress;
}

const runsKey = (runs: readonly ColumnRun[]): string =>
  runs.map((run) => `${run.source}>${run.target}+${run.count}`).join();

export class WeightPacker {
  readonly #segment: WeightsSegment;
  readonly #type: HalfType;

  constructor(segment: WeightsSegment, type: HalfType) {
    this.#segment = segment;
    this.#type = type;
  }

  #reserve(bytes: number, fill: (target: Uint8Array) => void, key?: string): SegmentAddress {
    return { segment: 'weights', offset: this.#segment.reserve(bytes, fill, key) };
  }

  /** Equal for views of the same elements: a table that two bags share is packed once. */
  #keyOf(tensor: ConstantTensor): string {
    return `${this.#segment.numberOf(tensor.storage)} ${tensor.offset} ${tensor.shape} ${tensor.strides}`;
  }

  fullyConnected(operation: FullyConnected, kBytes: number, runs: readonly ColumnRun[]): FullyConnectedWeights {
    const { weight, scale, columns } = operation;
    return {
      weight: this.#reserve(
        packedWeightBytes(columns, kBytes),
        (target) => packWeight(weight, scale, kBytes, runs, this.#type, target),
        `weight ${this.#keyOf(weight)} ${scale} ${kBytes} ${runsKey(runs)}`,
      ),
      bias: this.#perColumn(columns, operation.bias),
    };
  }

  /** The same in INT8. Weights that are not finite have no scale. */
  quantizedFullyConnected(
    operation: FullyConnected,
    kBytes: number,
    runs: readonly ColumnRun[],
  ): FullyConnectedWeights {
    const { weight, scale, columns } = operation;
    const scales = columnScales(weight, scale);
    if (scales === undefined) {
      const reason = 'a weight that is infinite or NaN has no INT8 value; use --dtype bf16 or fp16';
      throw unsupported(operation.operator, operation.nodes[0] ?? '', reason);
    }
    return {
      weight: this.#reserve(
        packedWeightBytes(columns, kBytes),
        (target) => packQuantizedWeight(weight, scale, scales, kBytes, runs, target),
        `int8 weight ${this.#keyOf(weight)} ${scale} ${kBytes} ${runsKey(runs)}`,
      ),
      bias: this.#perColumn(columns, operation.bias),
      columnScale: this.#perColumn(columns, scales),
    };
  }

  /** One FP32 a column, zero behind them up to a whole block. */
  #perColumn(columns: number, values: Float32Array | undefined): SegmentAddress {
    return this.#reserve(roundUp(columns, BLOCK_COLUMNS) * 4, (target) => {
      if (values !== undefined) new Float32Array(target.buffer, target.byteOffset, columns).set(values);
    });
  }

  selection(places: readonly number[]): SegmentAddress {
    return this.#reserve(roundUp(places.length * 4, 32), (target) => {
      new Uint32Array(target.buffer, target.byteOffset, places.length).set(places);
    });
  }

  zeroes(bytes: number): SegmentAddress {
    return this.#reserve(bytes, () => undefined, `zeroes ${bytes}`);
  }

  embeddingGroup(
    bags: readonly { readonly operation: EmbeddingBag; readonly place: Place }[],
    inputs: readonly GraphTensor[],
  ): EmbeddingGroup {
    const tables = bags.map(({ operation, place }) => this.#table(operation, place.written));
    let bufferAddress: (buffer: WorkspaceBuffer) => number = () => 0;
    const descriptors = this.#reserve(bags.length * EMBEDDING_TABLE.size, (target) => {
      const view = new DataView(target.buffer, target.byteOffset, target.byteLength);
      for (const [index, { operation, place }] of bags.entries()) {
        const home = typeof place.home === 'string' ? 0 : bufferAddress(place.home);
        encodeStruct(EMBEDDING_TABLE, view, index * EMBEDDING_TABLE.size, {
          table_offset: tables[index]?.offset ?? 0,
          indices_offset: (inputs[operation.indices.index]?.offset ?? 0) + operation.indexOffset * INDEX_BYTES,
          output_offset: home + place.offset,
          rows: operation.table.shape[0] ?? 0,
          bag_length: operation.bagLength,
          row_bytes: place.written,
        });
      }
    });
    return {
      descriptors,
      locate: (addressOf) => {
        bufferAddress = addressOf;
      },
    };
  }

  #table(operation: EmbeddingBag, rowBytes: number): SegmentAddress {
    const { table, scale, paddingIndex } = operation;
    return this.#reserve(
      (table.shape[0] ?? 0) * rowBytes,
      (target) => packTable(table, scale, paddingIndex, rowBytes, this.#type, target),
      `table ${this.#keyOf(table)} ${scale} ${paddingIndex} ${rowBytes}`,
    );
  }
}
