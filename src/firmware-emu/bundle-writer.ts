/** Writes a firmware bundle. The same content gives the same bytes. */
import { createHash, type KeyObject } from 'node:crypto';
import {
  BUNDLE_HEADER,
  BUNDLE_MAGIC,
  BUNDLE_SECTION,
  BUNDLE_SECTION_RECORD,
  BUNDLE_VERSION,
  encodeStruct,
} from '../hw/index.js';
import { BUNDLE_ALIGNMENT, BUNDLE_SECTIONS, GENERATION_BIT, recordsEnd, type SectionKind } from './bundle.js';
import { encodeManifest, encodeVersion, type Manifest } from './manifest.js';
import { SIGNATURE_SECTION_BYTES, signRecords } from './signature.js';

/** One section of it. */
export interface SectionContent {
  readonly kind: SectionKind;
  readonly name: string;
  readonly kernelId?: number;
  readonly bytes: Uint8Array;
}

/** What a bundle is written from. */
export interface BundleContent {
  readonly manifest: Manifest;
  /** Everything but MANIFEST and SIGNATURE, in the order in which it is stored. */
  readonly sections: readonly SectionContent[];
}

interface PlacedSection extends SectionContent {
  readonly offset: number;
}

const alignUp = (value: number): number => Math.ceil(value / BUNDLE_ALIGNMENT) * BUNDLE_ALIGNMENT;

/** The bundle file; unsigned where no key is given. Throws a RangeError where the content does not fit the format. */
export function writeBundle(content: BundleContent, privateKey?: KeyObject): Uint8Array {
  const sections: SectionContent[] = [
    { kind: 'MANIFEST', name: 'manifest', bytes: encodeManifest(content.manifest) },
    ...content.sections,
  ];
  // Its bytes are filled in last: they sign the records, its own among them.
  if (privateKey !== undefined) {
    sections.push({ kind: 'SIGNATURE', name: 'signature', bytes: new Uint8Array(SIGNATURE_SECTION_BYTES) });
  }
  if (sections.length > BUNDLE_SECTIONS) throw new RangeError(`a bundle has at most ${BUNDLE_SECTIONS} sections`);
  const placed = place(sections);
  const last = placed[placed.length - 1];
  const file = new Uint8Array((last?.offset ?? 0) + (last?.bytes.byteLength ?? 0));
  writeHeader(file, content.manifest, placed.length);
  for (const [index, section] of placed.entries()) writeSection(file, index, section);
  if (privateKey !== undefined && last !== undefined) {
    file.set(signRecords(file.subarray(0, recordsEnd(placed.length)), privateKey), last.offset);
  }
  return file;
}

function place(sections: readonly SectionContent[]): PlacedSection[] {
  let end = recordsEnd(sections.length);
  return sections.map((section) => {
    const offset = alignUp(end);
    end = offset + section.bytes.byteLength;
    return { ...section, offset };
  });
}

function writeHeader(file: Uint8Array, manifest: Manifest, sectionCount: number): void {
  encodeStruct(BUNDLE_HEADER, new DataView(file.buffer), 0, {
    magic: BUNDLE_MAGIC,
    version: BUNDLE_VERSION,
    total_bytes: file.byteLength,
    section_count: sectionCount,
    generations: manifest.generations.reduce((bits, name) => bits | (1 << GENERATION_BIT[name]), 0),
    firmware_version: encodeVersion(manifest.version),
    protocol_version: manifest.protocolVersion,
  });
}

function writeSection(file: Uint8Array, index: number, section: PlacedSection): void {
  const { kind, name, kernelId = 0, offset, bytes } = section;
  encodeStruct(BUNDLE_SECTION_RECORD, new DataView(file.buffer), recordsEnd(index), {
    kind: BUNDLE_SECTION[kind],
    kernel_id: kernelId,
    offset,
    bytes: bytes.byteLength,
    // One byte of the field stays zero.
    name: [...Buffer.from(name, 'latin1').subarray(0, 39)],
    sha256: kind === 'SIGNATURE' ? [] : [...createHash('sha256').update(bytes).digest()],
  });
  file.set(bytes, offset);
}
