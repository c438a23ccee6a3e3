/** FP32 → BF16 and FP16, round to nearest even, as the chip's own conversions do. Tight loops: models hold millions. */

export type HalfType = 'bf16' | 'fp16';

const SCRATCH_FLOAT = new Float32Array(1);
const SCRATCH_BITS = new Uint32Array(SCRATCH_FLOAT.buffer);

/** Bits of FP32 → bits of BF16. */
export function bf16Bits(bits: number): number {
  if ((bits & 0x7fff_ffff) > 0x7f80_0000) return (bits >>> 16) | 0x40;
  return (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
}

/** Bits of FP32 → bits of FP16. */
export function fp16Bits(bits: number): number {
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fff_ffff;
  if (magnitude >= 0x4780_0000) {
    if (magnitude > 0x7f80_0000) return sign | 0x7e00;
    return sign | 0x7c00;
  }
  if (magnitude >= 0x3880_0000) {
    // Rebias the exponent (127 - 15) and round; a carry out of the fraction goes to the exponent, up to infinity.
    return sign | ((magnitude - 0x3800_0000 + 0xfff + ((magnitude >>> 13) & 1)) >>> 13);
  }
  if (magnitude <= 0x3300_0000) return sign;
  // Subnormal: adding 0.5 lets the FP32 adder align and round to the last place of FP16.
  SCRATCH_BITS[0] = magnitude;
  SCRATCH_FLOAT[0] = (SCRATCH_FLOAT[0] ?? 0) + 0.5;
  return sign | ((SCRATCH_BITS[0] ?? 0) - 0x3f00_0000);
}

/** Converts `count` FP32 values (as bits) from `source[from]` to `target[to]`. */
export function convertToHalf(
  source: Uint32Array,
  from: number,
  count: number,
  target: Uint16Array,
  to: number,
  type: HalfType,
): void {
  if (type === 'fp16') {
    for (let index = 0; index < count; index++) target[to + index] = fp16Bits(source[from + index] as number);
    return;
  }
  for (let index = 0; index < count; index++) target[to + index] = bf16Bits(source[from + index] as number);
}
