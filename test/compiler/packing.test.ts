/** Weights and tables against the definition, one element at a time; number formats against arithmetic. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bf16Bits, convertToHalf, fp16Bits } from '../../src/compiler/packing/half-types.js';
import {
  type ColumnRun,
  packedWeightBytes,
  packTable,
  packWeight,
  roundUp,
} from '../../src/compiler/packing/pack-weights.js';
import { type ConstantTensor, denseConstant, permuteConstant } from '../../src/compiler/tensor.js';
import { testValues } from './support.js';

const FLOAT = new Float32Array(1);
const BITS = new Uint32Array(FLOAT.buffer);
const bitsOf = (value: number): number => {
  FLOAT[0] = value;
  return BITS[0] ?? 0;
};

function constant(shape: readonly number[], values: readonly number[]): ConstantTensor {
  return denseConstant('float32', shape, new Uint8Array(Float32Array.from(values).buffer));
}

/** The nearest of a format's values, ties to the even one: by the spacing of values near x, in exact arithmetic. */
function nearest(x: number, fractionBits: number, smallestExponent: number, largest: number): number {
  if (!Number.isFinite(x) || x === 0) return x;
  const magnitude = Math.abs(x);
  const spacing = 2 ** (Math.max(Math.floor(Math.log2(magnitude)), smallestExponent) - fractionBits);
  const down = Math.floor(magnitude / spacing);
  const rest = magnitude / spacing - down;
  const value = (rest > 0.5 || (rest === 0.5 && down % 2 !== 0) ? down + 1 : down) * spacing;
  return (x < 0 ? -1 : 1) * (value > largest ? Number.POSITIVE_INFINITY : value);
}

function fromHalf(bits: number, fractionBits: number, exponentBits: number): number {
  const bias = 2 ** (exponentBits - 1) - 1;
  const exponent = (bits >> fractionBits) & (2 ** exponentBits - 1);
  const fraction = bits & (2 ** fractionBits - 1);
  const sign = bits & 0x8000 ? -1 : 1;
  if (exponent === 2 ** exponentBits - 1) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  if (exponent === 0) return sign * fraction * 2 ** (1 - bias - fractionBits);
  return sign * (1 + fraction / 2 ** fractionBits) * 2 ** (exponent - bias);
}

describe('half types', () => {
  const anyFloat = fc.oneof(
    fc.float(),
    fc.float({ min: -70000, max: 70000 }),
    fc.float({ min: Math.fround(-1e-4), max: Math.fround(1e-4) }),
  );

  it('BF16 rounds to the nearest, ties to even', () => {
    fc.assert(
      fc.property(anyFloat, (value) => {
        const expected = nearest(value, 7, -126, 2 ** 128 - 2 ** 120);
        expect(fromHalf(bf16Bits(bitsOf(value)), 7, 8)).toEqual(expected);
      }),
    );
  });

  it('FP16 rounds to the nearest, ties to even, through subnormals and to infinity', () => {
    fc.assert(
      fc.property(anyFloat, (value) => {
        expect(fromHalf(fp16Bits(bitsOf(value)), 10, 5)).toEqual(nearest(value, 10, -14, 65504));
      }),
    );
    for (const value of [65504, 65519, 65520, 2 ** -24, 2 ** -25, 1.5 * 2 ** -24, 2 ** -14 - 2 ** -25, 0, -0]) {
      expect(fromHalf(fp16Bits(bitsOf(value)), 10, 5)).toBe(nearest(value, 10, -14, 65504));
    }
  });

  it('NaN stays NaN, and arrays convert as single values do', () => {
    expect(fromHalf(bf16Bits(0x7f80_0001), 7, 8)).toBeNaN();
    expect(fromHalf(fp16Bits(0xff80_0001), 10, 5)).toBeNaN();
    const source = Uint32Array.from([0x7f80_0001, ...testValues(40).map(bitsOf), 0xff80_0000]);
    for (const [type, one] of [
      ['bf16', bf16Bits],
      ['fp16', fp16Bits],
    ] as const) {
      const target = new Uint16Array(50);
      convertToHalf(source, 1, 41, target, 3, type);
      expect([...target]).toEqual([0, 0, 0, ...[...source.slice(1, 42)].map(one), 0, 0, 0, 0, 0, 0]);
    }
  });
});

describe('DPE blocks', () => {
  /** Straight from MML: B is k/4 rows of 32 groups of 4 bytes; blocks of k within blocks of 32 columns. */
  function naive(
    weight: readonly number[],
    n: number,
    k: number,
    kBytes: number,
    runs: readonly ColumnRun[],
  ): Uint16Array {
    const packed = new Uint16Array(packedWeightBytes(n, kBytes) / 2);
    for (let column = 0; column < n; column++) {
      for (const run of runs) {
        for (let index = 0; index < run.count; index++) {
          const byte = (run.target + index) * 2;
          const block = Math.floor(column / 32) * (kBytes / 64) + Math.floor(byte / 64);
          const group = (Math.floor((byte % 64) / 4) * 32 + (column % 32)) * 4;
          packed[(block * 2048 + group + (byte % 4)) / 2] = bf16Bits(
            bitsOf(weight[column * k + run.source + index] ?? 0),
          );
        }
      }
    }
    return packed;
  }

  it('hold every weight where the matmul unit looks for it', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 70 }), fc.integer({ min: 1, max: 100 }), (n, k) => {
        const kBytes = roundUp(k * 2, 64);
        const values = testValues(n * k, n * 1000 + k);
        const runs = [{ source: 0, target: 0, count: k }];
        const packed = new Uint8Array(packedWeightBytes(n, kBytes));
        packWeight(constant([n, k], values), 1, kBytes, runs, 'bf16', packed);
        expect(new Uint16Array(packed.buffer)).toEqual(naive(values, n, k, kBytes, runs));
        const transposed = Array.from({ length: n * k }, (_, at) => values[(at % n) * k + Math.floor(at / n)] ?? 0);
        const again = new Uint8Array(packed.length);
        packWeight(permuteConstant(constant([k, n], transposed), [1, 0]), 1, kBytes, runs, 'bf16', again);
        expect(again).toEqual(packed);
      }),
      { numRuns: 30 },
    );
  });

  it('follow the order in which the input lies in memory', () => {
    const values = testValues(3 * 10, 5);
    const runs = [
      { source: 4, target: 0, count: 6 },
      { source: 0, target: 32, count: 4 },
    ];
    const packed = new Uint8Array(packedWeightBytes(3, 128));
    packWeight(constant([3, 10], values), 1, 128, runs, 'bf16', packed);
    expect(new Uint16Array(packed.buffer)).toEqual(naive(values, 3, 10, 128, runs));
  });
});

describe('embedding tables', () => {
  it('pad rows with zeros and empty the padding row', () => {
    const values = testValues(4 * 5, 6);
    const packed = new Uint8Array(4 * 64);
    packTable(constant([4, 5], values), 2, 2, 64, 'bf16', packed);
    const halves = new Uint16Array(packed.buffer);
    for (let row = 0; row < 4; row++) {
      const expected = Array.from({ length: 32 }, (_, at) =>
        at < 5 && row !== 2 ? bf16Bits(bitsOf((values[row * 5 + at] ?? 0) * 2)) : 0,
      );
      expect([...halves.slice(row * 32, row * 32 + 32)]).toEqual(expected);
    }
  });
});
