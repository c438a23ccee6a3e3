/** Function reset of a device in use, and recovery of one that was lost. */
import assert from 'node:assert/strict';
import { FaultInjectingFunction, type MtiaError, type PciFunction } from '../../driver/index.js';
import { BOOT_STATUS, ERROR_CODES, HOST_COMMAND, registerOffset } from '../../hw/index.js';
import { category, conformanceCase } from '../case.js';
import { rejectsWith, settlesWithin } from '../expectations.js';
import { WHOLE_GRID } from '../session.js';

const { NOP, WAIT, SIGNAL, COPY_HOST_TO_DEVICE, COPY_DEVICE_TO_HOST } = HOST_COMMAND;
const BOOT_STATUS_OFFSET = registerOffset('BAR0', 'BOOT_STATUS');
const BOOT_ERROR_OFFSET = registerOffset('BAR0', 'BOOT_ERROR');

/** Counts what reaches the card through it. */
class CountingFunction extends FaultInjectingFunction {
  accesses = 0;

  constructor(inner: PciFunction) {
    super(inner);
    const count = <A extends unknown[], R>(call: (...args: A) => R) => {
      return (...args: A): R => {
        this.accesses++;
        return call(...args);
      };
    };
    this.barWrite = count(super.barWrite.bind(this));
    this.barRead = count(super.barRead.bind(this));
    this.dmaMap = count(super.dmaMap.bind(this));
    this.dmaUnmap = count(super.dmaUnmap.bind(this));
  }
}

/** A card whose firmware says that it has failed, until it is reset. */
function withFailedFirmware(faulty: FaultInjectingFunction, code: number): void {
  faulty.faults.corruptRead = (offset, value) => {
    if (offset === BOOT_STATUS_OFFSET) return BigInt(BOOT_STATUS.FAILED);
    return offset === BOOT_ERROR_OFFSET ? BigInt(code) : value;
  };
  const reset = faulty.functionReset.bind(faulty);
  faulty.functionReset = () => {
    faulty.heal();
    reset();
  };
}

const firmwareFailures = (['FIRMWARE_PANIC', 'WATCHDOG_EXPIRED'] as const).map((code) =>
  conformanceCase(`brings back a device that was lost by ${code}`, 'RST-8', {}, async (fixture) => {
    const faulty = new FaultInjectingFunction(fixture.card().pci);
    const card = await fixture.driver({ card: { pci: faulty } });
    const queue = await (await card.createContext()).createQueue();
    faulty.faults.dropDoorbells = 1;
    const stuck = queue.submit({ opcode: NOP });
    withFailedFirmware(faulty, ERROR_CODES[code].code);
    const error = await rejectsWith('DEVICE_LOST', stuck);
    assert.equal((error.cause as MtiaError).code, code);
    const first = card.lost;
    assert.equal(await first, error);
    await rejectsWith('DEVICE_LOST', card.createContext());
    await card.reset();
    assert.notEqual(card.lost, first);
    const next = await (await card.createContext()).createQueue();
    await Promise.all(Array.from({ length: 300 }, () => next.submit({ opcode: NOP })));
    await rejectsWith('DEVICE_RESET', queue.submit({ opcode: NOP }));
  }),
);

