/** A control core that makes no progress: found, named, and every promise settled. */
import { describe, expect, it } from 'vitest';
import { CONTROL_CORE, type Device, type MtiaError } from '../../src/driver/index.js';
import { bundlePath, loadBundle, READS_HOST_MEMORY_BUNDLE } from '../../src/firmware-emu/index.js';
import { HOST_COMMAND, MEMORY_MAP } from '../../src/hw/index.js';
import { openCard, openSession, type Session } from './card.js';

const QUEUES = 24;
const ROUNDS = 400;
const PC = 32;
const READ_WORDS = 64;

/** Doorbells of many queues, one after the other, until the device is lost or every round is done. */
async function load(device: Device, session: Session, iova: bigint): Promise<MtiaError | undefined> {
  const queues = [session.queue];
  while (queues.length < QUEUES) queues.push(await session.context.createQueue());
  let lost: MtiaError | undefined;
  void device.lost.then((error) => {
    lost = error;
  });
  for (let round = 0; round < ROUNDS && lost === undefined; round++) {
    const done = queues.map((queue) => queue.submit({ opcode: HOST_COMMAND.NOP, a: iova }));
    await Promise.allSettled(done);
  }
  return lost;
}

describe('control firmware that reads host memory', () => {
  const image = loadBundle(bundlePath(READS_HOST_MEMORY_BUNDLE));

  it('works while nothing else happens', async () => {
    const { device } = await openCard('2i', image);
    await using _closing = device;
    const session = await openSession(device);
    new BigUint64Array(session.host.buffer, session.host.byteOffset, READ_WORDS).fill(1000n);
    const record = await session.queue.submit({ opcode: HOST_COMMAND.NOP, a: session.iova });
    expect(record.deviceUs).toBe(READ_WORDS);
    const fault = session.queue.submit({ opcode: HOST_COMMAND.NOP, a: 0x7000_0000_0000n });
    await expect(fault).rejects.toMatchObject({ code: 'HOST_ADDRESS_FAULT' });
  });

  it('deadlocks under load, and the driver says who waits for whom', async () => {
    const { device, debug } = await openCard('2i', image);
    await using _closing = device;
    const session = await openSession(device);
    const lost = await load(device, session, session.iova);
    expect(lost).toMatchObject({ code: 'DEVICE_LOST', cause: { code: 'WATCHDOG_EXPIRED' } });
    const chain =
      /control hart 0 waits for a host read completion at iova 0x[0-9a-f]+ <- behind \d+ posted writes <- NoC back-pressure: doorbell FIFO full \(8 of 8\) <- waits for control hart 0/;
    expect(lost?.message).toMatch(chain);
    expect(debug.waitReason(CONTROL_CORE, 0)).toMatch(/^control hart 0 waits for a host read completion/);
    await expect(session.queue.submit({ opcode: HOST_COMMAND.NOP })).rejects.toMatchObject({ code: 'DEVICE_LOST' });
  });
});

it('the shipped firmware does not deadlock under the same load', async () => {
  const { device } = await openCard('2i', loadBundle());
  await using _closing = device;
  const session = await openSession(device);
  expect(await load(device, session, session.iova)).toBeUndefined();
  await session.queue.submit({ opcode: HOST_COMMAND.NOP });
});

describe('the watchdog of the control core', () => {
  const LOOP = 0x0000_006f; // j .

  it('expires when the firmware hangs, but not while a debugger holds the chip', async () => {
    const { device, debug } = await openCard('2i', loadBundle(bundlePath(READS_HOST_MEMORY_BUNDLE)));
    await using _closing = device;
    const session = await openSession(device);
    debug.halt();
    const place = MEMORY_MAP.CONTEXT_SRAM.base + MEMORY_MAP.CONTEXT_SRAM.size - 4096n;
    debug.memoryWrite(CONTROL_CORE, place, new Uint8Array(Uint32Array.of(LOOP).buffer));
    debug.registerWrite(CONTROL_CORE, 0, PC, place);
    const pending = session.queue.submit({ opcode: HOST_COMMAND.NOP });
    const settled = pending.then(
      () => 'done',
      (error: MtiaError) => error,
    );
    const soon = new Promise((resolve) => setTimeout(resolve, 600, 'held'));
    expect(await Promise.race([settled, soon])).toBe('held');
    debug.resume();
    expect(await settled).toMatchObject({ code: 'DEVICE_LOST', cause: { code: 'WATCHDOG_EXPIRED' } });
    expect(String(await settled)).toContain('does not kick the watchdog');
  });
});
