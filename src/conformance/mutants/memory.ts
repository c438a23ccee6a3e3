/** Broken memory management and streams: one method replaced. */
import { Arena } from '../../memmgr/arena.js';
import { FreeRanges } from '../../memmgr/free-ranges.js';
import { MemoryCounter } from '../../memmgr/statistics.js';
import { CommandStream } from '../../streaming-api/command-stream.js';
import { RequestQueue } from '../../streaming-api/executor/request-queue.js';
import { HostFunctions } from '../../streaming-api/host-functions.js';
import { Event, Graph, type ReplayOptions, Timeline } from '../../streaming-api/index.js';
import { UseCount } from '../../streaming-api/use-count.js';
import { type Mutant, patch } from './mutant.js';

interface Defect {
  readonly name: string;
  readonly breaks: 'memory manager' | 'Streaming API' | 'executor';
  readonly doc: string;
  readonly promisedBy: readonly string[];
  readonly install: () => void;
}

const nothing = (): void => undefined;

const DEFECTS: readonly Defect[] = [
  {
    name: 'overlapping-allocations',
    breaks: 'memory manager',
    doc: 'an allocation begins inside the one before',
    promisedBy: ['memory manager'],
    install: () =>
      patch(
        FreeRanges.prototype,
        'take',
        (original) =>
          function (this: FreeRanges, bytes, alignment, limit) {
            const address = original.call(this, bytes, alignment, limit);
            return address === undefined || address % 4096 === 0 ? address : address - 64;
          },
      ),
  },
  {
    name: 'lost-blocks',
    breaks: 'memory manager',
    doc: 'memory that is freed is not given out again',
    promisedBy: ['memory manager'],
    install: () => patch(Arena.prototype, 'free', () => () => undefined),
  },
  {
    name: 'stolen-frees',
    breaks: 'memory manager',
    doc: 'what one stream has freed is given to another that knows nothing of it',
    promisedBy: ['queue-ordered memory', 'stress and fuzz'],
    install: () => patch(CommandStream.prototype, 'covers', () => () => Number.POSITIVE_INFINITY),
  },
  {
    name: 'statistics-drift',
    breaks: 'memory manager',
    doc: 'statistics do not see what is freed',
    promisedBy: ['memory manager'],
    install: () => patch(MemoryCounter.prototype, 'free', () => nothing),
  },
  {
    name: 'freed-in-use',
    breaks: 'Streaming API',
    doc: 'a buffer goes back while commands still use it',
    promisedBy: ['memory manager', 'queue-ordered memory'],
    install: () => patch(UseCount.prototype, 'whenIdle', () => (release) => release()),
  },
  {
    name: 'missing-fence',
    breaks: 'Streaming API',
    doc: 'a stream does not wait for an event',
    promisedBy: ['streams and events'],
    install: () => patch(CommandStream.prototype, 'wait', () => nothing),
  },
  {
    name: 'event-too-early',
    breaks: 'Streaming API',
    doc: 'an event says that it was reached as soon as it is recorded',
    promisedBy: ['streams and events'],
    install: () => patch(Event.prototype, 'query', () => () => true),
  },
  {
    name: 'swallowed-failure',
    breaks: 'Streaming API',
    doc: 'synchronize() reports no failure',
    promisedBy: ['streams and events'],
    install: () => patch(CommandStream.prototype, 'synchronize', () => async () => undefined),
  },
  {
    name: 'snapshot-forgets-a-block',
    breaks: 'memory manager',
    doc: 'a snapshot leaves the last block of a segment out',
    promisedBy: ['memory manager'],
    install: () =>
      patch(
        Arena.prototype,
        'blocks',
        (original) =>
          function (this: Arena) {
            return original.call(this).slice(0, -1);
          },
      ),
  },
  {
    name: 'peak-not-reset',
    breaks: 'memory manager',
    doc: 'peaks of the statistics stay when they are reset',
    promisedBy: ['memory manager'],
    install: () => patch(MemoryCounter.prototype, 'resetPeak', () => nothing),
  },
  {
    name: 'old-bindings',
    breaks: 'Streaming API',
    doc: 'a graph is replayed with the bindings of its first replay',
    promisedBy: ['graph'],
    install: () => {
      const first = new WeakMap<Graph, ReplayOptions['bindings']>();
      patch(
        Graph.prototype,
        'replay',
        (original) =>
          function (this: Graph, stream, options = {}) {
            if (!first.has(this)) first.set(this, options.bindings);
            const { bindings: _, ...rest } = options;
            const bindings = first.get(this);
            return original.call(this, stream, bindings === undefined ? rest : { ...rest, bindings });
          },
      );
    },
  },
  {
    name: 'host-functions-overtake',
    breaks: 'Streaming API',
    doc: 'a function of the host does not wait for the commands before it',
    promisedBy: ['streams and events'],
    install: () =>
      patch(HostFunctions.prototype, 'launch', () => async (call) => {
        await call();
      }),
  },
  {
    name: 'timeline-told-too-early',
    breaks: 'Streaming API',
    doc: 'the host is told of the next value of a timeline with this one',
    promisedBy: ['streams and events'],
    install: () =>
      patch(
        Timeline.prototype,
        'reach',
        (original) =>
          function (this: Timeline, value) {
            original.call(this, value + 1n);
          },
      ),
  },
  {
    name: 'dropped-request',
    breaks: 'executor',
    doc: 'the last request of a full batch is lost',
    promisedBy: ['compiled execution'],
    install: () =>
      patch(
        RequestQueue.prototype,
        'takeBatch',
        (original) =>
          function (this: RequestQueue, rows) {
            const taken = original.call(this, rows);
            return taken.length > 2 ? taken.slice(0, -1) : taken;
          },
      ),
  },
  {
    name: 'request-priorities-ignored',
    breaks: 'executor',
    doc: 'requests of a higher priority wait like all others',
    promisedBy: ['compiled execution'],
    install: () =>
      patch(
        RequestQueue.prototype,
        'add',
        (original) =>
          function (this: RequestQueue, request) {
            original.call(this, Object.defineProperty(request, 'priority', { value: 0 }));
          },
      ),
  },
];

export const MEMORY_MUTANTS: readonly Mutant[] = DEFECTS.map(({ name, breaks, doc, promisedBy, install }) => ({
  name,
  breaks,
  doc,
  promisedBy,
  apply: (subject) => {
    install();
    return subject;
  },
}));
