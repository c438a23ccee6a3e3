/** Work on buffers, in a stream or in a graph: how it is enqueued, and what the bytes are afterwards. */
import { gzipSync } from 'node:zlib';
import type { Device, DeviceBuffer, ListedCopy, Stream } from '../../streaming-api/index.js';
import { Random } from '../random.js';
import { type Account, expectBytes, forget, moveBytes, room } from './account.js';
import type { Work, WorkKind } from './step.js';

/** The account of the buffer that a replay uses in place of the one that was captured. */
export type StandIn = (account: Account) => Account;

export interface Operation {
  readonly accounts: readonly Account[];
  /** May be called once. */
  enqueue(stream: Stream): Promise<unknown>;
  /** As a part of Stream.copyList. */
  readonly listed?: ListedCopy;
  /** Decompression, which no graph holds. */
  readonly outsideGraphs?: boolean;
  /** It has succeeded. */
  apply(of: StandIn): void;
  /** It was ended before, after or in between. */
  spoil(of: StandIn): void;
}

interface Place {
  readonly device: Device;
  account(number: number): Account | undefined;
}

type WorkOf<K extends WorkKind> = Extract<Work, { readonly do: K }>;
/** Undefined where the buffers are not there or too small. */
type Makers = { readonly [K in WorkKind]: (place: Place, work: WorkOf<K>) => Operation | undefined };

/** Bytes that GZIP makes smaller, but not by much. */
function randomBytes(seed: number, bytes: number): Uint8Array {
  return new Random(seed, 'bytes').bytes(bytes);
}

/** Commands and graphs keep the pinned memory that they use: it is freed at once. */
function writePinned(device: Device, stream: Stream, to: DeviceBuffer, data: Uint8Array, offset: number) {
  const host = device.allocateHost(data.byteLength);
  host.view.set(data);
  const done = stream.copyToDevice(to, host, { destinationOffset: offset });
  host.free();
  return done;
}

