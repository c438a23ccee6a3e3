/** Priorities of queues: seen by who writes a word of device memory last. */
import assert from 'node:assert/strict';
import type { Command, Queue } from '../../driver/index.js';
import { HOST_COMMAND, LIMITS } from '../../hw/index.js';
import { category, conformanceCase } from '../case.js';
import { rejectsWith } from '../expectations.js';
import type { Fixture } from '../fixture.js';
import type { Session } from '../session.js';

const { NOP, WAIT, SIGNAL, FILL } = HOST_COMMAND;
const SEMAPHORE = 13;

interface Contender {
  readonly priority: number;
  readonly commands: readonly Command[];
}

/** Has all contenders begin at one moment, and waits until they are done. */
async function contend(session: Session, contenders: readonly Contender[]): Promise<void> {
  const { context } = session;
  const all: Promise<unknown>[] = [];
  const queues: Queue[] = [];
  for (const { priority, commands } of contenders) {
    const queue = await context.createQueue({ priority });
    queues.push(queue);
    all.push(queue.submit({ opcode: WAIT, a: SEMAPHORE, b: 1 }), ...commands.map((command) => queue.submit(command)));
  }
  // Their entries are fetched when a command that was submitted later has been served.
  await session.submit({ opcode: NOP });
  await session.submit({ opcode: SIGNAL, a: SEMAPHORE, b: 1 });
  await Promise.all(all);
  for (const queue of queues) await queue.close();
}

const mark = (session: Session, value: number): Command => ({ opcode: FILL, a: value, b: session.memory, c: 8 });
const nops = (count: number): Command[] => Array.from({ length: count }, () => ({ opcode: NOP }));

async function lastMark(session: Session): Promise<number> {
  const [word] = await session.readWords(session.memory, 1);
  return Number((word ?? 0n) & 0xffff_ffffn);
}

const levels = Array.from({ length: LIMITS.QUEUE_PRIORITIES - 1 }, (_, index) => index + 1);

const byOrder = async (fixture: Fixture, priorities: readonly number[]): Promise<number> => {
  const session = await fixture.session();
  await contend(
    session,
    priorities.map((priority, index) => ({ priority, commands: [mark(session, index + 1)] })),
  );
  return lastMark(session);
};

export const priorityCases = category('queues', { requires: ['priorities', 'queues', 'memory', 'semaphores'] }, [
  ...levels.map((priority) =>
    conformanceCase(`serves priority ${priority} before ${priority - 1}`, 'QUE-13', {}, async (fixture) => {
      // Without priorities the queues take turns by number: the last one would write last.
      assert.notEqual(await byOrder(fixture, [priority - 1, priority - 1, priority]), 3);
      assert.equal(await byOrder(fixture, [priority - 1, priority, priority]), 1);
    }),
  ),

  conformanceCase('lets a low priority have its turn while higher ones have work', 'QUE-13', {}, async (fixture) => {
    const session = await fixture.session();
    const busy = [...nops(240), mark(session, 2)];
    await contend(session, [
      { priority: 0, commands: [mark(session, 1)] },
      { priority: 3, commands: busy },
      { priority: 3, commands: nops(240) },
    ]);
    assert.equal(await lastMark(session), 2, 'the low priority was served last');
  }),

  conformanceCase('lets equal priorities take turns', 'QUE-13', {}, async (fixture) => {
    const session = await fixture.session();
    await contend(session, [
      { priority: 1, commands: [...nops(200), mark(session, 1)] },
      { priority: 1, commands: [...nops(3), mark(session, 2)] },
    ]);
    assert.equal(await lastMark(session), 1);
    await contend(session, [
      { priority: 1, commands: [...nops(3), mark(session, 1)] },
      { priority: 1, commands: [...nops(200), mark(session, 2)] },
    ]);
    assert.equal(await lastMark(session), 2);
  }),

  conformanceCase(
    'gives processing elements to the higher priority that waits for them',
    'QUE-13',
    { requires: ['kernels'] },
    async (fixture) => {
      const session = await fixture.session();
      const { context, memory } = session;
      const queues = [
        // May be handed over to the processing element while it is busy.
        await context.createQueue({ priority: 2 }),
        await context.createQueue(),
        await context.createQueue({ priority: 1 }),
        await context.createQueue({ priority: 3 }),
      ] as const;
      const holding = await context.createQueue();
      const endless = await session.startLaunch('ENDLESS', [], { queue: holding });
      const behind = [];
      for (const [index, queue] of queues.entries()) {
        const { done } = await session.startLaunch('RECORD', [memory, BigInt(index + 1)], { queue });
        behind.push(done);
      }
      await holding.abort();
      await rejectsWith('ABORTED', endless.done);
      await Promise.all(behind);
      assert.deepEqual(await session.readWords(memory, 1), [2n]);
    },
  ),

  conformanceCase('refuses a priority that no queue has', 'NEG-1', {}, async (fixture) => {
    const context = await (await fixture.driver()).createContext();
    for (const priority of [-1, LIMITS.QUEUE_PRIORITIES, 0.5, Number.NaN]) {
      await rejectsWith('INVALID_ARGUMENT', context.createQueue({ priority }));
    }
    await context.createQueue({ priority: LIMITS.QUEUE_PRIORITIES - 1 });
  }),
]);
