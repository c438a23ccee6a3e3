/**
 * The inputs of one request in one piece of memory, which the next request uses again: a service that answers thousands of rows
 * a second allocates next to nothing for them, and the garbage collector stays out of its event loop.
 */
import type { ElementType, GraphTensor } from '../../compiler/compiled-graph.js';
import type { TensorData } from '../model-types.js';
import { typedArrayOver } from '../tensor-data.js';

/** Tensors begin where every type of element may. */
const ALIGNMENT = 8;
/** Up to here a loop over words is quicker than a view for the engine's own copy. */
const MOST_LOOP_WORDS = 64;
const WORD_BYTES = 4;

/** Memory in which tensors lie one behind the other, in the views that copying needs. */
export class Segment {
  readonly bytes: Uint8Array;
  readonly words: Int32Array;

  constructor(memory: ArrayBufferLike, byteOffset = 0, bytes = memory.byteLength - byteOffset) {
    this.bytes = new Uint8Array(memory, byteOffset, bytes);
    this.words = new Int32Array(memory, byteOffset, Math.floor(bytes / WORD_BYTES));
  }
}

/** Where the tensors of a row lie in a record. */
export class RecordLayout {
  readonly types: readonly ElementType[];
  /** Of one row of each tensor. */
  readonly rowBytes: readonly number[];
  /** Of the tensors before, per row. */
  readonly offsets: readonly number[];
  readonly bytes: number;

  /** @param row the tensors of one row, in the order of the model */
  constructor(row: readonly Pick<GraphTensor, 'type' | 'bytes'>[]) {
    this.types = row.map(({ type }) => type);
    this.rowBytes = row.map(({ bytes }) => bytes);
    let end = 0;
    this.offsets = this.rowBytes.map((bytes) => {
      const offset = end;
      end += Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
      return offset;
    });
    this.bytes = end;
  }
}

export class RowRecord {
  readonly rows: number;
  readonly #layout: RecordLayout;
  readonly #segment: Segment;
  /** By tensor: the record as an array of its type, and where in it the tensor begins. */
  readonly #views: readonly (readonly [array: TensorData, start: number])[];

  constructor(layout: RecordLayout, rows: number) {
    this.rows = rows;
    this.#layout = layout;
    this.#segment = new Segment(new ArrayBuffer(layout.bytes * rows));
    const arrays = new Map<ElementType, TensorData>();
    const { bytes } = this.#segment;
    this.#views = layout.types.map((type, index) => {
      const array = arrays.get(type) ?? typedArrayOver(type, bytes, 0, bytes.byteLength);
      arrays.set(type, array);
      return [array, ((layout.offsets[index] ?? 0) * rows) / array.BYTES_PER_ELEMENT] as const;
    });
  }

  /** Takes the inputs of a request over, in the order of the model. */
  write(data: readonly TensorData[]): void {
    for (let index = 0; index < data.length; index++) {
      const view = this.#views[index];
      // Both have the type of the tensor: checkInputs saw to it.
      view?.[0].set(data[index] as never, view[1]);
    }
  }

  /** Writes the rows of tensor `index` to a place in a segment; returns how many bytes they are. */
  copyTo(segment: Segment, index: number, byteOffset: number): number {
    const { rowBytes, offsets } = this.#layout;
    const bytes = (rowBytes[index] ?? 0) * this.rows;
    const from = (offsets[index] ?? 0) * this.rows;
    if (bytes > MOST_LOOP_WORDS * WORD_BYTES || bytes % WORD_BYTES !== 0 || byteOffset % WORD_BYTES !== 0) {
      segment.bytes.set(this.#segment.bytes.subarray(from, from + bytes), byteOffset);
      return bytes;
    }
    const source = this.#segment.words;
    const target = segment.words;
    const first = from / WORD_BYTES;
    const to = byteOffset / WORD_BYTES;
    for (let word = 0; word < bytes / WORD_BYTES; word++) target[to + word] = source[first + word] ?? 0;
    return bytes;
  }
}

/**
 * Writes the rows of several requests one behind the other into the tensors of a segment. Rows beyond them repeat the first:
 * whatever a row must be to be accepted, that one is.
 */
export function packRows(
  records: readonly RowRecord[],
  layout: RecordLayout,
  tensors: readonly GraphTensor[],
  segment: Segment,
): void {
  for (let index = 0; index < tensors.length; index++) {
    const { offset = 0, bytes = 0 } = tensors[index] ?? {};
    let at = offset;
    for (const record of records) at += record.copyTo(segment, index, at);
    const rowBytes = layout.rowBytes[index] ?? bytes;
    for (; at < offset + bytes; at += rowBytes) segment.bytes.copyWithin(at, offset, offset + rowBytes);
  }
}

/** Records of one row, used again and again; others are made for one request. */
export class RecordPool {
  readonly layout: RecordLayout;
  readonly #free: RowRecord[] = [];
  readonly #kept: number;

  /** @param kept records that are kept at most */
  constructor(layout: RecordLayout, kept: number) {
    this.layout = layout;
    this.#kept = kept;
  }

  take(rows: number): RowRecord {
    return (rows === 1 ? this.#free.pop() : undefined) ?? new RowRecord(this.layout, rows);
  }

  give(record: RowRecord): void {
    if (record.rows === 1 && this.#free.length < this.#kept) this.#free.push(record);
  }
}
