/** Submission and completion rings. */
import assert from 'node:assert/strict';
import type { Queue } from '../../driver/index.js';
import { HOST_COMMAND } from '../../hw/index.js';
import { category, conformanceCase } from '../case.js';
import type { Fixture } from '../fixture.js';

async function openQueue(fixture: Fixture): Promise<Queue> {
  const card = await fixture.driver();
  const context = await card.createContext();
  return context.createQueue();
}

export const queueCases = category('queues', {}, [
  conformanceCase('completes commands in order', 'QUE-1', {}, async (fixture) => {
    const queue = await openQueue(fixture);
    const order: number[] = [];
    const commands = Array.from({ length: 100 }, (_, index) =>
      queue.submit({ opcode: HOST_COMMAND.NOP }).then(() => order.push(index)),
    );
    await Promise.all(commands);
    assert.deepEqual(order, [...order.keys()]);
  }),
]);
