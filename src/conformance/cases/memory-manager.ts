/** Device memory: where it lies, how it fills up and empties, what is said about it. */
import assert from 'node:assert/strict';
import { MEMORY_MAP } from '../../hw/index.js';
import type { Device, DeviceBuffer, MemoryKind, MemorySnapshot } from '../../streaming-api/index.js';
import { category, conformanceCase } from '../case.js';
import { equalBytes, rejectsWith, settlesWithin } from '../expectations.js';
import { holdStream } from '../held-stream.js';
import type { Random } from '../random.js';

const MIB = 1024 * 1024;
const PIECE = 4 * MIB;
const ALIGNMENTS = [64, 256, 4096, 65_536, MIB] as const;
const KINDS = ['lpddr', 'sram'] as const;

/** Takes SRAM, of which there is least, piece by piece until no more is left. */
async function fillUp(device: Device, bytes: number = PIECE): Promise<DeviceBuffer[]> {
  const held: DeviceBuffer[] = [];
  try {
    for (;;) held.push(await device.allocate(bytes, { memory: 'sram' }));
  } catch {
    return held;
  }
}

function expectApart(buffers: readonly DeviceBuffer[]): void {
  const sorted = [...buffers].sort((a, b) => (a.address < b.address ? -1 : 1));
  for (const [index, buffer] of sorted.entries()) {
    const next = sorted[index + 1];
    if (next === undefined) break;
    assert.ok(
      buffer.address + BigInt(buffer.bytes) <= next.address,
      `buffers overlap at 0x${next.address.toString(16)}`,
    );
  }
}

/** Blocks tile their segment, and segments do not overlap. */
function expectWhole({ segments }: MemorySnapshot): void {
  let end = 0;
  for (const { address, total_size, blocks } of segments) {
    assert.ok(address >= end, 'segments overlap');
    end = address;
    for (const block of blocks) {
      assert.equal(block.address, end, 'a block does not begin where the one before ends');
      end += block.size;
    }
    assert.equal(end, address + total_size, 'blocks do not fill their segment');
  }
}

async function allocateSome(
  device: Device,
  random: Random,
  count: number,
  memory?: MemoryKind,
): Promise<DeviceBuffer[]> {
  const buffers: DeviceBuffer[] = [];
  for (let index = 0; index < count; index++) {
    const bytes = random.integer(1, random.pick([100, 10_000, 300_000]));
    buffers.push(await device.allocate(bytes, memory === undefined ? {} : { memory }));
  }
  return buffers;
}

const alignments = ALIGNMENTS.map((alignment) =>
  conformanceCase(`aligns to ${alignment} bytes`, 'MEM-1', {}, async (fixture) => {
    const { random } = fixture;
    const device = await fixture.device();
    const buffers: DeviceBuffer[] = [];
    for (let index = 0; index < 20; index++) {
      const buffer = await device.allocate(random.integer(1, 5000), { alignment, memory: random.pick(KINDS) });
      assert.equal(buffer.address % BigInt(alignment), 0n);
      buffers.push(buffer);
    }
    expectApart(buffers);
  }),
);

const kinds = KINDS.map((memory) =>
  conformanceCase(`lies in ${memory} where that is asked for`, 'MEM-1', {}, async (fixture) => {
    const device = await fixture.device();
    const { base, size } = { lpddr: MEMORY_MAP.LPDDR, sram: MEMORY_MAP.SRAM }[memory];
    for (const buffer of await allocateSome(device, fixture.random, 20, memory)) {
      assert.equal(buffer.memory, memory);
      const end = buffer.address + BigInt(buffer.bytes);
      assert.ok(buffer.address >= base && end <= base + size, `0x${buffer.address.toString(16)} is not ${memory}`);
    }
  }),
);

const ORDERS: Readonly<Record<string, (buffers: DeviceBuffer[], random: Random) => DeviceBuffer[]>> = {
  'first to last': (buffers) => buffers,
  'last to first': (buffers) => [...buffers].reverse(),
  'every second first': (buffers) => [
    ...buffers.filter((_, index) => index % 2 === 0),
    ...buffers.filter((_, index) => index % 2 === 1),
  ],
  'at random': (buffers, random) => random.shuffle(buffers),
};

const orders = Object.entries(ORDERS).map(([order, sort]) =>
  conformanceCase(`is one piece again when freed ${order}`, 'MEM-3', {}, async (fixture) => {
    const device = await fixture.device();
    const [whole] = device.memoryInfo('sram');
    const buffers = await fillUp(device);
    assert.ok(buffers.length >= 2, 'there is room for two pieces');
    for (const buffer of sort(buffers, fixture.random)) buffer.free();
    using all = await device.allocate(whole, { memory: 'sram' });
    assert.equal(all.bytes, whole);
  }),
);

