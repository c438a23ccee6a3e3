/** Atomic operations and barriers across the PEs of a job. */
import { describe, expect, it } from 'vitest';
import { CUSTOM_EXCEPTION, PROTECTION_PAGE_BYTES, type Rectangle } from '../../src/hw/index.js';
import { openCard, openSession } from './card.js';

const TEST = {
  BARRIERS: 0n,
  LOCK: 1n,
  TICKETS: 2n,
  POST_RING: 3n,
  MISSING_AT_BARRIER: 4n,
  OUTSIDE: 5n,
  TRAP_IN_LOCK: 6n,
  LEAVE_IN_LOCK: 7n,
  TRAP_BEFORE_BARRIER: 8n,
} as const;
const CORNER_PE = 17;
const RECTANGLE: Rectangle = { column: 1, row: 2, columns: 4, rows: 3 };
const PES = 12;
const ROUNDS = 5;

/** What POST_RING computes: the PEs in order of place, round after round. */
const ringOf = (): bigint =>
  Array.from({ length: PES * ROUNDS }, (_, turn) => BigInt(turn % PES)).reduce(
    (value, place) => BigInt.asUintN(64, value * 3n + place),
    0n,
  );

describe.each(['v1', '2i'] as const)('PEs of a job on %s', (generation) => {
  it('meet at barriers, hold locks and draw tickets, in the same device time on 1 and 2 threads', async () => {
    const seen = new Map<bigint, Set<string>>();
    for (const threads of [1, 2]) {
      const { device } = await openCard(generation, undefined, threads);
      try {
        const session = await openSession(device);
        const words = session.memory + BigInt(PROTECTION_PAGE_BYTES);
        for (let round = 0; round < 3; round++) {
          for (const test of [TEST.BARRIERS, TEST.LOCK, TEST.TICKETS, TEST.POST_RING]) {
            await session.writeWords(words, new Array<bigint>(PES * ROUNDS).fill(0n));
            const args = [test, words, BigInt(ROUNDS)];
            const { deviceUs } = await session.launch('ACROSS_PES', args, { rectangle: RECTANGLE });
            const found = await session.readWords(words, PES * ROUNDS);
            if (test === TEST.LOCK) expect(found[0]).toBe(BigInt(PES * ROUNDS));
            if (test === TEST.POST_RING) expect(found[0]).toBe(ringOf());
            if (test === TEST.TICKETS) {
              for (let place = 0; place < PES; place++) {
                expect(found.filter((word) => word === BigInt(place))).toHaveLength(ROUNDS);
              }
            }
            // The first launch pays for waking the chip.
            if (round === 0) continue;
            const outcomes = seen.get(test) ?? new Set<string>();
            seen.set(test, outcomes.add(`${deviceUs} ${found}`));
          }
        }
      } finally {
        await device.close();
      }
    }
    expect([...seen.values()].map((outcomes) => outcomes.size)).toEqual([1, 1, 1, 1]);
  });

  it('fail by name where one is missing or outside', async () => {
    const { device, debug } = await openCard(generation);
    try {
      const session = await openSession(device);
      const run = (test: bigint): Promise<unknown> =>
        session.launch('ACROSS_PES', [test, session.memory, 1n], { rectangle: RECTANGLE });
      await expect(run(TEST.OUTSIDE)).rejects.toMatchObject({
        code: 'ILLEGAL_UNIT_COMMAND',
        place: { cause: BigInt(CUSTOM_EXCEPTION.ILLEGAL_COMMAND) },
      });
      const reasons: string[] = [];
      const watch = setInterval(() => reasons.push(debug.waitReason(CORNER_PE, 0)), 1);
      await expect(run(TEST.MISSING_AT_BARRIER)).rejects.toMatchObject({ code: 'DEADLOCK', place: { pe: CORNER_PE } });
      clearInterval(watch);
      expect(reasons).toContain('BARRIER waits for the other PEs of its rectangle');
      await run(TEST.LOCK);
    } finally {
      await device.close();
    }
  });

  it.each([1, 2])('are freed where one dies with a lock or on the way to a barrier, on %i threads', async (threads) => {
    const { device } = await openCard(generation, undefined, threads);
    try {
      const session = await openSession(device);
      const words = session.memory + BigInt(PROTECTION_PAGE_BYTES);
      const run = (test: bigint, count: bigint): Promise<unknown> =>
        session.launch('ACROSS_PES', [test, words, count], { rectangle: RECTANGLE });
      const last = CORNER_PE + 2 * 8 + 3;
      for (const [place, pe] of [
        [0n, CORNER_PE],
        [11n, last],
      ] as const) {
        const fault = { code: 'KERNEL_FAULT', place: { pe, hart: 0 } };
        await expect(run(TEST.TRAP_IN_LOCK, place)).rejects.toMatchObject(fault);
        await expect(run(TEST.TRAP_BEFORE_BARRIER, place)).rejects.toMatchObject(fault);
      }
      await expect(run(TEST.LEAVE_IN_LOCK, 11n)).rejects.toMatchObject({ code: 'DEADLOCK', place: { pe: CORNER_PE } });
      // The semaphore goes with the part of the job of its PE: who still waits for it is told.
      await expect(run(TEST.LEAVE_IN_LOCK, 0n)).rejects.toMatchObject({ code: 'ILLEGAL_UNIT_COMMAND' });
      // Nothing of a lock is left for the next job.
      await session.writeWords(words, [0n]);
      await run(TEST.LOCK, BigInt(ROUNDS));
      expect(await session.readWords(words, 1)).toEqual([BigInt(PES * ROUNDS)]);
    } finally {
      await device.close();
    }
  });
});
