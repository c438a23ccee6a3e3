/**
 * Special values: NaN, infinities, signed zeros, denormals, overflow and ties. The tables are IEEE 754 (conversions to the nearest
 * even, gradual underflow) and, where that leaves a choice, docs/numerics.md: NaNs are canonical, integers saturate, the dot-product
 * engine flushes denormals. numerics-references.ts holds ordinary numbers to PyTorch.
 */
import assert from 'node:assert/strict';
import type { ActivationName, Rectangle } from '../../hw/index.js';
import { category, conformanceCase } from '../case.js';
import { BYTES, multiply, type NumberType, pack, transform, unpack } from '../unit-kernels.js';

const HALF: Rectangle = { column: 0, row: 0, columns: 4, rows: 8 };

const hex = (values: readonly number[]): readonly string[] => values.map((value) => value.toString(16));

interface Conversion {
  readonly from: NumberType;
  readonly to: NumberType;
  /** What goes in and what must come out, as bits. */
  readonly table: readonly (readonly [input: number, output: number])[];
}

/** docs/numerics.md, "Data types". */
const CONVERSIONS: readonly Conversion[] = [
  {
    from: 'FP32',
    to: 'FP16',
    table: [
      [0x7fc0_0000, 0x7e00],
      [0xffc1_2345, 0x7e00],
      [0x7f80_0001, 0x7e00],
      [0x7f80_0000, 0x7c00],
      [0xff80_0000, 0xfc00],
      [0x8000_0000, 0x8000],
      [0x477f_e000, 0x7bff],
      [0x477f_efff, 0x7bff],
      [0x477f_f000, 0x7c00],
      [0x3380_0000, 0x0001],
      [0x3300_0000, 0x0000],
      [0x3300_0001, 0x0001],
      [0xb380_0000, 0x8001],
      [0x3880_0000, 0x0400],
      [0x387f_c000, 0x03ff],
      [0x3f80_1000, 0x3c00],
      [0x3f80_3000, 0x3c02],
    ],
  },
  {
    from: 'FP32',
    to: 'BF16',
    table: [
      [0x7fc0_0000, 0x7fc0],
      [0xff80_0001, 0x7fc0],
      [0x7fff_ffff, 0x7fc0],
      [0x7f80_0000, 0x7f80],
      [0xff80_0000, 0xff80],
      [0x7f7f_ffff, 0x7f80],
      [0x7f7f_7fff, 0x7f7f],
      [0x8000_0000, 0x8000],
      [0x0000_8000, 0x0000],
      [0x0000_8001, 0x0001],
      [0x0001_8000, 0x0002],
      [0x007f_ffff, 0x0080],
      [0x3f80_8000, 0x3f80],
      [0x3f81_8000, 0x3f82],
    ],
  },
  {
    from: 'FP32',
    to: 'INT8',
    table: [
      [0x7fc0_0000, 0x00],
      [0x7f80_0000, 0x7f],
      [0xff80_0000, 0x80],
      [0x42fe_8000, 0x7f],
      [0xc300_8000, 0x80],
      [0x3f00_0000, 0x00],
      [0x3fc0_0000, 0x02],
      [0x4020_0000, 0x02],
      [0xbf00_0000, 0x00],
      [0xbfc0_0000, 0xfe],
      [0x8000_0000, 0x00],
    ],
  },
  {
    from: 'FP32',
    to: 'INT32',
    table: [
      [0x7fc0_0000, 0],
      [0x7f80_0000, 0x7fff_ffff],
      [0xff80_0000, 0x8000_0000],
      [0x4f00_0000, 0x7fff_ffff],
      [0xcf00_0000, 0x8000_0000],
      [0x4eff_ffff, 0x7fff_ff80],
      [0x3f00_0000, 0],
      [0x3fc0_0000, 2],
    ],
  },
  {
    from: 'FP16',
    to: 'FP32',
    table: [
      [0x7e01, 0x7fc0_0000],
      [0xfd55, 0x7fc0_0000],
      [0x7c00, 0x7f80_0000],
      [0xfc00, 0xff80_0000],
      [0x8000, 0x8000_0000],
      [0x0001, 0x3380_0000],
      [0x83ff, 0xb87f_c000],
      [0x7bff, 0x477f_e000],
    ],
  },
  {
    from: 'BF16',
    to: 'FP32',
    table: [
      [0x7fc1, 0x7fc0_0000],
      [0xff81, 0x7fc0_0000],
      [0xff80, 0xff80_0000],
      [0x8000, 0x8000_0000],
      [0x0001, 0x0001_0000],
      [0x807f, 0x807f_0000],
    ],
  },
  {
    from: 'INT32',
    to: 'FP32',
    table: [
      [0x7fff_ffff, 0x4f00_0000],
      [0x8000_0000, 0xcf00_0000],
      [0x0100_0001, 0x4b80_0000],
      [0x0100_0003, 0x4b80_0002],
      [0xffff_ffff, 0xbf80_0000],
      [0, 0],
    ],
  },
];

