/** Copies between host and device, and what protects memory from them. */
import assert from 'node:assert/strict';
import { HOST_PAGE_BYTES } from '../../driver/index.js';
import { HOST_COMMAND, MEMORY_MAP } from '../../hw/index.js';
import { category, conformanceCase } from '../case.js';
import { equalBytes, rejectsWith } from '../expectations.js';
import { PAGE_BYTES, type Session } from '../session.js';

const { COPY_HOST_TO_DEVICE, COPY_DEVICE_TO_HOST, COPY_DEVICE_TO_DEVICE, FILL } = HOST_COMMAND;
const GUARD = 64;
/** What takes the device a while to copy. */
const UNDER_WAY_BYTES = 3 << 20;
const LARGE_BYTES = 64 << 20;

/** Copies in and out at odd places, and looks at the bytes before and behind. */
async function expectExactCopy(
  session: Session,
  bytes: Uint8Array,
  hostOffset: number,
  deviceOffset: number,
): Promise<void> {
  const address = session.memory + BigInt(PAGE_BYTES + deviceOffset);
  await session.write(address - BigInt(GUARD), new Uint8Array(bytes.length + 2 * GUARD).fill(0x7e));
  session.host.fill(0x11, 0, hostOffset + bytes.length + GUARD);
  session.host.set(bytes, hostOffset);
  await session.submit({
    opcode: COPY_HOST_TO_DEVICE,
    a: session.iova + BigInt(hostOffset),
    b: address,
    c: bytes.length,
  });
  const around = await session.read(address - BigInt(GUARD), bytes.length + 2 * GUARD);
  const guard = new Uint8Array(GUARD).fill(0x7e);
  equalBytes(around.subarray(0, GUARD), guard, 'before the copy');
  equalBytes(around.subarray(GUARD, GUARD + bytes.length), bytes, 'the copy');
  equalBytes(around.subarray(GUARD + bytes.length), guard, 'behind the copy');
  session.host.fill(0x22, 0, hostOffset + bytes.length + GUARD);
  await session.submit({
    opcode: COPY_DEVICE_TO_HOST,
    a: address,
    b: session.iova + BigInt(hostOffset),
    c: bytes.length,
  });
  equalBytes(session.host.subarray(hostOffset, hostOffset + bytes.length), bytes, 'the copy back');
  assert.ok(
    session.host.subarray(0, hostOffset).every((byte) => byte === 0x22),
    'before the copy back',
  );
  const behind = session.host.subarray(hostOffset + bytes.length, hostOffset + bytes.length + GUARD);
  assert.ok(
    behind.every((byte) => byte === 0x22),
    'behind the copy back',
  );
}

const sizes = [1, 2, 3, 7, 63, 64, 65, 4095, 4096, 4097, 65_535, 65_536, 65_537, 524_288, 1_048_577, 3_000_001].map(
  (size) =>
    conformanceCase(`copies ${size} bytes`, 'DMA-1', { requires: ['memory'] }, async (fixture) => {
      const session = await fixture.session();
      await expectExactCopy(session, fixture.random.bytes(size), 0, 0);
    }),
);

const alignments = [1, 3, 4, 31, 33, 63].map((offset) =>
  conformanceCase(
    `copies to and from addresses that are ${offset} beyond a line`,
    'DMA-1',
    { requires: ['memory'] },
    async (fixture) => {
      const session = await fixture.session();
      for (const other of [0, 1, 17, offset])
        await expectExactCopy(session, fixture.random.bytes(1000 + offset), offset, other);
    },
  ),
);

const overlaps = [1, 31, 64, 4097, 70_000].flatMap((distance) =>
  [1, -1].map((sign) =>
    conformanceCase(
      `copies over itself, ${distance} bytes ${sign > 0 ? 'up' : 'down'}`,
      'DMA-2',
      { requires: ['memory'] },
      async (fixture) => {
        const session = await fixture.session();
        const data = fixture.random.bytes(200_000);
        const from = session.memory + 131_072n;
        const to = from + BigInt(sign * distance);
        await session.write(from, data);
        await session.submit({ opcode: COPY_DEVICE_TO_DEVICE, a: from, b: to, c: data.length });
        equalBytes(await session.read(to, data.length), data, 'the copy');
      },
    ),
  ),
);

