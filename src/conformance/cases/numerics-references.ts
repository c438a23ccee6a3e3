/** What the units compute, beside what PyTorch and NumPy make of the same numbers (scripts/make-numerics-references.py). */
import assert from 'node:assert/strict';
import { inflateSync } from 'node:zlib';
import { MATMUL_PATHS, MtiaError } from '../../driver/index.js';
import type { Rectangle } from '../../hw/index.js';
import type { CardOptions } from '../backend.js';
import { category, conformanceCase, unsupported } from '../case.js';
import { equalBytes } from '../expectations.js';
import type { Fixture } from '../fixture.js';
import { CONVERSION_REFERENCES, FUNCTION_REFERENCES, PRODUCT_SHAPE, PRODUCTS } from '../references/numerics.js';
import { multiply, type Product, transform } from '../unit-kernels.js';

const HALF: Rectangle = { column: 0, row: 0, columns: 4, rows: 8 };
const FLOAT_TYPES = ['BF16', 'FP16'] as const;
type FloatType = (typeof FLOAT_TYPES)[number];

const { m, n, k } = PRODUCT_SHAPE;
/** A sum of k products in FP32, added up in any order, loses less than this part of the sum of their magnitudes. */
const RELATIVE_LOSS = (k + 1) * 2 ** -24;
/** scripts/generate-se-tables.mjs makes no table that is further off, and the result is rounded to FP32. */
const TABLE_ERROR = 1e-6 + 2 ** -24;

function decode(text: string): Uint8Array {
  return Uint8Array.from(inflateSync(Buffer.from(text, 'base64')));
}

const floats = (text: string): Float32Array => new Float32Array(decode(text).buffer);
const bytesOf = (values: Float32Array): Uint8Array =>
  new Uint8Array(values.buffer, values.byteOffset, values.byteLength);

function exactProduct(type: Product['type']): Product {
  const { exactInput, exactWeight } = PRODUCTS[type];
  return { type, m, n, input: decode(exactInput), weight: decode(exactWeight) };
}

function anyProduct(type: FloatType): Product {
  const { input, weight } = PRODUCTS[type];
  return { type, m, n, input: decode(input), weight: decode(weight) };
}

/** All bits are defined: docs/numerics.md says in what order the engine adds. */
async function expectOrderedBits(
  fixture: Fixture,
  type: FloatType,
  options: CardOptions,
  rectangle = HALF,
): Promise<void> {
  const session = await fixture.session(options);
  const found = await multiply(session, anyProduct(type), rectangle);
  equalBytes(bytesOf(found), decode(PRODUCTS[type].ordered), `the product in ${type}`);
}

const exact = (['BF16', 'FP16', 'INT8'] as const).map((type) =>
  conformanceCase(`multiplies whole numbers in ${type} exactly`, 'NUM-1', {}, async (fixture) => {
    const session = await fixture.session();
    const found = await multiply(session, exactProduct(type), HALF);
    const bytes = decode(PRODUCTS[type].exact).buffer;
    const expected = type === 'INT8' ? Float32Array.from(new Int32Array(bytes)) : new Float32Array(bytes);
    equalBytes(bytesOf(found), bytesOf(expected), `the product in ${type}`);
  }),
);

/** Widened to FP32, which holds every value of both types. */
async function magnitudes(fixture: Fixture, type: FloatType, values: Uint8Array): Promise<Float32Array> {
  const session = await fixture.session();
  return new Float32Array((await transform(session, type, 'FP32', values)).buffer).map(Math.abs);
}

const close = FLOAT_TYPES.map((type) =>
  conformanceCase(`multiplies in ${type} as near to PyTorch as FP32 sums can be`, 'NUM-1', {}, async (fixture) => {
    const product = anyProduct(type);
    const found = await multiply(await fixture.session(), product, HALF);
    const expected = floats(PRODUCTS[type].reference);
    const a = await magnitudes(fixture, type, product.input);
    const b = await magnitudes(fixture, type, product.weight);
    for (const [index, value] of found.entries()) {
      const [row, column] = [Math.floor(index / n), index % n];
      let sum = 0;
      for (let at = 0; at < k; at++) sum += (a[row * k + at] ?? 0) * (b[column * k + at] ?? 0);
      const error = Math.abs(value - (expected[index] ?? Number.NaN));
      assert.ok(error <= RELATIVE_LOSS * sum, `row ${row}, column ${column}: ${value} instead of ${expected[index]}`);
    }
  }),
);

const paths = MATMUL_PATHS.map((matmulPath) =>
  conformanceCase(`has the documented bits on arithmetic path ${matmulPath}`, 'NUM-1', {}, async (fixture) => {
    for (const type of FLOAT_TYPES) {
      try {
        await expectOrderedBits(fixture, type, { matmulPath });
      } catch (error) {
        if (error instanceof MtiaError && error.code === 'CHIP_MATMUL_PATH') unsupported(error.message);
        throw error;
      }
    }
  }),
);

const threads = [1, 2, 3, 7].map((count) =>
  conformanceCase(`has the documented bits on ${count} host threads`, 'NUM-3', {}, async (fixture) => {
    for (const type of FLOAT_TYPES) await expectOrderedBits(fixture, type, { threads: count });
  }),
);

const RECTANGLES: readonly Rectangle[] = [
  { column: 0, row: 0, columns: 1, rows: 1 },
  { column: 3, row: 2, columns: 2, rows: 2 },
  { column: 0, row: 0, columns: 8, rows: 8 },
];

const rectangles = RECTANGLES.map((rectangle) =>
  conformanceCase(
    `has the documented bits on ${rectangle.columns} x ${rectangle.rows} processing elements`,
    'NUM-3',
    {},
    async (fixture) => {
      for (const type of FLOAT_TYPES) await expectOrderedBits(fixture, type, {}, rectangle);
    },
  ),
);

const conversions = CONVERSION_REFERENCES.map(({ from, to, input, output }) =>
  conformanceCase(`converts ${from} to ${to} as PyTorch does`, 'NUM-1', {}, async (fixture) => {
    const session = await fixture.session();
    equalBytes(await transform(session, from, to, decode(input)), decode(output), `${from} as ${to}`);
  }),
);

const functions = FUNCTION_REFERENCES.map(({ name, input, output }) =>
  conformanceCase(`computes ${name} as near to PyTorch as its table is`, 'NUM-1', {}, async (fixture) => {
    const session = await fixture.session();
    const found = new Float32Array((await transform(session, 'FP32', 'FP32', decode(input), name)).buffer);
    const [x, expected] = [floats(input), floats(output)];
    const bound = name === 'RELU' ? 0 : TABLE_ERROR;
    for (const [index, value] of found.entries()) {
      const error = Math.abs(value - (expected[index] ?? Number.NaN));
      assert.ok(error <= bound, `${name}(${x[index]}) is ${value} instead of ${expected[index]}`);
    }
  }),
);

export const numericsReferenceCases = category('numerics', { requires: ['kernels'] }, [
  ...exact,
  ...close,
  ...paths,
  ...threads,
  ...rectangles,
  ...conversions,
  ...functions,
]);
