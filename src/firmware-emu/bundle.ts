/** Reads a firmware bundle. Nothing in the file is trusted: what this accepts, the boot ROM accepts. */
import { createHash } from 'node:crypto';
import { MtiaError } from '../driver/errors.js';
import type { FirmwareImage } from '../driver/firmware-image.js';
import {
  BUNDLE_HEADER,
  BUNDLE_MAGIC,
  BUNDLE_SECTION,
  BUNDLE_SECTION_RECORD,
  BUNDLE_VERSION,
  decodeStruct,
  firmwareVersionText,
  type Generation,
  placeFields,
  RESERVED,
} from '../hw/index.js';
import { checkedManifest, type Manifest } from './manifest.js';
import { SIGNATURE_SECTION_BYTES, verifyRecords } from './signature.js';
import { TRUSTED_KEYS } from './trusted-keys.js';

/** Name of a kind of section, from BUNDLE_SECTION. */
export type SectionKind = keyof typeof BUNDLE_SECTION;

/** Sections begin at multiples of this. */
export const BUNDLE_ALIGNMENT = 64;
export const BUNDLE_SECTIONS = 64;

/** Bit of `generations` in the header. */
export const GENERATION_BIT: Readonly<Record<Generation, number>> = { v1: 1, '2i': 2 };
const GENERATIONS = Object.keys(GENERATION_BIT) as Generation[];
const KNOWN_GENERATIONS = GENERATIONS.reduce((bits, name) => bits | (1 << GENERATION_BIT[name]), 0);

/** How strictly a bundle is read. */
export interface BundleOptions {
  /** Accept a bundle without a signature. One with a wrong signature is refused all the same. */
  readonly allowUnsigned?: boolean;
  /** Raw Ed25519 public keys to accept instead of the built-in ones. */
  readonly trustedKeys?: readonly Uint8Array[];
  /** How error messages call the bundle: its path, where it has one. */
  readonly name?: string;
}

