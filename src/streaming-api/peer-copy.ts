/** Copies between two devices of a process: in pieces through pinned memory of both, in the order of both streams. */
import type { CompletionRecord } from '../driver/index.js';
import { type CopyOptions, copyRange } from './copy-range.js';
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
  const { bytes, sourceOffset, destinationOffset } = copyRange(destination.bytes, source.bytes, 'source', options);
  const out = Array.from({ length: PIECES }, () => from.allocatePinned(Math.min(bytes, PIECE_BYTES)));
  const into = Array.from({ length: PIECES }, () => to.allocatePinned(Math.min(bytes, PIECE_BYTES)));
  const handed: Promise<void>[] = [];
  const arrived: Promise<CompletionRecord>[] = [];
  for (let offset = 0, piece = 0; offset < bytes; offset += PIECE_BYTES, piece++) {
    const size = Math.min(PIECE_BYTES, bytes - offset);
    const here = out[piece % PIECES] as HostBuffer;
    const there = into[piece % PIECES] as HostBuffer;
    const free = handed[piece - PIECES];
    if (free !== undefined) void from.launchHostFunction(() => free.catch(() => undefined));
    const left = from.copyToHost(here, source, { sourceOffset: sourceOffset + offset, bytes: size });
    handed.push(
      to.launchHostFunction(async () => {
        await left;
        there.view.set(here.view.subarray(0, size));
      }),
    );
    arrived.push(to.copyToDevice(destination, there, { destinationOffset: destinationOffset + offset, bytes: size }));
  }
  const done = settle(handed, arrived);
  const giveBack = (): void => {
    for (const buffer of [...out, ...into]) buffer.free();
  };
  done.then(giveBack, giveBack);
  return done;
}

async function settle(
  handed: readonly Promise<void>[],
  arrived: readonly Promise<CompletionRecord>[],
): Promise<CompletionRecord> {
  await Promise.allSettled([...handed, ...arrived]);
  await Promise.all(handed);
  const records = await Promise.all(arrived);
  return { deviceUs: records.reduce((sum, { deviceUs }) => sum + deviceUs, 0), jobs: 0 };
}
