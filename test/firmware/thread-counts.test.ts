/** Results and device time of every unit, through kernels on many PEs: the same for any number of host threads that run them. */
import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import {
  DATA_TYPE,
  type Generation,
  PROTECTION_PAGE_BYTES,
  REDUCTION_LINK,
  type Rectangle,
} from '../../src/hw/index.js';
import { openCard, openSession, type Session } from './card.js';

const THREADS = [1, 2, 3, 5];
/** The first launch of a kernel on a card pays for waking the chip. */
const ROUNDS = 3;
const GRID: Rectangle = { column: 2, row: 1, columns: 5, rows: 3 };
const PES = GRID.columns * GRID.rows;

interface Run {
  readonly name: string;
  readonly kernel: string;
  readonly only?: Generation;
  readonly inputBytes: number;
  readonly outputBytes: number;
  /** Words of arguments, given where input and output lie. */
  readonly args: (input: bigint, output: bigint) => readonly (number | bigint)[];
}

const [BLOCKS, TALL_BYTES, FLAT_BYTES, B_BYTES] = [12, 32 * 12 * 64, 8 * 12 * 64, 12 * 2048];
const gemm = (name: string, way: number, only?: Generation): Run => ({
  name,
  kernel: 'GEMM_CONTEXTS',
  inputBytes: PES * (TALL_BYTES + FLAT_BYTES + B_BYTES),
  outputBytes: PES * (32 + 8) * 4 * 4,
  args: (input, output) => {
    const flat = input + BigInt(PES * TALL_BYTES);
    return [input, flat, flat + BigInt(PES * FLAT_BYTES), output, BLOCKS, way];
  },
  ...(only === undefined ? {} : { only }),
});

const [ROWS, ELEMENTS] = [32, 96];
const forms = (name: string, form: number, bytes: number): Run => ({
  name,
  kernel: 'OPERAND_FORMS',
  inputBytes: PES * bytes,
  outputBytes: PES * bytes,
  args: (input, output) => [input, output, form, ROWS, ELEMENTS],
});

const [TILES, PART_BLOCKS] = [6, 2];
const ITEMS = TILES * PES;
const chain = (name: string, type: number, link: number): Run => ({
  name,
  kernel: 'REDUCTION_CHAIN',
  inputBytes: ITEMS * PART_BLOCKS * (32 * 64 + 2048),
  outputBytes: TILES * Math.max(GRID.columns, GRID.rows) * 4096,
  args: (input, output) => [
    input,
    input + BigInt(ITEMS * PART_BLOCKS * 2048),
    output,
    TILES,
    PART_BLOCKS,
    type,
    link,
    0,
  ],
});

const RUNS: readonly Run[] = [
  gemm('products whose registers are set each time', 0),
  gemm('contexts of MML with offsets that advance', 1, '2i'),
  gemm('a first operand that the MLU transposes', 2),
  gemm('2:4 sparse products', 3, '2i'),
  forms('one element a row', 0, ROWS * ELEMENTS * 4),
  forms('elements apart', 1, ROWS * ELEMENTS * 4),
  forms('elements of four bits', 2, (ROWS * ELEMENTS) / 2),
  chain('INT8 sums over rows', DATA_TYPE.INT8, REDUCTION_LINK.WEST_TO_EAST),
  chain('BF16 sums over columns', DATA_TYPE.BF16, REDUCTION_LINK.NORTH_TO_SOUTH),
];

const HIGH_BYTES = [0x44, 0xc4, 0x48, 0xc8, 0x49, 0xc9];
const LOW_BYTES = [0x44, 0x84, 0x4d, 0xe4, 0x9d, 0xc9, 0xee, 0x98];

/**
 * BF16 of both signs whose sums of products are finite, so that each addition shows; or FP32, or INT8. Every four bits ascend, as
 * the places of kept values must.
 */
function operands(bytes: number): Uint8Array {
  let state = 7;
  const next = (): number => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return state >>> 8;
  };
  return Uint8Array.from({ length: bytes }, (_, at) => {
    const choices = at % 2 === 0 ? LOW_BYTES : HIGH_BYTES;
    return choices[next() % choices.length] ?? 0;
  });
}

async function outcome(session: Session, run: Run): Promise<string> {
  const input = session.memory + BigInt(PROTECTION_PAGE_BYTES);
  const output = input + BigInt(run.inputBytes);
  await session.fill(output, run.outputBytes, 0);
  const { deviceUs } = await session.launch(run.kernel, run.args(input, output).map(BigInt), { rectangle: GRID });
  const bytes = await session.read(output, run.outputBytes);
  expect(new Set(bytes).size, `${run.name}: different bytes`).toBeGreaterThan(LOW_BYTES.length);
  return `${deviceUs} us ${createHash('sha256').update(bytes).digest('hex')}`;
}

describe.each(['v1', '2i'] as const)('on %s', (generation) => {
  const runs = RUNS.filter(({ only }) => only === undefined || only === generation);

  it('1, 2, 3 and 5 threads give the same bits in the same device time', async () => {
    const seen = new Map(runs.map((run) => [run.name, new Set<string>()]));
    for (const threads of THREADS) {
      const { device } = await openCard(generation, undefined, threads);
      try {
        const session = await openSession(device);
        await session.write(
          session.memory + BigInt(PROTECTION_PAGE_BYTES),
          operands(Math.max(...runs.map(({ inputBytes }) => inputBytes))),
        );
        for (const run of runs) {
          for (let round = 0; round < ROUNDS; round++) {
            const found = await outcome(session, run);
            if (round > 0) seen.get(run.name)?.add(found);
          }
        }
      } finally {
        await device.close();
      }
    }
    for (const [name, outcomes] of seen) expect([...outcomes], name).toHaveLength(1);
  });
});
