/** Submission and completion rings. */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { FaultInjectingFunction, type Queue } from '../../driver/index.js';
import { HOST_COMMAND, LIMITS, PCI, registerOffset } from '../../hw/index.js';
import { category, conformanceCase } from '../case.js';
import { rejectsWith } from '../expectations.js';
import type { Fixture } from '../fixture.js';

const { NOP, BARRIER, WAIT, SIGNAL } = HOST_COMMAND;
const TAIL = registerOffset('QUEUE_PAGE', 'SUBMISSION_TAIL');
const COMPLETION_TAIL = registerOffset('QUEUE_PAGE', 'COMPLETION_TAIL');
const FAULT = registerOffset('QUEUE_PAGE', 'FAULT');

async function openQueue(fixture: Fixture): Promise<Queue> {
  const card = await fixture.driver();
  return (await card.createContext()).createQueue();
}

/** Submits `count` commands one after the other without waiting, and expects them to complete in that order. */
async function expectOrder(queue: Queue, count: number): Promise<void> {
  const order: number[] = [];
  await Promise.all(
    Array.from({ length: count }, (_, index) => queue.submit({ opcode: NOP }).then(() => order.push(index))),
  );
  assert.deepEqual(order, [...Array(count).keys()]);
}

const bursts = [1, 2, 255, 256, 257, 511, 1024].map((count) =>
  conformanceCase(
    `completes a burst of ${count} in order`,
    count > LIMITS.QUEUE_ENTRIES ? 'QUE-2' : 'QUE-1',
    {},
    async (fixture) => expectOrder(await openQueue(fixture), count),
  ),
);

const refusals = (
  [
    ['an opcode that nobody knows', { opcode: 15 }, 'UNSUPPORTED_COMMAND'],
    ['the highest opcode', { opcode: 255 }, 'UNSUPPORTED_COMMAND'],
    ['a semaphore beyond the last', { opcode: SIGNAL, a: 1 << 20, b: 1 }, 'INVALID_COMMAND'],
    ['a wait on a semaphore beyond the last', { opcode: WAIT, a: 1 << 20, b: 1 }, 'INVALID_COMMAND'],
    ['CREATE_CONTEXT on a queue of a context', { opcode: HOST_COMMAND.CREATE_CONTEXT, a: 30 }, 'INVALID_COMMAND'],
    ['DESTROY_CONTEXT on a queue of a context', { opcode: HOST_COMMAND.DESTROY_CONTEXT, a: 1 }, 'INVALID_COMMAND'],
    [
      'ASSIGN_PAGES on a queue of a context',
      { opcode: HOST_COMMAND.ASSIGN_PAGES, a: 1, c: 1, d: 1 },
      'INVALID_COMMAND',
    ],
    ['QUERY on a queue of a context', { opcode: HOST_COMMAND.QUERY }, 'INVALID_COMMAND'],
    ['SIGNAL for another context', { opcode: SIGNAL, a: 1, b: 1, c: 2 }, 'INVALID_COMMAND'],
    ['ABORT on a queue of a context', { opcode: HOST_COMMAND.ABORT, a: 1, c: 1 }, 'INVALID_COMMAND'],
  ] as const
).map(([what, command, code]) =>
  conformanceCase(
    `refuses ${what} and goes on`,
    code === 'UNSUPPORTED_COMMAND' ? 'QUE-7' : what.includes(' on a queue') ? 'QUE-8' : 'QUE-7',
    { requires: ['boot'] },
    async (fixture) => {
      const queue = await openQueue(fixture);
      await rejectsWith(code, queue.submit(command));
      await queue.submit({ opcode: NOP });
    },
  ),
);

const sync = [NOP, BARRIER].map((opcode) =>
  conformanceCase(
    `${opcode === NOP ? 'NOP' : 'BARRIER'} completes after what is before it`,
    'QUE-12',
    { requires: ['semaphores', 'queues'] },
    async (fixture) => {
      const card = await fixture.driver();
      const context = await card.createContext();
      const [waiting, signalling] = [await context.createQueue(), await context.createQueue()];
      const order: string[] = [];
      const first = waiting.submit({ opcode: WAIT, a: 5, b: 1 }).then(() => order.push('wait'));
      const second = waiting.submit({ opcode }).then(() => order.push('behind'));
      await signalling.submit({ opcode: NOP });
      assert.deepEqual(order, []);
      await signalling.submit({ opcode: SIGNAL, a: 5, b: 1 });
      await Promise.all([first, second]);
      assert.deepEqual(order, ['wait', 'behind']);
    },
  ),
);

