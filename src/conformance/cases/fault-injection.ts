/** A card that misbehaves on purpose: everything settles by name in bounded time, and what was promised is there. */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { Device as CardDevice, FaultInjectingFunction, type Faults, MtiaError } from '../../driver/index.js';
import { BOOT_STATUS, HOST_COMMAND, PCI, registerOffset } from '../../hw/index.js';
import { category, conformanceCase } from '../case.js';
import { rejectsWith, settlesWithin } from '../expectations.js';
import type { Fixture } from '../fixture.js';
import type { Session } from '../session.js';

const { NOP } = HOST_COMMAND;
const BOUND_MS = 8_000;
const PATIENCE_MS = 400;

interface FaultyCard {
  readonly faulty: FaultInjectingFunction;
  readonly card: CardDevice;
  readonly session: Session;
}

async function openFaulty(fixture: Fixture, deadlineMs?: number): Promise<FaultyCard> {
  const faulty = new FaultInjectingFunction(fixture.card().pci, () => fixture.random.next());
  const card = await fixture.driver({ card: { pci: faulty }, ...(deadlineMs === undefined ? {} : { deadlineMs }) });
  return { faulty, card, session: await fixture.session({ on: card }) };
}

const UNHARMED: readonly (readonly [what: string, faults: Partial<Faults>, times: number])[] = [
  ['half of the interrupts are lost', { dropInterrupts: 0.5 }, 4],
  ['interrupts are 20 ms late', { delayInterruptsMs: 20 }, 6],
  ['interrupts come four times', { repeatInterrupts: 3 }, 20],
  ['half of the interrupts come behind the next', { reorderInterrupts: 0.5 }, 6],
  ['half of the doorbells come twice', { repeatDoorbells: 0.5 }, 20],
];

const copies = UNHARMED.map(([what, faults, times]) =>
  conformanceCase(`copies every byte though ${what}`, 'INJ-1', { requires: ['memory'] }, async (fixture) => {
    const { faulty, session } = await openFaulty(fixture);
    Object.assign(faulty.faults, faults);
    for (let time = 0; time < times; time++) await session.roundTrip(session.memory, fixture.random.bytes(5001));
  }),
);

const launches = UNHARMED.map(([what, faults, times]) =>
  conformanceCase(`runs every kernel once though ${what}`, 'INJ-1', { requires: ['kernels'] }, async (fixture) => {
    const { faulty, session } = await openFaulty(fixture);
    Object.assign(faulty.faults, faults);
    await session.writeWords(session.memory, [0n]);
    const started = [];
    for (let time = 0; time < times; time++) started.push(await session.startLaunch('ADD_ONE', [session.memory, 1n]));
    await Promise.all(started.map(({ done }) => done));
    assert.deepEqual(await session.readWords(session.memory, 1), [BigInt(times)]);
  }),
);

/** Registers that the driver reads while it opens a card; all bits flipped. */
const WRONG_AT_OPEN = ['IDENTITY', 'GENERATION', 'FIRMWARE_ABI'] as const;

const wrongRegisters = WRONG_AT_OPEN.map((name) =>
  conformanceCase(`refuses to open a card whose ${name} reads wrong`, 'INJ-1', {}, async (fixture) => {
    const faulty = new FaultInjectingFunction(fixture.card().pci);
    const offset = registerOffset('BAR0', name);
    faulty.faults.corruptRead = (at, value) => (at === offset ? value ^ 0xffff_ffffn : value);
    const opening = CardDevice.open(faulty, fixture.firmware);
    await settlesWithin(BOUND_MS, 'open', opening);
    const failure = await opening.then(
      () => undefined,
      (error: unknown) => error,
    );
    assert.ok(failure instanceof MtiaError, `open ended with ${failure}`);
  }),
);

type Phase = (fixture: Fixture, parts: FaultyCard) => Promise<readonly Promise<unknown>[]>;

/** What is under way when the card leaves. */
const PHASES: Readonly<Record<string, Phase>> = {
  'while it copies': async (_, { session }) =>
    Array.from({ length: 40 }, () =>
      session.submit({
        opcode: HOST_COMMAND.COPY_HOST_TO_DEVICE,
        a: session.iova,
        b: session.memory,
        c: 2 ** 20,
      }),
    ),
  'with its rings full': async (_, { session }) => Array.from({ length: 600 }, () => session.submit({ opcode: NOP })),
  'while a queue waits': async (_, { session }) => [session.submit({ opcode: HOST_COMMAND.WAIT, a: 3, b: 1 })],
};

const ejections = Object.entries(PHASES).map(([when, begin]) =>
  conformanceCase(`settles everything when the card is ejected ${when}`, 'INJ-1', {}, async (fixture) => {
    const parts = await openFaulty(fixture);
    const begun = await begin(fixture, parts);
    parts.faulty.faults.ejected = true;
    const outcomes = await Promise.all(
      begun.map((promise) =>
        promise.then(
          () => 'OK',
          (error: MtiaError) => error.code,
        ),
      ),
    );
    assert.deepEqual(
      outcomes.filter((outcome) => outcome !== 'OK' && outcome !== 'DEVICE_LOST'),
      [],
    );
    await rejectsWith('DEVICE_LOST', parts.session.submit({ opcode: NOP }));
    await settlesWithin(BOUND_MS, 'close', parts.card.close());
  }),
);