const fills = [4, 8, 60, 4096, 100_004].map((size) =>
  conformanceCase(`fills ${size} bytes with a pattern`, 'DMA-8', { requires: ['memory'] }, async (fixture) => {
    const session = await fixture.session();
    const address = session.memory + 12_288n;
    await session.write(address - 4n, new Uint8Array(size + 8));
    await session.fill(address, size, 0x04030201);
    const found = await session.read(address - 4n, size + 8);
    const expected = Uint8Array.from({ length: size + 8 }, (_, index) =>
      index < 4 || index >= size + 4 ? 0 : (index % 4) + 1,
    );
    equalBytes(found, expected, 'the fill');
  }),
);

const fillRefusals = (
  [
    ['of no whole words', 0n, 6, 0],
    ['between words', 2n, 8, 0],
    ['with a pattern of 64 bits', 0n, 8, 2 ** 32],
  ] as const
).map(([what, offset, bytes, pattern]) =>
  conformanceCase(`refuses a fill ${what}`, 'DMA-8', { requires: ['memory'] }, async (fixture) => {
    const session = await fixture.session();
    const before = fixture.random.bytes(64);
    await session.write(session.memory, before);
    await rejectsWith('INVALID_COMMAND', session.fill(session.memory + offset, bytes, pattern));
    equalBytes(await session.read(session.memory, 64), before, 'memory');
  }),
);