export const resetCases = category('reset and recovery', {}, [
  conformanceCase('tells every user before and after, in that order', 'RST-3', {}, async (fixture) => {
    const card = await fixture.driver();
    const heard: string[] = [];
    const late = (): void => {
      heard.push('gone');
    };
    card.on('resetting', ({ resets, reason }) => heard.push(`a before ${resets} ${reason}`));
    card.on('resetting', late).off('resetting', late);
    card.on('resetting', () => {
      throw new Error('a user that fails');
    });
    card.on('resetting', () => heard.push('b before'));
    card.on('reset', ({ resets }) => heard.push(`a after ${resets}`));
    await card.reset('test');
    assert.deepEqual(heard, ['a before 1 test', 'b before', 'a after 1']);
    assert.equal(card.resets, 1);
  }),

  conformanceCase(
    'settles what is outstanding between the two notices',
    'RST-3',
    { requires: ['semaphores'] },
    async (fixture) => {
      const card = await fixture.driver();
      const queue = await (await card.createContext()).createQueue();
      const heard: string[] = [];
      card.on('resetting', () => heard.push('before')).on('reset', () => heard.push('after'));
      const all = Array.from({ length: 600 }, () =>
        rejectsWith('DEVICE_RESET', queue.submit({ opcode: WAIT, a: 1, b: 1 })),
      );
      void Promise.all(all).then(() => heard.push('settled'));
      await card.reset();
      assert.deepEqual(heard, ['before', 'settled', 'after']);
    },
  ),

  conformanceCase('refuses queues and contexts made before', 'RST-4', {}, async (fixture) => {
    const card = await fixture.driver();
    const context = await card.createContext();
    const queue = await context.createQueue();
    const pages = context.allocateHost(4096);
    const iova = context.mapHost(pages);
    await card.reset();
    await rejectsWith('DEVICE_RESET', queue.submit({ opcode: NOP }));
    await rejectsWith('DEVICE_RESET', () => context.createQueue());
    await rejectsWith('DEVICE_RESET', () => context.mapHost(pages));
    await rejectsWith('DEVICE_RESET', () => context.unmapHost(iova));
    await rejectsWith('DEVICE_RESET', () => context.allocateHost(4096));
    await rejectsWith('DEVICE_RESET', context.assignPages(0n, 1));
    await rejectsWith('DEVICE_RESET', context.signal(1, 1));
    assert.equal(context.failure?.code, 'DEVICE_RESET');
    await queue.abort();
    await queue.close();
    await context.close();
  }),

  conformanceCase('lets nothing made before reach the device', 'RST-4', {}, async (fixture) => {
    const counting = new CountingFunction(fixture.card().pci);
    const card = await fixture.driver({ card: { pci: counting } });
    const context = await card.createContext();
    const queue = await context.createQueue();
    const pages = context.allocateHost(4096);
    const iova = context.mapHost(pages);
    await card.reset();
    const before = counting.accesses;
    await Promise.allSettled([queue.submit({ opcode: NOP }), queue.abort(), context.assignPages(0n, 1)]);
    await rejectsWith('DEVICE_RESET', () => context.unmapHost(iova));
    await queue.close();
    await context.close();
    assert.equal(counting.accesses, before);
  }),

  conformanceCase(
    'does not let a context close into the one that has its number',
    'RST-4',
    { requires: ['memory'] },
    async (fixture) => {
      const card = await fixture.driver();
      const old = await fixture.session({ on: card });
      const closing = old.context.close();
      await card.reset();
      const session = await fixture.session({ on: card });
      await closing;
      await old.context.close();
      assert.equal(session.context.id, old.context.id);
      await session.roundTrip(session.memory, fixture.random.bytes(5000));
    },
  ),

  conformanceCase('refuses a context while it is being reset', 'RST-4', {}, async (fixture) => {
    const card = await fixture.driver();
    const reset = card.reset();
    await rejectsWith('DEVICE_RESET', card.createContext());
    await reset;
    await card.createContext();
  }),

  conformanceCase('resets once where several ask at the same time', 'RST-3', {}, async (fixture) => {
    const card = await fixture.driver();
    await Promise.all([card.reset(), card.reset(), card.reset()]);
    assert.equal(card.resets, 1);
  }),

  conformanceCase('works a hundred times in a row', 'RST-5', { deadlineMs: 60_000 }, async (fixture) => {
    const card = await fixture.driver();
    for (let times = 1; times <= 100; times++) {
      const queue = await (await card.createContext()).createQueue();
      const all = Array.from({ length: fixture.random.integer(1, 300) }, () =>
        queue.submit({ opcode: NOP }).catch((error: MtiaError) => assert.equal(error.code, 'DEVICE_RESET')),
      );
      if (times % 2 === 0) await all[0];
      await card.reset();
      await Promise.all(all);
    }
    assert.equal(card.resets, 100);
    const queue = await (await card.createContext()).createQueue();
    await queue.submit({ opcode: NOP });
  }),

  conformanceCase(
    'works a hundred times under copies and kernels',
    'RST-5',
    { requires: ['queues', 'kernels'], deadlineMs: 120_000 },
    async (fixture) => {
      const card = await fixture.driver({ threads: 2 });
      const { random } = fixture;
      for (let times = 0; times < 100; times++) {
        const session = await fixture.session({ on: card });
        const queue = await session.context.createQueue();
        const kernel = random.pick(['ENDLESS', 'NULL', 'DEADLOCK']);
        const launched = await session.startLaunch(kernel, [], { rectangle: WHOLE_GRID, queue });
        const command = { opcode: COPY_HOST_TO_DEVICE, a: session.iova, b: session.memory, c: 3_000_000 };
        const copied = session.submit(command);
        copied.catch(() => undefined);
        for (let turn = random.integer(0, 3); turn > 0; turn--) await new Promise((resolve) => setImmediate(resolve));
        await card.reset();
        for (const outcome of await Promise.allSettled([launched.done, copied])) {
          if (outcome.status === 'rejected')
            assert.match(outcome.reason.code, kernel === 'DEADLOCK' ? /DEVICE_RESET|DEADLOCK/ : /DEVICE_RESET/);
        }
      }
      const session = await fixture.session({ on: card });
      await session.expectWorking();
      await session.roundTrip(session.memory, random.bytes(100_000));
    },
  ),

  conformanceCase(
    'hides what the former owner left in memory',
    'RST-2',
    { requires: ['isolation'] },
    async (fixture) => {
      const card = await fixture.driver();
      const old = await fixture.session({ on: card });
      await old.write(old.memory, fixture.random.bytes(4096));
      await card.reset();
      const session = await fixture.session({ on: card });
      assert.deepEqual(await session.read(old.memory, 4096), new Uint8Array(4096));
    },
  ),

  conformanceCase('forgets who owned which page', 'RST-1', { requires: ['isolation'] }, async (fixture) => {
    const card = await fixture.driver();
    const { memory, context } = await fixture.session({ on: card });
    await card.reset();
    const next = await card.createContext();
    assert.equal(next.id, context.id);
    const iova = next.mapHost(next.allocateHost(4096));
    const read = (await next.createQueue()).submit({ opcode: COPY_DEVICE_TO_HOST, a: memory, b: iova, c: 256 });
    await rejectsWith('MEMORY_PROTECTION', read);
  }),

  conformanceCase('forgets what host memory was mapped', 'RST-1', { requires: ['isolation'] }, async (fixture) => {
    const card = await fixture.driver();
    const old = await fixture.session({ on: card });
    const last = old.iova + BigInt(old.host.byteLength - 4096);
    await card.reset();
    const next = await card.createContext();
    await next.assignPages(old.memory, 1);
    const read = (await next.createQueue()).submit({ opcode: COPY_HOST_TO_DEVICE, a: last, b: old.memory, c: 4096 });
    await rejectsWith('HOST_ADDRESS_FAULT', read);
  }),

  conformanceCase('forgets semaphores and waits', 'RST-1', { requires: ['semaphores'] }, async (fixture) => {
    const card = await fixture.driver();
    const old = await (await card.createContext()).createQueue();
    await old.submit({ opcode: SIGNAL, a: 3, b: 9 });
    await card.reset();
    const context = await card.createContext();
    const queue = await context.createQueue();
    const wait = rejectsWith('ABORTED', queue.submit({ opcode: WAIT, a: 3, b: 9 }));
    await context.signal(3, 8);
    await queue.abort();
    await wait;
  }),

  ...firmwareFailures,

  conformanceCase('is DEVICE_LOST when it is reset behind the driver', 'RST-7', {}, async (fixture) => {
    const { pci } = fixture.card();
    const card = await fixture.driver({ card: { pci } });
    const session = await fixture.session({ on: card });
    pci.functionReset();
    await rejectsWith('DEVICE_LOST', session.submit({ opcode: NOP }));
    assert.equal((await card.lost).code, 'DEVICE_LOST');
  }),

  conformanceCase('leaves a card lost that is off the bus', 'RST-8', {}, async (fixture) => {
    const faulty = new FaultInjectingFunction(fixture.card().pci);
    const card = await fixture.driver({ card: { pci: faulty } });
    const context = await card.createContext();
    faulty.faults.ejected = true;
    await rejectsWith('DEVICE_LOST', card.reset());
    assert.equal((await card.lost).code, 'DEVICE_LOST');
    await rejectsWith('DEVICE_LOST', card.reset());
    await rejectsWith('DEVICE_LOST', card.createContext());
    await settlesWithin(2_500, 'close', context.close());
    await settlesWithin(2_500, 'close', card.close());
    faulty.heal();
  }),

  conformanceCase('loses a device whose firmware does not boot again', 'RST-8', {}, async (fixture) => {
    const faulty = new FaultInjectingFunction(fixture.card().pci);
    const card = await fixture.driver({ card: { pci: faulty } });
    faulty.faults.corruptRead = (offset, value) => {
      if (offset === BOOT_STATUS_OFFSET && value === BigInt(BOOT_STATUS.READY)) return BigInt(BOOT_STATUS.FAILED);
      return offset === BOOT_ERROR_OFFSET ? BigInt(ERROR_CODES.BOOT_BAD_HASH.code) : value;
    };
    await rejectsWith('DEVICE_LOST', card.reset());
    await card.lost;
    faulty.heal();
    await card.reset();
    const queue = await (await card.createContext()).createQueue();
    await queue.submit({ opcode: NOP });
  }),

  conformanceCase('refuses a reset of a closed device, and closes during one', 'LIFE-4', {}, async (fixture) => {
    const card = await fixture.driver();
    const reset = card.reset().catch((error: MtiaError) => assert.equal(error.code, 'DEVICE_CLOSED'));
    const closed = card.close();
    await Promise.all([reset, closed]);
    await rejectsWith('DEVICE_CLOSED', card.reset());
  }),

  conformanceCase('gives a device of the Streaming API a new default stream', 'RST-5', {}, async (fixture) => {
    const device = await fixture.device();
    const { defaultStream } = device;
    const heard: string[] = [];
    device.on('resetting', () => heard.push('before')).on('reset', () => heard.push('after'));
    await device.reset();
    assert.deepEqual(heard, ['before', 'after']);
    assert.notEqual(device.defaultStream, defaultStream);
    await device.synchronize();
    using buffer = await device.allocate(4096);
    await device.defaultStream.fill(buffer, 7);
  }),

  conformanceCase(
    'refuses buffers, streams and events made before',
    'RST-4',
    { requires: ['queues'] },
    async (fixture) => {
      const device = await fixture.device();
      const stream = await device.createStream();
      const buffer = await device.allocate(4096);
      const host = device.allocateHost(4096);
      const event = stream.recordEvent();
      await event.synchronize();
      await device.reset();
      await rejectsWith('DEVICE_RESET', () => device.defaultStream.fill(buffer, 1));
      await rejectsWith('DEVICE_RESET', () => device.defaultStream.copyToDevice(buffer, host));
      await rejectsWith('DEVICE_RESET', () => device.defaultStream.waitEvent(event));
      const fresh = await device.allocate(4096);
      await rejectsWith('DEVICE_RESET', () => stream.fill(fresh, 1));
      await rejectsWith('DEVICE_RESET', () => stream.fill(buffer, 1));
      buffer.free();
      host.free();
      await rejectsWith('DEVICE_RESET', device.synchronize());
      await device.defaultStream.fill(fresh, 1);
      await device.synchronize();
    },
  ),
]);
