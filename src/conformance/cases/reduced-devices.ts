/** Cards with less than their generation has: one queue, one interrupt vector, no broadcast. */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  type Device as CardDevice,
  type CardLimits,
  type Context,
  FaultInjectingFunction,
  type PciFunction,
  type Queue,
} from '../../driver/index.js';
import { HOST_COMMAND, LIMITS, PCI, registerOffset, SPECIFICATIONS } from '../../hw/index.js';
import { category, conformanceCase } from '../case.js';
import { equalBytes, rejectsWith } from '../expectations.js';
import type { Fixture } from '../fixture.js';
import { copyGraph, ROW_ELEMENTS } from '../programs/copy-graph.js';
import { WHOLE_GRID } from '../session.js';

const { NOP } = HOST_COMMAND;
const COMMAND = 4;
const MEMORY_SPACE_AND_BUS_MASTER = 6;
const CAPABILITIES_POINTER = 0x34;
const MSIX_CAPABILITY = 0x11;

/** One queue beside the administration queue. */
const ONE_QUEUE: CardLimits = { queues: 2 };
const ONE_VECTOR: CardLimits = { interruptVectors: 1 };
const NO_BROADCAST: CardLimits = { broadcast: false };

const CONFIGURATIONS: readonly (readonly [string, CardLimits])[] = [
  ['all that there is', {}],
  ['one queue', ONE_QUEUE],
  ['one interrupt vector', ONE_VECTOR],
  ['no broadcast', NO_BROADCAST],
  ['a little of everything', { queues: 5, interruptVectors: 3, broadcast: false }],
];

/** Where nobody looks at a ring, the watchdog does after 100 ms: rounds that take so long had no interrupt. */
const MOST_ROUND_MS = 50;
const ROUNDS = 9;

const FAILING_PE = 9n;
/** Test kernels that fail, on one processing element or on all. */
const FAILURES = [
  ['ONE_PE_FAILS', 'INVALID_COMMAND'],
  ['ILLEGAL_INSTRUCTION', 'KERNEL_FAULT'],
  ['DEADLOCK', 'DEADLOCK'],
] as const;

function enabledCard(fixture: Fixture, limits: CardLimits): PciFunction {
  const { pci } = fixture.card({ limits });
  pci.configWrite(COMMAND, 2, MEMORY_SPACE_AND_BUS_MASTER);
  return pci;
}

const readRegister = (pci: PciFunction, name: string): number =>
  Number(pci.barRead(0, registerOffset('BAR0', name), 4));

const pageRegister = (queue: number, name: string): number =>
  PCI.QUEUE_PAGE_OFFSET + queue * PCI.QUEUE_PAGE_BYTES + registerOffset('QUEUE_PAGE', name);

/** Vectors in the MSI-X capability. */
function msixTableSize(pci: PciFunction): number {
  for (let at = pci.configRead(CAPABILITIES_POINTER, 1); at !== 0; at = pci.configRead(at + 1, 1)) {
    if (pci.configRead(at, 1) === MSIX_CAPABILITY) return (pci.configRead(at + 2, 2) & 0x7ff) + 1;
  }
  return assert.fail('no MSI-X capability in the list');
}

async function openQueues(card: CardDevice, count: number): Promise<readonly Queue[]> {
  const contexts = [await card.createContext(), await card.createContext()] as const;
  return Promise.all(Array.from({ length: count }, (_, index) => contexts[index % 2 === 0 ? 0 : 1].createQueue()));
}

/** Every queue is told of its completion by an interrupt. */
async function expectPrompt(queues: readonly Queue[]): Promise<void> {
  const took: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const start = performance.now();
    await Promise.all(queues.map((queue) => queue.submit({ opcode: NOP })));
    took.push(performance.now() - start);
  }
  const median = took.sort((a, b) => a - b)[Math.floor(ROUNDS / 2)] ?? 0;
  assert.ok(median < MOST_ROUND_MS, `a command on each of ${queues.length} queues took ${median.toFixed(1)} ms`);
}

async function storm(queues: readonly Queue[], bursts: number): Promise<void> {
  for (let burst = 0; burst < bursts; burst++) {
    const settled = queues.map(() => 0);
    await Promise.all(
      queues.flatMap((queue, index) =>
        Array.from({ length: 256 }, () =>
          queue.submit({ opcode: NOP }).then(() => {
            settled[index] = (settled[index] ?? 0) + 1;
          }),
        ),
      ),
    );
    assert.deepEqual(settled, Array(queues.length).fill(256));
  }
}

