/** Open and close. */
import assert from 'node:assert/strict';
import { category, conformanceCase } from '../case.js';
import { rejectsWith, settlesWithin } from '../expectations.js';

export const lifecycleCases = category('lifecycle', {}, [
  conformanceCase('opens and takes commands', 'LIFE-1', {}, async (fixture) => {
    const device = await fixture.device();
    await device.defaultStream.synchronize();
    assert.equal(device.properties.generation, fixture.backend.generation);
  }),

  conformanceCase('closes twice', 'LIFE-3', {}, async (fixture) => {
    const device = await fixture.device();
    await device.close();
    await device.close();
    assert.equal(device.closed, true);
  }),

  conformanceCase('refuses use after close', 'LIFE-4', {}, async (fixture) => {
    const device = await fixture.device();
    const { defaultStream } = device;
    await device.close();
    await rejectsWith('DEVICE_CLOSED', () => device.allocate(64));
    await rejectsWith('DEVICE_CLOSED', () => device.createStream());
    await rejectsWith('DEVICE_CLOSED', () => defaultStream.recordEvent());
  }),

  conformanceCase('closes with work outstanding', 'LIFE-3', { requires: ['semaphores'] }, async (fixture) => {
    const card = await fixture.driver();
    const context = await card.createContext();
    const queue = await context.createQueue();
    const waits = queue.submit({ opcode: 7, a: 0, b: 1 });
    const refused = rejectsWith('DEVICE_CLOSED', waits);
    await settlesWithin(2_000, 'close', card.close());
    await refused;
  }),
]);
