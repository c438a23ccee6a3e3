import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Context, type Device, MtiaError } from '../../src/driver/index.js';
import { EXTERNAL_KERNEL_ID } from '../../src/firmware-emu/index.js';
import {
  encodeRectangle,
  HOST_COMMAND,
  KERNEL_ID,
  LIMITS,
  MEMORY_MAP,
  PROTECTION_PAGE_BYTES,
  RESERVED,
} from '../../src/hw/index.js';
import { ONE_PE, openCard, openSession, type Session, WHOLE_GRID } from './card.js';

const LAST_SEMAPHORE = 1023;

describe.each(['v1', '2i'] as const)('host commands on %s', (generation) => {
  let device: Device;
  let session: Session;

  beforeAll(async () => {
    ({ device } = await openCard(generation));
    session = await openSession(device);
  });
  afterAll(() => device.close());

  it('NOP and BARRIER complete', async () => {
    for (const opcode of [HOST_COMMAND.NOP, HOST_COMMAND.BARRIER]) {
      expect(await session.queue.submit({ opcode })).toEqual({ deviceUs: 0, jobs: 0 });
    }
  });

  it('complete in order, more than a ring of them', async () => {
    const order: number[] = [];
    const count = LIMITS.QUEUE_ENTRIES * 3;
    const all = Array.from({ length: count }, (_, index) =>
      session.queue.submit({ opcode: HOST_COMMAND.NOP }).then(() => order.push(index)),
    );
    await Promise.all(all);
    expect(order).toEqual(Array.from({ length: count }, (_, index) => index));
  });

  it('copies move bytes, and take the time that the links need', async () => {
    const data = Uint8Array.from({ length: 200_001 }, (_, index) => (index * 7) ^ (index >> 8));
    const near = session.memory + 2n * BigInt(PROTECTION_PAGE_BYTES);
    const far = session.memory + 8n * BigInt(PROTECTION_PAGE_BYTES) + 3n;
    session.host.set(data);
    const to = await session.queue.submit({
      opcode: HOST_COMMAND.COPY_HOST_TO_DEVICE,
      a: session.iova,
      b: near,
      c: data.length,
    });
    const across = await session.queue.submit({
      opcode: HOST_COMMAND.COPY_DEVICE_TO_DEVICE,
      a: near,
      b: far,
      c: data.length,
    });
    session.host.fill(0);
    expect(await session.read(far, data.length)).toEqual(data);
    const pcie = generation === 'v1' ? 16 : 32;
    // What is in reach of it, what ECC leaves of it (I25 section 5).
    const lpddr = generation === 'v1' ? 176 * 0.425 : 204.8 * 0.875;
    expect(to.deviceUs).toBeCloseTo(data.length / pcie / 1000, 2);
    expect(across.deviceUs).toBeCloseTo((2 * data.length) / lpddr / 1000, 2);
  });

  it('FILL repeats a word', async () => {
    await session.queue.submit({ opcode: HOST_COMMAND.FILL, a: 0x01020304, b: session.memory, c: 4096 });
    expect(await session.readWords(session.memory, 512)).toEqual(new Array(512).fill(0x0102030401020304n));
  });

  it('copies and fills of nothing are done at once', async () => {
    for (const opcode of [HOST_COMMAND.COPY_HOST_TO_DEVICE, HOST_COMMAND.COPY_DEVICE_TO_HOST, HOST_COMMAND.FILL]) {
      await session.queue.submit({ opcode, a: 0, b: 0, c: 0 });
    }
  });

  it('LAUNCH runs a kernel on a rectangle', async () => {
    const result = await session.launch(KERNEL_ID.NULL, [], { rectangle: WHOLE_GRID });
    expect(result.jobs).toBe(1);
    expect(result.deviceUs).toBeGreaterThan(0);
    const rectangle = { column: 2, row: 1, columns: 3, rows: 4 };
    await session.launch('RECORD', [session.memory, 100n], { rectangle });
    expect(await session.readWords(session.memory, 12)).toEqual(Array.from({ length: 12 }, (_, i) => BigInt(100 + i)));
  });

  it('LAUNCH uses every argument word', async () => {
    const args = Array.from({ length: 64 }, (_, index) => BigInt(index));
    args[0] = session.memory;
    await session.launch('RECORD', args);
    expect(await session.readWords(session.memory, 1)).toEqual([1n]);
  });

  it.each([
    ['an unknown command', { opcode: 99 }, 'UNSUPPORTED_COMMAND', 99n],
    ['an unknown kernel', { opcode: HOST_COMMAND.LAUNCH, a: 77, d: encodeRectangle(ONE_PE) }, 'UNKNOWN_KERNEL', 77n],
    [
      'a kernel id of 64 bits',
      { opcode: HOST_COMMAND.LAUNCH, a: 1n << 32n, d: encodeRectangle(ONE_PE) },
      'UNKNOWN_KERNEL',
      1n << 32n,
    ],
    ['an empty rectangle', { opcode: HOST_COMMAND.LAUNCH, a: 0, d: 0 }, 'INVALID_GRID', undefined],
    [
      'a rectangle off the grid',
      { opcode: HOST_COMMAND.LAUNCH, d: encodeRectangle({ column: 7, row: 0, columns: 2, rows: 1 }) },
      'INVALID_GRID',
      0x1020007n,
    ],
    [
      'arguments that are no words',
      { opcode: HOST_COMMAND.LAUNCH, b: 0, c: 12, d: encodeRectangle(ONE_PE) },
      'INVALID_COMMAND',
      12n,
    ],
    [
      'too many arguments',
      { opcode: HOST_COMMAND.LAUNCH, b: 0, c: 520, d: encodeRectangle(ONE_PE) },
      'INVALID_COMMAND',
      520n,
    ],
    [
      'misplaced arguments',
      { opcode: HOST_COMMAND.LAUNCH, b: 4, c: 8, d: encodeRectangle(ONE_PE) },
      'INVALID_COMMAND',
      4n,
    ],
    [
      'foreign arguments',
      { opcode: HOST_COMMAND.LAUNCH, b: MEMORY_MAP.LPDDR.base, c: 8, d: encodeRectangle(ONE_PE) },
      'MEMORY_PROTECTION',
      MEMORY_MAP.LPDDR.base,
    ],
    [
      'arguments at the end of all addresses',
      { opcode: HOST_COMMAND.LAUNCH, b: (1n << 64n) - 8n, c: 8, d: encodeRectangle(ONE_PE) },
      'MEMORY_PROTECTION',
      (1n << 64n) - 8n,
    ],
    [
      'a semaphore too many',
      { opcode: HOST_COMMAND.WAIT, a: LAST_SEMAPHORE + 1, b: 1 },
      'INVALID_COMMAND',
      BigInt(LAST_SEMAPHORE + 1),
    ],
    ['a signal too many', { opcode: HOST_COMMAND.SIGNAL, a: 1n << 40n, b: 1 }, 'INVALID_COMMAND', 1n << 40n],
    ['a long fill pattern', { opcode: HOST_COMMAND.FILL, a: 1n << 32n, c: 4 }, 'INVALID_COMMAND', 1n << 32n],
    ['a fill of half a word', { opcode: HOST_COMMAND.FILL, a: 1, b: 0, c: 6 }, 'INVALID_COMMAND', 6n],
    ['a fill off the words', { opcode: HOST_COMMAND.FILL, a: 1, b: 2, c: 4 }, 'INVALID_COMMAND', 2n],
    ['a field that must be zero', { opcode: HOST_COMMAND.FILL, a: 1, c: 4, d: 9 }, 'INVALID_COMMAND', 9n],
    ['an administrator’s command', { opcode: HOST_COMMAND.QUERY }, 'INVALID_COMMAND', BigInt(HOST_COMMAND.QUERY)],
    [
      'page assignment by oneself',
      { opcode: HOST_COMMAND.ASSIGN_PAGES, a: 1, b: 0, c: 1, d: 1 },
      'INVALID_COMMAND',
      BigInt(HOST_COMMAND.ASSIGN_PAGES),
    ],
  ])('%s is refused, and the queue goes on', async (_what, command, code, value) => {
    const error: unknown = await session.queue.submit(command).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(MtiaError);
    expect(error).toMatchObject({
      code,
      place: { context: session.context.id, ...(value === undefined ? {} : { value }) },
    });
    await session.queue.submit({ opcode: HOST_COMMAND.NOP });
  });

  it('copies outside of the context are refused with their address', async () => {
    const foreign = session.memory + 1000n * BigInt(PROTECTION_PAGE_BYTES);
    for (const address of [foreign, MEMORY_MAP.SRAM.base, 8n, MEMORY_MAP.LPDDR.base]) {
      await expect(
        session.queue.submit({ opcode: HOST_COMMAND.COPY_HOST_TO_DEVICE, a: session.iova, b: address, c: 64 }),
      ).rejects.toMatchObject({ code: 'MEMORY_PROTECTION', place: { value: address } });
    }
    await expect(
      session.queue.submit({ opcode: HOST_COMMAND.COPY_HOST_TO_DEVICE, a: 0x10n, b: session.memory, c: 64 }),
    ).rejects.toMatchObject({ code: 'HOST_ADDRESS_FAULT', place: { value: 0x10n } });
  });

  it('WAIT and SIGNAL order queues', async () => {
    const other = await session.context.createQueue();
    const order: string[] = [];
    const waiting = [5, 6].map((value) =>
      session.queue
        .submit({ opcode: HOST_COMMAND.WAIT, a: LAST_SEMAPHORE, b: value })
        .then(() => order.push(`wait ${value}`)),
    );
    await other.submit({ opcode: HOST_COMMAND.SIGNAL, a: LAST_SEMAPHORE, b: 4 });
    order.push('signal 4');
    await other.submit({ opcode: HOST_COMMAND.SIGNAL, a: LAST_SEMAPHORE, b: 5 });
    await waiting[0];
    order.push('signal 5');
    await other.submit({ opcode: HOST_COMMAND.SIGNAL, a: LAST_SEMAPHORE, b: 3 });
    await other.submit({ opcode: HOST_COMMAND.SIGNAL, a: LAST_SEMAPHORE, b: 100 });
    await waiting[1];
    expect(order).toEqual(['signal 4', 'wait 5', 'signal 5', 'wait 6']);
    // Only ever raised.
    await session.queue.submit({ opcode: HOST_COMMAND.WAIT, a: LAST_SEMAPHORE, b: 100 });
    await other.close();
  });

  it('WAIT ends at its deadline', async () => {
    const command = { opcode: HOST_COMMAND.WAIT, a: 3, b: 1, deadlineUs: 20_000 };
    await expect(session.queue.submit(command)).rejects.toMatchObject({ code: 'KERNEL_TIMEOUT' });
    await session.queue.submit({ opcode: HOST_COMMAND.NOP });
  });

  it('a queue that is closed while it waits leaves nothing behind', async () => {
    const doomed = await session.context.createQueue();
    const stuck = doomed.submit({ opcode: HOST_COMMAND.WAIT, a: 4, b: 1 });
    const endless = session.context.createQueue().then(async (queue) => {
      const running = session.launch('ENDLESS', [], { rectangle: WHOLE_GRID, queue });
      const rejected = expect(running).rejects.toMatchObject({ code: 'DEVICE_CLOSED' });
      await session.queue.submit({ opcode: HOST_COMMAND.NOP });
      await queue.close();
      await rejected;
    });
    const closed = expect(stuck).rejects.toMatchObject({ code: 'DEVICE_CLOSED' });
    await doomed.close();
    await closed;
    await endless;
    // The PEs of the endless kernel are free again, and a new queue of the same number starts empty.
    const next = await session.context.createQueue();
    await next.submit({ opcode: HOST_COMMAND.NOP });
    await session.launch(KERNEL_ID.NULL, [], { rectangle: WHOLE_GRID });
    await next.close();
  });

  it('jobs on disjoint rectangles run at once, jobs on the same PEs one after the other', async () => {
    const queues = await Promise.all([0, 1, 2].map(() => session.context.createQueue()));
    const [first, second, third] = queues;
    const endless = session.launch('ENDLESS', [], {
      rectangle: ONE_PE,
      deadlineUs: 200_000,
      ...(first && { queue: first }),
    });
    const timedOut = expect(endless).rejects.toMatchObject({ code: 'KERNEL_TIMEOUT' });
    let ended = false;
    const behind = session
      .launch(KERNEL_ID.NULL, [], { rectangle: WHOLE_GRID, ...(second && { queue: second }) })
      .then(() => (ended = true));
    // Beside the endless job, and not a PE that the waiting job has asked for before: so it waits its turn as well.
    const beside = session.launch(KERNEL_ID.NULL, [], {
      rectangle: { column: 1, row: 1, columns: 1, rows: 1 },
      ...(third && { queue: third }),
    });
    await session.queue.submit({ opcode: HOST_COMMAND.NOP });
    expect(ended).toBe(false);
    await timedOut;
    await behind;
    await beside;
    await Promise.all(queues.map((queue) => queue.close()));
  });

  it('overlapping jobs of two queues never run together', async () => {
    const queues = await Promise.all([0, 1, 2].map(() => session.context.createQueue()));
    await session.writeWords(session.memory, [0n]);
    const jobs = [];
    for (let round = 0; round < 10; round++) {
      for (const queue of queues) {
        jobs.push(await session.startLaunch('ADD_ONE', [session.memory, 50n], { queue }));
      }
    }
    await Promise.all(jobs.map((job) => job.done));
    expect(await session.readWords(session.memory, 1)).toEqual([1500n]);
    await Promise.all(queues.map((queue) => queue.close()));
  });
});