const discovery = CONFIGURATIONS.map(([what, limits]) =>
  conformanceCase(`says what it has: ${what}`, 'DISC-6', {}, async (fixture) => {
    const { queues, interruptVectors, broadcastDispatch } = SPECIFICATIONS[fixture.backend.generation];
    const expected = {
      queues: limits.queues ?? queues.value,
      interruptVectors: limits.interruptVectors ?? interruptVectors.value,
      broadcast: limits.broadcast ?? broadcastDispatch.value === 1,
    };
    const pci = enabledCard(fixture, limits);
    const said = {
      queues: readRegister(pci, 'QUEUES'),
      interruptVectors: readRegister(pci, 'INTERRUPT_VECTORS'),
      broadcast: readRegister(pci, 'BROADCAST') === 1,
    };
    assert.deepEqual(said, expected);
    const { resources } = await fixture.driver({ card: { pci } });
    assert.deepEqual(resources, expected);
  }),
);

const registers = category('reduced devices', { requires: ['limits', 'registers'] }, [
  conformanceCase('has as many vectors in its MSI-X capability as in BAR0', 'DISC-6', {}, async (fixture) => {
    for (const interruptVectors of [1, 2, 7, LIMITS.MSIX_VECTORS]) {
      const pci = enabledCard(fixture, { interruptVectors });
      assert.equal(msixTableSize(pci), interruptVectors);
      assert.equal(readRegister(pci, 'INTERRUPT_VECTORS'), interruptVectors);
      pci.onInterrupt(interruptVectors - 1, () => undefined).close();
      assert.throws(() => pci.onInterrupt(interruptVectors, () => undefined));
    }
  }),

  conformanceCase('has no pages behind its last queue', 'DISC-6', {}, async (fixture) => {
    const queues = fixture.random.integer(2, LIMITS.QUEUES - 1);
    const pci = enabledCard(fixture, { queues });
    for (let queue = 0; queue < LIMITS.QUEUES; queue++) {
      pci.barWrite(0, pageRegister(queue, 'CONTEXT'), 4, 9);
      assert.equal(pci.barRead(0, pageRegister(queue, 'CONTEXT'), 4), queue < queues ? 9n : 0n, `queue ${queue}`);
    }
    pci.barWrite(0, pageRegister(queues, 'ENABLE'), 4, 1);
    assert.equal(pci.barRead(0, pageRegister(queues, 'ENABLE'), 4), 0n);
  }),

  conformanceCase('stops a queue whose vector it has not', 'DISC-6', {}, async (fixture) => {
    const pci = enabledCard(fixture, { interruptVectors: 3 });
    const fault = (vector: number): bigint => {
      for (const name of ['SUBMISSION_ENTRIES', 'COMPLETION_ENTRIES']) pci.barWrite(0, pageRegister(1, name), 4, 16);
      pci.barWrite(0, pageRegister(1, 'VECTOR'), 4, vector);
      pci.barWrite(0, pageRegister(1, 'ENABLE'), 4, 1);
      return pci.barRead(0, pageRegister(1, 'FAULT'), 4);
    };
    assert.equal(fault(2), 0n);
    assert.notEqual(fault(3), 0n);
    assert.equal(fault(0), 0n);
  }),
]);

const queues = [
  conformanceCase('gives its one queue to whoever asks first, then to the next', 'QUE-11', {}, async (fixture) => {
    const card = await fixture.driver({ limits: ONE_QUEUE });
    const [first, second] = [await card.createContext(), await card.createContext()] as const;
    for (const [holder, other] of [
      [first, second],
      [second, first],
    ] as const) {
      const queue = await holder.createQueue();
      const error = await rejectsWith('TOO_MANY', other.createQueue());
      assert.match(error.message, /1 queue/);
      await Promise.all(Array.from({ length: 300 }, () => queue.submit({ opcode: NOP })));
      await queue.close();
    }
    // A context that closes gives back what it held.
    await first.createQueue();
    await first.close();
    await (await second.createQueue()).submit({ opcode: NOP });
  }),

  conformanceCase('makes as many streams as its properties say', 'QUE-11', {}, async (fixture) => {
    for (const count of [2, 4]) {
      const device = await fixture.device({ card: fixture.card({ limits: { queues: count } }) });
      assert.equal(device.properties.streams, count - 1);
      const streams = await Promise.all(Array.from({ length: count - 2 }, () => device.createStream()));
      await rejectsWith('TOO_MANY', device.createStream());
      await streams[0]?.close();
      await device.defaultStream.synchronize();
      if (streams.length > 0) await device.createStream();
    }
  }),

  conformanceCase(
    'refuses checking mode where checks and default stream need two queues',
    'QUE-11',
    {},
    async (fixture) => {
      const { pci } = fixture.card({ limits: ONE_QUEUE });
      await rejectsWith('TOO_MANY', fixture.device({ card: { pci }, checkMemory: true }));
      assert.throws(() => pci.barRead(0, 0, 4), { code: 'DEVICE_CLOSED' });
    },
  ),

  conformanceCase('has its queue again after every reset', 'RST-5', {}, async (fixture) => {
    const card = await fixture.driver({ limits: { ...ONE_QUEUE, ...ONE_VECTOR } });
    for (let time = 0; time < 10; time++) {
      const context = await card.createContext();
      const queue = await context.createQueue();
      await rejectsWith('TOO_MANY', context.createQueue());
      await queue.submit({ opcode: NOP });
      await card.reset();
      await rejectsWith('DEVICE_RESET', queue.submit({ opcode: NOP }));
    }
  }),
];

