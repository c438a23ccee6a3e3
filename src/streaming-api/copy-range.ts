/** Which bytes a copy moves. */
import { invalidArgument } from '../driver/index.js';

/** What part of a buffer is copied where: bytes, or rows with strides. */
export interface CopyOptions {
  /** Bytes from the start of the destination; 0 when absent. */
  readonly destinationOffset?: number;
  /** Bytes from the start of the source; 0 when absent. */
  readonly sourceOffset?: number;
  /** All of the host's side behind its offset when absent, of the source for a copy on the device. */
  readonly bytes?: number;
  /** Copies rows of `bytes` each, as cudaMemcpy2DAsync; one when absent. */
  readonly rows?: number;
  /** Bytes from the start of a row of the destination to the next, at least `bytes`, which it is when absent. */
  readonly destinationStride?: number;
  /** Bytes from the start of a row of the source to the next; as destinationStride. */
  readonly sourceStride?: number;
  /** Aborts the copy, before it starts or while it runs. Part of the bytes may have moved. */
  readonly signal?: AbortSignal | undefined;
}

/** How the bytes of the source are encoded. */
export type Compression = 'gzip';

/** A copy to the device, which may decompress what it gets. */
export interface UploadOptions extends CopyOptions {
  /**
   * The source is compressed, and the card decompresses it on its way in. `bytes` and `sourceOffset` then count compressed
   * bytes; what comes out may fill the destination up to its end, and the completion record says how much it was.
   */
  readonly decompress?: Compression;
}

export interface CopyRange {
  readonly destinationOffset: number;
  readonly sourceOffset: number;
  readonly bytes: number;
}

const notBytes = (bytes: number): Error => invalidArgument(`a copy of ${bytes} bytes; give a whole number from 0`);

function checkPart(what: string, total: number, offset: number, bytes: number): void {
  if (Number.isSafeInteger(offset) && offset >= 0 && offset + bytes <= total) return;
  throw invalidArgument(`${bytes} bytes at offset ${offset} leave the ${what} of ${total} bytes`);
}

/** As copyRange, of a source that is decompressed: all of the destination behind its offset may be written. */
export function decompressionRange(
  destinationBytes: number,
  sourceBytes: number,
  { destinationOffset = 0, sourceOffset = 0, bytes = sourceBytes - sourceOffset }: CopyOptions,
): CopyRange & { readonly room: number } {
  if (!Number.isSafeInteger(bytes) || bytes < 0) throw notBytes(bytes);
  checkPart('destination', destinationBytes, destinationOffset, 0);
  checkPart('source', sourceBytes, sourceOffset, bytes);
  return { destinationOffset, sourceOffset, bytes, room: destinationBytes - destinationOffset };
}

/** Resolves the options against both sizes; `whole` is the size that counts where the options name none. */
export function copyRange(
  destinationBytes: number,
  sourceBytes: number,
  whole: 'destination' | 'source',
  options: CopyOptions,
): CopyRange {
  const { destinationOffset = 0, sourceOffset = 0 } = options;
  const rest = whole === 'source' ? sourceBytes - sourceOffset : destinationBytes - destinationOffset;
  const { bytes = rest } = options;
  if (!Number.isSafeInteger(bytes) || bytes < 0) throw notBytes(bytes);
  checkPart('destination', destinationBytes, destinationOffset, bytes);
  checkPart('source', sourceBytes, sourceOffset, bytes);
  return { destinationOffset, sourceOffset, bytes };
}
