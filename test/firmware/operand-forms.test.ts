/** Operands of which a row has one, whose elements lie apart, or have four bits. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Generation, PROTECTION_PAGE_BYTES } from '../../src/hw/index.js';
import { type Card, openCard, openSession, type Session } from './card.js';

const FORM = { ONE_A_ROW: 0n, ELEMENTS_APART: 1n, HALVES: 2n } as const;
const [ROWS, ELEMENTS] = [32, 96];
const numbers = Float32Array.from({ length: ROWS * ELEMENTS }, (_, i) => Math.fround(((i * 7919) % 1009) / 16 - 31));
const rowOf = (row: number): Float32Array => numbers.subarray(row * ELEMENTS, (row + 1) * ELEMENTS);

describe.each(['v1', '2i'] as const)('on %s', (generation: Generation) => {
  let card: Card;
  let session: Session;
  beforeAll(async () => {
    card = await openCard(generation);
    session = await openSession(card.device);
  });
  afterAll(() => card.device.close());

  async function run(form: bigint, input: Uint8Array, outputBytes: number): Promise<Uint8Array> {
    const at = session.memory + BigInt(PROTECTION_PAGE_BYTES);
    const output = at + BigInt(PROTECTION_PAGE_BYTES);
    await session.write(at, input);
    await session.launch('OPERAND_FORMS', [at, output, form, BigInt(ROWS), BigInt(ELEMENTS)]);
    return session.read(output, outputBytes);
  }
  const runFloats = async (form: bigint, count: number): Promise<Float32Array> =>
    new Float32Array((await run(form, new Uint8Array(numbers.buffer), count * 4)).buffer, 0, count);

  it('each row loses its largest element, which is one operand for all of the row', async () => {
    const expected = Array.from({ length: ROWS }, (_, row) => {
      const largest = Math.max(...rowOf(row));
      return [...rowOf(row)].map((value) => Math.fround(value - largest));
    });
    expect([...(await runFloats(FORM.ONE_A_ROW, ROWS * ELEMENTS))]).toEqual(expected.flat());
  });

  it('the SIMD engine reads every third element', async () => {
    const expected = Array.from({ length: ROWS }, (_, row) => [...rowOf(row)].filter((_, i) => i % 3 === 0));
    expect([...(await runFloats(FORM.ELEMENTS_APART, (ROWS * ELEMENTS) / 3))]).toEqual(expected.flat());
  });

  it('the memory layout unit transposes elements of four bits', async () => {
    const half = (row: number, i: number): number => (row * 5 + i * 3 + ((row * i) >> 3)) & 15;
    const packed = (rows: number, elements: number, at: (row: number, i: number) => number): number[] =>
      Array.from({ length: (rows * elements) / 2 }, (_, byte) => {
        const [row, i] = [Math.floor((byte * 2) / elements), (byte * 2) % elements];
        return at(row, i) | (at(row, i + 1) << 4);
      });
    const found = await run(FORM.HALVES, Uint8Array.from(packed(ROWS, ELEMENTS, half)), (ROWS * ELEMENTS) / 2);
    expect([...found]).toEqual(packed(ELEMENTS, ROWS, (row, i) => half(i, row)));
  });
});
