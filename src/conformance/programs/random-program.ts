/** Draws programs: how often each kind of step comes up, and with what. */
import type { Random } from '../random.js';
import {
  BUFFERS,
  EVENTS,
  FAILING_KERNELS,
  FAILING_NODES,
  FAULT_KINDS,
  type FailingKernel,
  GRAPHS,
  HOST_CALLS,
  MISUSES,
  ORDERS,
  READS,
  RESTARTS,
  STREAMS,
  type Step,
  type StepOf,
  TIMELINES,
  type Work,
} from './step.js';

type Make<T> = (random: Random) => T;
type Weighted<T> = readonly (readonly [weight: number, make: Make<T>])[];

const MOST_WORDS = 16_384;
/** With which a program begins. */
const INITIAL_BUFFERS = 6;
const MOST_SEED = 2 ** 31;

const stream = (random: Random): number => random.integer(0, STREAMS - 1);
const buffer = (random: Random): number => random.integer(0, BUFFERS - 1);
const graph = (random: Random): number => random.integer(0, GRAPHS - 1);
const event = (random: Random): number => random.integer(0, EVENTS - 1);
const timeline = (random: Random): number => random.integer(0, TIMELINES - 1);
const seed = (random: Random): number => random.integer(0, MOST_SEED);
const by = (random: Random) => random.pick(ORDERS);
/** Mostly small, so that programs are quick and meet every boundary of a line. */
const bytes = (random: Random): number => random.integer(0, random.pick([16, 300, 5_000, 70_000]));

/** Rows of `bytes` and two distances between them. */
function rows(random: Random): { rows: number; bytes: number; strides: readonly [number, number] } {
  const each = random.integer(1, random.pick([8, 70, 600]));
  const gap = (): number => each + random.pick([0, 0, 1, 24, 100]);
  return { rows: random.integer(0, 6), bytes: each, strides: [gap(), gap()] };
}

const WORKS: Weighted<Work> = [
  [
    14,
    (random) => ({
      do: 'write',
      buffer: buffer(random),
      offset: random.integer(0, 200),
      bytes: bytes(random),
      from: random.pick(['array', 'array', 'pinned', 'pinned', 'gzip'] as const),
      seed: seed(random),
    }),
  ],
  [
    3,
    (random) => {
      const { strides, ...shape } = rows(random);
      const place = { buffer: buffer(random), offset: random.integer(0, 100) };
      return { do: 'write rows', ...place, ...shape, stride: strides[0], seed: seed(random) };
    },
  ],
  [
    8,
    (random) => ({
      do: 'fill',
      buffer: buffer(random),
      offset: 4 * random.integer(0, 40),
      words: random.integer(0, random.pick([8, 200, MOST_WORDS])),
      pattern: random.integer(0, 2 ** 32 - 1),
    }),
  ],
  [
    10,
    (random) => ({
      do: 'copy',
      from: buffer(random),
      to: buffer(random),
      fromOffset: random.integer(0, 100),
      toOffset: random.integer(0, 100),
      bytes: bytes(random),
    }),
  ],
  [
    4,
    (random) => {
      const { strides, ...shape } = rows(random);
      const [fromStride, toStride] = strides;
      return { do: 'copy rows', from: buffer(random), to: buffer(random), ...shape, fromStride, toStride };
    },
  ],
  [
    7,
    (random) => ({
      do: 'record',
      buffer: buffer(random),
      columns: random.integer(1, 8),
      rows: random.integer(1, 8),
      first: random.integer(0, 2 ** 40),
    }),
  ],
  [4, (random) => ({ do: 'add', buffer: buffer(random), times: random.integer(0, 20) })],
];

function draw<T>(random: Random, kinds: Weighted<T>): T {
  const total = kinds.reduce((sum, [weight]) => sum + weight, 0);
  let at = random.next() * total;
  const chosen = kinds.find(([weight]) => {
    at -= weight;
    return at < 0;
  });
  return ((chosen ?? kinds[0]) as (typeof kinds)[number])[1](random);
}

const work: Make<Work> = (random) => draw(random, WORKS);

function worksOf(random: Random, most: number): readonly Work[] {
  return Array.from({ length: random.integer(1, most) }, () => work(random));
}

