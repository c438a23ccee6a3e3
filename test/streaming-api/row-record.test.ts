/** Rows of requests on their way into a batch: what is packed is what the inputs say, whatever their types and widths. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ElementType, GraphTensor } from '../../src/compiler/compiled-graph.js';
import { packRows, RecordLayout, RecordPool, RowRecord, Segment } from '../../src/streaming-api/executor/row-record.js';
import { typedArrayOf } from '../../src/streaming-api/tensor-data.js';

const ELEMENT_BYTES: Readonly<Partial<Record<ElementType, number>>> = { float32: 4, float16: 2, int64: 8, int8: 1 };
const TYPES = Object.keys(ELEMENT_BYTES) as readonly ElementType[];
/** Above and below what is copied word by word. */
const WIDTHS = [1, 2, 3, 13, 64, 100];

const column = fc.record({ type: fc.constantFrom(...TYPES), width: fc.constantFrom(...WIDTHS) });

describe('packRows', () => {
  it('puts the rows of every request one behind the other, and repeats the first in what is left', () => {
    const property = fc.property(
      fc.array(column, { minLength: 1, maxLength: 5 }),
      fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 1, maxLength: 4 }),
      fc.integer({ min: 0, max: 3 }),
      (columns, requests, spare) => {
        const rows = requests.reduce((sum, count) => sum + count, 0) + spare;
        const rowBytes = columns.map(({ type, width }) => (ELEMENT_BYTES[type] ?? 0) * width);
        let offset = 0;
        const tensors = columns.map(({ type, width }, index): GraphTensor => {
          const bytes = (rowBytes[index] ?? 0) * rows;
          const tensor = { name: `t${index}`, type, shape: [rows, width], offset, bytes };
          offset += Math.ceil(bytes / 64) * 64;
          return tensor;
        });
        const layout = new RecordLayout(columns.map(({ type }, index) => ({ type, bytes: rowBytes[index] ?? 0 })));
        let next = 1;
        const inputs = requests.map((count) =>
          rowBytes.map((bytes) => Uint8Array.from({ length: bytes * count }, () => next++ % 251)),
        );
        const records = inputs.map((data, request) => {
          const record = new RowRecord(layout, requests[request] ?? 0);
          record.write(data.map((bytes, index) => typedArrayOf(columns[index]?.type ?? 'int8', bytes)));
          return record;
        });
        const segment = new Segment(new SharedArrayBuffer(offset));
        packRows(records, layout, tensors, segment);
        for (const [index, tensor] of tensors.entries()) {
          const wanted = inputs.flatMap((data) => [...(data[index] ?? [])]);
          const first = wanted.slice(0, rowBytes[index]);
          for (let row = 0; row < spare; row++) wanted.push(...first);
          expect([...segment.bytes.subarray(tensor.offset, tensor.offset + tensor.bytes)]).toEqual(wanted);
        }
      },
    );
    fc.assert(property, { numRuns: 200 });
  });
});

describe('a request of a fixed shape', () => {
  it('fills its tensors as it is', () => {
    const bytes = Uint8Array.from({ length: 24 }, (_, index) => index);
    const layout = new RecordLayout([{ type: 'float32', bytes: 24 }]);
    const record = new RowRecord(layout, 1);
    record.write([typedArrayOf('float32', bytes)]);
    const segment = new Segment(new SharedArrayBuffer(64));
    packRows([record], layout, [{ name: 'x', type: 'float32', shape: [3, 2], offset: 8, bytes: 24 }], segment);
    expect([...segment.bytes.subarray(8, 32)]).toEqual([...bytes]);
  });
});

describe('RecordPool', () => {
  it('hands records of one row out again, and keeps no more than it is told', () => {
    const pool = new RecordPool(new RecordLayout([{ type: 'float32', bytes: 8 }]), 1);
    const [first, second, long] = [pool.take(1), pool.take(1), pool.take(2)];
    for (const record of [long, first, second]) pool.give(record);
    expect(pool.take(1)).toBe(first);
    expect(pool.take(1)).not.toBe(second);
    expect(pool.take(2)).not.toBe(long);
  });
});
