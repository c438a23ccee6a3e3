import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MtiaError } from '../../src/driver/index.js';
import { MEMORY_MAP, RESERVED } from '../../src/hw/index.js';
import { type DeviceAllocation, DeviceHeaps, DeviceMemory } from '../../src/memmgr/index.js';
import { FakePageOwner } from './fake-page-owner.js';

const MIB = 1024 * 1024;
const SIZES = { lpddrBytes: 256 * MIB, sramBytes: 32 * MIB };

function memory(): { memory: DeviceMemory; owner: FakePageOwner; heaps: DeviceHeaps } {
  const owner = new FakePageOwner();
  const heaps = new DeviceHeaps(SIZES);
  return { memory: new DeviceMemory(heaps, owner), owner, heaps };
}

const overlap = (a: DeviceAllocation, b: DeviceAllocation): boolean =>
  a.address < b.address + BigInt(b.bytes) && b.address < a.address + BigInt(a.bytes);

describe('DeviceMemory', () => {
  it('allocates on pages of the context, aligned, without overlap', async () => {
    const request = fc.record({
      bytes: fc.oneof(fc.integer({ min: 1, max: 4096 }), fc.integer({ min: 1, max: 12 * MIB })),
      alignment: fc.integer({ min: 6, max: 17 }).map((power) => 2 ** power),
      memory: fc.constantFrom('lpddr' as const, 'sram' as const),
      free: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(request, { maxLength: 40 }), async (requests) => {
        const { memory: subject, owner } = memory();
        const live: DeviceAllocation[] = [];
        for (const { bytes, free, ...options } of requests) {
          const allocation = await subject.allocate(bytes, options).catch(() => undefined);
          if (allocation === undefined) continue;
          expect(Number(allocation.address) % options.alignment).toBe(0);
          expect(owner.owns(allocation.address, bytes)).toBe(true);
          expect(live.some((other) => overlap(other, allocation))).toBe(false);
          if (free) allocation.free();
          else live.push(allocation);
        }
        await subject.close();
        expect(owner.pages.size).toBe(0);
      }),
      { numRuns: 30 },
    );
  });

  it('keeps away from what the firmware reserves', async () => {
    const { memory: subject } = memory();
    const lpddr = await subject.allocate(1);
    const sram = await subject.allocate(1, { memory: 'sram' });
    expect(lpddr.address).toBeGreaterThanOrEqual(MEMORY_MAP.LPDDR.base + BigInt(RESERVED.LPDDR_FIRMWARE_BYTES));
    expect(sram.address).toBeGreaterThanOrEqual(MEMORY_MAP.SRAM.base + BigInt(RESERVED.SRAM_FIRMWARE_BYTES));
  });

  it('tells every observer that memory is out, of which device, and hides nothing where one of them throws', async () => {
    const subject = new DeviceMemory(new DeviceHeaps(SIZES), new FakePageOwner(), { device: 3 });
    const told: (readonly number[])[] = [];
    const broken = new Error('the observer is broken');
    subject.observeOutOfMemory(() => {
      throw broken;
    });
    subject.observeOutOfMemory((...details) => told.push(details));
    const failure = await subject.allocate(2 * SIZES.lpddrBytes).catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: 'OUT_OF_DEVICE_MEMORY', cause: broken });
    expect(told).toEqual([[3, 2 * SIZES.lpddrBytes, expect.any(Number), expect.any(Number)]]);
  });

  it('cuts small allocations that are asked for at once from one arena', async () => {
    const { memory: subject, owner } = memory();
    await Promise.all(Array.from({ length: 100 }, () => subject.allocate(1000)));
    expect(owner.assigned).toBe(1);
  });

  it('fills the device to the last page and says who holds what', async () => {
    const { memory: subject } = memory();
    const held: DeviceAllocation[] = [];
    const failure = await (async () => {
      for (;;) held.push(await subject.allocate(1 * MIB, { memory: 'sram' }));
    })().catch((error: unknown) => error);
    expect(held.length).toBe((SIZES.sramBytes - RESERVED.SRAM_FIRMWARE_BYTES) / MIB);
    expect(failure).toBeInstanceOf(MtiaError);
    expect(failure).toMatchObject({
      code: 'OUT_OF_DEVICE_MEMORY',
      message: expect.stringMatching(/1048576 bytes of sram/),
    });
    expect(subject.statistics().sram.num_ooms).toBe(1);
    held[0]?.free();
    await expect(subject.allocate(1 * MIB, { memory: 'sram' })).resolves.toBeDefined();
  });

  it('gives kept arenas of one context back before it says that memory is out', async () => {
    const { memory: subject } = memory();
    const small = await subject.allocate(64, { memory: 'sram' });
    small.free();
    const rest = SIZES.sramBytes - RESERVED.SRAM_FIRMWARE_BYTES;
    await expect(subject.allocate(rest, { memory: 'sram' })).resolves.toMatchObject({ bytes: rest });
  });

  it('shares the device between contexts without sharing a page', async () => {
    const heaps = new DeviceHeaps(SIZES);
    const owners = [new FakePageOwner(1), new FakePageOwner(2)];
    for (const owner of owners) {
      const subject = new DeviceMemory(heaps, owner);
      for (let count = 0; count < 10; count++) await subject.allocate(3 * MIB);
    }
    const [first, second] = owners.map((owner) => owner.pages);
    expect([...(first ?? [])].some((page) => second?.has(page))).toBe(false);
  });

  it('reports under the names of torch.mtia', async () => {
    const { memory: subject } = memory();
    const allocation = await subject.allocate(1000);
    await subject.allocate(24);
    allocation.free();
    allocation.free();
    expect(subject.statistics().dram).toEqual({
      allocated_bytes: 24,
      peak_bytes: 1024,
      reserved_bytes: 16 * MIB,
      peak_reserved_bytes: 16 * MIB,
      pending_free_bytes: 0,
      total_allocated_bytes: 1024,
      total_freed_bytes: 1000,
      num_allocs: 1,
      num_alloc_retries: 0,
      num_ooms: 0,
    });
    subject.resetPeakStatistics();
    expect(subject.statistics().dram.peak_bytes).toBe(24);
  });

  it('takes nothing from the device when the firmware refuses the pages', async () => {
    const { memory: subject, owner, heaps } = memory();
    owner.failure = new MtiaError('INVALID_COMMAND', 'no');
    await expect(subject.allocate(64)).rejects.toMatchObject({ code: 'INVALID_COMMAND' });
    expect(heaps.occupancy('lpddr').freeBytes).toBe(heaps.occupancy('lpddr').totalBytes);
    await expect(subject.allocate(64)).resolves.toBeDefined();
  });

  it('refuses sizes and alignments that make no sense', async () => {
    const { memory: subject } = memory();
    for (const bytes of [0, -1, 1.5, Number.NaN]) {
      await expect(subject.allocate(bytes)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    }
    for (const alignment of [32, 96, 0]) {
      await expect(subject.allocate(64, { alignment })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    }
  });

  it('is closed once, gives everything back and then refuses', async () => {
    const { memory: subject, owner, heaps } = memory();
    const allocation = await subject.allocate(64);
    await Promise.all([subject.close(), subject.close()]);
    expect(owner.pages.size).toBe(0);
    expect(heaps.occupancy('lpddr').freeBytes).toBe(heaps.occupancy('lpddr').totalBytes);
    allocation.free();
    await expect(subject.allocate(64)).rejects.toMatchObject({ code: 'DEVICE_CLOSED' });
  });

  it('closes after its context, whose pages are gone already', async () => {
    const { memory: subject, owner, heaps } = memory();
    await subject.allocate(64);
    owner.closed = true;
    await subject.close();
    expect(heaps.occupancy('lpddr').freeBytes).toBe(heaps.occupancy('lpddr').totalBytes);
  });
});
