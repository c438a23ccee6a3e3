/**
 * Products of two shapes in turn: registers set each time, contexts whose offsets advance, a first operand that the MLU
 * transposes, a second one of which half is kept.
 */
import { describe, expect, it } from 'vitest';
import { type Generation, PROTECTION_PAGE_BYTES, UNIT_COMMANDS } from '../../src/hw/index.js';
import { openCard, openSession, type Session } from './card.js';

const WAY = { SET_REGISTERS: 0n, ADVANCE_IN_CONTEXTS: 1n, TRANSPOSE: 2n, SPARSE: 3n } as const;
const [TALL, FLAT, COLUMNS, BLOCKS] = [32, 8, 4, 12];
const ELEMENTS = BLOCKS * 32;

/** Whole numbers of -4..4, so that every sum is exact. */
const wholeNumber = (row: number, k: number, seed: number): number => ((row * 31 + k * 17 + seed * 7) % 9) - 4;
const bf16 = (value: number): number => new Uint32Array(new Float32Array([value]).buffer)[0] ?? 0;

/** rows x ELEMENTS numbers in BF16, or the same the other way round. */
function operand(rows: number, seed: number, transposed: boolean): Uint8Array {
  const halves = new Uint16Array(rows * ELEMENTS);
  for (let row = 0; row < rows; row++) {
    for (let k = 0; k < ELEMENTS; k++) {
      halves[transposed ? k * rows + row : row * ELEMENTS + k] = bf16(wholeNumber(row, k, seed)) >>> 16;
    }
  }
  return new Uint8Array(halves.buffer);
}

/** The second operand as MML reads it: pairs of k, places for 32 columns of each. */
function blocksOfB(): Uint8Array {
  const halves = new Uint16Array(ELEMENTS * 32);
  for (let k = 0; k < ELEMENTS; k++) {
    for (let n = 0; n < COLUMNS; n++) {
      halves[(Math.floor(k / 2) * 32 + n) * 2 + (k % 2)] = bf16(wholeNumber(n, k, 3)) >>> 16;
    }
  }
  return new Uint8Array(halves.buffer);
}

/** Of four elements of k of a column, the two that its sparse form keeps. */
const PAIRS = [
  [0, 1],
  [0, 2],
  [0, 3],
  [1, 2],
  [1, 3],
  [2, 3],
] as const;
const keptOf = (n: number, group: number): readonly [number, number] => PAIRS[(group * 5 + n) % 6] ?? PAIRS[0];
const isKept = (n: number, k: number): boolean => keptOf(n, k >> 2).some((place) => place === k % 4);

/** The second operand as MML_SPARSE reads it: for 64 bytes of k the kept values, then their places. */
function sparseBlocksOfB(): Uint8Array {
  const [values, positions, groups] = [1024, 128, 8];
  const bytes = new Uint8Array(BLOCKS * (values + positions));
  for (let block = 0; block < BLOCKS; block++) {
    const at = block * (values + positions);
    const halves = new Uint16Array(bytes.buffer, at, values / 2);
    for (let n = 0; n < 32; n++) {
      for (let group = 0; group < groups; group++) {
        const places = keptOf(n, block * groups + group);
        places.forEach((place, kept) => {
          const k = (block * groups + group) * 4 + place;
          halves[(group * 32 + n) * 2 + kept] = bf16(wholeNumber(n, k, 3)) >>> 16;
        });
        const position = at + values + n * (groups / 2) + (group >> 1);
        bytes[position] = (bytes[position] ?? 0) | ((places[0] | (places[1] << 2)) << ((group % 2) * 4));
      }
    }
  }
  return bytes;
}

function product(rows: number, seed: number, takes: (n: number, k: number) => boolean = () => true): number[] {
  return Array.from({ length: rows * COLUMNS }, (_, at) => {
    const [row, n] = [Math.floor(at / COLUMNS), at % COLUMNS];
    let sum = 0;
    for (let k = 0; k < ELEMENTS; k++) if (takes(n, k)) sum += wholeNumber(row, k, seed) * wholeNumber(n, k, 3);
    return sum;
  });
}

async function multiply(session: Session, way: bigint): Promise<{ sums: number[]; deviceUs: number }> {
  const base = session.memory + BigInt(PROTECTION_PAGE_BYTES);
  const [tall, flat, b, output] = [base, base + 0x8000n, base + 0x10000n, base + 0x1a000n] as const;
  const transposed = way === WAY.TRANSPOSE;
  await session.write(tall, operand(TALL, 1, transposed));
  await session.write(flat, operand(FLAT, 2, transposed));
  await session.write(b, way === WAY.SPARSE ? sparseBlocksOfB() : blocksOfB());
  const { deviceUs } = await session.launch('GEMM_CONTEXTS', [tall, flat, b, output, BigInt(BLOCKS), way]);
  const bytes = await session.read(output, (TALL + FLAT) * COLUMNS * 4);
  return { sums: [...new Float32Array(bytes.buffer, 0, (TALL + FLAT) * COLUMNS)], deviceUs };
}

const expected = [...product(TALL, 1), ...product(FLAT, 2)];

describe.each(['v1', '2i'] as const)('products of two shapes in turn on %s', (generation: Generation) => {
  it('are right where registers are set each time, and where the MLU transposes the first operand', async () => {
    const { device } = await openCard(generation);
    try {
      const session = await openSession(device);
      expect((await multiply(session, WAY.SET_REGISTERS)).sums).toEqual(expected);
      expect((await multiply(session, WAY.TRANSPOSE)).sums).toEqual(expected);
    } finally {
      await device.close();
    }
  });

  it(generation === 'v1' ? 'have no contexts' : 'are right and sooner there in contexts', async () => {
    const { device } = await openCard(generation);
    try {
      const session = await openSession(device);
      if (generation === 'v1') {
        const mml = UNIT_COMMANDS.find(({ name }) => name === 'MML');
        const field = mml?.fields.findIndex(({ name }) => name === 'context') ?? 0;
        await expect(multiply(session, WAY.ADVANCE_IN_CONTEXTS)).rejects.toMatchObject({
          code: 'ILLEGAL_UNIT_COMMAND',
          place: { value: BigInt((mml?.code ?? 0) | (field << 8)) },
        });
        return;
      }
      await multiply(session, WAY.SET_REGISTERS); // The first launch pays for waking the chip.
      const slow = await multiply(session, WAY.SET_REGISTERS);
      const fast = await multiply(session, WAY.ADVANCE_IN_CONTEXTS);
      expect(fast.sums).toEqual(expected);
      expect(fast.deviceUs).toBeLessThan(slow.deviceUs);
    } finally {
      await device.close();
    }
  });
});

describe('products of two shapes in turn where half of the second operand is kept', () => {
  it('are right on 2i, which alone skips what is not kept', async () => {
    const { device } = await openCard('2i');
    try {
      const { sums } = await multiply(await openSession(device), WAY.SPARSE);
      expect(sums).toEqual([...product(TALL, 1, isKept), ...product(FLAT, 2, isKept)]);
    } finally {
      await device.close();
    }
  });
});
