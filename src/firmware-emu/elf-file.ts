/** What the firmware's ELF files must be like (System V gABI): checked when a bundle is written, so that a defect shows there. */

export interface ElfSegment {
  readonly offset: number;
  readonly address: number;
  /** Where a loader puts it; differs from address where start-up code moves the segment. */
  readonly loadAddress: number;
  readonly fileBytes: number;
  readonly memoryBytes: number;
  readonly writable: boolean;
  readonly executable: boolean;
}

export interface ElfFile {
  readonly entry: number;
  readonly segments: readonly ElfSegment[];
}

const HEADER_BYTES = 64;
const PROGRAM_HEADER_BYTES = 56;
const IDENTIFICATION = Buffer.from([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
const EXECUTABLE = 2;
const MACHINE_RISCV = 243;
const LOADED_SEGMENT = 1;
const FLAG_EXECUTABLE = 1;
const FLAG_WRITABLE = 2;

/** Throws a RangeError where the file is not a little-endian RV64 executable with its segments inside the file. */
export function readElf(bytes: Uint8Array): ElfFile {
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (file.length < HEADER_BYTES || !file.subarray(0, IDENTIFICATION.length).equals(IDENTIFICATION)) {
    throw new RangeError('not a 64-bit little-endian ELF file');
  }
  if (file.readUInt16LE(16) !== EXECUTABLE || file.readUInt16LE(18) !== MACHINE_RISCV) {
    throw new RangeError('not a RISC-V executable');
  }
  const table = Number(file.readBigUInt64LE(32));
  const count = file.readUInt16LE(56);
  if (count !== 0 && file.readUInt16LE(54) !== PROGRAM_HEADER_BYTES) {
    throw new RangeError(`program headers are not of ${PROGRAM_HEADER_BYTES} bytes`);
  }
  if (table + count * PROGRAM_HEADER_BYTES > file.length) throw new RangeError('program headers exceed the file');
  const segments: ElfSegment[] = [];
  for (let index = 0; index < count; index++) {
    const at = table + index * PROGRAM_HEADER_BYTES;
    if (file.readUInt32LE(at) !== LOADED_SEGMENT) continue;
    segments.push(readSegment(file, at));
  }
  return { entry: Number(file.readBigUInt64LE(24)), segments: segments.filter(({ memoryBytes }) => memoryBytes > 0) };
}

function readSegment(file: Buffer, at: number): ElfSegment {
  const segment = {
    writable: (file.readUInt32LE(at + 4) & FLAG_WRITABLE) !== 0,
    executable: (file.readUInt32LE(at + 4) & FLAG_EXECUTABLE) !== 0,
    offset: Number(file.readBigUInt64LE(at + 8)),
    address: Number(file.readBigUInt64LE(at + 16)),
    loadAddress: Number(file.readBigUInt64LE(at + 24)),
    fileBytes: Number(file.readBigUInt64LE(at + 32)),
    memoryBytes: Number(file.readBigUInt64LE(at + 40)),
  };
  if (segment.fileBytes > segment.memoryBytes || segment.offset + segment.fileBytes > file.length) {
    throw new RangeError(`segment at 0x${segment.address.toString(16)} exceeds the file`);
  }
  return segment;
}

/** Alignment that the control firmware gives kernel code. */
const KERNEL_ALIGNMENT = 64;

/** Throws a RangeError where a kernel could not run from wherever it is loaded (firmware/include/mtia_kernel.h). */
export function checkKernelElf(bytes: Uint8Array): void {
  const { entry, segments } = readElf(bytes);
  const [segment] = segments;
  if (segment === undefined || segments.length > 1)
    throw new RangeError(`a kernel has one segment, this ${segments.length}`);
  if (segment.writable || segment.fileBytes !== segment.memoryBytes)
    throw new RangeError('a kernel has no writable data');
  if (segment.address % KERNEL_ALIGNMENT !== 0)
    throw new RangeError(`a kernel is aligned to ${KERNEL_ALIGNMENT} bytes`);
  if (entry < segment.address || entry >= segment.address + segment.memoryBytes)
    throw new RangeError('entry lies outside');
}

/** Throws a RangeError where a program does not lie inside the window that it is loaded into. */
export function checkProgramElf(bytes: Uint8Array, base: number, size: number): void {
  const { entry, segments } = readElf(bytes);
  if (!segments.some(({ address, memoryBytes }) => entry >= address && entry < address + memoryBytes)) {
    throw new RangeError('entry lies outside the segments');
  }
  for (const { address, memoryBytes } of segments) {
    if (address < base || address + memoryBytes > base + size) {
      throw new RangeError(`segment at 0x${address.toString(16)} lies outside its memory`);
    }
  }
}
