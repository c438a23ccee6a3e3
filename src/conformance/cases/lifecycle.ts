/** Open and close. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  Device as CardDevice,
  type DmaRights,
  FaultInjectingFunction,
  type HostPages,
  type InterruptSubscription,
  MtiaError,
  type RegisterWidth,
} from '../../driver/index.js';
import { BOOT_STATUS, HOST_COMMAND, PCI, registerOffset } from '../../hw/index.js';
import { category, conformanceCase } from '../case.js';
import { rejectsWith, settlesWithin } from '../expectations.js';

const CLOSE_DEADLINE_MS = 2_000;
const BOOT_STATUS_OFFSET = registerOffset('BAR0', 'BOOT_STATUS');

const openDescriptors = (): number => readdirSync('/proc/self/fd').length;

/** How many things keep the event loop going, always counted in the same phase of it: behind a timer. */
async function alive(afterMs = 1): Promise<number> {
  await sleep(afterMs);
  return process.getActiveResourcesInfo().length;
}

/** The watchdog looks once more before it rests, also that of a device closed before. */
const REST_MS = 300;

/** A card whose driver went away without a word, as a process that was killed: its listeners are gone, the card runs on. */
class AbandonedFunction extends FaultInjectingFunction {
  readonly #subscriptions: InterruptSubscription[] = [];

  override onInterrupt(vector: number, listener: () => void): InterruptSubscription {
    const subscription = super.onInterrupt(vector, listener);
    this.#subscriptions.push(subscription);
    return subscription;
  }

  abandon(): void {
    for (const subscription of this.#subscriptions) subscription.close();
  }

  override close(): void {
    // The card belongs to the next driver.
  }
}

/** Counts what is mapped and who listens, and takes no writes to queue pages where it is told so. */
class CountingFunction extends FaultInjectingFunction {
  mappings = 0;
  listeners = 0;
  refuses = false;

  override dmaMap(context: number, iova: bigint, pages: HostPages, rights: DmaRights): void {
    super.dmaMap(context, iova, pages, rights);
    this.mappings++;
  }

  override dmaUnmap(context: number, iova: bigint, bytes: number): void {
    super.dmaUnmap(context, iova, bytes);
    this.mappings--;
  }

  override onInterrupt(vector: number, listener: () => void): InterruptSubscription {
    const subscription = super.onInterrupt(vector, listener);
    this.listeners++;
    const close = (): void => {
      subscription.close();
      this.listeners--;
    };
    return { ref: () => subscription.ref(), unref: () => subscription.unref(), close };
  }