const vectors = [
  ...[1, 2, 3, 5].map((interruptVectors) =>
    conformanceCase(
      `tells every queue of its completions: ${LIMITS.QUEUES} queues on ${interruptVectors === 1 ? 'one vector' : `${interruptVectors} vectors`}`,
      'INT-7',
      {},
      async (fixture) => {
        const card = await fixture.driver({ limits: { interruptVectors } });
        const all = await openQueues(card, LIMITS.QUEUES - 1);
        await expectPrompt(all);
        for (const queue of fixture.random.shuffle(all).slice(0, 4)) await expectPrompt([queue]);
      },
    ),
  ),

  conformanceCase(
    'loses no completion under a storm on one vector, and keeps the event loop free',
    'INT-7',
    { deadlineMs: 20_000 },
    async (fixture) => {
      const all = await openQueues(await fixture.driver({ limits: ONE_VECTOR }), LIMITS.QUEUES - 1);
      await storm(all, 1);
      const delays: number[] = [];
      let last = performance.now();
      let next = setImmediate(function again() {
        const now = performance.now();
        delays.push(now - last);
        last = now;
        next = setImmediate(again);
      });
      await storm(all, 3);
      clearImmediate(next);
      delays.sort((a, b) => a - b);
      const p99 = delays[Math.floor(delays.length * 0.99)] ?? 0;
      assert.ok(p99 < 50, `99 % of ${delays.length} turns took up to ${p99.toFixed(1)} ms`);
    },
  ),

  conformanceCase('leaves the vector to the others when a queue closes', 'INT-7', {}, async (fixture) => {
    const card = await fixture.driver({ limits: ONE_VECTOR });
    const all = [...(await openQueues(card, 6))];
    while (all.length > 1) {
      await all.splice(fixture.random.integer(0, all.length - 1), 1)[0]?.close();
      await expectPrompt(all);
    }
  }),

  ...(
    [
      ['half of the interrupts of a shared vector are lost', { dropInterrupts: 0.5 }],
      ['interrupts of a shared vector repeat', { repeatInterrupts: 3 }],
      ['interrupts of a shared vector are late', { delayInterruptsMs: 20 }],
    ] as const
  ).map(([what, faults]) =>
    conformanceCase(`completes each command once though ${what}`, 'INT-3', { deadlineMs: 20_000 }, async (fixture) => {
      const { pci } = fixture.card({ limits: ONE_VECTOR });
      const faulty = new FaultInjectingFunction(pci, () => fixture.random.next());
      const all = await openQueues(await fixture.driver({ card: { pci: faulty } }), 4);
      Object.assign(faulty.faults, faults);
      await storm(all, 2);
      faulty.raiseSpuriousInterrupts();
      faulty.heal();
      await expectPrompt(all);
    }),
  ),

  conformanceCase('calls nobody after the last queue of a vector is closed', 'INT-5', {}, async (fixture) => {
    const faulty = new FaultInjectingFunction(fixture.card({ limits: { interruptVectors: 2 } }).pci);
    const card = await fixture.driver({ card: { pci: faulty } });
    const all = await openQueues(card, 4);
    faulty.faults.delayInterruptsMs = 20;
    const done = all.map((queue) => queue.submit({ opcode: NOP }).catch(() => undefined));
    await sleep(2);
    await Promise.all(all.map((queue) => queue.close()));
    await Promise.all(done);
    await sleep(50);
    faulty.heal();
    await expectPrompt(await openQueues(card, 2));
  }),
];