const placed = category('memory manager', {}, [
  ...alignments,
  ...kinds,
  ...orders,

  conformanceCase('gives memory that does not overlap', 'MEM-1', {}, async (fixture) => {
    const device = await fixture.device();
    const buffers = await allocateSome(device, fixture.random, 100);
    for (const buffer of fixture.random.shuffle(buffers).slice(0, 50)) buffer.free();
    const kept = buffers.filter(({ freed }) => !freed);
    expectApart([...kept, ...(await allocateSome(device, fixture.random, 50))]);
  }),

  conformanceCase('keeps what neighbours hold', 'MEM-1', { requires: ['memory'] }, async (fixture) => {
    const device = await fixture.device();
    const { defaultStream: stream } = device;
    const buffers = await allocateSome(device, fixture.random, 20);
    const contents = buffers.map(({ bytes }) => fixture.random.bytes(bytes));
    for (const [index, buffer] of buffers.entries()) void stream.copyToDevice(buffer, contents[index] as Uint8Array);
    for (const [index, buffer] of buffers.entries()) {
      const back = new Uint8Array(buffer.bytes);
      await stream.copyToHost(back, buffer);
      equalBytes(back, contents[index] as Uint8Array, `buffer ${index}`);
    }
  }),

  conformanceCase('fills up to the last piece', 'MEM-2', {}, async (fixture) => {
    const device = await fixture.device();
    const [free] = device.memoryInfo('sram');
    const held = await fillUp(device);
    assert.equal(held.length, Math.floor(free / PIECE));
    expectApart(held);
    held[0]?.free();
    await device.allocate(PIECE, { memory: 'sram' });
  }),

  conformanceCase('says what is free and what is held when it is full', 'MEM-2', {}, async (fixture) => {
    const device = await fixture.device();
    const held = await fillUp(device);
    const error = await rejectsWith('OUT_OF_DEVICE_MEMORY', device.allocate(PIECE, { memory: 'sram' }));
    const [free, total] = device.memoryInfo('sram');
    for (const figure of [PIECE, free, total, held.length * PIECE]) {
      assert.ok(error.message.includes(String(figure)), `"${error.message}" does not say ${figure}`);
    }
  }),

  conformanceCase('tells observers with four numbers before it fails', 'MEM-2', {}, async (fixture) => {
    const device = await fixture.device();
    const seen: number[][] = [];
    const detach = device.attachOutOfMemoryObserver((...numbers) => seen.push(numbers));
    const [free, total] = device.memoryInfo('sram');
    await rejectsWith('OUT_OF_DEVICE_MEMORY', device.allocate(total + 1, { memory: 'sram' }));
    assert.deepEqual(seen, [[0, total + 1, total, free]]);
    detach();
    await rejectsWith('OUT_OF_DEVICE_MEMORY', device.allocate(total + 1, { memory: 'sram' }));
    assert.equal(seen.length, 1);
  }),

  conformanceCase('cannot join what is not adjacent', 'MEM-2', {}, async (fixture) => {
    const device = await fixture.device();
    const held = await fillUp(device);
    for (const buffer of held.filter((_, index) => index % 2 === 0)) buffer.free();
    await device.emptyCache();
    await rejectsWith('OUT_OF_DEVICE_MEMORY', device.allocate(2 * PIECE, { memory: 'sram' }));
    await device.allocate(PIECE, { memory: 'sram' });
  }),

  conformanceCase('puts an allocation where it fits best', 'MEM-3', {}, async (fixture) => {
    const device = await fixture.device();
    const sizes = [8192, 64, 4096, 64, 16_384, 64];
    const buffers: DeviceBuffer[] = [];
    for (const bytes of sizes) buffers.push(await device.allocate(bytes));
    const hole = buffers[2]?.address;
    for (const index of [0, 2, 4]) buffers[index]?.free();
    using best = await device.allocate(4000);
    assert.equal(best.address, hole);
  }),

  conformanceCase('does nothing on a double free', 'MEM-4', {}, async (fixture) => {
    const device = await fixture.device();
    const before = device.memoryStats().dram;
    const buffer = await device.allocate(4096);
    buffer.free();
    using next = await device.allocate(4096);
    buffer.free();
    using other = await device.allocate(4096);
    expectApart([next, other]);
    assert.equal(device.memoryStats().dram.num_allocs, before.num_allocs + 2);
  }),

  conformanceCase('refuses a buffer that was freed', 'MEM-4', {}, async (fixture) => {
    const device = await fixture.device();
    const { defaultStream: stream } = device;
    const buffer = await device.allocate(4096);
    using other = await device.allocate(4096);
    buffer.free();
    await rejectsWith('DEVICE_CLOSED', () => buffer.address);
    await rejectsWith('DEVICE_CLOSED', stream.fill(buffer, 0));
    await rejectsWith('DEVICE_CLOSED', stream.copy(other, buffer));
    await rejectsWith('DEVICE_CLOSED', stream.copyToDevice(buffer, new Uint8Array(4096)));
    await rejectsWith('DEVICE_CLOSED', stream.copyToHost(new Uint8Array(4096), buffer));
  }),

  conformanceCase(
    'keeps freed memory from others until its commands are done',
    'MEM-4',
    { requires: ['semaphores', 'queues'] },
    async (fixture) => {
      const device = await fixture.device();
      const { stream, release } = await holdStream(device);
      const buffer = await device.allocate(4096);
      const { address } = buffer;
      void stream.fill(buffer, 1);
      buffer.free();
      assert.equal(device.memoryStats().dram.pending_free_bytes, 4096);
      using apart = await device.allocate(4096);
      assert.notEqual(apart.address, address);
      await release();
      assert.equal(device.memoryStats().dram.pending_free_bytes, 0);
      using again = await device.allocate(4096);
      assert.equal(again.address, address);
    },
  ),

  conformanceCase('refuses sizes, alignments and memories that do not exist', 'NEG-1', {}, async (fixture) => {
    const device = await fixture.device();
    for (const bytes of [0, -64, 0.5, Number.NaN, 2 ** 60]) {
      await rejectsWith('INVALID_ARGUMENT', () => device.allocate(bytes));
    }
    for (const alignment of [0, 32, 96, -64]) {
      await rejectsWith('INVALID_ARGUMENT', () => device.allocate(64, { alignment }));
    }
    await rejectsWith('INVALID_ARGUMENT', () => device.allocate(64, { memory: 'flash' as MemoryKind }));
  }),
]);