const conversions = CONVERSIONS.map(({ from, to, table }) =>
  conformanceCase(`converts special values from ${from} to ${to}`, 'NUM-2', {}, async (fixture) => {
    const session = await fixture.session();
    const inputs = table.map(([input]) => input);
    const found = unpack(to, await transform(session, from, to, pack(from, inputs)));
    assert.deepEqual(hex(found), hex(table.map(([, output]) => output)));
  }),
);

const ONE = 0x3f80_0000;
const NAN = 0x7fc0_0000;

/** FP32 in, FP32 out; sigmoid and tanh end where their tables end. */
const FUNCTIONS: readonly (readonly [ActivationName, readonly (readonly [number, number])[]])[] = [
  [
    'RELU',
    [
      [NAN, NAN],
      [0xffc0_0000, NAN],
      [0x8000_0000, 0],
      [0x0000_0001, 0x0000_0001],
      [0x8000_0001, 0],
      [0x7f80_0000, 0x7f80_0000],
      [0xff80_0000, 0],
    ],
  ],
  [
    'SIGMOID',
    [
      [NAN, NAN],
      [0x7f80_0000, ONE],
      [0xff80_0000, 0],
      [0x7f7f_ffff, ONE],
    ],
  ],
  [
    'TANH',
    [
      [NAN, NAN],
      [0x7f80_0000, ONE],
      [0xff80_0000, 0xbf80_0000],
      [0xff7f_ffff, 0xbf80_0000],
    ],
  ],
];

const functions = FUNCTIONS.map(([name, table]) =>
  conformanceCase(`applies ${name} to special values`, 'NUM-2', {}, async (fixture) => {
    const session = await fixture.session();
    const inputs = table.map(([input]) => input);
    const found = unpack('FP32', await transform(session, 'FP32', 'FP32', pack('FP32', inputs), name));
    assert.deepEqual(hex(found), hex(table.map(([, output]) => output)));
  }),
);

const [M, N, K] = [32, 32, 32];
const ONE_BF16 = 0x3f80;

/** BF16 at the start of a row of zeros, times a factor: what the dot-product engine makes of the value (docs/numerics.md). */
const SUMS: readonly (readonly [what: string, row: readonly number[], sum: number, factor?: number])[] = [
  ['a NaN', [0xffc5], NAN],
  ['infinity', [0x7f80], 0x7f80_0000],
  ['infinities of both signs', [0x7f80, 0xff80], NAN],
  ['minus zero', [0x8000], 0],
  ['a denormal', [0x007f], 0],
  ['a denormal times 2^100', [0x007f], 0, 0x7180],
  ['the smallest normal number times 2^100', [0x0080], 0x3280_0000, 0x7180],
  ['numbers that overflow', [0x7f7f, 0x7f7f, 0x7f7f, 0x7f7f], 0x7f80_0000],
  ['the smallest normal number', [0x0080], 0x0080_0000],
  ['two numbers whose difference is denormal', [0x0081, 0x8080], 0],
  ['numbers that cancel', [0x4f80, 0x3f80, 0xcf80, 0x3f80], 0x4000_0000],
];

const sums = SUMS.map(([what, row, sum, factor = ONE_BF16]) =>
  conformanceCase(`adds up ${what} as documented`, 'NUM-2', {}, async (fixture) => {
    const input = new Uint8Array(M * K * BYTES.BF16);
    for (let m = 0; m < M; m++) input.set(pack('BF16', row), m * K * BYTES.BF16);
    const weight = pack('BF16', new Array<number>(N * K).fill(factor));
    // On what the host takes by itself, and on the code that is the definition.
    for (const matmulPath of ['fastest', 'portable'] as const) {
      const session = await fixture.session({ matmulPath });
      const found = await multiply(session, { type: 'BF16', m: M, n: N, input, weight }, HALF);
      assert.deepEqual([...new Set(hex([...new Uint32Array(found.buffer)]))], [sum.toString(16)], matmulPath);
    }
  }),
);

export const numericsCases = category('numerics', { requires: ['kernels'] }, [
  ...conversions,
  ...functions,
  ...sums,

  conformanceCase('takes the same device time every time', 'NUM-3', {}, async (fixture) => {
    const times = new Set<number>();
    for (const count of [1, 2, 4]) {
      const session = await fixture.session({ threads: count });
      times.add((await session.launch('RECORD', [session.memory, 1n], { rectangle: HALF })).deviceUs);
    }
    assert.equal(times.size, 1, `device times ${[...times].join(', ')} us`);
  }),
]);
