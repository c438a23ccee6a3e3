/** Tensors at the edge of a model as the command line handles them: made, read element by element, shown, compared. */
import { createHash } from 'node:crypto';
import { ELEMENT_BYTES, type ElementType } from '../compiler/compiled-graph.js';
import { READ_ELEMENT } from '../compiler/read-element.js';
import { elementCount } from '../compiler/tensor.js';

export interface Tensor {
  readonly name: string;
  readonly type: ElementType;
  readonly shape: readonly number[];
  /** Row-major, little-endian. */
  readonly data: Uint8Array;
}

export function formatShape(shape: readonly (number | string)[]): string {
  return `[${shape.join(', ')}]`;
}

/** The first `limit` elements as numbers. */
export function elements(tensor: Tensor, limit = Number.POSITIVE_INFINITY): Float64Array {
  const { data, type } = tensor;
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const size = ELEMENT_BYTES[type];
  const values = new Float64Array(Math.min(limit, Math.floor(data.byteLength / size)));
  const read = READ_ELEMENT[type];
  for (let i = 0; i < values.length; i++) values[i] = read(view, i * size);
  return values;
}

export const SHOWN_VALUES = 4;

export function shownValues(tensor: Tensor): number[] {
  return [...elements(tensor, SHOWN_VALUES)].map((value) => Number(value.toPrecision(6)));
}

export function firstValues(tensor: Tensor): string {
  const shown = shownValues(tensor).join('  ');
  return elementCount(tensor.shape) > SHOWN_VALUES ? `${shown}  …` : shown;
}

/** SHA-256 of the raw bytes, in order. */
export function digestOf(tensors: Iterable<Tensor>): string {
  const hash = createHash('sha256');
  for (const tensor of tensors) hash.update(tensor.data);
  return hash.digest('hex');
}
