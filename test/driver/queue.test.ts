import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Command, type CompletionRecord, Device, type Queue } from '../../src/driver/index.js';
import { ERROR_CODES, HOST_COMMAND, LIMITS } from '../../src/hw/index.js';
import { FaultyFunction } from './faulty-function.js';
import { FIRMWARE } from './firmware-fixture.js';

const NOP: Command = { opcode: HOST_COMMAND.NOP };

let card: FaultyFunction;
let device: Device;
let queue: Queue;

async function open(deadlineMs?: number): Promise<void> {
  card = new FaultyFunction();
  device = await Device.open(card, FIRMWARE, deadlineMs === undefined ? {} : { deadlineMs });
  queue = await (await device.createContext()).createQueue();
}

beforeEach(() => open());
afterEach(() => device.close());

describe('Queue', () => {
  it('completes in order, through many rounds of the ring and far more commands than it holds', async () => {
    const order: number[] = [];
    const total = 5 * LIMITS.QUEUE_ENTRIES + 7;
    const all = Array.from({ length: total }, (_, index) => queue.submit(NOP).then(() => order.push(index)));
    expect(queue.outstanding).toBe(total);
    await Promise.all(all);
    expect(order).toEqual(Array.from({ length: total }, (_, index) => index));
    expect(queue.outstanding).toBe(0);
  });

  it('keeps the order when commands are submitted while others wait for room', async () => {
    const order: string[] = [];
    const first = Array.from({ length: 300 }, (_, n) => queue.submit(NOP).then(() => order.push(`first ${n}`)));
    await Promise.all(first.slice(0, 1));
    const second = Array.from({ length: 300 }, (_, n) => queue.submit(NOP).then(() => order.push(`second ${n}`)));
    await Promise.all([...first, ...second]);
    const expected = ['first', 'second'].flatMap((name) => Array.from({ length: 300 }, (_, n) => `${name} ${n}`));
    expect(order).toEqual(expected);
  });

  it.each([
    ['an opcode beyond a byte', { opcode: 256 }],
    ['a fraction', { opcode: 0, a: 0.5 }],
    ['a negative field', { opcode: 0, b: -1 }],
    ['a field beyond 64 bits', { opcode: 0, c: 2n ** 64n }],
    ['a deadline that is no number', { opcode: 0, deadlineUs: Number.NaN }],
  ])('refuses %s before anything reaches the ring', async (_, command) => {
    await expect(queue.submit(command)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    expect(queue.outstanding).toBe(0);
  });

  it('breaks when a command does not end in time: that one times out, the others are aborted', async () => {
    await device.close();
    await open(150);
    const other = await (await device.createContext()).createQueue();
    card.deaf.add(queue.number);
    const results = await Promise.allSettled([queue.submit(NOP), queue.submit(NOP), other.submit(NOP)]);
    expect(results.map((result) => (result.status === 'rejected' ? result.reason.code : 'done'))).toEqual([
      'DEVICE_TIMEOUT',
      'ABORTED',
      'done',
    ]);
    await expect(queue.submit(NOP)).rejects.toMatchObject({ code: 'ABORTED' });
    await expect(other.submit(NOP)).resolves.toBeDefined();
    expect(queue.failure?.cause).toMatchObject({ code: 'DEVICE_TIMEOUT', place: { queue: queue.number } });
  });

  it('lets a wait last while another queue works, and not when nobody is left to end it', async () => {
    await device.close();
    await open(200);
    const other = await (await device.createContext()).createQueue();
    card.deaf.add(queue.number).add(other.number);
    const wait: Command = { opcode: HOST_COMMAND.WAIT, a: 1, b: 1 };
    const start = performance.now();
    const waited = queue.submit(wait).then(
      () => 'done',
      (error) => ({ code: error.code, afterMs: performance.now() - start }),
    );
    const worked = other.submit({ ...NOP, deadlineUs: 400_000 });
    await expect(worked).rejects.toMatchObject({ code: 'DEVICE_TIMEOUT' });
    expect(queue.failure).toBeUndefined();
    const outcome = await waited;
    expect(outcome).toMatchObject({ code: 'DEVICE_TIMEOUT' });
    expect((outcome as { afterMs: number }).afterMs).toBeGreaterThan(700);
  });

  it("waits as long as the command's own deadline allows on top", async () => {
    await device.close();
    await open(100);
    card.deaf.add(queue.number);
    const done = queue.submit({ ...NOP, deadlineUs: 20_000_000 });
    setTimeout(() => card.hear(queue.number), 450);
    await expect(done).resolves.toBeDefined();
  });

  it('finds a completion whose interrupt was lost', async () => {
    const mute = Object.assign(new FaultyFunction(), {
      onInterrupt: () => ({ ref: () => undefined, unref: () => undefined, close: () => undefined }),
    });
    await using silent = await Device.open(mute, FIRMWARE);
    await expect(silent.createContext()).resolves.toBeDefined();
  });

  it('reports the error that stopped the queue engine', async () => {
    card.deaf.add(queue.number);
    const done = queue.submit(NOP);
    card.queueFault = ERROR_CODES.HOST_ADDRESS_FAULT.code;
    await expect(done).rejects.toMatchObject({ code: 'HOST_ADDRESS_FAULT' });
  });

  it('tells a late completion of an earlier queue of the same number apart', async () => {
    const context = await device.createContext();
    const records: CompletionRecord[] = [];
    for (let life = 0; life < 70; life++) {
      const short = await context.createQueue();
      const done = short.submit(NOP);
      if (life % 2 === 0) await short.close();
      await done.then(
        (record) => records.push(record),
        () => undefined,
      );
      await short.close();
    }
    expect(records.length).toBe(35);
  });

  it('aborts what waits for room at once, with the reason as the cause', async () => {
    card.deaf.add(queue.number);
    const controller = new AbortController();
    const inRing = Array.from({ length: LIMITS.QUEUE_ENTRIES }, () => queue.submit(NOP));
    const waiting = queue.submit(NOP, { signal: controller.signal });
    controller.abort('too late');
    await expect(waiting).rejects.toMatchObject({ code: 'ABORTED', cause: 'too late' });
    card.hear(queue.number);
    await Promise.all(inRing);
  });
});