describe('contexts', () => {
  const page = BigInt(PROTECTION_PAGE_BYTES);

  it('have pages of their own, cleared of what another context left', async () => {
    const { device } = await openCard('2i');
    await using _closing = device;
    const first = await openSession(device);
    const second = await openSession(device);
    await first.writeWords(first.memory, [42n]);
    await expect(second.read(first.memory, 8)).rejects.toMatchObject({ code: 'MEMORY_PROTECTION' });
    await expect(second.context.assignPages(first.memory, 1)).rejects.toMatchObject({ code: 'MEMORY_PROTECTION' });
    await expect(second.context.releasePages(first.memory, 1)).rejects.toMatchObject({ code: 'MEMORY_PROTECTION' });
    await first.context.releasePages(first.memory, 1);
    await expect(first.read(first.memory, 8)).rejects.toMatchObject({ code: 'MEMORY_PROTECTION' });
    await second.context.assignPages(first.memory, 1);
    expect(await second.readWords(first.memory, 1)).toEqual([0n]);
    await second.context.releasePages(first.memory, 1);
    await first.context.assignPages(first.memory, 1);
    expect(await first.readWords(first.memory, 1)).toEqual([0n]);
  });

  it('may have SRAM behind the firmware', async () => {
    const { device } = await openCard('2i');
    await using _closing = device;
    const session = await openSession(device);
    const sram = MEMORY_MAP.SRAM.base + BigInt(RESERVED.SRAM_FIRMWARE_BYTES);
    await session.context.assignPages(sram, 4);
    await session.writeWords(sram, [7n]);
    await session.launch('RECORD', [sram, 8n]);
    expect(await session.readWords(sram, 1)).toEqual([8n]);
    // The code of the firmware is readable by all, writable by none.
    await session.read(MEMORY_MAP.SRAM.base, 64);
    await expect(session.write(MEMORY_MAP.SRAM.base, new Uint8Array(64))).rejects.toMatchObject({
      code: 'MEMORY_PROTECTION',
    });
  });

  it.each([
    ['memory of the firmware', MEMORY_MAP.LPDDR.base, 1, 'MEMORY_PROTECTION'],
    ['firmware code', MEMORY_MAP.SRAM.base, 1, 'MEMORY_PROTECTION'],
    ['no memory', 0n, 1, 'MEMORY_PROTECTION'],
    ['memory that the card lacks', MEMORY_MAP.LPDDR.base + 2n ** 30n, 1, 'MEMORY_PROTECTION'],
    ['memory beyond the end', MEMORY_MAP.LPDDR.base + 2n ** 30n - page, 2, 'MEMORY_PROTECTION'],
    ['half pages', MEMORY_MAP.LPDDR.base + 2n ** 27n + 4096n, 1, 'INVALID_COMMAND'],
    ['no pages', MEMORY_MAP.LPDDR.base + 2n ** 27n, 0, 'INVALID_COMMAND'],
    ['too many pages', MEMORY_MAP.LPDDR.base + 2n ** 27n, 2 ** 40, 'INVALID_COMMAND'],
  ])('are not given %s', async (_what, address, pages, code) => {
    const { device } = await openCard('2i');
    await using _closing = device;
    const context: Context = await device.createContext();
    await expect(context.assignPages(address, pages)).rejects.toMatchObject({ code });
  });

  it('end with everything that they have under way', async () => {
    const { device } = await openCard('2i');
    await using _closing = device;
    for (let round = 0; round < 3; round++) {
      const doomed = await openSession(device);
      await doomed.writeWords(doomed.memory, [42n]);
      const stuck = expect(
        doomed.launch(EXTERNAL_KERNEL_ID.ENDLESS, [], { rectangle: WHOLE_GRID }),
      ).rejects.toMatchObject({
        code: 'DEVICE_CLOSED',
      });
      await doomed.context.close();
      await stuck;
      const next = await openSession(device, doomed.memory);
      expect(await next.readWords(next.memory, 1)).toEqual([0n]);
      await next.launch(KERNEL_ID.NULL, [], { rectangle: WHOLE_GRID });
      await next.context.close();
    }
  });
});
