import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type HostPages, MtiaError, type SharedHostPages } from '../../src/driver/index.js';
import { PinnedMemory, type PinningContext, sizeClassOf } from '../../src/memmgr/index.js';

class FakeContext implements PinningContext {
  readonly id = 1;
  readonly mapped = new Map<bigint, HostPages>();
  maps = 0;
  freed = 0;
  full = false;
  #next = 0x1_0000_0000n;

  allocateHost(bytes: number): HostPages {
    if (this.full) throw new MtiaError('CHIP_NO_MEMORY', 'no');
    return { address: 0n, bytes, view: new Uint8Array(bytes), free: () => void this.freed++ };
  }

  attachHost({ bytes }: SharedHostPages): HostPages {
    return this.allocateHost(bytes);
  }

  mapHost(pages: HostPages): bigint {
    const iova = this.#next;
    this.#next += BigInt(pages.bytes) + 4096n;
    this.mapped.set(iova, pages);
    this.maps++;
    return iova;
  }

  unmapHost(iova: bigint): void {
    if (!this.mapped.delete(iova)) throw new Error('unmapped twice');
  }
}

describe('sizeClassOf', () => {
  it('holds the request and wastes a quarter at most beyond slabs', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 2 ** 34 }), (bytes) => {
        const size = sizeClassOf(bytes);
        expect(size).toBeGreaterThanOrEqual(bytes);
        expect(sizeClassOf(size)).toBe(size);
        if (bytes > 64 * 1024) expect(size / bytes).toBeLessThanOrEqual(1.25);
      }),
    );
  });
});

describe('PinnedMemory', () => {
  it('hands out memory that does not overlap, each piece at its own address', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 200_000 }), { maxLength: 60 }), (sizes) => {
        const pinned = new PinnedMemory(new FakeContext());
        const buffers = sizes.map((bytes) => pinned.allocate(bytes));
        for (const [index, { view }] of buffers.entries()) view.fill(index + 1);
        for (const [index, { view, bytes }] of buffers.entries()) {
          expect(view.byteLength).toBe(bytes);
          expect(view.every((byte) => byte === index + 1)).toBe(true);
        }
        expect(new Set(buffers.map(({ iova }) => iova)).size).toBe(sizes.length);
      }),
      { numRuns: 30 },
    );
  });

  it('reuses freed memory without mapping anything', () => {
    const context = new FakeContext();
    const pinned = new PinnedMemory(context);
    for (let round = 0; round < 100; round++) {
      const buffers = [100, 5000, 100_000, 3_000_000].map((bytes) => pinned.allocate(bytes));
      for (const buffer of buffers) buffer.free();
    }
    // One slab for each small class, pages of their own for the large ones.
    expect(context.maps).toBe(4);
  });

  it('frees once, however often it is told', () => {
    const pinned = new PinnedMemory(new FakeContext());
    const buffer = pinned.allocate(1000);
    buffer.free();
    buffer.free();
    const [a, b] = [pinned.allocate(1000), pinned.allocate(1000)];
    expect(a.iova).not.toBe(b.iova);
    expect(pinned.statistics()).toMatchObject({ allocated_bytes: 2000, num_allocs: 2 });
  });

  it('unmaps large free blocks beyond what it keeps, and all of them on trim', () => {
    const context = new FakeContext();
    const pinned = new PinnedMemory(context);
    const large = Array.from({ length: 5 }, () => pinned.allocate(64 * 1024 * 1024));
    const small = pinned.allocate(64);
    for (const buffer of large) buffer.free();
    expect(context.mapped.size).toBe(5);
    pinned.trim();
    expect(context.mapped.size).toBe(1);
    small.free();
    pinned.trim();
    expect(pinned.allocate(64).bytes).toBe(64);
    expect(context.maps).toBe(6);
  });

  it('says who holds what when the host has no memory left', () => {
    const context = new FakeContext();
    const pinned = new PinnedMemory(context);
    context.full = true;
    const attempt = (): unknown => pinned.allocate(1000);
    expect(attempt).toThrow(expect.objectContaining({ code: 'OUT_OF_HOST_MEMORY' }));
    expect(pinned.statistics().num_ooms).toBe(1);
  });

  it('refuses sizes that make no sense', () => {
    const pinned = new PinnedMemory(new FakeContext());
    for (const bytes of [0, -1, 1.5, Number.NaN]) {
      expect(() => pinned.allocate(bytes)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
    }
  });

  it('unmaps everything on close, and then refuses', () => {
    const context = new FakeContext();
    const pinned = new PinnedMemory(context);
    const buffer = pinned.allocate(100_000);
    pinned.allocate(100);
    pinned.close();
    pinned.close();
    buffer.free();
    expect(context.mapped.size).toBe(0);
    expect(context.freed).toBe(2);
    expect(() => pinned.allocate(1)).toThrow(expect.objectContaining({ code: 'DEVICE_CLOSED' }));
  });
});
