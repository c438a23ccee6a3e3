/** What checking mode writes to memory. Each pattern is a NaN as FP32, and twice a NaN as BF16 and as FP16. */

export const PATTERN_BYTES = 4;
/** Memory that nobody has written: arithmetic on it gives NaN. */
export const UNINITIALIZED = 0xffba_ffba;
/** Memory that was freed. */
export const FREED = 0xffdb_ffdb;
/** Around allocations. */
export const RED_ZONE = 0xffed_ffed;

/** Bytes of a pattern as they lie in memory. */
export function repeat(pattern: number, bytes: number): Uint8Array {
  const words = new Uint32Array(Math.ceil(bytes / PATTERN_BYTES)).fill(pattern);
  return new Uint8Array(words.buffer, 0, bytes);
}

/** Index of the first byte that differs. */
export function firstDamage(found: Uint8Array, expected: Uint8Array): number | undefined {
  if (Buffer.compare(found, expected) === 0) return undefined;
  const index = found.findIndex((byte, at) => byte !== expected[at]);
  return index < 0 ? undefined : index;
}

/** Index of the first word of `data`, which lies at `offset` of its allocation, that holds the pattern still. */
export function neverWritten(data: Uint8Array, offset: number): number | undefined {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const first = (PATTERN_BYTES - (offset % PATTERN_BYTES)) % PATTERN_BYTES;
  for (let at = first; at + PATTERN_BYTES <= data.length; at += PATTERN_BYTES) {
    if (view.getUint32(at, true) === UNINITIALIZED) return at;
  }
  return undefined;
}
