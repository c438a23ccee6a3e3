/** What the units compute where it is not obvious: special values, and the same bits everywhere. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { MATMUL_PATHS, MtiaError } from '../../driver/index.js';
import {
  ACTIVATION,
  type ActivationName,
  CONVERT_ARGUMENTS,
  DATA_TYPE,
  encodeStruct,
  type FieldValue,
  FULLY_CONNECTED_ARGUMENTS,
  type Rectangle,
  type StructLayout,
} from '../../hw/index.js';
import type { CardOptions } from '../backend.js';
import { category, conformanceCase, unsupported } from '../case.js';
import type { Fixture } from '../fixture.js';
import { Random } from '../random.js';
import { PAGE_BYTES, type Session } from '../session.js';

type FloatType = 'FP16' | 'BF16' | 'FP32';
type NumberType = FloatType | 'INT8' | 'INT32';
const BYTES: Readonly<Record<NumberType, number>> = { INT8: 1, FP16: 2, BF16: 2, FP32: 4, INT32: 4 };

const HALF: Rectangle = { column: 0, row: 0, columns: 4, rows: 8 };

const words = (layout: StructLayout, values: Record<string, FieldValue>): readonly bigint[] => {
  const bytes = new Uint8Array(layout.size);
  encodeStruct(layout, new DataView(bytes.buffer), 0, values);
  return [...new BigUint64Array(bytes.buffer)];
};

function pack(type: NumberType, bits: readonly number[]): Uint8Array {
  const size = BYTES[type];
  const bytes = new Uint8Array(bits.length * size);
  for (const [index, value] of bits.entries()) {
    for (let byte = 0; byte < size; byte++) bytes[index * size + byte] = value >>> (8 * byte);
  }
  return bytes;
}

function unpack(type: NumberType, bytes: Uint8Array): number[] {
  const size = BYTES[type];
  return Array.from({ length: bytes.length / size }, (_, index) => {
    let value = 0;
    for (let byte = 0; byte < size; byte++) value += (bytes[index * size + byte] ?? 0) * 2 ** (8 * byte);
    return value;
  });
}

const hex = (values: readonly number[]): readonly string[] => values.map((value) => value.toString(16));

/** One row through CONVERT or UNARY; bits in, bits out. */
async function transform(
  session: Session,
  from: NumberType,
  to: NumberType,
  bits: readonly number[],
  activation: ActivationName = 'NONE',
): Promise<readonly number[]> {
  const [input, output] = [session.memory, session.memory + BigInt(PAGE_BYTES)];
  await session.write(input, pack(from, bits));
  const args = words(CONVERT_ARGUMENTS, {
    input,
    output,
    rows: 1,
    elements: bits.length,
    input_stride: bits.length * BYTES[from],
    output_stride: bits.length * BYTES[to],
    input_type: DATA_TYPE[from],
    output_type: DATA_TYPE[to],
    function: ACTIVATION[activation],
    pad: 0,
  });
  await session.launch(activation === 'NONE' ? 'CONVERT' : 'UNARY', args);
  return unpack(to, await session.read(output, bits.length * BYTES[to]));
}

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
    const found = await transform(
      session,
      from,
      to,
      table.map(([input]) => input),
    );
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
    const found = await transform(session, 'FP32', 'FP32', inputs, name);
    assert.deepEqual(hex(found), hex(table.map(([, output]) => output)));
  }),
);

const M = 64;
const N = 64;
const K_BYTES = 128;
const WEIGHT_BYTES = N * K_BYTES;

/** output[m][n] in FP32 of BF16 or FP16 operands, all as bytes. */
async function product(
  session: Session,
  type: 'BF16' | 'FP16',
  inputs: Uint8Array,
  weights: Uint8Array,
  rectangle: Rectangle,
): Promise<Uint8Array> {
  const [input, weight, output] = [0, 1, 2].map((page) => session.memory + BigInt(page * PAGE_BYTES)) as [
    bigint,
    bigint,
    bigint,
  ];
  await session.write(input, inputs);
  await session.write(weight, weights);
  const args = words(FULLY_CONNECTED_ARGUMENTS, {
    input,
    weight,
    bias: 0,
    output,
    m: M,
    n: N,
    k_bytes: K_BYTES,
    input_stride: K_BYTES,
    output_stride: N * 4,
    output_columns: N,
    type: DATA_TYPE[type],
    output_type: DATA_TYPE.FP32,
    activation: ACTIVATION.NONE,
    row_tile: 32,
    column_tile: 32,
    reserved: 0,
    row_scale: 0,
    column_scale: 0,
  });
  await session.launch('FULLY_CONNECTED', args, { rectangle });
  return session.read(output, M * N * 4);
}

