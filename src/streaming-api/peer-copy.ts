/** Copies between two devices of a process: in pieces through pinned memory of both, in the order of both streams. */
import type { CompletionRecord } from '../driver/index.js';
import { type CopyOptions, type CopyRange, copyRange } from './copy-range.js';
import { copyRows } from './copy-rows.js';
import type { DeviceBuffer } from './device-buffer.js';
import type { HostBuffer } from './host-buffer.js';
import type { Stream } from './stream.js';

/** Two pieces on each side: one travels while the other is handed over. */
const PIECE_BYTES = 256 * 1024;
const PIECES = 2;

export interface PeerCopy {
  readonly from: Stream;
  readonly to: Stream;
  readonly destination: DeviceBuffer;
  readonly source: DeviceBuffer;
  readonly options: CopyOptions;
}

export function copyToPeer({ from, to, destination, source, options }: PeerCopy): Promise<CompletionRecord> {
  const pieces = piecesOf(destination, source, options);
  const most = pieces.reduce((bytes, piece) => Math.max(bytes, piece.bytes), 0);
  const out = Array.from({ length: PIECES }, () => from.allocatePinned(most));
  const into = Array.from({ length: PIECES }, () => to.allocatePinned(most));
  const read: Promise<CompletionRecord>[] = [];
  const handed: Promise<void>[] = [];
  const arrived: Promise<CompletionRecord>[] = [];
  // What could not be read must not be written either: the pinned memory holds something else.
  const stop = new AbortController();
  for (const [index, { sourceOffset, destinationOffset, bytes }] of pieces.entries()) {
    const here = out[index % PIECES] as HostBuffer;
    const there = into[index % PIECES] as HostBuffer;
    const free = handed[index - PIECES];
    if (free !== undefined) void from.launchHostFunction(() => free.catch(() => undefined));
    const left = from.copyToHost(here, source, { sourceOffset, bytes, signal: options.signal });
    read.push(left);
    handed.push(
      to.launchHostFunction(async () => {
        await left.catch((error: unknown) => {
          stop.abort(error);
          throw error;
        });
        there.view.set(here.view.subarray(0, bytes));
      }),
    );
    arrived.push(to.copyToDevice(destination, there, { destinationOffset, bytes, signal: stop.signal }));
  }
  const done = settle(read, handed, arrived);
  const giveBack = (): void => {
    for (const buffer of [...out, ...into]) buffer.free();
  };
  done.then(giveBack, giveBack);
  return done;
}

function piecesOf(destination: DeviceBuffer, source: DeviceBuffer, options: CopyOptions): readonly CopyRange[] {
  const ranges =
    options.rows === undefined
      ? [copyRange(destination.bytes, source.bytes, 'source', options)]
      : copyRows(destination.bytes, source.bytes, options);
  return ranges.flatMap(({ sourceOffset, destinationOffset, bytes }) =>
    Array.from({ length: Math.ceil(bytes / PIECE_BYTES) }, (_, index) => {
      const offset = index * PIECE_BYTES;
      return {
        sourceOffset: sourceOffset + offset,
        destinationOffset: destinationOffset + offset,
        bytes: Math.min(PIECE_BYTES, bytes - offset),
      };
    }),
  );
}

async function settle(
  read: readonly Promise<CompletionRecord>[],
  handed: readonly Promise<void>[],
  arrived: readonly Promise<CompletionRecord>[],
): Promise<CompletionRecord> {
  await Promise.allSettled([...read, ...handed, ...arrived]);
  // In this order: what could not be read is why the rest failed.
  await Promise.all(read);
  await Promise.all(handed);
  const records = await Promise.all(arrived);
  return { deviceUs: records.reduce((sum, { deviceUs }) => sum + deviceUs, 0), jobs: 0 };
}
