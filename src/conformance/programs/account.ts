/** What a buffer must hold. */
import type { DeviceBuffer } from '../../streaming-api/index.js';
import type { TrackedStream } from './tracked-stream.js';

/** Bytes that are not known may hold anything. */
export interface Account {
  readonly buffer: DeviceBuffer;
  readonly bytes: Uint8Array;
  readonly known: Uint8Array;
  /** Where the latest command was enqueued that uses it. */
  last: TrackedStream | undefined;
}

export function openAccount(buffer: DeviceBuffer, last: TrackedStream | undefined): Account {
  return { buffer, bytes: new Uint8Array(buffer.bytes), known: new Uint8Array(buffer.bytes), last };
}

export function forget(account: Account, offset: number, bytes: number): void {
  account.known.fill(0, offset, offset + bytes);
}

export function expectBytes(account: Account, offset: number, data: Uint8Array): void {
  account.bytes.set(data, offset);
  account.known.fill(1, offset, offset + data.byteLength);
}

/** Moves what is expected, known or not. */
export function moveBytes(
  from: Account,
  to: Account,
  { fromOffset, toOffset, bytes }: { fromOffset: number; toOffset: number; bytes: number },
): void {
  to.bytes.set(from.bytes.slice(fromOffset, fromOffset + bytes), toOffset);
  to.known.set(from.known.slice(fromOffset, fromOffset + bytes), toOffset);
}

/** How many of `wanted` bytes behind `offset` the buffer has. */
export function room(account: Account, offset: number, wanted: number): number {
  return Math.max(0, Math.min(wanted, account.bytes.byteLength - offset));
}

export function compare(account: Account, offset: number, found: Uint8Array, what: string): void {
  for (const [index, byte] of found.entries()) {
    const at = offset + index;
    if (account.known[at] === 1 && account.bytes[at] !== byte) {
      throw new Error(`${what}: byte ${at} is ${byte} instead of ${account.bytes[at]}`);
    }
  }
}
