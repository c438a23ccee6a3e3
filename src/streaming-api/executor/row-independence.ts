/** Proves that a model may be batched: each row must come out bit by bit as if it had run alone. */
import type { GraphTensor } from '../../compiler/compiled-graph.js';
import { MtiaError } from '../../driver/index.js';
import type { CompiledModel } from '../compiled-model.js';
import type { TensorData } from '../model-types.js';
import { typedArrayOf, typedArrayOver } from '../tensor-data.js';
import { bytesOf } from '../typed-array.js';
import { rowBytes, rowsOf } from './batch-sizes.js';
import { packRows, RecordLayout, RowRecord, Segment } from './row-record.js';

type Row = readonly TensorData[];

/** Rows of a batch that are compared with a run of their own: its ends, where neighbours and padding differ most. */
const endsOf = (rows: number): readonly number[] => [...new Set([0, rows - 1])];

/**
 * Runs the same rows in a batch of every size and alone. Throws INVALID_MODEL where a bit differs: a model that sums over
 * its batch, say, would answer a request by what happened to wait beside it. Floats are made up; integers are 0, the only
 * index that every table has.
 */
export async function checkRowIndependence(models: readonly CompiledModel[]): Promise<void> {
  const [smallest, ...others] = models;
  if (smallest === undefined) return;
  const alone = new Map<number, Row>();
  for (const model of others) {
    const size = rowsOf(model);
    const rows = Array.from({ length: size }, (_, index) => madeUpRow(model.inputs, index));
    const together = await runRows(model, rows);
    for (const index of endsOf(size)) {
      const row = rows[index] ?? [];
      const expected = alone.get(index) ?? (await runRows(smallest, [row]));
      alone.set(index, expected);
      compareRow(model, { batch: together, index }, expected);
    }
  }
}

async function runRows(model: CompiledModel, rows: readonly Row[]): Promise<Row> {
  const layout = new RecordLayout(model.inputs.map((input) => ({ ...input, bytes: rowBytes(input) })));
  const records = rows.map((row) => {
    const record = new RowRecord(layout, 1);
    record.write(row);
    return record;
  });
  const segment = new Segment(new ArrayBuffer(Math.max(...model.inputs.map(({ offset, bytes }) => offset + bytes))));
  packRows(records, layout, model.inputs, segment);
  const inputs = model.inputs.map(({ name, type, offset, bytes }) => {
    return [name, typedArrayOver(type, segment.bytes, offset, bytes)] as const;
  });
  const { outputs } = await model.run(Object.fromEntries(inputs));
  return model.outputs.map(({ name }) => outputs[name] ?? new Uint8Array());
}

function compareRow(
  model: CompiledModel,
  { batch, index }: { readonly batch: Row; readonly index: number },
  alone: Row,
): void {
  for (const [number, tensor] of model.outputs.entries()) {
    const bytes = rowBytes(tensor);
    const [there, here] = [batch[number], alone[number]].map((data) => (data ? bytesOf(data) : new Uint8Array()));
    const row = there?.subarray(index * bytes, (index + 1) * bytes);
    if (Buffer.compare(row ?? new Uint8Array(), here?.subarray(0, bytes) ?? new Uint8Array()) === 0) continue;
    throw new MtiaError(
      'INVALID_MODEL',
      `model ${model.name} cannot be batched: a row of output "${tensor.name}" is another in a batch of ` +
        `${rowsOf(model)} than alone; pass maxBatch: 1`,
    );
  }
}

/** Row `index` of every input; the same in batches of every size. */
function madeUpRow(inputs: readonly GraphTensor[], index: number): Row {
  return inputs.map((input, place) => {
    const bytes = new Uint8Array(rowBytes(input));
    if (input.type !== 'float32') return typedArrayOf(input.type, bytes);
    const floats = new Float32Array(bytes.buffer);
    for (let at = 0; at < floats.length; at++) floats[at] = madeUpNumber(index * 31 + place * 7 + at);
    return floats;
  });
}

/** -1 to 1, without a pattern that a sum could cancel. */
function madeUpNumber(seed: number): number {
  return (Math.imul(seed + 1, 0x9e3779b1) >>> 8) / 2 ** 23 - 1;
}
