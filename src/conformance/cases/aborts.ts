/** Commands that are aborted before they start and while they run. */
import assert from 'node:assert/strict';
import type { MtiaError, Queue } from '../../driver/index.js';
import { HOST_COMMAND, LIMITS } from '../../hw/index.js';
import { category, conformanceCase } from '../case.js';
import { rejectsWith } from '../expectations.js';
import type { Fixture } from '../fixture.js';
import { WHOLE_GRID } from '../session.js';

const { NOP, WAIT, SIGNAL, COPY_HOST_TO_DEVICE, LAUNCH } = HOST_COMMAND;

/** A queue whose first command waits for semaphore 20, which `release` raises. */
async function blockedQueue(
  fixture: Fixture,
): Promise<{ readonly queue: Queue; readonly blocking: Promise<unknown>; release(): Promise<unknown> }> {
  const card = await fixture.driver();
  const context = await card.createContext();
  const [queue, other] = [await context.createQueue(), await context.createQueue()];
  const blocking = queue.submit({ opcode: WAIT, a: 20, b: 1 });
  blocking.catch(() => undefined);
  return { queue, blocking, release: () => other.submit({ opcode: SIGNAL, a: 20, b: 1 }) };
}

const waiting = category('failure propagation', { requires: ['semaphores', 'queues'] }, [
  conformanceCase('aborts a command that waits, and goes on', 'FAIL-4', {}, async (fixture) => {
    const { queue } = await blockedQueue(fixture);
    await queue.abort();
    const controller = new AbortController();
    const wait = queue.submit({ opcode: WAIT, a: 21, b: 1 }, { signal: controller.signal });
    await queue.abort(new Error('not this one'));
    await rejectsWith('ABORTED', wait);
    await queue.submit({ opcode: NOP });
  }),

  conformanceCase('aborts a command by its signal while it waits', 'FAIL-4', {}, async (fixture) => {
    const { queue, blocking, release } = await blockedQueue(fixture);
    const controller = new AbortController();
    const second = queue.submit({ opcode: WAIT, a: 21, b: 1 }, { signal: controller.signal });
    await release();
    await blocking;
    controller.abort();
    await rejectsWith('ABORTED', second);
    await queue.submit({ opcode: NOP });
  }),

  conformanceCase('aborts a command before it starts, and only that one', 'FAIL-4', {}, async (fixture) => {
    const { queue, blocking, release } = await blockedQueue(fixture);
    const controller = new AbortController();
    const order: string[] = [];
    const note = (what: string) => () => {
      order.push(what);
    };
    const all = [
      queue.submit({ opcode: NOP }).then(note('first')),
      queue.submit({ opcode: SIGNAL, a: 22, b: 1 }, { signal: controller.signal }).then(note('aborted'), note('gone')),
      queue.submit({ opcode: NOP }).then(note('last')),
    ];
    controller.abort();
    await release();
    await Promise.all([blocking, ...all]);
    assert.deepEqual(order, ['first', 'gone', 'last']);
    const check = queue.submit({ opcode: WAIT, a: 22, b: 1 });
    await queue.abort();
    await rejectsWith('ABORTED', check);
  }),

  conformanceCase('aborts everything in a ring and behind it', 'FAIL-4', {}, async (fixture) => {
    const { queue, blocking } = await blockedQueue(fixture);
    const behind = Array.from({ length: 2 * LIMITS.QUEUE_ENTRIES + 9 }, () =>
      rejectsWith('ABORTED', queue.submit({ opcode: NOP })),
    );
    const reason = new Error('no longer needed');
    await queue.abort(reason);
    const errors = await Promise.all(behind);
    assert.ok(errors.every(({ cause }) => cause === reason));
    await rejectsWith('ABORTED', blocking);
    await Promise.all(Array.from({ length: 600 }, () => queue.submit({ opcode: NOP })));
  }),

  conformanceCase('aborts at every position of the ring', 'FAIL-4', { deadlineMs: 20_000 }, async (fixture) => {
    const { queue, blocking, release } = await blockedQueue(fixture);
    await Promise.all([release(), blocking]);
    for (let sent = 0; sent < 3 * LIMITS.QUEUE_ENTRIES; sent += 40) {
      const before = queue.submit({ opcode: WAIT, a: 23, b: 1 });
      const refused = rejectsWith('ABORTED', before);
      const behind = Array.from({ length: 38 }, () => rejectsWith('ABORTED', queue.submit({ opcode: NOP })));
      await queue.abort();
      await Promise.all([refused, ...behind]);
      await queue.submit({ opcode: NOP });
    }
  }),

  conformanceCase(
    'aborts what waits for room in the ring without a word to the device',
    'FAIL-4',
    {},
    async (fixture) => {
      const { queue, blocking, release } = await blockedQueue(fixture);
      const full = Array.from({ length: LIMITS.QUEUE_ENTRIES - 1 }, () => queue.submit({ opcode: NOP }));
      const controller = new AbortController();
      const late = queue.submit({ opcode: NOP }, { signal: controller.signal });
      const later = queue.submit({ opcode: NOP });
      controller.abort('late');
      const error = await rejectsWith('ABORTED', late);
      assert.equal(error.cause, 'late');
      await release();
      await Promise.all([blocking, ...full, later]);
    },
  ),

  conformanceCase('aborts many commands by one signal', 'FAIL-4', {}, async (fixture) => {
    const { queue, blocking, release } = await blockedQueue(fixture);
    const controller = new AbortController();
    const { signal } = controller;
    const outcomes = Array.from({ length: 120 }, (_, index) =>
      queue.submit({ opcode: NOP }, index % 2 === 0 ? { signal } : {}).then(
        () => 'done',
        (error: MtiaError) => error.code,
      ),
    );
    controller.abort();
    // The aborts travel by the administration queue, and so does the creation of a context behind them.
    await release();
    await blocking;
    for (const [index, outcome] of (await Promise.all(outcomes)).entries()) {
      assert.ok(outcome === 'done' || (index % 2 === 0 && outcome === 'ABORTED'), `command ${index}: ${outcome}`);
    }
  }),

  conformanceCase('lets a queue alone that was opened after an aborted one closed', 'FAIL-4', {}, async (fixture) => {
    const card = await fixture.driver();
    const context = await card.createContext();
    for (let times = 0; times < 20; times++) {
      const queue = await context.createQueue();
      const waits = queue.submit({ opcode: WAIT, a: 24, b: 1 }).catch((error: MtiaError) => error.code);
      void queue.abort();
      await queue.close();
      assert.ok(['ABORTED', 'DEVICE_CLOSED'].includes(String(await waits)));
      const next = await context.createQueue();
      await Promise.all(Array.from({ length: 20 }, () => next.submit({ opcode: NOP })));
      await next.close();
    }
  }),

  conformanceCase(
    'settles every command when aborts come at random',
    'FAIL-4',
    { deadlineMs: 20_000 },
    async (fixture) => {
      const { queue, blocking, release } = await blockedQueue(fixture);
      const { random } = fixture;
      await Promise.all([release(), blocking]);
      for (let round = 0; round < 10; round++) {
        const controllers: AbortController[] = [];
        const outcomes = Array.from({ length: 100 }, () => {
          const controller = new AbortController();
          controllers.push(controller);
          const command = random.integer(0, 9) === 0 ? { opcode: WAIT, a: 25, b: 1 } : { opcode: NOP };
          return queue.submit(command, { signal: controller.signal }).then(
            () => 'done',
            (error: MtiaError) => error.code,
          );
        });
        for (const controller of random.shuffle(controllers).slice(0, 50)) {
          controller.abort();
          if (random.integer(0, 4) === 0) await new Promise((resolve) => setImmediate(resolve));
        }
        await queue.abort();
        for (const outcome of await Promise.all(outcomes)) assert.ok(['done', 'ABORTED'].includes(outcome), outcome);
        await queue.submit({ opcode: NOP });
      }
    },
  ),
]);

