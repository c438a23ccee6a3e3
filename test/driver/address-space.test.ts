import { describe, expect, it } from 'vitest';
import { AddressSpace } from '../../src/driver/address-space.js';
import { NullFunction } from '../../src/driver/index.js';
import { NumberPool } from '../../src/driver/number-pool.js';

describe('AddressSpace', () => {
  it('maps without overlap, with an unmapped page behind each mapping', () => {
    const card = new NullFunction();
    const space = new AddressSpace(card, 1);
    const sizes = [1, 4096, 5000, 1 << 20];
    const mapped = sizes.map((bytes) => {
      const pages = card.allocateHost(bytes);
      return { iova: space.map(pages, 'read-write'), bytes: pages.bytes };
    });
    for (const [index, { iova, bytes }] of mapped.entries()) {
      expect(iova % 4096n).toBe(0n);
      const next = mapped[index + 1];
      if (next !== undefined) expect(next.iova).toBeGreaterThanOrEqual(iova + BigInt(bytes) + 4096n);
    }
  });

  it('reuses addresses of the same size, and refuses to unmap twice', () => {
    const card = new NullFunction();
    const space = new AddressSpace(card, 1);
    const first = space.map(card.allocateHost(8192), 'read');
    space.unmap(first);
    expect(() => space.unmap(first)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
    expect(space.map(card.allocateHost(8192), 'write')).toBe(first);
  });
});

describe('NumberPool', () => {
  it('hands each number out once, the longest unused first', () => {
    const pool = new NumberPool('things', 3, 5);
    expect([pool.take(), pool.take(), pool.take()]).toEqual([3, 4, 5]);
    expect(() => pool.take()).toThrow(expect.objectContaining({ code: 'TOO_MANY' }));
    pool.give(5);
    pool.give(3);
    expect([pool.take(), pool.take()]).toEqual([5, 3]);
  });
});
