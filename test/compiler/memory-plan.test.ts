/** The memory plan and the schedule as properties: what lives together never shares memory. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Grid } from '../../src/compiler/planning/footprints.js';
import { type Lifetime, planMemory } from '../../src/compiler/planning/memory-plan.js';
import { SPECIFICATIONS } from '../../src/hw/index.js';

const lifetime: fc.Arbitrary<Lifetime> = fc
  .tuple(fc.integer({ min: 1, max: 5000 }), fc.nat(12), fc.nat(5))
  .map(([bytes, first, length]) => ({ bytes, first, last: first + length }));

describe('memory plan', () => {
  it('never overlaps what lives at the same time, aligns everything, and stays within its size', () => {
    fc.assert(
      fc.property(fc.array(lifetime, { maxLength: 40 }), (lives) => {
        const plan = planMemory(lives);
        for (const [index, life] of lives.entries()) {
          const start = plan.offsets[index] ?? -1;
          expect(start % 64).toBe(0);
          expect(start).toBeGreaterThanOrEqual(0);
          expect(start + life.bytes).toBeLessThanOrEqual(plan.bytes);
          for (const [other, second] of lives.slice(0, index).entries()) {
            if (second.first > life.last || life.first > second.last) continue;
            const from = plan.offsets[other] ?? -1;
            expect(from + second.bytes <= start || start + life.bytes <= from).toBe(true);
          }
        }
      }),
    );
  });

  it('reuses memory: a chain needs no more than its two largest neighbours', () => {
    const chain = Array.from({ length: 20 }, (_, step) => ({
      bytes: 64 * (step % 3 === 0 ? 4 : 1),
      first: step,
      last: step + 1,
    }));
    expect(planMemory(chain).bytes).toBeLessThanOrEqual(64 * 8);
  });
});

describe('footprints', () => {
  const grid = new Grid(SPECIFICATIONS['2i']);

  it('stay inside the rows that they are given and have work for every PE', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 5000 }),
        fc.integer({ min: 1, max: 64 }),
        fc.integer({ min: 1, max: 40 }),
        fc.integer({ min: 1, max: 8 }),
        (m, blocks, kBlocks, rows) => {
          const { columns, rows: used, values } = grid.fullyConnected(m, blocks * 32, kBlocks * 64, rows);
          expect(used).toBeLessThanOrEqual(rows);
          expect(columns).toBeLessThanOrEqual(8);
          expect(used).toBeLessThanOrEqual(Math.ceil(m / (values.row_tile ?? 0)));
          expect(columns).toBeLessThanOrEqual(Math.ceil((blocks * 32) / (values.column_tile ?? 0)));
        },
      ),
      { numRuns: 50 },
    );
  });

  it('a single sample uses columns, a large batch uses rows as well', () => {
    expect(grid.fullyConnected(1, 1024, 2048, 8)).toMatchObject({ rows: 1 });
    expect(grid.fullyConnected(1, 1024, 2048, 8).columns).toBeGreaterThan(1);
    expect(grid.fullyConnected(512, 1024, 2048, 8)).toMatchObject({ rows: 8, columns: 8 });
  });
});
