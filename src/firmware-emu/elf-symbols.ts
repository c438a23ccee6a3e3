/** Symbols and sections of an ELF file, looked up by name. Nothing in the file is trusted: what does not fit is not found. */

interface Section {
  readonly name: number;
  readonly type: number;
  readonly address: bigint;
  readonly offset: number;
  readonly bytes: number;
  readonly link: number;
}

const SECTION_HEADER_BYTES = 64;
const SYMBOL_BYTES = 24;
const TYPE_SYMBOLS = 2;
const TYPE_NO_BITS = 8;
const UNDEFINED_SECTION = 0;

function readSections(file: Buffer): Section[] {
  const table = Number(file.readBigUInt64LE(40));
  const count = file.readUInt16LE(60);
  if (file.readUInt16LE(58) !== SECTION_HEADER_BYTES || table + count * SECTION_HEADER_BYTES > file.length) return [];
  return Array.from({ length: count }, (_, index) => {
    const at = table + index * SECTION_HEADER_BYTES;
    return {
      name: file.readUInt32LE(at),
      type: file.readUInt32LE(at + 4),
      address: file.readBigUInt64LE(at + 16),
      offset: Number(file.readBigUInt64LE(at + 24)),
      bytes: Number(file.readBigUInt64LE(at + 32)),
      link: file.readUInt32LE(at + 40),
    };
  });
}

/** Bytes of a section that are in the file; none where it claims more than there are. */
function contentOf(file: Buffer, section: Section | undefined): Buffer {
  if (section === undefined || section.type === TYPE_NO_BITS || section.offset + section.bytes > file.length) {
    return Buffer.alloc(0);
  }
  return file.subarray(section.offset, section.offset + section.bytes);
}

/** Whether the zero-terminated string at `at` is `name`. */
function isNamed(strings: Buffer, at: number, name: string): boolean {
  const wanted = Buffer.from(`${name}\0`, 'latin1');
  return at + wanted.length <= strings.length && strings.subarray(at, at + wanted.length).equals(wanted);
}

function symbolIn(file: Buffer, sections: readonly Section[], table: Section, name: string): bigint | undefined {
  const symbols = contentOf(file, table);
  const strings = contentOf(file, sections[table.link]);
  for (let at = 0; at + SYMBOL_BYTES <= symbols.length; at += SYMBOL_BYTES) {
    if (symbols.readUInt16LE(at + 6) === UNDEFINED_SECTION) continue;
    if (isNamed(strings, symbols.readUInt32LE(at), name)) return symbols.readBigUInt64LE(at + 8);
  }
  return undefined;
}

/** Value of a symbol in .symtab, or else the address of the section of that name with a dot in front. The ELF header is checked. */
export function findAddress(bytes: Uint8Array, name: string): bigint | undefined {
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const sections = readSections(file);
  for (const table of sections.filter(({ type }) => type === TYPE_SYMBOLS)) {
    const value = symbolIn(file, sections, table, name);
    if (value !== undefined) return value;
  }
  const names = contentOf(file, sections[file.readUInt16LE(62)]);
  return sections.find((section) => isNamed(names, section.name, `.${name}`))?.address;
}
