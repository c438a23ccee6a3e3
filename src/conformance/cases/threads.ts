/** Cards of worker threads, and what is left when their thread ends. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import type { Device } from '../../driver/index.js';
import { HOST_COMMAND, LIMITS } from '../../hw/index.js';
import type { AttachedWorkerData } from '../attached-worker.js';
import type { CardWorkerData } from '../card-worker.js';
import { category, conformanceCase, unsupported } from '../case.js';
import { rejectsWith } from '../expectations.js';
import type { Fixture } from '../fixture.js';

type End = CardWorkerData['end'];

/** Threads run what is built, also where a test runner runs the sources. */
const built = import.meta.url.endsWith('.ts') ? '../../../dist/src/conformance/' : '../';
const WORKER = fileURLToPath(new URL(`${built}card-worker.js`, import.meta.url));
const ATTACHED_WORKER = fileURLToPath(new URL(`${built}attached-worker.js`, import.meta.url));

const RELEASE_DEADLINE_MS = 5_000;

/** Threads of chips in this process. */
function chipThreads(): number {
  return readdirSync('/proc/self/task').filter((task) => {
    try {
      return readFileSync(`/proc/self/task/${task}/comm`, 'latin1').startsWith('mtia-');
    } catch {
      return false; // It ended meanwhile.
    }
  }).length;
}

const openDescriptors = (): number => readdirSync('/proc/self/fd').length;

/** Resolves when the worker has worked on its cards; closed behind the case. */
async function startWorker(fixture: Fixture, end: End, cards = 1): Promise<Worker> {
  const { name, generation } = fixture.backend;
  if (!name.startsWith('emulator')) unsupported('only emulated cards can be opened in a worker of the suite');
  const workerData: CardWorkerData = { generation, cards, end };
  const worker = new Worker(WORKER, { workerData });
  await started(fixture, worker);
  return worker;
}

/** Resolves when the worker says that it has worked; it is terminated behind the case. */
async function started(fixture: Fixture, worker: Worker): Promise<void> {
  fixture.after(async () => {
    await worker.terminate();
  });
  worker.on('error', () => undefined);
  assert.equal(await wordOf(worker), 'worked');
}

function wordOf(worker: Worker): Promise<unknown> {
  return new Promise((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
  });
}

interface Attached {
  readonly worker: Worker;
  /** Resolves when nothing that the worker had made on the card is left. */
  readonly ended: Promise<void>;
}

/** A worker that has worked on a card of this thread. */
async function attachWorker(fixture: Fixture, device: Device, end: AttachedWorkerData['end']): Promise<Attached> {
  const { shared, ended } = device.share();
  const workerData: AttachedWorkerData = { shared, kernels: fixture.firmware.kernels, end };
  const worker = new Worker(ATTACHED_WORKER, { workerData, transferList: [shared.port] });
  await started(fixture, worker);
  return { worker, ended };
}

/** A card that other threads may drive. */
async function shareableDriver(fixture: Fixture): Promise<Device> {
  const card = fixture.card();
  if (card.pci.share === undefined) unsupported('this card can be driven by one thread only');
  return fixture.driver({ card });
}

const ended = (worker: Worker): Promise<unknown> =>
  worker.threadId < 0 ? Promise.resolve() : new Promise((resolve) => worker.once('exit', resolve));

async function expectReleased(threads: number, descriptors: number): Promise<void> {
  const start = performance.now();
  while (chipThreads() > threads || openDescriptors() > descriptors) {
    const left = `${chipThreads() - threads} threads and ${openDescriptors() - descriptors} descriptors of chips are left`;
    assert.ok(performance.now() - start < RELEASE_DEADLINE_MS, left);
    await sleep(5);
  }
}

/** A first worker makes what every worker of the process shares. */
async function settledCounts(fixture: Fixture): Promise<readonly [threads: number, descriptors: number]> {
  await ended(await startWorker(fixture, 'close'));
  await sleep(20);
  return [chipThreads(), openDescriptors()];
}

const ends = (['close', 'return', 'exit', 'throw', 'terminated', 'busy'] as const).map((end) =>
  conformanceCase(`releases what a worker held that ends by ${end}`, 'THR-2', {}, async (fixture) => {
    const counts = await settledCounts(fixture);
    const worker = await startWorker(fixture, end, 2);
    if (end === 'terminated' || end === 'busy') await worker.terminate();
    else if (end === 'return') await Promise.race([ended(worker), sleep(500).then(() => worker.terminate())]);
    else await ended(worker);
    await expectReleased(...counts);
  }),
);

