import { invalidArgument } from '../driver/index.js';

/** The typed arrays that tensors are held in. */
export type TypedArray =
  | Float32Array
  | Float64Array
  | BigInt64Array
  | BigUint64Array
  | Int32Array
  | Uint32Array
  | Int16Array
  | Uint16Array
  | Int8Array
  | Uint8Array;

export interface TypedArrayConstructor<A extends TypedArray> {
  readonly BYTES_PER_ELEMENT: number;
  new (buffer: ArrayBufferLike, byteOffset: number, length: number): A;
}

/** The bytes of an array, without a copy. */
export function bytesOf(array: ArrayBufferView): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}

/**
 * Throws where the array has no memory any more: its buffer was transferred, or has shrunk below it. Its length is 0 then, and
 * nothing would be copied without a word.
 */
export function checkAttached(array: ArrayBufferView, what: string): void {
  try {
    if (array instanceof DataView) Number(array.byteLength);
    else (array as Uint8Array).at(0);
  } catch {
    throw invalidArgument(`${what} has lost its memory: its buffer was transferred or has shrunk; make another array`);
  }
}

/** Writes bytes that have arrived to an array that may have been transferred or have shrunk meanwhile. */
export function deliver(bytes: Uint8Array, array: ArrayBufferView, byteOffset = 0): void {
  checkAttached(array, 'the destination');
  if (byteOffset + bytes.byteLength > array.byteLength)
    throw invalidArgument(
      `the destination has shrunk to ${array.byteLength} bytes before what it was to take had arrived`,
    );
  bytesOf(array).set(bytes, byteOffset);
}