const sent = category('failure propagation', {}, [
  conformanceCase('sends nothing where the signal was aborted before', 'FAIL-4', {}, async (fixture) => {
    const card = await fixture.driver();
    const queue = await (await card.createContext()).createQueue();
    const error = await rejectsWith('ABORTED', queue.submit({ opcode: NOP }, { signal: AbortSignal.abort('early') }));
    assert.equal(error.cause, 'early');
    assert.equal(queue.outstanding, 0);
    await queue.submit({ opcode: NOP });
  }),

  conformanceCase('changes nothing where the command has completed', 'FAIL-4', {}, async (fixture) => {
    const card = await fixture.driver();
    const queue = await (await card.createContext()).createQueue();
    const controller = new AbortController();
    await queue.submit({ opcode: NOP }, { signal: controller.signal });
    controller.abort();
    await queue.abort();
    await queue.submit({ opcode: NOP });
  }),
]);

const running = category('failure propagation', { requires: ['kernels'] }, [
  conformanceCase('aborts a kernel that runs, and frees its processing elements', 'FAIL-4', {}, async (fixture) => {
    const session = await fixture.session();
    for (let times = 0; times < 3; times++) {
      const { done } = await session.startLaunch('ENDLESS', [], { rectangle: WHOLE_GRID });
      await session.queue.abort();
      await rejectsWith('ABORTED', done);
      await session.expectWorking();
    }
  }),

  conformanceCase('aborts a kernel by its signal', 'FAIL-4', {}, async (fixture) => {
    const session = await fixture.session();
    const a = session.kernel('ENDLESS');
    const controller = new AbortController();
    const done = session.queue.submit({ opcode: LAUNCH, a, d: 0x0101_0000 }, { signal: controller.signal });
    await new Promise((resolve) => setTimeout(resolve, 5));
    controller.abort();
    const error = await rejectsWith('ABORTED', done);
    assert.equal(error.place?.queue, session.queue.number);
    await session.expectWorking();
  }),

  conformanceCase(
    'aborts a kernel that waits for its processing elements, and not the one that has them',
    'FAIL-4',
    { requires: ['queues'] },
    async (fixture) => {
      const session = await fixture.session();
      const other = await session.context.createQueue();
      const first = await session.startLaunch('ENDLESS', [], { rectangle: WHOLE_GRID });
      const second = other.submit({ opcode: LAUNCH, a: session.kernel('NULL'), d: 0x0808_0000 });
      second.catch(() => undefined);
      await other.abort();
      await rejectsWith('ABORTED', second);
      let settled = false;
      first.done.then(
        () => undefined,
        () => {
          settled = true;
        },
      );
      await other.submit({ opcode: NOP });
      assert.equal(settled, false, 'the running kernel was ended as well');
      await session.queue.abort();
      await rejectsWith('ABORTED', first.done);
      await session.expectWorking();
    },
  ),

  conformanceCase(
    'aborts one queue and leaves the kernel of another',
    'FAIL-4',
    { requires: ['queues'] },
    async (fixture) => {
      const session = await fixture.session();
      const other = await session.context.createQueue();
      const rectangle = { column: 4, row: 0, columns: 4, rows: 4 };
      const endless = await session.startLaunch('ENDLESS');
      await session.queue.abort();
      await rejectsWith('ABORTED', endless.done);
      const { done } = await session.startLaunch('NULL', [], { rectangle, queue: other });
      await done;
    },
  ),

  conformanceCase('aborts a copy, and reports it when its memory is free', 'FAIL-4', {}, async (fixture) => {
    const session = await fixture.session();
    const bytes = session.host.byteLength - session.host.byteLength / 4;
    for (let times = 0; times < 20; times++) {
      const command = { opcode: COPY_HOST_TO_DEVICE, a: session.iova, b: session.memory, c: bytes };
      const copied = session.submit(command).then(
        () => 'done',
        (error: MtiaError) => error.code,
      );
      if (times % 2 === 0) await new Promise((resolve) => setImmediate(resolve));
      await session.queue.abort();
      assert.ok(['done', 'ABORTED'].includes(await copied));
      await session.fill(session.memory, bytes, times);
      assert.deepEqual(await session.readWords(session.memory, 1), [BigInt(times) * 0x1_0000_0001n]);
    }
  }),
]);

export const abortCases = [...sent, ...waiting, ...running];