export const queueCases = category('queues', {}, [
  ...bursts,

  conformanceCase('wraps around at every offset of the ring', 'QUE-3', { deadlineMs: 20_000 }, async (fixture) => {
    const queue = await openQueue(fixture);
    for (let sent = 0; sent < LIMITS.QUEUE_ENTRIES * 3; ) {
      const count = fixture.random.integer(1, 17);
      await expectOrder(queue, count);
      sent += count;
    }
  }),

  conformanceCase('wraps around with bursts larger than the ring', 'QUE-3', { deadlineMs: 20_000 }, async (fixture) => {
    const queue = await openQueue(fixture);
    for (let times = 0; times < 10; times++)
      await expectOrder(queue, LIMITS.QUEUE_ENTRIES + fixture.random.integer(1, 300));
  }),

  conformanceCase('takes one doorbell for many commands', 'QUE-4', {}, async (fixture) => {
    const { pci } = fixture.card();
    const faulty = new FaultInjectingFunction(pci);
    let doorbells = 0;
    faulty.faults.corruptWrite = (offset, value) => {
      if (offset >= PCI.QUEUE_PAGE_OFFSET && offset % PCI.QUEUE_PAGE_BYTES === TAIL) doorbells++;
      return value;
    };
    const card = await fixture.driver({ card: { pci: faulty } });
    const queue = await (await card.createContext()).createQueue();
    doorbells = 0;
    await Promise.all(Array.from({ length: 100 }, () => queue.submit({ opcode: NOP })));
    assert.equal(doorbells, 1);
  }),

  conformanceCase('survives doorbells that repeat', 'QUE-4', {}, async (fixture) => {
    const faulty = new FaultInjectingFunction(fixture.card().pci, () => fixture.random.next());
    const card = await fixture.driver({ card: { pci: faulty } });
    const queue = await (await card.createContext()).createQueue();
    faulty.faults.repeatDoorbells = 1;
    for (let times = 0; times < 20; times++) await expectOrder(queue, 50);
  }),

  conformanceCase('survives a doorbell that goes back', 'QUE-4', { requires: ['boot'] }, async (fixture) => {
    const { pci } = fixture.card();
    const card = await fixture.driver({ card: { pci } });
    const queue = await (await card.createContext()).createQueue();
    await expectOrder(queue, 100);
    const page = PCI.QUEUE_PAGE_OFFSET + queue.number * PCI.QUEUE_PAGE_BYTES;
    const completed = (): bigint => pci.barRead(0, page + COMPLETION_TAIL, 4);
    const before = completed();
    pci.barWrite(0, page + TAIL, 4, 3);
    // Before the next one makes up for it.
    await sleep(20);
    await expectOrder(queue, 100);
    assert.equal(completed() - before, 100n, 'commands that were taken again');
  }),

  conformanceCase(
    'lets queues pass one that waits',
    'QUE-5',
    { requires: ['semaphores', 'queues'] },
    async (fixture) => {
      const card = await fixture.driver();
      const context = await card.createContext();
      const [stuck, free] = [await context.createQueue(), await context.createQueue()];
      const waits = stuck.submit({ opcode: WAIT, a: 6, b: 9 });
      await expectOrder(free, 500);
      await free.submit({ opcode: SIGNAL, a: 6, b: 9 });
      await waits;
    },
  ),

  conformanceCase('works all of its queues at once', 'QUE-5', { requires: ['queues'] }, async (fixture) => {
    const card = await fixture.driver();
    const context = await card.createContext();
    const queues = await Promise.all(Array.from({ length: LIMITS.QUEUES - 1 }, () => context.createQueue()));
    await Promise.all(queues.map((queue) => expectOrder(queue, 100)));
  }),

  conformanceCase('works queues of several contexts at once', 'QUE-5', { requires: ['queues'] }, async (fixture) => {
    const card = await fixture.driver();
    const contexts = await Promise.all(Array.from({ length: 8 }, () => card.createContext()));
    const queues = await Promise.all(contexts.map((context) => context.createQueue()));
    await Promise.all(queues.map((queue) => expectOrder(queue, 300)));
  }),

  conformanceCase(
    'gives each command its own completion',
    'QUE-6',
    { requires: ['semaphores', 'queues'] },
    async (fixture) => {
      const card = await fixture.driver();
      const context = await card.createContext();
      const queues = await Promise.all(Array.from({ length: 4 }, () => context.createQueue()));
      const settled = new Map<number, number>();
      const all = Array.from({ length: 800 }, (_, index) => {
        const bad = index % 3 === 0;
        const queue = queues[index % queues.length] as Queue;
        const done = queue.submit(bad ? { opcode: SIGNAL, a: 1 << 20, b: 0 } : { opcode: NOP });
        const count = (expected: boolean) => () => {
          settled.set(index, (settled.get(index) ?? 0) + (expected ? 1 : 100));
        };
        return done.then(count(!bad), count(bad));
      });
      await Promise.all(all);
      const known = fixture.backend.capabilities.has('boot');
      if (known) assert.ok([...settled.values()].every((times) => times === 1));
      assert.equal(settled.size, 800);
    },
  ),

  ...refusals,

  conformanceCase('refuses a command that cannot be encoded before it is sent', 'NEG-1', {}, async (fixture) => {
    const queue = await openQueue(fixture);
    for (const command of [
      { opcode: -1 },
      { opcode: 256 },
      { opcode: 1.5 },
      { opcode: NOP, a: -1 },
      { opcode: NOP, b: 1n << 64n },
      { opcode: NOP, c: 0.5 },
      { opcode: NOP, deadlineUs: -1 },
    ]) {
      await rejectsWith('INVALID_ARGUMENT', queue.submit(command));
    }
    assert.equal(queue.outstanding, 0);
    await queue.submit({ opcode: NOP });
  }),

  conformanceCase(
    'stops a queue whose ring the device may not reach, and no other',
    'QUE-9',
    { requires: ['boot', 'queues'] },
    async (fixture) => {
      const { pci } = fixture.card();
      const card = await fixture.driver({ card: { pci }, deadlineMs: 60_000 });
      const context = await card.createContext();
      const [lost, well] = [await context.createQueue(), await context.createQueue()];
      const page = PCI.QUEUE_PAGE_OFFSET + lost.number * PCI.QUEUE_PAGE_BYTES;
      pci.barWrite(0, page + registerOffset('QUEUE_PAGE', 'ENABLE'), 4, 0);
      pci.barWrite(0, page + registerOffset('QUEUE_PAGE', 'SUBMISSION_BASE'), 8, 0x7000_0000_0000n);
      pci.barWrite(0, page + registerOffset('QUEUE_PAGE', 'ENABLE'), 4, 1);
      await rejectsWith('HOST_ADDRESS_FAULT', lost.submit({ opcode: NOP }));
      assert.notEqual(pci.barRead(0, page + FAULT, 4), 0n);
      await well.submit({ opcode: NOP });
    },
  ),

  conformanceCase('starts with empty rings when a queue number is used again', 'QUE-10', {}, async (fixture) => {
    const card = await fixture.driver();
    const context = await card.createContext();
    for (let times = 0; times < 40; times++) {
      const queue = await context.createQueue();
      await expectOrder(queue, fixture.random.integer(1, 300));
      await queue.close();
    }
  }),

  conformanceCase(
    'drops the commands of a queue that is closed',
    'QUE-10',
    { requires: ['semaphores', 'queues'] },
    async (fixture) => {
      const card = await fixture.driver();
      const context = await card.createContext();
      const [first, second] = [await context.createQueue(), await context.createQueue()];
      const dropped = rejectsWith('DEVICE_CLOSED', first.submit({ opcode: WAIT, a: 7, b: 1 }));
      const behind = rejectsWith('DEVICE_CLOSED', first.submit({ opcode: SIGNAL, a: 8, b: 1 }));
      await first.close();
      await Promise.all([dropped, behind]);
      await second.submit({ opcode: SIGNAL, a: 7, b: 1 });
      const again = await context.createQueue();
      let passed = false;
      void again.submit({ opcode: WAIT, a: 8, b: 1 }).then(
        () => {
          passed = true;
        },
        () => undefined,
      );
      await second.submit({ opcode: NOP });
      assert.equal(passed, false, 'a command of the closed queue has run');
    },
  ),

  conformanceCase(
    'names the limit when its queues are used up',
    'QUE-11',
    { requires: ['queues'] },
    async (fixture) => {
      const card = await fixture.driver();
      const context = await card.createContext();
      const queues = await Promise.all(Array.from({ length: LIMITS.QUEUES - 1 }, () => context.createQueue()));
      await rejectsWith('TOO_MANY', context.createQueue());
      await queues[4]?.close();
      const again = await context.createQueue();
      await again.submit({ opcode: NOP });
    },
  ),

  conformanceCase('names the limit when its contexts are used up', 'QUE-11', {}, async (fixture) => {
    const card = await fixture.driver();
    const contexts = await Promise.all(Array.from({ length: LIMITS.CONTEXTS - 1 }, () => card.createContext()));
    await rejectsWith('TOO_MANY', card.createContext());
    await contexts[9]?.close();
    await card.createContext();
  }),

  ...sync,

  conformanceCase('raises a semaphore only', 'STR-6', { requires: ['semaphores', 'queues'] }, async (fixture) => {
    const card = await fixture.driver();
    const queue = await (await card.createContext()).createQueue();
    await queue.submit({ opcode: SIGNAL, a: 9, b: 10 });
    await queue.submit({ opcode: SIGNAL, a: 9, b: 3 });
    await queue.submit({ opcode: WAIT, a: 9, b: 10 });
    await queue.submit({ opcode: SIGNAL, a: 9, b: (1n << 64n) - 1n });
    await queue.submit({ opcode: WAIT, a: 9, b: (1n << 64n) - 1n });
  }),

  conformanceCase(
    'keeps the semaphores of contexts apart',
    'THR-1',
    { requires: ['semaphores', 'queues'] },
    async (fixture) => {
      const card = await fixture.driver();
      const [first, second] = [await card.createContext(), await card.createContext()];
      const [waiting, own, foreign] = [
        await first.createQueue(),
        await first.createQueue(),
        await second.createQueue(),
      ];
      let passed = false;
      const wait = waiting.submit({ opcode: WAIT, a: 11, b: 1 }).then(() => {
        passed = true;
      });
      await foreign.submit({ opcode: SIGNAL, a: 11, b: 5 });
      await second.signal(11, 6);
      await own.submit({ opcode: NOP });
      assert.equal(passed, false, 'a context signalled the semaphore of another');
      await first.signal(11, 1);
      await wait;
    },
  ),

  conformanceCase(
    'begins with semaphores of zero in a new context',
    'LIFE-7',
    { requires: ['semaphores'] },
    async (fixture) => {
      const card = await fixture.driver();
      // Often enough that every number has been used before.
      for (let times = 0; times <= LIMITS.CONTEXTS; times++) {
        const context = await card.createContext();
        const queue = await context.createQueue();
        const wait = rejectsWith('ABORTED', queue.submit({ opcode: WAIT, a: 12, b: 7 }));
        await context.signal(12, 6);
        await queue.abort();
        await wait;
        await context.signal(12, 7);
        await context.close();
      }
    },
  ),

  conformanceCase(
    'wakes every queue that waits for a value, and none too early',
    'STR-6',
    { requires: ['semaphores', 'queues'] },
    async (fixture) => {
      const card = await fixture.driver();
      const context = await card.createContext();
      const queues = await Promise.all(Array.from({ length: 10 }, () => context.createQueue()));
      const signalling = await context.createQueue();
      const passed: number[] = [];
      const waits = queues.map((queue, index) =>
        queue.submit({ opcode: WAIT, a: 10, b: index + 1 }).then(() => passed.push(index)),
      );
      for (let value = 1; value <= queues.length; value++) {
        await signalling.submit({ opcode: SIGNAL, a: 10, b: value });
        await waits[value - 1];
        assert.equal(passed.length, value);
      }
    },
  ),
]);
