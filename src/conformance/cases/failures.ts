/** How kernels and commands fail, who learns of it, and what is left. */
import assert from 'node:assert/strict';
import { FaultInjectingFunction, type MtiaError } from '../../driver/index.js';
import { type ErrorName, HOST_COMMAND, type Rectangle } from '../../hw/index.js';
import { category, conformanceCase } from '../case.js';
import { rejectsWith } from '../expectations.js';
import { type Session, WHOLE_GRID } from '../session.js';

interface FaultyKernel {
  readonly kernel: string;
  readonly code: ErrorName;
  readonly args?: (session: Session) => readonly bigint[];
  readonly deadlineUs?: number;
  readonly check?: (error: MtiaError) => void;
}

const ILLEGAL_INSTRUCTION = 2n;

/** Every way in which a kernel of the suite fails. */
const FAULTY: readonly FaultyKernel[] = [
  {
    kernel: 'OUT_OF_BOUNDS',
    code: 'MEMORY_PROTECTION',
    args: () => [0x10n],
    check: ({ place }) => assert.equal(place?.value, 0x10n),
  },
  {
    kernel: 'DMA_OUT_OF_BOUNDS',
    code: 'MEMORY_PROTECTION',
    args: () => [0x40n],
    check: ({ place }) => assert.equal(place?.value, 0x40n),
  },
  { kernel: 'BAD_GRID', code: 'INVALID_GRID', args: () => [7n] },
  {
    kernel: 'RETURN_VALUE',
    code: 'KERNEL_ERROR',
    args: () => [99n],
    check: ({ place }) => assert.equal(place?.cause, 99n),
  },
  {
    kernel: 'ENDLESS',
    code: 'KERNEL_TIMEOUT',
    deadlineUs: 50_000,
    check: ({ place }) => {
      assert.notEqual(place?.pe, undefined);
      assert.ok(place?.waits?.some(({ reason }) => reason === 'runs'));
    },
  },
  {
    kernel: 'DEADLOCK',
    code: 'DEADLOCK',
    check: ({ place, message }) => {
      assert.notEqual(place?.pe, undefined);
      assert.equal(place?.waits?.length, 2);
      assert.notEqual(place?.pc, 0n);
      assert.ok(
        place?.waits?.every(({ pc, reason }) => pc !== 0n && reason !== 'runs'),
        message,
      );
      assert.match(message, /hart \d waits at [A-Z_]+ \(pc 0x[0-9a-f]+\)/);
    },
  },
  {
    kernel: 'ILLEGAL_COMMAND',
    code: 'ILLEGAL_UNIT_COMMAND',
    check: ({ place }) => assert.notEqual(place?.value, undefined),
  },
  {
    kernel: 'ILLEGAL_INSTRUCTION',
    code: 'KERNEL_FAULT',
    check: ({ place }) => assert.deepEqual([place?.hart, place?.cause], [1, ILLEGAL_INSTRUCTION]),
  },
  { kernel: 'STACK_OVERFLOW', code: 'MEMORY_PROTECTION', args: () => [1_000_000n] },
  { kernel: 'ONE_PE_FAILS', code: 'KERNEL_ERROR', args: () => [0n] },
];

const RECTANGLE: Rectangle = { column: 2, row: 3, columns: 2, rows: 2 };
const FIRST_PE = 3 * 8 + 2;

const launchFaulty = (session: Session, fault: FaultyKernel, rectangle: Rectangle): Promise<unknown> =>
  session.launch(fault.kernel, fault.args?.(session) ?? [], {
    rectangle,
    ...(fault.deadlineUs === undefined ? {} : { deadlineUs: fault.deadlineUs }),
  });

/** KERNEL_ERROR stands for values that have no name of their own. */
const namedOr = (code: ErrorName): readonly ErrorName[] =>
  code === 'KERNEL_ERROR' ? ['KERNEL_ERROR', 'INVALID_COMMAND'] : [code];

async function expectFailure(session: Session, fault: FaultyKernel, rectangle: Rectangle): Promise<MtiaError> {
  const error = await launchFaulty(session, fault, rectangle).then(
    () => assert.fail(`${fault.kernel} did not fail`),
    (reason: MtiaError) => reason,
  );
  assert.ok(namedOr(fault.code).includes(error.code), `${fault.kernel}: ${error.code}: ${error.message}`);
  return error;
}

const named = FAULTY.map((fault) =>
  conformanceCase(
    `names what ${fault.kernel} did and where`,
    fault.code === 'KERNEL_TIMEOUT' || fault.code === 'DEADLOCK' ? 'FAIL-5' : 'LCH-3',
    {},
    async (fixture) => {
      const session = await fixture.session();
      const error = await expectFailure(session, fault, RECTANGLE);
      fault.check?.(error);
      if (error.place?.pe !== undefined) {
        const columns = error.place.pe % 8;
        const rows = Math.floor(error.place.pe / 8);
        assert.ok(
          columns >= 2 && columns < 4 && rows >= 3 && rows < 5,
          `PE ${error.place.pe} is outside of the rectangle`,
        );
        if (fault.kernel !== 'DEADLOCK' && fault.kernel !== 'ENDLESS') assert.equal(error.place.pe, FIRST_PE);
      }
    },
  ),
);