const isolation = [
  conformanceCase(
    'names the host address that is not mapped',
    'DMA-3',
    { requires: ['isolation'] },
    async (fixture) => {
      const session = await fixture.session();
      const error = await rejectsWith(
        'HOST_ADDRESS_FAULT',
        session.submit({ opcode: COPY_HOST_TO_DEVICE, a: 0x1000, b: session.memory, c: 64 }),
      );
      assert.equal(error.place?.value, 0x1000n);
      await session.roundTrip(session.memory, fixture.random.bytes(64));
    },
  ),

  conformanceCase('stops at the end of a mapping', 'DMA-3', { requires: ['isolation'] }, async (fixture) => {
    const session = await fixture.session();
    const pages = session.context.allocateHost(HOST_PAGE_BYTES);
    const iova = session.context.mapHost(pages);
    const end = iova + BigInt(HOST_PAGE_BYTES);
    const error = await rejectsWith(
      'HOST_ADDRESS_FAULT',
      session.submit({ opcode: COPY_HOST_TO_DEVICE, a: end - 16n, b: session.memory, c: 64 }),
    );
    assert.equal(error.place?.value, end);
  }),

  ...(['read', 'write'] as const).map((right) =>
    conformanceCase(
      `refuses to ${right === 'read' ? 'write' : 'read'} host memory that may only be ${right === 'read' ? 'read' : 'written'}`,
      'DMA-3',
      { requires: ['isolation'] },
      async (fixture) => {
        const session = await fixture.session();
        const pages = session.context.allocateHost(HOST_PAGE_BYTES);
        pages.view.fill(0x33);
        const iova = session.context.mapHost(pages, right);
        const command =
          right === 'read'
            ? { opcode: COPY_DEVICE_TO_HOST, a: session.memory, b: iova, c: 64 }
            : { opcode: COPY_HOST_TO_DEVICE, a: iova, b: session.memory, c: 64 };
        await rejectsWith('HOST_ADDRESS_FAULT', session.submit(command));
        assert.ok(
          pages.view.every((byte) => byte === 0x33),
          'memory was written',
        );
      },
    ),
  ),

  conformanceCase(
    'refuses device memory that no context owns',
    'DMA-4',
    { requires: ['isolation'] },
    async (fixture) => {
      const session = await fixture.session();
      const beyond = session.memory + BigInt(session.memoryBytes);
      const error = await rejectsWith('MEMORY_PROTECTION', session.read(beyond, 64));
      assert.equal(error.place?.value, beyond);
    },
  ),

  conformanceCase(
    'refuses device memory of another context',
    'DMA-4',
    { requires: ['queues', 'isolation'] },
    async (fixture) => {
      const card = await fixture.driver();
      const [owner, thief] = [await fixture.session({ on: card }), await fixture.session({ on: card })];
      const secret = fixture.random.bytes(256);
      await owner.write(owner.memory, secret);
      await rejectsWith('MEMORY_PROTECTION', thief.read(owner.memory, 256));
      await rejectsWith('MEMORY_PROTECTION', thief.write(owner.memory, new Uint8Array(256)));
      await rejectsWith('MEMORY_PROTECTION', thief.fill(owner.memory, 256, 0));
      equalBytes(await owner.read(owner.memory, 256), secret, 'memory of the owner');
    },
  ),

  ...(
    [
      ['below all memory', 0n],
      ['between the memories', MEMORY_MAP.LPDDR.base - 64n],
      ['at the end of all addresses', (1n << 64n) - 64n],
      ['in memory that the firmware keeps', MEMORY_MAP.LPDDR.base],
      ['in code of the firmware', MEMORY_MAP.SRAM.base],
    ] as const
  ).map(([where, address]) =>
    conformanceCase(`refuses to write ${where}`, 'DMA-4', { requires: ['isolation'] }, async (fixture) => {
      const session = await fixture.session();
      await rejectsWith('MEMORY_PROTECTION', session.write(address, new Uint8Array(64)));
      await session.roundTrip(session.memory, fixture.random.bytes(64));
    }),
  ),

  conformanceCase(
    'refuses a copy that runs from its own pages into others',
    'DMA-4',
    { requires: ['isolation'] },
    async (fixture) => {
      const session = await fixture.session();
      const end = session.memory + BigInt(session.memoryBytes);
      const error = await rejectsWith('MEMORY_PROTECTION', session.read(end - 32n, 64));
      assert.equal(error.place?.value, end);
    },
  ),

  conformanceCase('reaches unmapped pages no more', 'DMA-5', { requires: ['isolation'] }, async (fixture) => {
    const session = await fixture.session();
    const pages = session.context.allocateHost(HOST_PAGE_BYTES);
    const iova = session.context.mapHost(pages);
    const copy = { opcode: COPY_DEVICE_TO_HOST, a: session.memory, b: iova, c: 64 };
    await session.submit(copy);
    session.context.unmapHost(iova);
    pages.view.fill(0x44);
    await rejectsWith('HOST_ADDRESS_FAULT', session.submit(copy));
    assert.ok(
      pages.view.every((byte) => byte === 0x44),
      'the device wrote to unmapped memory',
    );
  }),

  conformanceCase(
    'writes to no page any more that is unmapped under a copy',
    'DMA-5',
    { requires: ['isolation'] },
    async (fixture) => {
      const session = await fixture.session();
      await session.fill(session.memory, UNDER_WAY_BYTES, 0x5555_5555);
      for (let time = 0; time < 8; time++) {
        const pages = session.context.allocateHost(UNDER_WAY_BYTES);
        const iova = session.context.mapHost(pages);
        const copies = Array.from({ length: 4 }, () =>
          session.submit({ opcode: COPY_DEVICE_TO_HOST, a: session.memory, b: iova, c: UNDER_WAY_BYTES }),
        );
        const outcomes = Promise.allSettled(copies);
        for (let turn = 0; turn < time; turn++) await new Promise((resolve) => setImmediate(resolve));
        session.context.unmapHost(iova);
        pages.view.fill(0x44);
        for (const outcome of await outcomes) {
          if (outcome.status === 'rejected') assert.equal(outcome.reason.code, 'HOST_ADDRESS_FAULT');
        }
        assert.ok(
          pages.view.every((byte) => byte === 0x44),
          'the device wrote to unmapped memory',
        );
      }
      await session.roundTrip(session.memory, fixture.random.bytes(5000));
    },
  ),

  conformanceCase(
    'uses the new pages when an address is mapped again',
    'DMA-5',
    { requires: ['isolation'] },
    async (fixture) => {
      const session = await fixture.session();
      const [first, second] = [
        session.context.allocateHost(HOST_PAGE_BYTES),
        session.context.allocateHost(HOST_PAGE_BYTES),
      ];
      const iova = session.context.mapHost(first);
      await session.fill(session.memory, 64, 0x01010101);
      await session.submit({ opcode: COPY_DEVICE_TO_HOST, a: session.memory, b: iova, c: 64 });
      session.context.unmapHost(iova);
      assert.equal(session.context.mapHost(second), iova);
      await session.fill(session.memory, 64, 0x02020202);
      await session.submit({ opcode: COPY_DEVICE_TO_HOST, a: session.memory, b: iova, c: 64 });
      assert.deepEqual([first.view[0], second.view[0]], [1, 2]);
    },
  ),

  conformanceCase(
    'keeps equal addresses of two contexts apart',
    'DMA-6',
    { requires: ['queues', 'isolation'] },
    async (fixture) => {
      const card = await fixture.driver();
      const [one, other] = [await fixture.session({ on: card }), await fixture.session({ on: card })];
      assert.equal(one.iova, other.iova);
      await one.fill(one.memory, 64, 0x0a0a0a0a);
      await other.fill(other.memory, 64, 0x0b0b0b0b);
      await Promise.all([one.read(one.memory, 64), other.read(other.memory, 64)]);
      assert.deepEqual([one.host[0], other.host[0]], [0x0a, 0x0b]);
    },
  ),

  conformanceCase(
    'gives pages that change their owner as zeros',
    'DMA-9',
    { requires: ['queues', 'isolation'] },
    async (fixture) => {
      const card = await fixture.driver();
      const session = await fixture.session({ on: card });
      await session.write(session.memory, fixture.random.bytes(PAGE_BYTES));
      await session.context.releasePages(session.memory, 1);
      const next = await fixture.session({ on: card });
      await next.context.assignPages(session.memory, 1);
      equalBytes(await next.read(session.memory, PAGE_BYTES), new Uint8Array(PAGE_BYTES), 'a page of another context');
    },
  ),

  conformanceCase('refuses pages after they were given back', 'DMA-4', { requires: ['isolation'] }, async (fixture) => {
    const session = await fixture.session();
    await session.context.releasePages(session.memory, 1);
    await rejectsWith('MEMORY_PROTECTION', session.read(session.memory, 64));
    await session.roundTrip(session.memory + BigInt(PAGE_BYTES), fixture.random.bytes(64));
  }),
];

