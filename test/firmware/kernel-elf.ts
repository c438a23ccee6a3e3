/** The smallest ELF files that the control firmware takes for kernels, or should not. */

const CODE_OFFSET = 120;
const CODE_ADDRESS = 0x1000n;

/** A RISC-V executable of one segment of zeros, read-only unless flags say otherwise. */
export function kernelElf(memoryBytes: number, fileBytes: number, flags = 5): Uint8Array {
  const bytes = new Uint8Array(CODE_OFFSET + fileBytes);
  const view = new DataView(bytes.buffer);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  view.setUint16(16, 2, true);
  view.setUint16(18, 243, true);
  view.setBigUint64(24, CODE_ADDRESS, true);
  view.setBigUint64(32, 64n, true);
  view.setUint16(54, 56, true);
  view.setUint16(56, 1, true);
  view.setUint32(64, 1, true);
  view.setUint32(68, flags, true);
  view.setBigUint64(72, BigInt(CODE_OFFSET), true);
  view.setBigUint64(80, CODE_ADDRESS, true);
  view.setBigUint64(96, BigInt(fileBytes), true);
  view.setBigUint64(104, BigInt(memoryBytes), true);
  return bytes;
}

/** A kernel of these instructions. */
export function kernelOf(words: readonly number[]): Uint8Array {
  const bytes = kernelElf(words.length * 4, words.length * 4);
  const view = new DataView(bytes.buffer);
  for (const [index, word] of words.entries()) view.setUint32(CODE_OFFSET + index * 4, word, true);
  return bytes;
}
