/** Products whose k is split over a row or column of PEs, and summed on the reduction network. */
import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import {
  DATA_TYPE,
  type Generation,
  PROTECTION_PAGE_BYTES,
  REDUCTION_LINK,
  type Rectangle,
} from '../../src/hw/index.js';
import { ONE_PE, openCard, openSession, type Session } from './card.js';

const TILES = 6;
const PARTS = 4;
const CHAINS = 2;
const BLOCKS = 2;
const ITEMS = CHAINS * TILES * PARTS;
const A_BYTES = 32 * BLOCKS * 64;
const B_BYTES = BLOCKS * 2048;
const OUTPUT_BYTES = 4096;
const MISCHIEF = { NONE: 0n, SILENT_FIRST: 1n, LAST_SENDS_ON: 2n, OTHER_TYPE: 3n, OTHER_SHAPE: 4n } as const;

type SumType = 'INT8' | 'BF16';

/** Bytes that make numbers of about the size of one, of every sign. */
function operands(type: SumType, bytes: number, seed: number): Uint8Array {
  let state = seed;
  const next = (): number => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return state >>> 8;
  };
  if (type === 'INT8') return Uint8Array.from({ length: bytes }, () => next() & 0xff);
  const halves = Uint16Array.from({ length: bytes / 2 }, () => (next() & 0x807f) | ((120 + (next() % 12)) << 7));
  return new Uint8Array(halves.buffer);
}

/** The parts of each output summed in the order of docs/numerics.md: a PE adds what arrives to its own. */
function summed(type: SumType, parts: Uint8Array): Uint8Array {
  const values = OUTPUT_BYTES / 4;
  const own = type === 'INT8' ? new Int32Array(parts.buffer) : new Float32Array(parts.buffer);
  const sums = type === 'INT8' ? new Int32Array(CHAINS * TILES * values) : new Float32Array(CHAINS * TILES * values);
  sums.forEach((_, index) => {
    const first = Math.floor(index / values) * PARTS * values + (index % values);
    let sum = own[first] ?? 0;
    for (let part = 1; part < PARTS; part++) {
      const exact = (own[first + part * values] ?? 0) + sum;
      sum = type === 'INT8' ? exact | 0 : Math.fround(exact);
    }
    sums[index] = sum;
  });
  return new Uint8Array(sums.buffer);
}

const digest = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

class Chains {
  readonly #session: Session;
  readonly #type: SumType;
  readonly #output: bigint;

  private constructor(session: Session, type: SumType) {
    this.#session = session;
    this.#type = type;
    this.#output = this.#a + BigInt(ITEMS * (A_BYTES + B_BYTES));
  }

  get #a(): bigint {
    return this.#session.memory + BigInt(PROTECTION_PAGE_BYTES);
  }

  static async load(session: Session, type: SumType): Promise<Chains> {
    const chains = new Chains(session, type);
    await session.write(chains.#a, operands(type, ITEMS * A_BYTES, 1));
    await session.write(chains.#a + BigInt(ITEMS * A_BYTES), operands(type, ITEMS * B_BYTES, 2));
    return chains;
  }

  async run(rectangle: Rectangle, tiles: number, link: number, mischief: bigint): Promise<{ deviceUs: number }> {
    const b = this.#a + BigInt(ITEMS * A_BYTES);
    const args = [this.#a, b, this.#output, tiles, BLOCKS, DATA_TYPE[this.#type], link, mischief].map(BigInt);
    return this.#session.launch('REDUCTION_CHAIN', args, { rectangle });
  }

  output(count: number): Promise<Uint8Array> {
    return this.#session.read(this.#output, count * OUTPUT_BYTES);
  }
}

const rectangleOf = (link: number): Rectangle =>
  link === REDUCTION_LINK.WEST_TO_EAST
    ? { column: 2, row: 3, columns: PARTS, rows: CHAINS }
    : { column: 2, row: 3, columns: CHAINS, rows: PARTS };

describe.each(['v1', '2i'] as const)('the reduction network on %s', (generation: Generation) => {
  it.each(['INT8', 'BF16'] as const)(
    'sums %s products over a row and over a column, to the bits of one PE, in the same device time on 1 and 2 threads',
    async (type) => {
      const times = new Map<number, Set<number>>(Object.values(REDUCTION_LINK).map((link) => [link, new Set()]));
      for (const threads of [1, 2]) {
        const { device } = await openCard(generation, undefined, threads);
        try {
          const session = await openSession(device);
          const chains = await Chains.load(session, type);
          await chains.run(ONE_PE, ITEMS, REDUCTION_LINK.WEST_TO_EAST, MISCHIEF.NONE);
          const expected = digest(summed(type, await chains.output(ITEMS)));
          for (const [link, seen] of times) {
            for (let round = 0; round < 3; round++) {
              const record = await chains.run(rectangleOf(link), TILES, link, MISCHIEF.NONE);
              // The first launch pays for waking the chip.
              if (round > 0) seen.add(record.deviceUs);
              expect(digest(await chains.output(CHAINS * TILES))).toBe(expected);
            }
          }
        } finally {
          await device.close();
        }
      }
      for (const seen of times.values()) expect(seen.size).toBe(1);
    },
  );

  it('reports its wrong use and goes on', async () => {
    const { device, debug } = await openCard(generation);
    try {
      const session = await openSession(device);
      const chains = await Chains.load(session, 'INT8');
      const link = REDUCTION_LINK.NORTH_TO_SOUTH;
      const run = (mischief: bigint): Promise<unknown> => chains.run(rectangleOf(link), TILES, link, mischief);
      const illegal = { code: 'ILLEGAL_UNIT_COMMAND', place: { hart: 1 } };
      await expect(run(MISCHIEF.LAST_SENDS_ON)).rejects.toMatchObject(illegal);
      await expect(run(MISCHIEF.OTHER_TYPE)).rejects.toMatchObject(illegal);
      await expect(run(MISCHIEF.OTHER_SHAPE)).rejects.toMatchObject(illegal);
      const reasons: string[] = [];
      const silent = run(MISCHIEF.SILENT_FIRST);
      const watch = setInterval(() => reasons.push(debug.waitReason(34, 1)), 1);
      await expect(silent).rejects.toMatchObject({ code: 'DEADLOCK', place: { pe: 34 } });
      clearInterval(watch);
      expect(reasons.filter((text) => text.includes('REDUCE_RECEIVE waits for a block from PE 26'))).not.toEqual([]);
      await run(MISCHIEF.NONE);
    } finally {
      await device.close();
    }
  });
});
