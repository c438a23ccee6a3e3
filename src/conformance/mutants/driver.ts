/** Broken drivers: one method of the driver replaced. */
import { AddressSpace } from '../../driver/address-space.js';
import { Administration } from '../../driver/administration.js';
import { WorkerHoldings } from '../../driver/emulator/worker-holdings.js';
import { type InterruptSubscription, Queue } from '../../driver/index.js';
import { InterruptVectors } from '../../driver/interrupt-vectors.js';
import { Notices } from '../../driver/notices.js';
import { NumberPool } from '../../driver/number-pool.js';
import { RingPair } from '../../driver/ring.js';
import { TurnBudget } from '../../driver/turn-budget.js';
import { Watchdog } from '../../driver/watchdog.js';
import { type Mutant, patch, type Subject } from './mutant.js';

const RING_ENTRIES = 256;
const nothing = (): void => undefined;

interface Defect {
  readonly name: string;
  readonly doc: string;
  readonly promisedBy: readonly string[];
  readonly backend?: 'one-vector';
  readonly install: () => void;
}

/** What was subscribed to a vector of a card so far. */
function subscriptionsByVector(): (card: InterruptVectors, vector: number) => InterruptSubscription[] {
  const cards = new WeakMap<InterruptVectors, Map<number, InterruptSubscription[]>>();
  return (card, vector) => {
    const vectors = cards.get(card) ?? new Map<number, InterruptSubscription[]>();
    cards.set(card, vectors);
    const subscriptions = vectors.get(vector) ?? [];
    vectors.set(vector, subscriptions);
    return subscriptions;
  };
}

