/**
 * Reads the members of a zip archive as views of its bytes.
 *
 * torch.export stores every member uncompressed so that weights can be mapped; a general unzip library would copy them.
 * Everything the archive says about itself is checked against its size before it is used.
 */
import { invalidModel } from '../errors.js';

const END_RECORD = 0x06054b50;
const END_RECORD_BYTES = 22;
const ZIP64_END_LOCATOR = 0x07064b50;
const ZIP64_END_LOCATOR_BYTES = 20;
const ZIP64_END_RECORD = 0x06064b50;
const ZIP64_END_RECORD_BYTES = 56;
const CENTRAL_RECORD = 0x02014b50;
const CENTRAL_RECORD_BYTES = 46;
const LOCAL_RECORD = 0x04034b50;
const LOCAL_RECORD_BYTES = 30;
const COMMENT_LIMIT = 0xffff;
const METHOD_STORED = 0;
const FLAG_ENCRYPTED = 1;
const ZIP64_EXTRA = 1;
const UNKNOWN_32 = 0xffff_ffff;
const UNKNOWN_16 = 0xffff;

interface Directory {
  readonly offset: number;
  readonly bytes: number;
  readonly entries: number;
}

interface CentralRecord {
  readonly name: string;
  readonly method: number;
  readonly flags: number;
  readonly compressedBytes: number;
  readonly bytes: number;
  readonly localOffset: number;
  readonly end: number;
}

/** True for bytes that begin as a zip archive does. */
export function isZip(bytes: Uint8Array): boolean {
  return bytes.length >= 4 && viewOf(bytes).getUint32(0, true) === LOCAL_RECORD;
}

/** All members of an archive, by name. */
export function readZip(bytes: Uint8Array): ReadonlyMap<string, Uint8Array> {
  const view = viewOf(bytes);
  const directory = findDirectory(view);
  const members = new Map<string, Uint8Array>();
  let at = directory.offset;
  for (let entry = 0; entry < directory.entries; entry++) {
    const record = readCentralRecord(view, bytes, at, directory.offset + directory.bytes);
    members.set(record.name, memberBytes(view, bytes, record));
    at = record.end;
  }
  return members;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function safeNumber(view: DataView, at: number, what: string): number {
  const value = view.getBigUint64(at, true);
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw invalidModel(`zip ${what}`, `${value} is out of range`);
  return Number(value);
}

function findDirectory(view: DataView): Directory {
  const lowest = Math.max(0, view.byteLength - END_RECORD_BYTES - COMMENT_LIMIT);
  for (let at = view.byteLength - END_RECORD_BYTES; at >= lowest; at--) {
    if (view.getUint32(at, true) !== END_RECORD) continue;
    if (at + END_RECORD_BYTES + view.getUint16(at + 20, true) !== view.byteLength) continue;
    const directory = zip64Directory(view, at) ?? {
      entries: view.getUint16(at + 10, true),
      bytes: view.getUint32(at + 12, true),
      offset: view.getUint32(at + 16, true),
    };
    if (directory.offset + directory.bytes > at) {
      throw invalidModel(
        'zip central directory',
        `ends at ${directory.offset + directory.bytes}, after its end record`,
      );
    }
    return directory;
  }
  throw invalidModel('zip end record', 'not found; the file is truncated or not an archive');
}

function zip64Directory(view: DataView, endRecord: number): Directory | undefined {
  const locator = endRecord - ZIP64_END_LOCATOR_BYTES;
  if (locator < 0 || view.getUint32(locator, true) !== ZIP64_END_LOCATOR) return undefined;
  const at = safeNumber(view, locator + 8, 'zip64 end record offset');
  if (at + ZIP64_END_RECORD_BYTES > locator || view.getUint32(at, true) !== ZIP64_END_RECORD) {
    throw invalidModel('zip64 end record', `not found at ${at}`);
  }
  return {
    entries: safeNumber(view, at + 32, 'number of members'),
    bytes: safeNumber(view, at + 40, 'central directory size'),
    offset: safeNumber(view, at + 48, 'central directory offset'),
  };
}

function readCentralRecord(view: DataView, bytes: Uint8Array, at: number, limit: number): CentralRecord {
  if (at + CENTRAL_RECORD_BYTES > limit || view.getUint32(at, true) !== CENTRAL_RECORD) {
    throw invalidModel('zip central directory', `no member record at ${at}`);
  }
  const nameBytes = view.getUint16(at + 28, true);
  const extraBytes = view.getUint16(at + 30, true);
  const extra = at + CENTRAL_RECORD_BYTES + nameBytes;
  const end = extra + extraBytes + view.getUint16(at + 32, true);
  if (end > limit) throw invalidModel('zip central directory', `the member record at ${at} is cut off`);
  const name = Buffer.from(bytes.buffer, bytes.byteOffset + at + CENTRAL_RECORD_BYTES, nameBytes).toString('utf8');
  const sizes = {
    bytes: view.getUint32(at + 24, true),
    compressedBytes: view.getUint32(at + 20, true),
    localOffset: view.getUint32(at + 42, true),
  };
  return {
    name,
    flags: view.getUint16(at + 8, true),
    method: view.getUint16(at + 10, true),
    ...withZip64Sizes(view, sizes, extra, extra + extraBytes, view.getUint16(at + 34, true)),
    end,
  };
}

type Sizes = Pick<CentralRecord, 'bytes' | 'compressedBytes' | 'localOffset'>;

/** Replaces the fields that say "see the zip64 extra field"; that field holds exactly those, in this order. */
function withZip64Sizes(view: DataView, sizes: Sizes, extra: number, end: number, disk: number): Sizes {
  const wanted = (['bytes', 'compressedBytes', 'localOffset'] as const).filter((field) => sizes[field] === UNKNOWN_32);
  if (wanted.length === 0 && disk !== UNKNOWN_16) return sizes;
  const found = { ...sizes };
  for (let at = extra; at + 4 <= end; at += 4 + view.getUint16(at + 2, true)) {
    if (view.getUint16(at, true) !== ZIP64_EXTRA) continue;
    if (wanted.length * 8 > view.getUint16(at + 2, true) || at + 4 + wanted.length * 8 > end) break;
    for (const [index, field] of wanted.entries()) found[field] = safeNumber(view, at + 4 + index * 8, field);
    return found;
  }
  throw invalidModel('zip64 extra field', 'missing from a member record that refers to it');
}

function memberBytes(view: DataView, bytes: Uint8Array, record: CentralRecord): Uint8Array {
  const part = `zip member ${JSON.stringify(record.name)}`;
  if (record.method !== METHOD_STORED || (record.flags & FLAG_ENCRYPTED) !== 0) {
    throw invalidModel(part, 'is compressed or encrypted; torch.export stores members as they are');
  }
  if (record.bytes !== record.compressedBytes) throw invalidModel(part, 'is stored, but its two sizes differ');
  const local = record.localOffset;
  if (local + LOCAL_RECORD_BYTES > bytes.length || view.getUint32(local, true) !== LOCAL_RECORD) {
    throw invalidModel(part, `has no local header at ${local}`);
  }
  // The extra field of the local header carries the alignment padding; the central one does not.
  const start = local + LOCAL_RECORD_BYTES + view.getUint16(local + 26, true) + view.getUint16(local + 28, true);
  if (start + record.bytes > bytes.length) throw invalidModel(part, 'reaches beyond the end of the file');
  return bytes.subarray(start, start + record.bytes);
}