/** Waits of one context and work of another on one vector: neither holds the other up. */
const isolation = conformanceCase(
  'keeps contexts that share a vector apart',
  'INT-7',
  { requires: ['semaphores'] },
  async (fixture) => {
    const card = await fixture.driver({ limits: ONE_VECTOR });
    const [waiting, working] = [await card.createContext(), await card.createContext()] as const;
    const open = (context: Context): Promise<Queue> => context.createQueue();
    const [stuck, well] = [await open(waiting), await open(working)] as const;
    const wait = stuck.submit({ opcode: HOST_COMMAND.WAIT, a: 3, b: 1 });
    const aborted = rejectsWith('DEVICE_CLOSED', wait);
    await expectPrompt([well]);
    assert.equal(stuck.outstanding, 1);
    await waiting.close();
    await aborted;
    await expectPrompt([well]);
  },
);

const launches = category('reduced devices', { requires: ['limits', 'kernels'] }, [
  conformanceCase('works on one queue and one vector without broadcast', 'LCH-9', {}, async (fixture) => {
    const card = await fixture.driver({ limits: { ...ONE_QUEUE, ...ONE_VECTOR, ...NO_BROADCAST } });
    const session = await fixture.session({ on: card });
    await session.roundTrip(session.memory, fixture.random.bytes(100_000));
    await session.expectWorking(WHOLE_GRID);
  }),

  conformanceCase('runs a launch on exactly its rectangle without broadcast', 'LCH-9', {}, async (fixture) => {
    const session = await fixture.session({ on: await fixture.driver({ limits: NO_BROADCAST }) });
    for (let time = 0; time < 20; time++) {
      const [column, row] = [fixture.random.integer(0, 7), fixture.random.integer(0, 7)];
      const [columns, rows] = [fixture.random.integer(1, 8 - column), fixture.random.integer(1, 8 - row)];
      await session.fill(session.memory, 8 * 64, 0);
      const { jobs } = await session.launch('RECORD', [session.memory, 500n], {
        rectangle: { column, row, columns, rows },
      });
      assert.equal(jobs, 1);
      const expected = Array.from({ length: 64 }, (_, pe) => (pe < columns * rows ? 500n + BigInt(pe) : 0n));
      assert.deepEqual(await session.readWords(session.memory, 64), expected);
    }
  }),

  conformanceCase('frees every processing element after a failure without broadcast', 'LCH-6', {}, async (fixture) => {
    const session = await fixture.session({ on: await fixture.driver({ limits: NO_BROADCAST }) });
    for (const [kernel, code] of FAILURES) {
      await rejectsWith(code, session.launch(kernel, [FAILING_PE], { rectangle: WHOLE_GRID }));
      await session.expectWorking(WHOLE_GRID);
    }
  }),

  conformanceCase('gives a model the same bits with and without broadcast', 'LCH-9', {}, async (fixture) => {
    const x = Float32Array.from({ length: 4 * ROW_ELEMENTS }, () => fixture.random.next());
    for (const limits of [{}, NO_BROADCAST]) {
      const device = await fixture.device({ card: fixture.card({ limits }) });
      await using model = await device.loadModel(copyGraph(fixture.backend.generation, 4));
      const { outputs } = await model.run({ x });
      equalBytes(new Uint8Array((outputs.y as Float32Array).buffer), new Uint8Array(x.buffer), 'y');
    }
  }),
]);

const honesty = category('reduced devices', {}, [
  ...(
    [
      ['QUEUES', 0],
      ['QUEUES', 1],
      ['INTERRUPT_VECTORS', 0],
    ] as const
  ).map(([name, value]) =>
    conformanceCase(`refuses a card that says ${name} = ${value}`, 'DISC-6', {}, async (fixture) => {
      const faulty = new FaultInjectingFunction(fixture.card().pci);
      const at = registerOffset('BAR0', name);
      faulty.faults.corruptRead = (offset, read) => (offset === at ? BigInt(value) : read);
      const error = await rejectsWith('DEVICE_LOST', fixture.driver({ card: { pci: faulty } }));
      assert.match(error.message, new RegExp(`${value} ${name === 'QUEUES' ? 'queues' : 'interrupt vectors'}`));
    }),
  ),
]);

export const reducedDeviceCases = [
  ...category('reduced devices', { requires: ['limits'] }, [...discovery, ...queues, ...vectors, isolation]),
  ...registers,
  ...launches,
  ...honesty,
];
