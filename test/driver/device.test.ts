import { describe, expect, it } from 'vitest';
import { Device, type MtiaError, NullFunction } from '../../src/driver/index.js';
import { ERROR_CODES, HOST_COMMAND, LIMITS } from '../../src/hw/index.js';
import { FaultyFunction } from './faulty-function.js';
import { FIRMWARE } from './firmware-fixture.js';

const NOP = { opcode: HOST_COMMAND.NOP };

describe('Device', () => {
  it.each(['v1', '2i'] as const)('boots %s and reads what the card says', async (generation) => {
    await using device = await Device.open(new NullFunction(generation), FIRMWARE);
    expect(device.generation).toBe(generation);
    expect(device.grid).toEqual({ columns: 8, rows: 8 });
    expect(device.firmwareVersion).toBe(FIRMWARE.version);
  });

  it('refuses an image for another protocol or chip, and closes the card', async () => {
    const card = new FaultyFunction();
    const image = { ...FIRMWARE, protocolVersion: 99 };
    await expect(Device.open(card, image)).rejects.toMatchObject({ code: 'FIRMWARE_ABI_MISMATCH' });
    expect(card.closes).toBe(1);
    const other = { ...FIRMWARE, generations: ['v1'] as const };
    await expect(Device.open(new NullFunction('2i'), other)).rejects.toMatchObject({ code: 'FIRMWARE_MISMATCH' });
  });

  it('says why the boot ROM refused the bundle', async () => {
    const card = new FaultyFunction();
    card.bootError = ERROR_CODES.BOOT_BAD_HASH.code;
    await expect(Device.open(card, FIRMWARE)).rejects.toMatchObject({ code: 'BOOT_BAD_HASH' });
    expect(card.closes).toBe(1);
  });

  it('hands out every context number once, and again after close', async () => {
    await using device = await Device.open(new NullFunction(), FIRMWARE);
    const contexts = [];
    for (let count = 1; count < LIMITS.CONTEXTS; count++) contexts.push(await device.createContext());
    expect(new Set(contexts.map(({ id }) => id)).size).toBe(LIMITS.CONTEXTS - 1);
    await expect(device.createContext()).rejects.toMatchObject({ code: 'TOO_MANY' });
    await contexts[3]?.close();
    await expect(device.createContext()).resolves.toMatchObject({ id: contexts[3]?.id });
  });

  it('announces a card that fell off the bus, and rejects what is outstanding', async () => {
    const card = new FaultyFunction();
    await using device = await Device.open(card, FIRMWARE);
    const context = await device.createContext();
    const queue = await context.createQueue();
    card.deaf.add(queue.number);
    const outstanding = queue.submit(NOP);
    card.offTheBus = true;
    await expect(outstanding).rejects.toMatchObject({ code: 'DEVICE_LOST' });
    await expect(device.lost).resolves.toMatchObject({ code: 'DEVICE_LOST' });
    await expect(queue.submit(NOP)).rejects.toMatchObject({ code: 'DEVICE_LOST' });
    await expect(device.createContext()).rejects.toMatchObject({ code: 'DEVICE_LOST' });
  });

  it('is lost when its administration queue does not answer', async () => {
    const card = new FaultyFunction();
    await using device = await Device.open(card, FIRMWARE, { deadlineMs: 150 });
    card.deaf.add(0);
    const context = device.createContext();
    await expect(context).rejects.toMatchObject({ code: 'DEVICE_TIMEOUT' });
    const reason: MtiaError = await device.lost;
    expect(reason.code).toBe('DEVICE_LOST');
  });

  it('closes once, in whatever state, and refuses afterwards', async () => {
    const card = new FaultyFunction();
    const device = await Device.open(card, FIRMWARE);
    const context = await device.createContext();
    const queue = await context.createQueue();
    card.deaf.add(queue.number);
    const outstanding = queue.submit(NOP);
    const closed = expect(outstanding).rejects.toMatchObject({ code: 'DEVICE_CLOSED' });
    await Promise.all([device.close(), device.close()]);
    await closed;
    await expect(queue.submit(NOP)).rejects.toMatchObject({ code: 'DEVICE_CLOSED' });
    await expect(context.createQueue()).rejects.toMatchObject({ code: 'DEVICE_CLOSED' });
    await expect(context.assignPages(0n, 1)).rejects.toMatchObject({ code: 'DEVICE_CLOSED' });
    expect(() => context.allocateHost(1)).toThrow(expect.objectContaining({ code: 'DEVICE_CLOSED' }));
    await expect(device.createContext()).rejects.toMatchObject({ code: 'DEVICE_CLOSED' });
    expect(card.closes).toBe(1);
  });

  it('is reset with everything outstanding: notices around it, and new contexts after it', async () => {
    const card = new FaultyFunction();
    await using device = await Device.open(card, FIRMWARE);
    const queue = await (await device.createContext()).createQueue();
    const heard: string[] = [];
    device.on('resetting', ({ reason }) => heard.push(`before: ${reason}`)).on('reset', () => heard.push('after'));
    card.deaf.add(queue.number);
    const outstanding = queue.submit(NOP).catch((error: MtiaError) => heard.push(error.code));
    await device.reset('a test');
    await outstanding;
    expect(heard).toEqual(['before: a test', 'DEVICE_RESET', 'after']);
    card.deaf.clear();
    const next = await (await device.createContext()).createQueue();
    await expect(next.submit(NOP)).resolves.toBeDefined();
    await expect(queue.submit(NOP)).rejects.toMatchObject({ code: 'DEVICE_RESET' });
  });
});