/** BF16 in a row of zeros, times ones: what the dot-product engine makes of the value (docs/numerics.md). */
const SUMS: readonly (readonly [what: string, row: readonly number[], sum: number])[] = [
  ['a NaN', [0xffc5], NAN],
  ['infinity', [0x7f80], 0x7f80_0000],
  ['infinities of both signs', [0x7f80, 0xff80], NAN],
  ['minus zero', [0x8000], 0],
  ['a denormal', [0x007f], 0],
  ['numbers that overflow', [0x7f7f, 0x7f7f, 0x7f7f, 0x7f7f], 0x7f80_0000],
  ['the smallest normal number', [0x0080], 0x0080_0000],
  ['two numbers whose difference is denormal', [0x0081, 0x8080], 0],
  ['numbers that cancel', [0x4f80, 0x3f80, 0xcf80, 0x3f80], 0x4000_0000],
];

const sums = SUMS.map(([what, row, sum]) =>
  conformanceCase(`adds up ${what} as documented`, 'NUM-2', {}, async (fixture) => {
    const session = await fixture.session();
    const inputs = new Uint8Array(M * K_BYTES);
    for (let m = 0; m < M; m++) inputs.set(pack('BF16', row), m * K_BYTES);
    const ones = pack('BF16', new Array<number>(WEIGHT_BYTES / 2).fill(0x3f80));
    const found = unpack('FP32', await product(session, 'BF16', inputs, ones, HALF));
    assert.deepEqual([...new Set(hex(found))], [sum.toString(16)]);
  }),
);

/** The same numbers in every run: the digests below are of these. */
function operands(type: 'BF16' | 'FP16'): readonly [Uint8Array, Uint8Array] {
  const random = new Random(1, `operands ${type}`);
  const number = (): number => {
    const sign = random.integer(0, 1) * 0x8000;
    return type === 'BF16'
      ? sign + random.integer(115, 132) * 0x80 + random.integer(0, 0x7f)
      : sign + random.integer(5, 20) * 0x400 + random.integer(0, 0x3ff);
  };
  const matrix = (bytes: number): Uint8Array => pack(type, Array.from({ length: bytes / 2 }, number));
  return [matrix(M * K_BYTES), matrix(WEIGHT_BYTES)];
}

/** SHA-256 of the product of `operands`, taken from the portable path of both generations. */
const DIGESTS = {
  BF16: '9d50c5001a9e5b799732f97a305f1f289a0bd20049857f1751a98736ea242121',
  FP16: '04b8e87cca2d001c4eefc3ab66bb475482a9383cea07d397161b5ba323af278e',
} as const;
const TYPES = ['BF16', 'FP16'] as const;

async function expectDigest(
  fixture: Fixture,
  type: 'BF16' | 'FP16',
  options: CardOptions,
  rectangle = HALF,
): Promise<void> {
  const session = await fixture.session(options);
  const digest = createHash('sha256')
    .update(await product(session, type, ...operands(type), rectangle))
    .digest('hex');
  assert.equal(digest, DIGESTS[type]);
}

const paths = MATMUL_PATHS.map((matmulPath) =>
  conformanceCase(`has the documented bits on arithmetic path ${matmulPath}`, 'NUM-1', {}, async (fixture) => {
    for (const type of TYPES) {
      try {
        await expectDigest(fixture, type, { matmulPath });
      } catch (error) {
        if (error instanceof MtiaError && error.code === 'CHIP_MATMUL_PATH') unsupported(error.message);
        throw error;
      }
    }
  }),
);

const threads = [1, 2, 3, 7].map((count) =>
  conformanceCase(`has the same bits on ${count} host threads`, 'NUM-3', {}, async (fixture) => {
    for (const type of TYPES) await expectDigest(fixture, type, { threads: count });
  }),
);

const rectangles: readonly Rectangle[] = [
  { column: 0, row: 0, columns: 1, rows: 1 },
  { column: 3, row: 2, columns: 2, rows: 2 },
  { column: 0, row: 0, columns: 8, rows: 8 },
];

export const numericsCases = category('numerics', { requires: ['kernels'] }, [
  ...conversions,
  ...functions,
  ...sums,
  ...paths,
  ...threads,

  ...rectangles.map((rectangle) =>
    conformanceCase(
      `has the same bits on ${rectangle.columns} x ${rectangle.rows} processing elements`,
      'NUM-3',
      {},
      async (fixture) => {
        for (const type of TYPES) await expectDigest(fixture, type, {}, rectangle);
      },
    ),
  ),

  conformanceCase('takes the same device time every time', 'NUM-3', {}, async (fixture) => {
    const times = new Set<number>();
    for (const count of [1, 2, 4]) {
      const session = await fixture.session({ threads: count });
      times.add((await session.launch('RECORD', [session.memory, 1n], { rectangle: HALF })).deviceUs);
    }
    assert.equal(times.size, 1, `device times ${[...times].join(', ')} us`);
  }),
]);