const allocate = (random: Random, number: number): StepOf<'allocate'> => ({
  do: 'allocate',
  buffer: number,
  words: random.integer(1, random.pick([64, 1024, MOST_WORDS])),
  memory: random.next() < 0.2 ? 'sram' : 'lpddr',
  from: random.pick(['device', 'stream', 'pool'] as const),
  stream: stream(random),
});

const openStream = (random: Random, number: number): Step => ({
  do: 'open stream',
  stream: number,
  priority: random.integer(0, 3),
});

const KINDS: Weighted<Step> = [
  [12, (random) => allocate(random, buffer(random))],
  [3, (random) => ({ do: 'free', buffer: buffer(random), behind: random.next() < 0.6, stream: stream(random) })],
  [48, (random) => ({ do: 'work', stream: stream(random), by: by(random), work: work(random) })],
  [3, (random) => ({ do: 'list', stream: stream(random), by: by(random), works: worksOf(random, 5) })],
  [
    14,
    (random) => ({
      do: 'read',
      stream: stream(random),
      by: by(random),
      buffer: buffer(random),
      offset: random.integer(0, 200),
      bytes: bytes(random),
      into: random.pick(READS),
    }),
  ],
  [
    2.5,
    (random) => ({
      do: 'capture',
      graph: graph(random),
      stream: stream(random),
      other: stream(random),
      works: worksOf(random, 9),
      reads: random.next() < 0.5 ? [buffer(random)] : [],
      fails: random.next() < 0.15 ? random.pick(FAILING_NODES) : 'none',
    }),
  ],
  [
    0.7,
    (random) => ({
      do: 'bad capture',
      how: random.pick(['synchronize', 'unjoined'] as const),
      stream: stream(random),
      other: stream(random),
    }),
  ],
  [
    9,
    (random) => ({
      do: 'replay',
      graph: graph(random),
      stream: stream(random),
      by: by(random),
      bind: random.next() < 0.4 ? buffer(random) : -1,
    }),
  ],
  [2, (random) => ({ do: 'update graph', graph: graph(random), stream: stream(random), seed: seed(random) })],
  [0.7, (random) => ({ do: 'close graph', graph: graph(random) })],
  [3, (random) => ({ do: 'host function', stream: stream(random), call: random.pick(HOST_CALLS) })],
  [
    1.5,
    (random) => ({
      do: 'fail',
      stream: stream(random),
      kernel: random.pick(Object.keys(FAILING_KERNELS) as FailingKernel[]),
    }),
  ],
  [
    1,
    (random) => ({
      do: 'cancel',
      stream: stream(random),
      buffer: buffer(random),
      what: random.pick(['fill', 'kernel'] as const),
    }),
  ],
  [2.5, (random) => ({ do: 'misuse', stream: stream(random), buffer: buffer(random), kind: random.pick(MISUSES) })],
  [3, (random) => ({ do: 'model', stream: stream(random), model: random.integer(0, 4), seed: seed(random) })],
  [4, (random) => openStream(random, stream(random))],
  [1, (random) => ({ do: 'close stream', stream: stream(random) })],
  [5, (random) => ({ do: 'synchronize', stream: stream(random) })],
  [2.5, () => ({ do: 'synchronize device' })],
  [0.7, (random) => ({ do: 'abort', stream: stream(random) })],
  [4, (random) => ({ do: 'wait', stream: stream(random), other: stream(random), by: by(random) })],
  [3, (random) => ({ do: 'record event', event: event(random), stream: stream(random) })],
  [3, (random) => ({ do: 'wait event', event: event(random), stream: stream(random) })],
  [1.5, (random) => ({ do: 'await event', event: event(random) })],
  [3, (random) => ({ do: 'signal timeline', timeline: timeline(random), stream: stream(random) })],
  [
    3,
    (random) => ({
      do: 'wait timeline',
      timeline: timeline(random),
      stream: stream(random),
      back: random.integer(0, 3),
    }),
  ],
  [1.5, (random) => ({ do: 'await timeline', timeline: timeline(random), back: random.integer(0, 3) })],
  [1.5, (random) => ({ do: 'hold', stream: stream(random) })],
  [0.3, () => ({ do: 'trim' })],
  [
    1.5,
    (random) => ({
      do: 'copy to peer',
      stream: stream(random),
      by: by(random),
      buffer: buffer(random),
      fromOffset: random.integer(0, 100),
      toOffset: random.integer(0, 100),
      bytes: bytes(random),
    }),
  ],
];