  override barWrite(bar: number, offset: number, width: RegisterWidth, value: bigint | number): void {
    const inPage = bar === 0 && offset >= PCI.QUEUE_PAGE_OFFSET + PCI.QUEUE_PAGE_BYTES;
    if (this.refuses && inPage) throw new MtiaError('DEVICE_LOST', 'the page takes no writes');
    super.barWrite(bar, offset, width, value);
  }
}

export const lifecycleCases = category('lifecycle', {}, [
  conformanceCase('opens and takes commands', 'LIFE-1', {}, async (fixture) => {
    const device = await fixture.device();
    await device.defaultStream.synchronize();
    assert.equal(device.properties.generation, fixture.backend.generation);
  }),

  conformanceCase('says that its firmware is ready once it is open', 'LIFE-1', {}, async (fixture) => {
    const card = fixture.card();
    await fixture.driver({ card });
    assert.equal(Number(card.pci.barRead(0, BOOT_STATUS_OFFSET, 4)), BOOT_STATUS.READY);
  }),

  conformanceCase('opens a card that another driver left running', 'LIFE-1', {}, async (fixture) => {
    const { pci } = fixture.card();
    const abandoned = new AbandonedFunction(pci);
    const first = await CardDevice.open(abandoned, fixture.firmware);
    await (await first.createContext()).createQueue();
    abandoned.abandon();
    const second = await fixture.driver({ card: { pci } });
    const queue = await (await second.createContext()).createQueue();
    await queue.submit({ opcode: HOST_COMMAND.NOP });
  }),

  conformanceCase('closes the card where open fails', 'LIFE-2', {}, async (fixture) => {
    const faulty = new FaultInjectingFunction(fixture.card().pci);
    let closed = 0;
    const close = faulty.close.bind(faulty);
    faulty.close = () => {
      closed++;
      close();
    };
    faulty.faults.corruptRead = (offset, value) => (offset === registerOffset('BAR0', 'IDENTITY') ? 0n : value);
    await rejectsWith('DEVICE_LOST', CardDevice.open(faulty, fixture.firmware));
    assert.equal(closed, 1);
  }),

  conformanceCase('closes twice', 'LIFE-3', {}, async (fixture) => {
    const device = await fixture.device();
    await Promise.all([device.close(), device.close()]);
    await device.close();
    assert.equal(device.closed, true);
  }),

  conformanceCase(
    'closes with a waiting command outstanding',
    'LIFE-3',
    { requires: ['semaphores'] },
    async (fixture) => {
      const card = await fixture.driver();
      const queue = await (await card.createContext()).createQueue();
      const refused = rejectsWith('DEVICE_CLOSED', queue.submit({ opcode: HOST_COMMAND.WAIT, a: 0, b: 1 }));
      await settlesWithin(CLOSE_DEADLINE_MS, 'close', card.close());
      await refused;
    },
  ),

  conformanceCase(
    'closes with a full ring and more waiting for room',
    'LIFE-3',
    { requires: ['semaphores'] },
    async (fixture) => {
      const card = await fixture.driver();
      const queue = await (await card.createContext()).createQueue();
      const refused = Array.from({ length: 600 }, () =>
        rejectsWith('DEVICE_CLOSED', queue.submit({ opcode: HOST_COMMAND.WAIT, a: 1, b: 1 })),
      );
      await settlesWithin(CLOSE_DEADLINE_MS, 'close', card.close());
      await Promise.all(refused);
    },
  ),

  conformanceCase(
    'closes while a kernel runs that never ends',
    'LIFE-3',
    { requires: ['kernels'] },
    async (fixture) => {
      const card = await fixture.driver();
      const session = await fixture.session({ on: card });
      const { done } = await session.startLaunch('ENDLESS');
      const refused = rejectsWith('DEVICE_CLOSED', done);
      await settlesWithin(CLOSE_DEADLINE_MS, 'close', card.close());
      await refused;
    },
  ),

  conformanceCase(
    'closes several contexts in time though the firmware answers none of them',
    'LIFE-3',
    { requires: ['boot'] },
    async (fixture) => {
      const faulty = new FaultInjectingFunction(fixture.card().pci);
      const card = await fixture.driver({ card: { pci: faulty } });
      for (let count = 0; count < 4; count++) await card.createContext();
      const queue = await (await card.createContext()).createQueue();
      faulty.faults.dropDoorbells = 1;
      const refused = rejectsWith('DEVICE_CLOSED', queue.submit({ opcode: HOST_COMMAND.NOP }));
      await settlesWithin(CLOSE_DEADLINE_MS, 'close', card.close());
      await refused;
    },
  ),

  conformanceCase(
    'closes in time during a reset after which the card does not boot',
    'LIFE-3',
    { requires: ['boot'] },
    async (fixture) => {
      const faulty = new FaultInjectingFunction(fixture.card().pci);
      const card = await fixture.driver({ card: { pci: faulty } });
      const doorbell = registerOffset('BAR0', 'BOOT_DOORBELL');
      faulty.faults.corruptWrite = (offset, value) => (offset === doorbell ? undefined : value);
      const refused = rejectsWith('DEVICE_CLOSED', card.reset());
      await settlesWithin(CLOSE_DEADLINE_MS, 'close', card.close());
      await refused;
      await rejectsWith('DEVICE_CLOSED', card.createContext());
    },
  ),

  conformanceCase(
    'leaves no mapping and no listener behind where a queue cannot be opened',
    'LIFE-2',
    {},
    async (fixture) => {
      const faulty = new CountingFunction(fixture.card().pci);
      const card = await fixture.driver({ card: { pci: faulty } });
      const context = await card.createContext();
      const before = [faulty.mappings, faulty.listeners];
      faulty.refuses = true;
      for (let time = 0; time < 3; time++) await rejectsWith('DEVICE_LOST', context.createQueue());
      faulty.refuses = false;
      assert.deepEqual([faulty.mappings, faulty.listeners], before);
      await (await context.createQueue()).submit({ opcode: HOST_COMMAND.NOP });
    },
  ),

  conformanceCase('refuses every use of a closed device', 'LIFE-4', {}, async (fixture) => {
    const device = await fixture.device();
    const { defaultStream } = device;
    await device.close();
    await rejectsWith('DEVICE_CLOSED', () => device.allocate(64));
    await rejectsWith('DEVICE_CLOSED', () => device.allocateHost(64));
    await rejectsWith('DEVICE_CLOSED', () => device.createStream());
    await rejectsWith('DEVICE_CLOSED', () => device.emptyCache());
    await rejectsWith('DEVICE_CLOSED', () => defaultStream.recordEvent());
  }),

  conformanceCase('refuses every use of a closed context', 'LIFE-4', {}, async (fixture) => {
    const card = await fixture.driver();
    const context = await card.createContext();
    await context.close();
    await rejectsWith('DEVICE_CLOSED', () => context.createQueue());
    await rejectsWith('DEVICE_CLOSED', () => context.allocateHost(4096));
    await rejectsWith('DEVICE_CLOSED', () => context.assignPages(0n, 1));
  }),

  conformanceCase('refuses every access to a closed card', 'LIFE-4', {}, async (fixture) => {
    const { pci } = fixture.card();
    pci.close();
    pci.close();
    await rejectsWith('DEVICE_CLOSED', () => pci.barRead(0, 0, 4));
    await rejectsWith('DEVICE_CLOSED', () => pci.configRead(0, 4));
    await rejectsWith('DEVICE_CLOSED', () => pci.functionReset());
  }),

  conformanceCase('refuses a command on a closed queue', 'LIFE-4', {}, async (fixture) => {
    const card = await fixture.driver();
    const queue = await (await card.createContext()).createQueue();
    await queue.close();
    await rejectsWith('DEVICE_CLOSED', queue.submit({ opcode: HOST_COMMAND.NOP }));
  }),

  conformanceCase(
    'opens and closes many times without leaving a descriptor',
    'LIFE-5',
    { deadlineMs: 60_000 },
    async (fixture) => {
      const once = async (): Promise<void> => {
        const { pci } = fixture.backend.openCard({ threads: 1 });
        const card = await CardDevice.open(pci, fixture.firmware);
        await card.close();
      };
      await once();
      const before = openDescriptors();
      for (let times = 0; times < 50; times++) await once();
      assert.ok(openDescriptors() <= before, `${openDescriptors() - before} descriptors were left open`);
    },
  ),

  conformanceCase(
    'keeps the process alive while a command is outstanding, and no longer',
    'LIFE-6',
    { requires: ['queues', 'semaphores'] },
    async (fixture) => {
      const before = await alive(REST_MS);
      const session = await fixture.session();
      assert.ok((await alive(REST_MS)) <= before, 'an idle device keeps the process alive');
      const waiting = session.submit({ opcode: HOST_COMMAND.WAIT, a: 9, b: 1 });
      assert.ok((await alive()) > before, 'a device at work does not keep the process alive');
      const other = await session.context.createQueue();
      await other.submit({ opcode: HOST_COMMAND.SIGNAL, a: 9, b: 1 });
      await waiting;
      assert.ok((await alive(REST_MS)) <= before, 'a device keeps the process alive after its work');
    },
  ),

  conformanceCase('uses the number of a closed context again', 'LIFE-7', {}, async (fixture) => {
    const card = await fixture.driver();
    for (let times = 0; times < 100; times++) {
      const context = await card.createContext();
      const queue = await context.createQueue();
      await queue.submit({ opcode: HOST_COMMAND.NOP });
      await context.close();
    }
  }),

  conformanceCase(
    'takes the pages of a closed context back, though its number is used again',
    'LIFE-7',
    { requires: ['isolation'] },
    async (fixture) => {
      const card = await fixture.driver();
      const first = await fixture.session({ on: card });
      await first.write(first.memory, fixture.random.bytes(256));
      await first.context.close();
      // Numbers may be given out in any order.
      let next = await card.createContext();
      for (let more = 0; next.id !== first.context.id && more < 64; more++) next = await card.createContext();
      assert.equal(next.id, first.context.id);
      const queue = await next.createQueue();
      const iova = next.mapHost(next.allocateHost(4096));
      const stolen = queue.submit({ opcode: HOST_COMMAND.COPY_DEVICE_TO_HOST, a: first.memory, b: iova, c: 256 });
      await rejectsWith('MEMORY_PROTECTION', stolen);
    },
  ),

  conformanceCase(
    'settles what is outstanding when its context closes',
    'LIFE-7',
    { requires: ['semaphores'] },
    async (fixture) => {
      const card = await fixture.driver();
      const context = await card.createContext();
      const queue = await context.createQueue();
      const refused = rejectsWith('DEVICE_CLOSED', queue.submit({ opcode: HOST_COMMAND.WAIT, a: 2, b: 1 }));
      await context.close();
      await refused;
      const other = await (await card.createContext()).createQueue();
      await other.submit({ opcode: HOST_COMMAND.NOP });
    },
  ),

  conformanceCase('resolves `lost` with the reason when the card is ejected', 'LIFE-8', {}, async (fixture) => {
    const faulty = new FaultInjectingFunction(fixture.card().pci);
    const card = await fixture.driver({ card: { pci: faulty } });
    const queue = await (await card.createContext()).createQueue();
    faulty.faults.ejected = true;
    const refused = rejectsWith('DEVICE_LOST', queue.submit({ opcode: HOST_COMMAND.NOP }));
    assert.equal((await card.lost).code, 'DEVICE_LOST');
    await refused;
  }),

  conformanceCase('keeps `lost` pending while all is well', 'LIFE-8', {}, async (fixture) => {
    const card = await fixture.driver();
    let lost = false;
    void card.lost.then(() => {
      lost = true;
    });
    const queue = await (await card.createContext()).createQueue();
    await queue.submit({ opcode: HOST_COMMAND.NOP });
    await card.close();
    assert.equal(lost, false);
  }),
]);
