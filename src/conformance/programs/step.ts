/** Random programs over the Streaming API: steps as plain data, so that a program can be printed, repeated and made shorter. */
import type { Random } from '../random.js';

/** Between host and device. */
export interface Transfer {
  readonly buffer: number;
  readonly stream: number;
  readonly offset: number;
  readonly bytes: number;
  readonly pinned: boolean;
}

/** Streams and buffers are named by small numbers; what a number stands for changes as the program runs. */
export type Step =
  | { readonly do: 'allocate'; readonly buffer: number; readonly words: number; readonly memory: 'lpddr' | 'sram' }
  | { readonly do: 'free'; readonly buffer: number }
  | ({ readonly do: 'write' } & Transfer)
  | ({ readonly do: 'read' } & Transfer)
  | { readonly do: 'fill'; readonly buffer: number; readonly stream: number; readonly pattern: number }
  | { readonly do: 'copy'; readonly from: number; readonly to: number; readonly stream: number; readonly bytes: number }
  | {
      readonly do: 'record';
      readonly buffer: number;
      readonly stream: number;
      readonly columns: number;
      readonly rows: number;
    }
  | { readonly do: 'fail'; readonly stream: number; readonly kernel: FailingKernel }
  | { readonly do: 'misuse'; readonly stream: number; readonly buffer: number; readonly kind: Misuse }
  | { readonly do: 'model'; readonly stream: number; readonly rows: number }
  | { readonly do: 'open stream'; readonly stream: number }
  | { readonly do: 'close stream'; readonly stream: number }
  | { readonly do: 'synchronize'; readonly stream: number }
  | { readonly do: 'wait'; readonly stream: number; readonly other: number }
  | { readonly do: 'fault'; readonly fault: FaultKind }
  | { readonly do: 'restart'; readonly how: Restart };

export const FAILING_KERNELS = {
  RETURN_VALUE: { code: 'KERNEL_ERROR', word: 99n },
  ILLEGAL_INSTRUCTION: { code: 'KERNEL_FAULT', word: 0n },
  OUT_OF_BOUNDS: { code: 'MEMORY_PROTECTION', word: 0x10n },
  ILLEGAL_COMMAND: { code: 'ILLEGAL_UNIT_COMMAND', word: 0n },
  DEADLOCK: { code: 'DEADLOCK', word: 0n },
  ENDLESS: { code: 'KERNEL_TIMEOUT', word: 0n },
} as const;
export type FailingKernel = keyof typeof FAILING_KERNELS;

export const MISUSES = ['beyond the end', 'odd fill', 'no such kernel', 'no such grid', 'freed buffer'] as const;
export type Misuse = (typeof MISUSES)[number];

export const FAULT_KINDS = [
  'none',
  'interrupts lost',
  'interrupts late',
  'interrupts repeated',
  'doorbells repeated',
] as const;
export type FaultKind = (typeof FAULT_KINDS)[number];

/** `close`: with work under way; `reset`: behind the driver's back; `eject`: the card leaves the bus. */
export const RESTARTS = ['close', 'reset', 'eject'] as const;
export type Restart = (typeof RESTARTS)[number];

export const STREAMS = 4;
export const BUFFERS = 10;
const MOST_WORDS = 16_384;

type Make = (random: Random) => Step;

const stream = (random: Random): number => random.integer(0, STREAMS - 1);
const buffer = (random: Random): number => random.integer(0, BUFFERS - 1);
/** Mostly small, so that programs are quick and meet every boundary of a line. */
const bytes = (random: Random): number => random.integer(0, random.pick([16, 300, 5_000, 70_000]));

const copyOf =
  (kind: 'write' | 'read'): Make =>
  (random) => ({
    do: kind,
    buffer: buffer(random),
    stream: stream(random),
    offset: random.integer(0, 200),
    bytes: bytes(random),
    pinned: random.next() < 0.3,
  });

/** How often each kind of step comes up. */
const KINDS: readonly (readonly [weight: number, make: Make])[] = [
  [
    8,
    (random) => ({
      do: 'allocate',
      buffer: buffer(random),
      words: random.integer(1, random.pick([64, 1024, MOST_WORDS])),
      memory: random.next() < 0.2 ? 'sram' : 'lpddr',
    }),
  ],
  [3, (random) => ({ do: 'free', buffer: buffer(random) })],
  [14, copyOf('write')],
  [14, copyOf('read')],
  [
    8,
    (random) => ({
      do: 'fill',
      buffer: buffer(random),
      stream: stream(random),
      pattern: random.integer(0, 2 ** 32 - 1),
    }),
  ],
  [
    10,
    (random) => ({
      do: 'copy',
      from: buffer(random),
      to: buffer(random),
      stream: stream(random),
      bytes: bytes(random),
    }),
  ],
  [
    8,
    (random) => ({
      do: 'record',
      buffer: buffer(random),
      stream: stream(random),
      columns: random.integer(1, 8),
      rows: random.integer(1, 8),
    }),
  ],
  [
    2,
    (random) => ({
      do: 'fail',
      stream: stream(random),
      kernel: random.pick(Object.keys(FAILING_KERNELS) as FailingKernel[]),
    }),
  ],
  [3, (random) => ({ do: 'misuse', stream: stream(random), buffer: buffer(random), kind: random.pick(MISUSES) })],
  [3, (random) => ({ do: 'model', stream: stream(random), rows: random.integer(1, 4) })],
  [3, (random) => ({ do: 'open stream', stream: stream(random) })],
  [1, (random) => ({ do: 'close stream', stream: stream(random) })],
  [5, (random) => ({ do: 'synchronize', stream: stream(random) })],
  [5, (random) => ({ do: 'wait', stream: stream(random), other: stream(random) })],
];
const FAULTS: Make = (random) => ({ do: 'fault', fault: random.pick(FAULT_KINDS) });
const RESTART: Make = (random) => ({ do: 'restart', how: random.pick(RESTARTS) });

export interface ProgramOptions {
  readonly steps: number;
  /** Interrupts and doorbells that go wrong now and then; the card must be wrapped in a FaultInjectingFunction. */
  readonly faults?: boolean;
  /** Cards that are closed, reset or ejected with work under way. */
  readonly restarts?: boolean;
}

export function randomProgram(random: Random, { steps, faults = false, restarts = false }: ProgramOptions): Step[] {
  const kinds = [...KINDS];
  if (faults) kinds.push([1.5, FAULTS]);
  if (restarts) kinds.push([0.6, RESTART]);
  const total = kinds.reduce((sum, [weight]) => sum + weight, 0);
  return Array.from({ length: steps }, () => {
    let at = random.next() * total;
    const chosen = kinds.find(([weight]) => {
      at -= weight;
      return at < 0;
    });
    return (chosen ?? kinds[0])?.[1](random) as Step;
  });
}