const DEFECTS: readonly Defect[] = [
  {
    name: 'leaked-number',
    doc: 'numbers of closed contexts and queues are never given out again',
    promisedBy: ['lifecycle', 'queues'],
    install: () => patch(NumberPool.prototype, 'give', () => nothing),
  },
  {
    name: 'forgotten-unmap',
    doc: 'unmapHost leaves the mapping in the IOMMU',
    promisedBy: ['DMA'],
    install: () => patch(AddressSpace.prototype, 'unmap', () => nothing),
  },
  {
    name: 'sleeping-watchdog',
    doc: 'nobody looks after a device that stopped answering',
    promisedBy: ['reset and recovery', 'lifecycle'],
    install: () => patch(Watchdog.prototype, 'add', () => nothing),
  },
  {
    name: 'swallowed-error',
    doc: 'the status of a completion is not looked at',
    promisedBy: ['queues', 'failure propagation', 'DMA'],
    install: () => patch(RingPair.prototype, 'status', () => () => 0),
  },
  {
    name: 'wrong-slot-at-wrap',
    doc: 'the last slot of the ring is written over the one before it',
    promisedBy: ['queues'],
    install: () =>
      patch(
        RingPair.prototype,
        'writeSubmission',
        (original) =>
          function (this: RingPair, tail, ...rest) {
            const wrong = tail % RING_ENTRIES === RING_ENTRIES - 1 ? tail - 1 : tail;
            original.call(this, wrong, ...rest);
          },
      ),
  },
  {
    name: 'truncated-field',
    doc: 'field c of a command loses its upper bits',
    promisedBy: ['DMA'],
    install: () =>
      patch(
        RingPair.prototype,
        'writeSubmission',
        (original) =>
          function (this: RingPair, tail, command, ...rest) {
            original.call(this, tail, { ...command, c: Number(BigInt(command.c ?? 0) & 0xffffn) }, ...rest);
          },
      ),
  },
  {
    name: 'silent-loss',
    doc: 'commands of a lost device are left alone',
    promisedBy: ['lifecycle', 'failure propagation'],
    install: () => patch(Queue.prototype, 'fail', () => nothing),
  },
  {
    name: 'stale-completion',
    doc: 'a completion of an earlier queue of the same number counts',
    promisedBy: ['queues', 'lifecycle'],
    install: () =>
      patch(
        RingPair.prototype,
        'sequence',
        (original) =>
          function (this: RingPair, entry) {
            return Math.max(1, original.call(this, entry) - 1);
          },
      ),
  },
  {
    name: 'nowhere',
    doc: 'failures do not say in which processing element',
    promisedBy: ['failure propagation'],
    install: () => patch(RingPair.prototype, 'place', () => () => 0xffff_ffff),
  },
  {
    name: 'first-of-a-vector',
    doc: 'of queues that share a vector only the first is told of an interrupt',
    promisedBy: ['interrupts'],
    backend: 'one-vector',
    install: () => {
      const subscribed = subscriptionsByVector();
      patch(
        InterruptVectors.prototype,
        'subscribe',
        (original) =>
          function (this: InterruptVectors, vector, listener) {
            const earlier = subscribed(this, vector);
            const subscription = original.call(this, vector, earlier.length > 0 ? nothing : listener);
            earlier.push(subscription);
            return subscription;
          },
      );
    },
  },
  {
    name: 'close-takes-the-vector',
    doc: 'a queue that closes takes its vector from all others',
    promisedBy: ['queues'],
    backend: 'one-vector',
    install: () => {
      const subscribed = subscriptionsByVector();
      patch(
        InterruptVectors.prototype,
        'subscribe',
        (original) =>
          function (this: InterruptVectors, vector, listener) {
            const all = subscribed(this, vector);
            const subscription = original.call(this, vector, listener);
            all.push(subscription);
            const close = (): void => {
              for (const taken of all.splice(0)) taken.close();
            };
            return { ...subscription, close };
          },
      );
    },
  },
  {
    name: 'vectors-not-counted',
    doc: 'a queue asks for the vector of its number, whether there is one or not',
    promisedBy: ['interrupts'],
    backend: 'one-vector',
    install: () => patch(InterruptVectors.prototype, 'of', () => (queue) => queue),
  },
  {
    name: 'no-deadline',
    doc: 'deadlines of commands do not reach the device',
    promisedBy: ['failure propagation'],
    install: () =>
      patch(
        RingPair.prototype,
        'writeSubmission',
        (original) =>
          function (this: RingPair, tail, { deadlineUs: _, ...command }, ...rest) {
            original.call(this, tail, command, ...rest);
          },
      ),
  },
  {
    name: 'notice-not-sent',
    doc: 'nobody is told of a reset',
    promisedBy: ['reset and recovery'],
    install: () => patch(Notices.prototype, 'tell', () => nothing),
  },
  {
    name: 'old-generation-lives',
    doc: 'what was made before a reset is taken after it',
    promisedBy: ['reset and recovery'],
    install: () => {
      // Everything outstanding ends as it should; nothing is marked as being of the old generation.
      patch(
        Queue.prototype,
        'retire',
        () =>
          function (this: Queue) {
            void this.abort();
          },
      );
      patch(Administration.prototype, 'retire', () => nothing);
    },
  },
  {
    name: 'queue-not-aborted',
    doc: 'the abort of a queue ends nothing',
    promisedBy: ['failure propagation'],
    install: () => patch(Queue.prototype, 'abort', () => async () => undefined),
  },
  {
    name: 'turns-without-bound',
    doc: 'all completions there are are taken in one turn of the event loop',
    promisedBy: ['interrupts'],
    install: () => patch(TurnBudget.prototype, 'take', () => () => true),
  },
  {
    name: 'worker-leak',
    doc: 'what a worker thread held stays held when it ends',
    promisedBy: ['threads'],
    install: () => patch(WorkerHoldings.prototype, 'end', () => nothing),
  },
];

export const DRIVER_MUTANTS: readonly Mutant[] = DEFECTS.map(({ install, ...defect }) => ({
  ...defect,
  breaks: 'driver',
  apply: (subject: Subject) => {
    install();
    return subject;
  },
}));
