/** Broken memory management and streams: one method replaced. */
import { Arena } from '../../memmgr/arena.js';
import { FreeRanges } from '../../memmgr/free-ranges.js';
import { MemoryCounter } from '../../memmgr/statistics.js';
import { CommandStream } from '../../streaming-api/command-stream.js';
import { Event } from '../../streaming-api/index.js';
import { UseCount } from '../../streaming-api/use-count.js';
import { type Mutant, patch } from './mutant.js';

interface Defect {
  readonly name: string;
  readonly breaks: 'memory manager' | 'Streaming API';
  readonly doc: string;
  readonly install: () => void;
}

const nothing = (): void => undefined;

const DEFECTS: readonly Defect[] = [
  {
    name: 'overlapping-allocations',
    breaks: 'memory manager',
    doc: 'an allocation begins inside the one before',
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
    install: () => patch(Arena.prototype, 'free', () => () => undefined),
  },
  {
    name: 'stolen-frees',
    breaks: 'memory manager',
    doc: 'what one stream has freed is given to another that knows nothing of it',
    install: () => patch(CommandStream.prototype, 'covers', () => () => Number.POSITIVE_INFINITY),
  },
  {
    name: 'statistics-drift',
    breaks: 'memory manager',
    doc: 'statistics do not see what is freed',
    install: () => patch(MemoryCounter.prototype, 'free', () => nothing),
  },
  {
    name: 'freed-in-use',
    breaks: 'Streaming API',
    doc: 'a buffer goes back while commands still use it',
    install: () => patch(UseCount.prototype, 'whenIdle', () => (release) => release()),
  },
  {
    name: 'missing-fence',
    breaks: 'Streaming API',
    doc: 'a stream does not wait for an event',
    install: () => patch(CommandStream.prototype, 'wait', () => nothing),
  },
  {
    name: 'event-too-early',
    breaks: 'Streaming API',
    doc: 'an event says that it was reached as soon as it is recorded',
    install: () => patch(Event.prototype, 'query', () => () => true),
  },
  {
    name: 'swallowed-failure',
    breaks: 'Streaming API',
    doc: 'synchronize() reports no failure',
    install: () => patch(CommandStream.prototype, 'synchronize', () => async () => undefined),
  },
];

export const MEMORY_MUTANTS: readonly Mutant[] = DEFECTS.map(({ name, breaks, doc, install }) => ({
  name,
  breaks,
  doc,
  apply: (subject) => {
    install();
    return subject;
  },
}));