const FAULTS: Weighted<Step> = [
  [1.5, (random) => ({ do: 'fault', fault: random.pick(FAULT_KINDS) })],
  [
    1,
    (random) => ({
      do: 'flip a bit',
      buffer: buffer(random),
      word: random.integer(0, MOST_WORDS),
      bit: random.integer(0, 63),
    }),
  ],
];
const RESTART: Weighted<Step> = [[0.7, (random) => ({ do: 'restart', how: random.pick(RESTARTS) })]];

/** So large that the next buffer is one that another stream has freed. */
const REUSED_WORDS = 65_536;

/** A buffer and the stream that alone uses it: what is ordered by nothing else is ordered by how memory is handed on. */
function owned(random: Random): { readonly buffer: number; readonly stream: number } {
  const number = random.pick(REUSED_BUFFERS);
  return { buffer: number, stream: number % STREAMS };
}

/** Of two streams. Streams that are held together go on together: one at a time shows most. */
const REUSED_BUFFERS = [1, 2, 5, 6] as const;
const HELD_STREAM = 1;

/** Memory that goes from stream to stream while commands wait. */
const REUSE: Weighted<Step> = [
  [
    16,
    (random) => {
      const { buffer: number, stream: on } = owned(random);
      return { ...allocate(random, number), words: REUSED_WORDS, from: 'stream', memory: 'sram', stream: on };
    },
  ],
  [12, (random) => ({ do: 'free', ...owned(random), behind: true })],
  [8, () => ({ do: 'hold', stream: HELD_STREAM })],
  [
    30,
    (random) => {
      const { buffer: number, stream: on } = owned(random);
      const words = random.integer(1, 200);
      const pattern = random.integer(0, 2 ** 32 - 1);
      return {
        do: 'work',
        stream: on,
        by: by(random),
        work: { do: 'fill', buffer: number, offset: 0, words, pattern },
      };
    },
  ],
  [10, (random) => ({ do: 'read', ...owned(random), by: by(random), offset: 0, bytes: bytes(random), into: 'array' })],
  [0.5, (random) => ({ do: 'wait', stream: stream(random), other: stream(random), by: by(random) })],
  [4, (random) => openStream(random, stream(random))],
  [1, (random) => ({ do: 'close stream', stream: stream(random) })],
  [2, (random) => ({ do: 'synchronize', stream: stream(random) })],
];

export interface ProgramOptions {
  readonly steps: number;
  /** Only work on memory that is allocated and freed in the order of streams, which are held up. */
  readonly reuse?: boolean;
  /** Interrupts, doorbells and bits of memory that go wrong now and then. */
  readonly faults?: boolean;
  /** Devices that are closed, reset, lost or ejected with work under way. */
  readonly restarts?: boolean;
}

export function randomProgram(random: Random, options: ProgramOptions): Step[] {
  const { steps, reuse = false, faults = false, restarts = false } = options;
  const kinds = [...(reuse ? REUSE : KINDS), ...(faults ? FAULTS : []), ...(restarts ? RESTART : [])];
  const begin = (index: number): Step | undefined => {
    if (reuse) return index < STREAMS ? openStream(random, index) : undefined;
    return index < INITIAL_BUFFERS ? allocate(random, index) : undefined;
  };
  return Array.from({ length: steps }, (_, index) => begin(index) ?? draw(random, kinds));
}

/** The same kind of work on the same buffers with other values: what a graph can be updated to. */
export function varied(random: Random, before: Work): Work {
  for (;;) {
    const other = draw(random, WORKS);
    if (other.do !== before.do) continue;
    if (other.do === 'write' && before.do === 'write') return { ...other, from: before.from, buffer: before.buffer };
    if ('buffer' in other && 'buffer' in before) return { ...other, buffer: before.buffer };
    if ('from' in before && 'to' in before) return { ...other, from: before.from, to: before.to } as Work;
    return other;
  }
}