/** One section of a bundle. */
export interface BundleSection {
  readonly kind: SectionKind;
  readonly name: string;
  /** Of a KERNEL section; otherwise 0. */
  readonly kernelId: number;
  /** From the start of the file. */
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/** A bundle that was read and checked: all that the driver needs, and what people ask about it. */
export interface Bundle extends FirmwareImage {
  readonly manifest: Manifest;
  readonly sections: readonly BundleSection[];
  readonly signed: boolean;
}

interface Header {
  readonly totalBytes: number;
  readonly sectionCount: number;
  readonly generations: number;
  readonly firmwareVersion: number;
  readonly protocolVersion: number;
}

type Refuse = (problem: string) => never;

/**
 * Checks every byte of a bundle. Throws INVALID_BUNDLE, which names the field, where it is malformed, and BAD_SIGNATURE
 * where it is not signed by a trusted key.
 */
export function readBundle(file: Uint8Array, options: BundleOptions = {}): Bundle {
  const name = options.name ?? 'firmware bundle';
  const refuse: Refuse = (problem) => {
    throw new MtiaError('INVALID_BUNDLE', `${name}: ${problem}; build or copy the bundle again`);
  };
  // A private copy: the caller cannot change what has been checked.
  const bytes = Uint8Array.from(file);
  const header = readHeader(bytes, refuse);
  const sections = readSections(bytes, header, refuse);
  const signed = checkSignature(bytes, header, sections, options, name);
  const manifest = readManifest(sections, refuse);
  checkManifest(manifest, header, sections, refuse);
  return {
    bytes,
    version: manifest.version,
    protocolVersion: header.protocolVersion,
    generations: manifest.generations,
    kernels: new Map(Object.entries(manifest.kernels)),
    manifest,
    sections,
    signed,
  };
}

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** Safe integer of a 64-bit field; a larger value is larger than any file, so that it fails the checks that follow. */
const toNumber = (value: bigint): number => (value > BigInt(Number.MAX_SAFE_INTEGER) ? Infinity : Number(value));

function readHeader(bytes: Uint8Array, refuse: Refuse): Header {
  if (bytes.byteLength < BUNDLE_HEADER.size)
    refuse(`has ${bytes.byteLength} bytes, the header alone ${BUNDLE_HEADER.size}`);
  if (bytes.byteLength > RESERVED.LPDDR_FIRMWARE_BYTES) {
    refuse(`has ${bytes.byteLength} bytes, at most ${RESERVED.LPDDR_FIRMWARE_BYTES} can be staged`);
  }
  const fields = decodeStruct(BUNDLE_HEADER, viewOf(bytes), 0);
  if (Number(fields.magic) !== BUNDLE_MAGIC) refuse(`magic is 0x${fields.magic.toString(16)}: not a firmware bundle`);
  if (Number(fields.version) !== BUNDLE_VERSION) refuse(`version is ${fields.version}, expected ${BUNDLE_VERSION}`);
  if (toNumber(fields.total_bytes) !== bytes.byteLength) {
    refuse(`total_bytes is ${fields.total_bytes}, the file has ${bytes.byteLength}`);
  }
  const sectionCount = Number(fields.section_count);
  if (sectionCount < 1 || sectionCount > BUNDLE_SECTIONS)
    refuse(`section_count is ${sectionCount}, expected 1..${BUNDLE_SECTIONS}`);
  const generations = Number(fields.generations);
  if (generations === 0 || (generations & ~KNOWN_GENERATIONS) !== 0)
    refuse(`generations is 0x${generations.toString(16)}`);
  if (recordsEnd(sectionCount) > bytes.byteLength) refuse('is truncated within the section records');
  const reserved = fieldOf(bytes, 0, BUNDLE_HEADER, 'reserved');
  if (reserved.some((byte) => byte !== 0)) refuse('reserved is not zero');
  return {
    totalBytes: bytes.byteLength,
    sectionCount,
    generations,
    firmwareVersion: Number(fields.firmware_version),
    protocolVersion: Number(fields.protocol_version),
  };
}

/** End of header and section records: where the first section may begin, and what a signature covers. */
export function recordsEnd(sectionCount: number): number {
  return BUNDLE_HEADER.size + sectionCount * BUNDLE_SECTION_RECORD.size;
}

function fieldOf(
  bytes: Uint8Array,
  offset: number,
  layout: typeof BUNDLE_HEADER | typeof BUNDLE_SECTION_RECORD,
  name: string,
): Uint8Array {
  const fields = placeFields(layout);
  const index = fields.findIndex((field) => field.name === name);
  const start = fields[index]?.offset ?? 0;
  const end = fields[index + 1]?.offset ?? layout.size;
  return bytes.subarray(offset + start, offset + end);
}

const KIND_NAME: ReadonlyMap<number, SectionKind> = new Map(
  (Object.keys(BUNDLE_SECTION) as SectionKind[]).map((name) => [BUNDLE_SECTION[name], name]),
);

function readSections(bytes: Uint8Array, header: Header, refuse: Refuse): BundleSection[] {
  const sections: BundleSection[] = [];
  let end = recordsEnd(header.sectionCount);
  for (let index = 0; index < header.sectionCount; index++) {
    const where = `section ${index}`;
    const section = readSection(bytes, index, end, (problem) => refuse(`${where}: ${problem}`));
    checkTwins(sections, section, (problem) => refuse(`${where}: ${problem}`));
    sections.push(section);
    end = section.offset + section.bytes.byteLength;
  }
  if (end !== header.totalBytes) refuse(`${header.totalBytes - end} bytes follow the last section`);
  if (sections.slice(0, -1).some((section) => section.kind === 'SIGNATURE'))
    refuse('SIGNATURE is not the last section');
  for (const kind of ['MANIFEST', 'CONTROL_FIRMWARE', 'PE_MONITOR'] as const) {
    if (!sections.some((section) => section.kind === kind)) refuse(`has no section ${kind}`);
  }
  return sections;
}

function readSection(bytes: Uint8Array, index: number, freeFrom: number, refuse: Refuse): BundleSection {
  const at = recordsEnd(index);
  const fields = decodeStruct(BUNDLE_SECTION_RECORD, viewOf(bytes), at);
  const kind = KIND_NAME.get(Number(fields.kind)) ?? refuse(`kind is ${fields.kind}`);
  const offset = toNumber(fields.offset);
  const size = toNumber(fields.bytes);
  if (offset % BUNDLE_ALIGNMENT !== 0) refuse(`offset ${fields.offset} is not a multiple of ${BUNDLE_ALIGNMENT}`);
  if (offset < freeFrom) refuse(`offset ${fields.offset} overlaps what lies before it`);
  if (size === 0) refuse('bytes is 0');
  if (offset + size > bytes.byteLength) refuse(`offset ${fields.offset} + bytes ${fields.bytes} exceeds the file`);
  if (kind !== 'KERNEL' && fields.kernel_id !== 0n) refuse(`kernel_id of a ${kind} is ${fields.kernel_id}`);
  if (offset - freeFrom >= BUNDLE_ALIGNMENT || bytes.subarray(freeFrom, offset).some((byte) => byte !== 0)) {
    refuse('the gap before it is not padding');
  }
  const section = {
    kind,
    name: readName(bytes, at, refuse),
    kernelId: Number(fields.kernel_id),
    offset,
    bytes: bytes.subarray(offset, offset + size),
  };
  checkHash(section, fieldOf(bytes, at, BUNDLE_SECTION_RECORD, 'sha256'), refuse);
  return section;
}

function readName(bytes: Uint8Array, record: number, refuse: Refuse): string {
  const field = Buffer.from(fieldOf(bytes, record, BUNDLE_SECTION_RECORD, 'name'));
  const end = field.indexOf(0);
  const text = field.subarray(0, Math.max(end, 0)).toString('latin1');
  if (end < 1 || !/^[\x21-\x7e]+$/.test(text)) refuse('name is not zero-terminated ASCII');
  if (field.subarray(end).some((byte) => byte !== 0)) refuse('name is followed by other bytes than zero');
  return text;
}

function checkHash(section: BundleSection, stored: Uint8Array, refuse: Refuse): void {
  const isSignature = section.kind === 'SIGNATURE';
  if (isSignature && section.bytes.byteLength !== SIGNATURE_SECTION_BYTES) {
    refuse(`bytes of SIGNATURE is ${section.bytes.byteLength}, expected ${SIGNATURE_SECTION_BYTES}`);
  }
  const expected = isSignature ? Buffer.alloc(stored.byteLength) : createHash('sha256').update(section.bytes).digest();
  if (!expected.equals(stored)) refuse(`sha256 of ${section.name} does not match its bytes`);
}

function checkTwins(earlier: readonly BundleSection[], section: BundleSection, refuse: Refuse): void {
  const twin = earlier.find((other) => other.kind === section.kind && other.kernelId === section.kernelId);
  if (twin === undefined) return;
  refuse(
    section.kind === 'KERNEL' ? `kernel_id ${section.kernelId} is taken by ${twin.name}` : `a second ${section.kind}`,
  );
}

function checkSignature(
  bytes: Uint8Array,
  header: Header,
  sections: readonly BundleSection[],
  options: BundleOptions,
  name: string,
): boolean {
  const section = sections.find(({ kind }) => kind === 'SIGNATURE');
  if (section === undefined) {
    if (options.allowUnsigned === true) return false;
    throw new MtiaError('BAD_SIGNATURE', `${name}: has no SIGNATURE; sign it, or allow unsigned bundles explicitly`);
  }
  const records = bytes.subarray(0, recordsEnd(header.sectionCount));
  const verdict = verifyRecords(records, section.bytes, options.trustedKeys ?? TRUSTED_KEYS);
  if (verdict !== 'good') {
    throw new MtiaError(
      'BAD_SIGNATURE',
      `${name}: SIGNATURE is of ${verdict === 'wrong' ? 'other content' : 'an untrusted key'}; get the bundle from its maker`,
    );
  }
  return true;
}

function readManifest(sections: readonly BundleSection[], refuse: Refuse): Manifest {
  const bytes = sections.find(({ kind }) => kind === 'MANIFEST')?.bytes ?? new Uint8Array();
  let content: unknown;
  try {
    content = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    return refuse('MANIFEST is not JSON');
  }
  return checkedManifest(content, (why) => refuse(`MANIFEST: ${why}`));
}

function checkManifest(manifest: Manifest, header: Header, sections: readonly BundleSection[], refuse: Refuse): void {
  const version = firmwareVersionText(header.firmwareVersion);
  if (manifest.version !== version) refuse(`MANIFEST: version is ${manifest.version}, the header says ${version}`);
  if (manifest.protocolVersion !== header.protocolVersion) {
    refuse(`MANIFEST: protocolVersion is ${manifest.protocolVersion}, the header says ${header.protocolVersion}`);
  }
  const bits = manifest.generations.reduce((sum, name) => sum | (1 << GENERATION_BIT[name]), 0);
  if (bits !== header.generations)
    refuse(
      `MANIFEST: generations is ${manifest.generations.join(', ')}, the header says 0x${header.generations.toString(16)}`,
    );
  const kernels = sections.filter(({ kind }) => kind === 'KERNEL');
  const listed = new Map(Object.entries(manifest.kernels));
  for (const { name, kernelId } of kernels) {
    if (listed.get(name) !== kernelId) refuse(`MANIFEST: kernels lacks ${name} with id ${kernelId}`);
  }
  if (listed.size !== kernels.length)
    refuse(`MANIFEST: kernels lists ${listed.size}, the bundle has ${kernels.length}`);
}