/** Ejects the card at its n-th register access from now on. */
function ejectAfter(faulty: FaultInjectingFunction, accesses: number): void {
  let left = accesses;
  const count = (): void => {
    if (left-- <= 0) faulty.faults.ejected = true;
  };
  faulty.faults.corruptRead = (_, value) => {
    count();
    return value;
  };
  faulty.faults.corruptWrite = (_, value) => {
    count();
    return value;
  };
}

const bootEjections = [0, 1, 3, 6, 10].map((accesses) =>
  conformanceCase(`fails to open when the card is ejected after ${accesses} accesses`, 'INJ-1', {}, async (fixture) => {
    const faulty = new FaultInjectingFunction(fixture.card().pci);
    ejectAfter(faulty, accesses);
    const opening = CardDevice.open(faulty, fixture.firmware);
    opening.catch(() => undefined);
    await settlesWithin(BOUND_MS, 'open', opening);
    const code = await opening.then(
      async (device) => {
        const refused = rejectsWith('DEVICE_LOST', device.createContext());
        await refused;
        await device.close();
        return 'DEVICE_LOST';
      },
      (error: MtiaError) => error.code,
    );
    assert.equal(code, 'DEVICE_LOST');
  }),
);

export const faultInjectionCases = category('fault injection', { deadlineMs: 20_000 }, [
  ...copies,
  ...launches,
  ...wrongRegisters,
  ...ejections,
  ...bootEjections,

  conformanceCase('fails by name when doorbells are lost', 'INJ-1', {}, async (fixture) => {
    const { faulty, card, session } = await openFaulty(fixture, PATIENCE_MS);
    faulty.faults.dropDoorbells = 1;
    const refused = Array.from({ length: 5 }, () =>
      session.submit({ opcode: NOP }).then(
        () => 'OK',
        (error: MtiaError) => error.code,
      ),
    );
    const outcomes = await Promise.all(refused);
    assert.ok(
      outcomes.slice(1).every((outcome) => outcome === 'DEVICE_TIMEOUT' || outcome === 'ABORTED'),
      outcomes.join(', '),
    );
    assert.equal(outcomes[0], 'DEVICE_TIMEOUT');
    await settlesWithin(BOUND_MS, 'close', card.close());
  }),

  conformanceCase('goes on when a later doorbell follows a lost one', 'INJ-1', {}, async (fixture) => {
    const { faulty, session } = await openFaulty(fixture);
    faulty.faults.dropDoorbells = 1;
    const first = session.submit({ opcode: NOP });
    await sleep(5);
    faulty.heal();
    await Promise.all([first, session.submit({ opcode: NOP })]);
  }),

  conformanceCase(
    'notices firmware that says it has failed',
    'INJ-1',
    { requires: ['semaphores'] },
    async (fixture) => {
      const { faulty, card, session } = await openFaulty(fixture);
      const waiting = session.submit({ opcode: HOST_COMMAND.WAIT, a: 4, b: 1 });
      const refused = rejectsWith('DEVICE_LOST', waiting);
      const offset = registerOffset('BAR0', 'BOOT_STATUS');
      faulty.faults.corruptRead = (at, value) => (at === offset ? BigInt(BOOT_STATUS.ROM_READY) : value);
      await refused;
      await card.lost;
    },
  ),

  conformanceCase('settles everything when the card is ejected while it is idle', 'INJ-1', {}, async (fixture) => {
    const { faulty, card, session } = await openFaulty(fixture);
    await session.submit({ opcode: NOP });
    faulty.faults.ejected = true;
    await rejectsWith('DEVICE_LOST', session.submit({ opcode: NOP }));
    await settlesWithin(BOUND_MS, 'close', card.close());
  }),

  conformanceCase('closes when the card is ejected while it closes', 'INJ-1', {}, async (fixture) => {
    const { faulty, card, session } = await openFaulty(fixture);
    const outstanding = session.submit({ opcode: NOP }).catch(() => undefined);
    const closing = card.close();
    faulty.faults.ejected = true;
    await settlesWithin(BOUND_MS, 'close', closing);
    await outstanding;
  }),

  conformanceCase(
    'settles everything when the card is ejected while a kernel runs',
    'INJ-1',
    { requires: ['kernels'] },
    async (fixture) => {
      const { faulty, card, session } = await openFaulty(fixture);
      const { done } = await session.startLaunch('ENDLESS');
      const refused = rejectsWith('DEVICE_LOST', done);
      faulty.faults.ejected = true;
      await refused;
      await settlesWithin(BOUND_MS, 'close', card.close());
    },
  ),

  conformanceCase(
    'refuses a completion ring that holds nonsense',
    'INJ-1',
    { requires: ['memory'] },
    async (fixture) => {
      const { faulty, session } = await openFaulty(fixture);
      const page = PCI.QUEUE_PAGE_OFFSET + PCI.QUEUE_PAGE_BYTES;
      // Every register of the first queue's page reads wrong: none of them may decide what has completed.
      faulty.faults.corruptRead = (at, value) =>
        at >= page && at < page + PCI.QUEUE_PAGE_BYTES ? value ^ 0xffn : value;
      const work = session.roundTrip(session.memory, fixture.random.bytes(300));
      await settlesWithin(BOUND_MS, 'the copy', work);
      await work.catch((error: unknown) => assert.ok(error instanceof MtiaError, String(error)));
    },
  ),
]);