const MAKERS: Makers = {
  write: (place, { buffer, offset: wanted, bytes, from, seed }) => {
    const account = place.account(buffer);
    if (account === undefined) return undefined;
    const offset = Math.min(wanted, account.bytes.byteLength);
    const data = randomBytes(seed, room(account, offset, bytes));
    const gzip = from === 'gzip' && data.byteLength > 0 && place.device.properties.decompression.includes('gzip');
    const pinned = from === 'pinned' && data.byteLength > 0;
    const options = { destinationOffset: offset };
    return {
      accounts: [account],
      enqueue: (stream) => {
        const { device } = place;
        if (pinned) return writePinned(device, stream, account.buffer, data, offset);
        if (!gzip) return stream.copyToDevice(account.buffer, data, options);
        return stream.copyToDevice(account.buffer, gzipSync(data), { ...options, decompress: 'gzip' });
      },
      ...(pinned || gzip ? {} : { listed: { destination: account.buffer, source: data, ...options } }),
      outsideGraphs: gzip,
      apply: (of) => expectBytes(of(account), offset, data),
      spoil: (of) => forget(of(account), offset, gzip ? account.bytes.byteLength : data.byteLength),
    };
  },

  'write rows': (place, { buffer, offset, rows, bytes, stride, seed }) => {
    const account = place.account(buffer);
    if (account === undefined || offset + rows * stride > account.bytes.byteLength) return undefined;
    const data = randomBytes(seed, rows * bytes);
    const options = { rows, bytes, destinationStride: stride, destinationOffset: offset };
    return {
      accounts: [account],
      enqueue: (stream) => stream.copyToDevice(account.buffer, data, options),
      listed: { destination: account.buffer, source: data, ...options },
      apply: (of) => {
        for (let row = 0; row < rows; row++) {
          expectBytes(of(account), offset + row * stride, data.subarray(row * bytes, (row + 1) * bytes));
        }
      },
      spoil: (of) => forget(of(account), offset, rows * stride),
    };
  },

  fill: (place, { buffer, offset, words, pattern }) => {
    const account = place.account(buffer);
    if (account === undefined || offset > account.bytes.byteLength) return undefined;
    const bytes = room(account, offset, words * 4);
    return {
      accounts: [account],
      enqueue: (stream) => stream.fill(account.buffer, pattern, { offset, bytes }),
      apply: (of) => expectBytes(of(account), offset, new Uint8Array(new Uint32Array(bytes / 4).fill(pattern).buffer)),
      spoil: (of) => forget(of(account), offset, bytes),
    };
  },

  copy: (place, { from, to, fromOffset, toOffset, bytes: wanted }) => {
    const [source, target] = [place.account(from), place.account(to)];
    if (source === undefined || target === undefined) return undefined;
    const bytes = Math.min(room(source, fromOffset, wanted), room(target, toOffset, wanted));
    if (fromOffset > source.bytes.byteLength || toOffset > target.bytes.byteLength) return undefined;
    const options = { sourceOffset: fromOffset, destinationOffset: toOffset, bytes };
    return {
      accounts: [source, target],
      enqueue: (stream) => stream.copy(target.buffer, source.buffer, options),
      listed: { destination: target.buffer, source: source.buffer, ...options },
      apply: (of) => moveBytes(of(source), of(target), { fromOffset, toOffset, bytes }),
      spoil: (of) => forget(of(target), toOffset, bytes),
    };
  },

  'copy rows': (place, { from, to, rows, bytes, fromStride, toStride }) => {
    const [source, target] = [place.account(from), place.account(to)];
    if (source === undefined || target === undefined || source === target) return undefined;
    if (rows * fromStride > source.bytes.byteLength || rows * toStride > target.bytes.byteLength) return undefined;
    const options = { rows, bytes, sourceStride: fromStride, destinationStride: toStride };
    return {
      accounts: [source, target],
      enqueue: (stream) => stream.copy(target.buffer, source.buffer, options),
      listed: { destination: target.buffer, source: source.buffer, ...options },
      apply: (of) => {
        for (let row = 0; row < rows; row++) {
          const place = { fromOffset: row * fromStride, toOffset: row * toStride, bytes };
          moveBytes(of(source), of(target), place);
        }
      },
      spoil: (of) => forget(of(target), 0, rows * toStride),
    };
  },

  /** Kernel RECORD: every processing element writes a number. */
  record: (place, { buffer, columns, rows, first }) => {
    const account = place.account(buffer);
    const count = columns * rows;
    if (account === undefined || account.bytes.byteLength < count * 8) return undefined;
    const words = BigUint64Array.from({ length: count }, (_, index) => BigInt(first + index));
    const kernel = place.device.kernel('RECORD');
    return {
      accounts: [account],
      enqueue: (stream) => stream.launch(kernel, { grid: { columns, rows } }, [account.buffer, BigInt(first)]),
      apply: (of) => expectBytes(of(account), 0, new Uint8Array(words.buffer)),
      spoil: (of) => forget(of(account), 0, count * 8),
    };
  },

  /** Kernel ADD_ONE: counts up the 64-bit word at the start. */
  add: (place, { buffer, times }) => {
    const account = place.account(buffer);
    if (account === undefined) return undefined;
    const kernel = place.device.kernel('ADD_ONE');
    return {
      accounts: [account],
      enqueue: (stream) => stream.launch(kernel, { grid: { columns: 1, rows: 1 } }, [account.buffer, times]),
      apply: (of) => {
        const { bytes, known } = of(account);
        const view = new DataView(bytes.buffer);
        if (known.subarray(0, 8).every((one) => one === 1)) {
          view.setBigUint64(0, BigInt.asUintN(64, view.getBigUint64(0, true) + BigInt(times)), true);
        } else if (times > 0) forget(of(account), 0, 8);
      },
      spoil: (of) => forget(of(account), 0, 8),
    };
  },
};

export function operationOf(place: Place, work: Work): Operation | undefined {
  // The table has the function for just this kind of work.
  return (MAKERS[work.do] as (place: Place, work: Work) => Operation | undefined)(place, work);
}