const told = category('memory manager', {}, [
  conformanceCase('counts every byte and allocation', 'MEM-5', {}, async (fixture) => {
    const { random } = fixture;
    const device = await fixture.device();
    const before = device.memoryStats().dram;
    const live: DeviceBuffer[] = [];
    let [bytes, peak, allocated] = [0, 0, 0];
    for (let step = 0; step < 300; step++) {
      const gone = random.next() < 0.4 ? live.splice(random.integer(0, live.length), 1)[0] : undefined;
      if (gone !== undefined) {
        gone.free();
        bytes -= gone.bytes;
      } else {
        const buffer = await device.allocate(random.integer(1, 20_000));
        live.push(buffer);
        bytes += buffer.bytes;
        allocated += buffer.bytes;
        peak = Math.max(peak, bytes);
      }
    }
    const after = device.memoryStats().dram;
    assert.equal(after.allocated_bytes - before.allocated_bytes, bytes);
    assert.equal(after.num_allocs - before.num_allocs, live.length);
    assert.equal(after.peak_bytes, Math.max(before.peak_bytes, before.allocated_bytes + peak));
    assert.equal(after.total_allocated_bytes - before.total_allocated_bytes, allocated);
    assert.equal(after.total_freed_bytes - before.total_freed_bytes, allocated - bytes);
    assert.equal(device.memoryAllocated(), after.allocated_bytes);
    assert.equal(device.maxMemoryAllocated(), after.peak_bytes);
  }),

  conformanceCase('resets peaks and counts on demand', 'MEM-5', {}, async (fixture) => {
    const device = await fixture.device();
    (await device.allocate(MIB, { memory: 'sram' })).free();
    await rejectsWith('OUT_OF_DEVICE_MEMORY', device.allocate(2 ** 45, { memory: 'sram' }));
    const { sram } = device.memoryStats();
    assert.deepEqual([sram.peak_bytes, sram.num_ooms, sram.total_freed_bytes], [MIB, 1, MIB]);
    device.resetPeakMemoryStats();
    device.resetAccumulatedMemoryStats();
    const reset = device.memoryStats().sram;
    assert.deepEqual([reset.peak_bytes, reset.num_ooms, reset.total_freed_bytes], [0, 0, 0]);
  }),

  conformanceCase('says what the device has left, and gives reserve back', 'MEM-5', {}, async (fixture) => {
    const device = await fixture.device();
    const [before, total] = device.memoryInfo('sram');
    const buffer = await device.allocate(PIECE, { memory: 'sram' });
    const [during] = device.memoryInfo('sram');
    assert.ok(during <= before - PIECE);
    buffer.free();
    assert.ok(device.memoryStats().sram.reserved_bytes >= PIECE, 'an empty segment is kept');
    await device.emptyCache();
    assert.equal(device.memoryStats().sram.reserved_bytes, 0);
    assert.deepEqual(device.memoryInfo('sram'), [before, total]);
  }),

  conformanceCase('counts pinned memory apart', 'MEM-5', {}, async (fixture) => {
    const device = await fixture.device();
    const before = device.memoryStats();
    const host = device.allocateHost(10_000);
    const during = device.memoryStats();
    assert.equal(during.pinned.allocated_bytes - before.pinned.allocated_bytes, 10_000);
    assert.equal(during.dram.allocated_bytes, before.dram.allocated_bytes);
    host.free();
    host.free();
    assert.equal(device.memoryStats().pinned.allocated_bytes, before.pinned.allocated_bytes);
  }),

  conformanceCase('shows segments that blocks fill without a gap', 'MEM-6', {}, async (fixture) => {
    const device = await fixture.device();
    const buffers = [
      ...(await allocateSome(device, fixture.random, 30)),
      ...(await allocateSome(device, fixture.random, 30, 'sram')),
    ];
    for (const buffer of fixture.random.shuffle(buffers).slice(0, 20)) buffer.free();
    const snapshot = device.snapshot();
    expectWhole(snapshot);
    const stats = device.memoryStats();
    for (const [memory, figures] of [
      ['lpddr', stats.dram],
      ['sram', stats.sram],
    ] as const) {
      const segments = snapshot.segments.filter((segment) => segment.memory === memory);
      const sum = (key: 'total_size' | 'requested_size'): number =>
        segments.reduce((total, segment) => total + segment[key], 0);
      assert.equal(sum('total_size'), figures.reserved_bytes);
      assert.equal(sum('requested_size'), figures.allocated_bytes);
    }
    for (const buffer of buffers.filter(({ freed }) => !freed)) {
      const blocks = snapshot.segments.flatMap((segment) => segment.blocks);
      const block = blocks.find(({ address }) => BigInt(address) === buffer.address);
      assert.deepEqual([block?.state, block?.requested_size], ['active_allocated', buffer.bytes]);
    }
    assert.deepEqual(JSON.parse(JSON.stringify(snapshot)), snapshot);
  }),

  conformanceCase('records who allocated what', 'MEM-6', {}, async (fixture) => {
    const device = await fixture.device();
    device.recordMemoryHistory();
    const buffer = await device.allocate(4096);
    const address = Number(buffer.address);
    const { segments, device_traces } = device.snapshot();
    const block = segments.flatMap(({ blocks }) => blocks).find((found) => found.address === address);
    assert.ok(
      block?.frames.some(({ filename }) => filename.includes('memory-manager')),
      'the stack names this file',
    );
    buffer.free();
    const [trace = []] = device.snapshot().device_traces;
    assert.deepEqual(
      trace.filter(({ addr }) => addr === address).map(({ action }) => action),
      ['alloc', 'free_requested', 'free_completed'],
    );
    assert.equal(device_traces[0]?.at(-1)?.action, 'alloc');
    await rejectsWith('OUT_OF_DEVICE_MEMORY', device.allocate(2 ** 45));
    assert.equal(device.snapshot().device_traces[0]?.at(-1)?.action, 'oom');
  }),

  conformanceCase('keeps the latest entries of its history, until it is switched off', 'MEM-6', {}, async (fixture) => {
    const device = await fixture.device();
    device.recordMemoryHistory({ maxEntries: 7, stacks: 'none' });
    const sizes = Array.from({ length: 20 }, (_, index) => 64 * (index + 1));
    for (const bytes of sizes) await device.allocate(bytes);
    const [trace = []] = device.snapshot().device_traces;
    assert.deepEqual(
      trace.map(({ size }) => size),
      sizes.slice(-7),
    );
    device.recordMemoryHistory({ enabled: null });
    await device.allocate(64);
    assert.deepEqual(device.snapshot().device_traces, [[]]);
    await rejectsWith('INVALID_ARGUMENT', () => device.recordMemoryHistory({ maxEntries: -1 }));
  }),

  conformanceCase(
    'shows what is freed but still in use',
    'MEM-6',
    { requires: ['semaphores', 'queues'] },
    async (fixture) => {
      const device = await fixture.device();
      const { stream, release } = await holdStream(device);
      const buffer = await device.allocate(4096);
      const address = Number(buffer.address);
      const state = (): string | undefined =>
        device
          .snapshot()
          .segments.flatMap(({ blocks }) => blocks)
          .find((block) => block.address <= address && address < block.address + block.size)?.state;
      void stream.fill(buffer, 1);
      assert.equal(state(), 'active_allocated');
      buffer.free();
      assert.equal(state(), 'active_pending_free');
      await release();
      assert.equal(state(), 'inactive');
    },
  ),

  conformanceCase('shows the device pinned memory as it is', 'MEM-8', { requires: ['memory'] }, async (fixture) => {
    const device = await fixture.device();
    const { defaultStream: stream } = device;
    const bytes = 100_000;
    using host = device.allocateHost(bytes);
    using back = device.allocateHost(bytes);
    using buffer = await device.allocate(bytes);
    const data = fixture.random.bytes(bytes);
    host.view.set(data);
    void stream.copyToDevice(buffer, host);
    await stream.copyToHost(back, buffer);
    equalBytes(back.view, data, 'pinned memory');
    assert.equal(back.as(Uint32Array)[100], new Uint32Array(data.buffer, 400, 1)[0]);
  }),

  conformanceCase(
    'shows the same pinned memory to a device that attaches it',
    'MEM-8',
    { requires: ['memory', 'shared host memory'] },
    async (fixture) => {
      const [first, second] = [await fixture.device(), await fixture.device()];
      const data = fixture.random.bytes(10_000);
      const host = first.allocateHost(data.length, { shared: true });
      const attached = second.attachHost(structuredClone(host.share()));
      using buffer = await first.allocate(data.length);
      await first.defaultStream.copyToDevice(buffer, data);
      await first.defaultStream.copyToHost(host, buffer);
      equalBytes(attached.view, data, 'what the first device wrote');
      host.free();
      using there = await second.allocate(data.length);
      await second.defaultStream.copyToDevice(there, attached);
      const back = new Uint8Array(data.length);
      await second.defaultStream.copyToHost(back, there);
      equalBytes(back, data, 'what the second device read after the first had let go');
      attached.free();
    },
  ),

  conformanceCase(
    'frees shared pinned memory of a card that was reset behind the driver',
    'MEM-8',
    { requires: ['shared host memory'] },
    async (fixture) => {
      const card = fixture.card();
      const device = await fixture.device({ card });
      const before = device.memoryStats().pinned;
      const host = device.allocateHost(10_000, { shared: true });
      const attached = device.attachHost(structuredClone(host.share()));
      card.pci.functionReset();
      attached.free();
      host.free();
      assert.equal(device.memoryStats().pinned.allocated_bytes, before.allocated_bytes);
      await settlesWithin(2_500, 'close', device.close());
    },
  ),

  conformanceCase(
    'shares no pinned memory that was not allocated for it',
    'NEG-1',
    { requires: ['shared host memory'] },
    async (fixture) => {
      const device = await fixture.device();
      const before = device.memoryStats().pinned;
      const host = device.allocateHost(64);
      await rejectsWith('INVALID_ARGUMENT', () => host.share());
      const shared = device.allocateHost(64, { shared: true });
      shared.free();
      await rejectsWith('DEVICE_CLOSED', () => shared.share());
      host.free();
      assert.equal(device.memoryStats().pinned.allocated_bytes, before.allocated_bytes);
      const holders = new Int32Array(new SharedArrayBuffer(4));
      const gone = { bytes: 64, pages: { address: 4096n, bytes: 4096, holders } };
      await rejectsWith('DEVICE_CLOSED', () => device.attachHost(gone));
    },
  ),

  conformanceCase(
    'takes pinned memory when the turn of its command comes',
    'CPY-3',
    {
      requires: ['memory', 'semaphores', 'queues'],
    },
    async (fixture) => {
      const device = await fixture.device();
      const { stream, release } = await holdStream(device);
      using host = device.allocateHost(64);
      using buffer = await device.allocate(64);
      host.view.fill(1);
      void stream.copyToDevice(buffer, host);
      host.view.fill(2);
      await release();
      const back = new Uint8Array(64);
      await stream.copyToHost(back, buffer);
      equalBytes(back, new Uint8Array(64).fill(2), 'the copy');
    },
  ),
]);

export const memoryManagerCases = [...placed, ...told];
