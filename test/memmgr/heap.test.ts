import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Heap } from '../../src/memmgr/index.js';

const BASE = 0x8000_0000;
const GRANULE = 64;
const BYTES = 64 * 1024;

const heap = (): Heap => new Heap({ base: BASE, bytes: BYTES, granule: GRANULE });

interface Allocation {
  readonly address: number;
  readonly bytes: number;
}

type Step =
  | { readonly kind: 'allocate'; readonly bytes: number; readonly alignment: number }
  | { readonly kind: 'free'; readonly which: number };

const allocate = fc.record({
  kind: fc.constant('allocate' as const),
  bytes: fc.oneof(fc.integer({ min: 1, max: 256 }), fc.integer({ min: 1, max: BYTES / 2 })),
  alignment: fc.integer({ min: 6, max: 13 }).map((power) => 2 ** power),
});
const free = fc.record({ kind: fc.constant('free' as const), which: fc.nat() });
const steps: fc.Arbitrary<Step[]> = fc.array(fc.oneof(allocate, free), { maxLength: 200 });

/** Applies the steps and checks, after each, what must always hold. */
function run(subject: Heap, program: readonly Step[]): Allocation[] {
  const live: Allocation[] = [];
  for (const step of program) {
    if (step.kind === 'free') {
      const [gone] = live.splice(step.which % Math.max(live.length, 1), 1);
      if (gone !== undefined) subject.free(gone.address);
      continue;
    }
    const { bytes, alignment } = step;
    const address = subject.allocate(bytes, alignment);
    if (address === undefined) continue;
    expect(address % alignment).toBe(0);
    expect(address).toBeGreaterThanOrEqual(BASE);
    expect(address + bytes).toBeLessThanOrEqual(BASE + BYTES);
    for (const other of live) {
      expect(address >= other.address + other.bytes || other.address >= address + bytes).toBe(true);
    }
    live.push({ address, bytes });
  }
  return live;
}

describe('Heap', () => {
  it('never overlaps, leaves its range or breaks an alignment', () => {
    fc.assert(fc.property(steps, (program) => void run(heap(), program)));
  });

  it('is one free block again when everything is freed, in whichever order', () => {
    fc.assert(
      fc.property(steps, fc.infiniteStream(fc.nat()), (program, order) => {
        const subject = heap();
        const live = run(subject, program);
        while (live.length > 0) {
          const [gone] = live.splice((order.next().value ?? 0) % live.length, 1);
          if (gone !== undefined) subject.free(gone.address);
        }
        expect(subject.empty).toBe(true);
        expect(subject.statistics()).toMatchObject({ usedBytes: 0, freeBytes: BYTES, largestFreeBytes: BYTES });
        expect(subject.allocate(BYTES)).toBe(BASE);
      }),
    );
  });

  it('counts what is used, free and at most used', () => {
    fc.assert(
      fc.property(steps, (program) => {
        const subject = heap();
        const live = run(subject, program);
        const used = live.reduce((sum, { bytes }) => sum + Math.ceil(bytes / GRANULE) * GRANULE, 0);
        const statistics = subject.statistics();
        expect(statistics).toMatchObject({ totalBytes: BYTES, usedBytes: used, freeBytes: BYTES - used });
        expect(statistics.allocations).toBe(live.length);
        expect(statistics.peakBytes).toBeGreaterThanOrEqual(used);
        expect(statistics.largestFreeBytes).toBeLessThanOrEqual(statistics.freeBytes);
      }),
    );
  });

  it('fills up to the last granule, then says that nothing fits', () => {
    const subject = heap();
    const addresses = new Set<number>();
    for (let count = 0; count < BYTES / GRANULE; count++) addresses.add(subject.allocate(1) ?? -1);
    expect(addresses.size).toBe(BYTES / GRANULE);
    expect(subject.allocate(1)).toBeUndefined();
    subject.free(BASE + 3 * GRANULE);
    expect(subject.allocate(GRANULE + 1)).toBeUndefined();
    expect(subject.allocate(GRANULE)).toBe(BASE + 3 * GRANULE);
  });

  it('takes the smallest block that fits', () => {
    const subject = heap();
    const [large, , small] = [1024, 64, 256, 64].map((bytes) => subject.allocate(bytes) ?? -1);
    subject.free(large ?? -1);
    subject.free(small ?? -1);
    expect(subject.allocate(256)).toBe(small);
    expect(subject.allocate(512)).toBe(large);
  });

  it('refuses to free what is not allocated', () => {
    const subject = heap();
    const address = subject.allocate(64) ?? -1;
    subject.free(address);
    expect(() => subject.free(address)).toThrow(/nothing is allocated/);
    expect(() => subject.free(BASE + 64)).toThrow(/nothing is allocated/);
  });

  it.each([0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY])('refuses to allocate %s bytes', (bytes) => {
    expect(() => heap().allocate(bytes)).toThrow(RangeError);
  });

  it.each([0, 3, 96, -64])('refuses an alignment of %s', (alignment) => {
    expect(() => heap().allocate(64, alignment)).toThrow(RangeError);
  });

  it('may be empty from the start', () => {
    expect(new Heap({ base: 0, bytes: 0, granule: 64 }).allocate(1)).toBeUndefined();
  });
});