/** Every thread has a queue, and its interrupts to itself. */
const SHARED = { requires: ['queues', 'vectors'] } as const;

const attachedEnds = (['close', 'exit', 'throw', 'terminated', 'busy'] as const).map((end) =>
  conformanceCase(
    `releases what a worker had on a shared card that ends by ${end}`,
    'THR-4',
    SHARED,
    async (fixture) => {
      const device = await shareableDriver(fixture);
      const session = await fixture.session({ on: device });
      const { worker, ended: released } = await attachWorker(fixture, device, end);
      if (end === 'terminated' || end === 'busy') await worker.terminate();
      await released;
      await session.expectWorking();
      // Every other number of a context is free again.
      const contexts = await Promise.all(Array.from({ length: LIMITS.CONTEXTS - 2 }, () => device.createContext()));
      for (const context of contexts) await context.close();
    },
  ),
);

export const threadCases = category('threads', { requires: ['workers', 'boot', 'kernels'], deadlineMs: 30_000 }, [
  conformanceCase('opens a card in a worker', 'THR-1', {}, async (fixture) => {
    await ended(await startWorker(fixture, 'close'));
  }),

  conformanceCase('works cards of several workers and of its own side by side', 'THR-1', {}, async (fixture) => {
    const session = await fixture.session();
    const workers = Promise.all(Array.from({ length: 3 }, () => startWorker(fixture, 'close')));
    for (let times = 0; times < 20; times++) await session.expectWorking();
    await Promise.all((await workers).map(ended));
    await session.expectWorking();
  }),

  ...ends,

  conformanceCase('drives one card from several threads side by side', 'THR-3', SHARED, async (fixture) => {
    const device = await shareableDriver(fixture);
    const session = await fixture.session({ on: device });
    const attached = Array.from({ length: 3 }, () => attachWorker(fixture, device, 'terminated'));
    for (let times = 0; times < 20; times++) await session.expectWorking();
    await Promise.all(attached);
    await session.expectWorking();
  }),

  conformanceCase(
    'leaves a card with fewer vectors than queues to one thread',
    'INT-7',
    { requires: ['limits'] },
    async (fixture) => {
      const device = await fixture.driver({ limits: { interruptVectors: LIMITS.QUEUES - 1 } });
      await rejectsWith('INVALID_ARGUMENT', () => device.share());
      await (await fixture.session({ on: device })).expectWorking();
    },
  ),

  ...attachedEnds,

  conformanceCase('resets a card for every thread that drives it', 'THR-4', SHARED, async (fixture) => {
    const device = await shareableDriver(fixture);
    const { worker } = await attachWorker(fixture, device, 'reset');
    const word = wordOf(worker);
    await device.reset('the case asks for it');
    assert.equal(await word, 'DEVICE_RESET DEVICE_RESET');
    await (await fixture.session({ on: device })).expectWorking();
  }),

  conformanceCase('closes a card under the threads that drive it', 'THR-4', SHARED, async (fixture) => {
    const device = await shareableDriver(fixture);
    const { worker, ended: released } = await attachWorker(fixture, device, 'busy');
    await device.close();
    await worker.terminate();
    await released;
  }),

  conformanceCase('works on while a worker with a running kernel is terminated', 'THR-2', {}, async (fixture) => {
    const session = await fixture.session();
    const worker = await startWorker(fixture, 'busy');
    const other = await startWorker(fixture, 'terminated');
    const commands = Array.from({ length: 500 }, () => session.submit({ opcode: HOST_COMMAND.NOP }));
    await worker.terminate();
    await Promise.all(commands);
    await session.expectWorking();
    assert.ok(other.threadId > 0, 'the other worker has ended as well');
  }),

  conformanceCase(
    'releases the cards of workers that are terminated one after the other',
    'THR-2',
    {},
    async (fixture) => {
      const counts = await settledCounts(fixture);
      for (let times = 0; times < 8; times++) {
        const worker = await startWorker(fixture, fixture.random.pick(['terminated', 'busy'] as const));
        await worker.terminate();
      }
      await expectReleased(...counts);
    },
  ),
]);