const survived = FAULTY.map((fault) =>
  conformanceCase(`works on the same processing elements after ${fault.kernel}`, 'LCH-6', {}, async (fixture) => {
    const session = await fixture.session();
    for (let times = 0; times < 3; times++) {
      await expectFailure(session, fault, WHOLE_GRID);
      await session.expectWorking();
    }
  }),
);

const clean = conformanceCase('gives the next job clean local memory after a failure', 'LCH-6', {}, async (fixture) => {
  const session = await fixture.session();
  const look = (result: bigint): Promise<unknown> =>
    session.launch('LOCAL_MEMORY', [session.memory, result], { rectangle: WHOLE_GRID });
  await rejectsWith('KERNEL_ERROR', look(99n));
  await look(0n);
  assert.deepEqual(await session.readWords(session.memory, 64), new Array<bigint>(64).fill(0n), 'words that were left');
});

const neighbours = FAULTY.map((fault) =>
  conformanceCase(
    `leaves other jobs alone while ${fault.kernel} fails`,
    'FAIL-2',
    { requires: ['queues'] },
    async (fixture) => {
      const session = await fixture.session();
      const other = await session.context.createQueue();
      const failing = expectFailure(session, fault, { column: 0, row: 0, columns: 2, rows: 1 });
      failing.catch(() => undefined);
      const rectangle = { column: 4, row: 0, columns: 4, rows: 8 };
      for (let times = 0; times < 10; times++) {
        const { done } = await session.startLaunch('NULL', [], { rectangle, queue: other });
        await done;
      }
      await failing;
    },
  ),
);

export const failureCases = category('failure propagation', { requires: ['kernels'] }, [
  ...named,
  ...survived,
  clean,
  ...neighbours,

  conformanceCase('rejects the failed command only, in its place', 'FAIL-1', {}, async (fixture) => {
    const session = await fixture.session();
    const outcomes = await Promise.allSettled(
      Array.from({ length: 30 }, (_, index) =>
        session.submit(index % 10 === 4 ? { opcode: HOST_COMMAND.LAUNCH, a: 12_345 } : { opcode: HOST_COMMAND.NOP }),
      ),
    );
    const failed = outcomes.flatMap(({ status }, index) => (status === 'rejected' ? [index] : []));
    assert.deepEqual(failed, [4, 14, 24]);
  }),

  conformanceCase('holds several deadlines at once', 'FAIL-5', { requires: ['queues'] }, async (fixture) => {
    const session = await fixture.session();
    const queues = await Promise.all(Array.from({ length: 4 }, () => session.context.createQueue()));
    const launches = [];
    for (const [index, queue] of queues.entries()) {
      const rectangle = { column: index * 2, row: 0, columns: 2, rows: 2 };
      launches.push(
        await session.startLaunch('ENDLESS', [], { rectangle, queue, deadlineUs: 30_000 + index * 20_000 }),
      );
    }
    await Promise.all(launches.map(({ done }) => rejectsWith('KERNEL_TIMEOUT', done)));
    await session.expectWorking();
  }),

  conformanceCase(
    'counts a deadline from the start of the job',
    'FAIL-5',
    { requires: ['queues'] },
    async (fixture) => {
      const session = await fixture.session();
      const other = await session.context.createQueue();
      const first = await session.startLaunch('ENDLESS', [], { deadlineUs: 150_000 });
      const second = await session.startLaunch('NULL', [], { deadlineUs: 60_000, queue: other });
      await rejectsWith('KERNEL_TIMEOUT', first.done);
      await second.done;
    },
  ),

  conformanceCase('fails a command whose wait is too long', 'FAIL-5', { requires: ['semaphores'] }, async (fixture) => {
    const session = await fixture.session();
    const wait = session.submit({ opcode: HOST_COMMAND.WAIT, a: 20, b: 1, deadlineUs: 30_000 });
    await rejectsWith('KERNEL_TIMEOUT', wait);
    await session.submit({ opcode: HOST_COMMAND.NOP });
  }),

  conformanceCase(
    'stops the job of a context that closes, and gives its processing elements to the next',
    'LCH-6',
    {},
    async (fixture) => {
      const card = await fixture.driver();
      const first = await fixture.session({ on: card });
      const { done } = await first.startLaunch('ENDLESS', [], { rectangle: WHOLE_GRID });
      const refused = rejectsWith('DEVICE_CLOSED', done);
      await first.context.close();
      await refused;
      const second = await fixture.session({ on: card });
      await second.expectWorking();
    },
  ),

  conformanceCase('settles everything by name when the device is lost', 'FAIL-6', {}, async (fixture) => {
    const faulty = new FaultInjectingFunction(fixture.card().pci);
    const card = await fixture.driver({ card: { pci: faulty } });
    const session = await fixture.session({ on: card });
    const { done } = await session.startLaunch('ENDLESS');
    const behind = Array.from({ length: 50 }, () => session.submit({ opcode: HOST_COMMAND.NOP }));
    const refused = [done, ...behind].map((promise) => rejectsWith('DEVICE_LOST', promise));
    faulty.faults.ejected = true;
    await Promise.all(refused);
    await card.lost;
    await rejectsWith('DEVICE_LOST', session.submit({ opcode: HOST_COMMAND.NOP }));
  }),
]);