const nothing = ([COPY_HOST_TO_DEVICE, COPY_DEVICE_TO_HOST, COPY_DEVICE_TO_DEVICE, FILL] as const).map((opcode) =>
  conformanceCase(`completes command ${opcode} of no bytes at all`, 'DMA-7', {}, async (fixture) => {
    const session = await fixture.session();
    await session.submit({ opcode, a: 0, b: 0, c: 0 });
  }),
);

export const dmaCases = category('DMA', {}, [
  ...sizes,
  ...alignments,
  ...overlaps,
  ...fills,
  ...fillRefusals,
  ...isolation,
  ...nothing,

  conformanceCase(
    'copies 64 MiB, at odd addresses',
    'DMA-1',
    { requires: ['memory'], deadlineMs: 30_000 },
    async (fixture) => {
      const device = await fixture.driver();
      const session = await fixture.session({ on: device });
      const first = session.memory + BigInt(session.memoryBytes);
      await session.context.assignPages(first, LARGE_BYTES / PAGE_BYTES + 1);
      const [there, back] = [session.context.allocateHost(LARGE_BYTES), session.context.allocateHost(LARGE_BYTES)];
      const block = fixture.random.bytes(1_000_003);
      for (let at = 0; at < LARGE_BYTES; at += block.length) there.view.set(block.subarray(0, LARGE_BYTES - at), at);
      const iovas = [session.context.mapHost(there), session.context.mapHost(back)] as const;
      const [odd, bytes] = [first + 13n, LARGE_BYTES - 7];
      await session.submit({ opcode: COPY_HOST_TO_DEVICE, a: iovas[0] + 7n, b: odd, c: bytes });
      await session.submit({ opcode: COPY_DEVICE_TO_HOST, a: odd, b: iovas[1], c: bytes });
      equalBytes(back.view.subarray(0, bytes), there.view.subarray(7), 'the copy');
    },
  ),

  ...(['SRAM', 'LPDDR'] as const).map((memory) =>
    conformanceCase(
      `reaches the last byte of ${memory}, and nothing behind it`,
      'DMA-1',
      { requires: ['isolation'] },
      async (fixture) => {
        const device = await fixture.driver();
        const session = await fixture.session({ on: device });
        const end = MEMORY_MAP[memory].base + BigInt(memory === 'SRAM' ? device.sramBytes : device.lpddrBytes);
        await session.context.assignPages(end - BigInt(PAGE_BYTES), 1);
        await session.roundTrip(end - 5001n, fixture.random.bytes(5001));
        await rejectsWith('MEMORY_PROTECTION', session.write(end - 1n, new Uint8Array(2)));
        await rejectsWith('MEMORY_PROTECTION', session.read(end, 1));
      },
    ),
  ),

  ...[0x7fff_f000n, (3n << 32n) - 4096n, 1n << 40n, (1n << 48n) - 4096n, 1n << 63n, (1n << 64n) - 8192n].map((iova) =>
    conformanceCase(
      `copies through host address 0x${iova.toString(16)}`,
      'DMA-1',
      { requires: ['isolation'] },
      async (fixture) => {
        const { pci } = fixture.card();
        const session = await fixture.session({ on: await fixture.driver({ card: { pci } }) });
        const pages = session.context.allocateHost(2 * HOST_PAGE_BYTES);
        pci.dmaMap(session.context.id, iova, pages, 'read-write');
        const data = fixture.random.bytes(5001);
        const at = HOST_PAGE_BYTES - 2500;
        pages.view.set(data, at);
        const place = iova + BigInt(at);
        await session.submit({ opcode: COPY_HOST_TO_DEVICE, a: place, b: session.memory, c: data.length });
        pages.view.fill(0);
        await session.submit({ opcode: COPY_DEVICE_TO_HOST, a: session.memory, b: place, c: data.length });
        equalBytes(pages.view.subarray(at, at + data.length), data, 'the copy');
        pci.dmaUnmap(session.context.id, iova, pages.bytes);
      },
    ),
  ),

  conformanceCase('keeps copies of one queue in order', 'QUE-1', { requires: ['memory'] }, async (fixture) => {
    const session = await fixture.session();
    const commands: Promise<unknown>[] = [];
    for (let value = 1; value <= 200; value++) {
      commands.push(session.fill(session.memory, 8192, value));
    }
    await Promise.all(commands);
    const words = new Uint32Array((await session.read(session.memory, 8192)).buffer);
    assert.ok(words.every((word) => word === 200));
  }),

  conformanceCase('copies on all queues at once', 'DMA-1', { requires: ['memory', 'queues'] }, async (fixture) => {
    const card = await fixture.driver();
    const sessions = await Promise.all(Array.from({ length: 6 }, () => fixture.session({ on: card })));
    await Promise.all(
      sessions.map(async (session) => {
        for (let times = 0; times < 5; times++) await session.roundTrip(session.memory, fixture.random.bytes(60_001));
      }),
    );
  }),
]);
