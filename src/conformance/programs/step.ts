/** Steps of random programs over the Streaming API: plain data, so that a program can be printed, repeated and made shorter. */

/** Streams, buffers, graphs, events are named by small numbers; what a number stands for changes as the program runs. */
export const STREAMS = 4;
export const BUFFERS = 10;
export const GRAPHS = 3;
export const EVENTS = 4;
export const TIMELINES = 2;

/** How a stream comes to be behind the one that used a buffer last. */
export const ORDERS = ['stream', 'event', 'timeline'] as const;
export type Order = (typeof ORDERS)[number];

/** What a command does to the bytes of buffers, in a stream or in a graph. */
export type Work =
  | {
      readonly do: 'write';
      readonly buffer: number;
      readonly offset: number;
      readonly bytes: number;
      readonly from: 'array' | 'pinned' | 'gzip';
      readonly seed: number;
    }
  | {
      readonly do: 'write rows';
      readonly buffer: number;
      readonly offset: number;
      readonly rows: number;
      readonly bytes: number;
      readonly stride: number;
      readonly seed: number;
    }
  | {
      readonly do: 'fill';
      readonly buffer: number;
      readonly offset: number;
      readonly words: number;
      readonly pattern: number;
    }
  | {
      readonly do: 'copy';
      readonly from: number;
      readonly to: number;
      readonly fromOffset: number;
      readonly toOffset: number;
      readonly bytes: number;
    }
  | {
      readonly do: 'copy rows';
      readonly from: number;
      readonly to: number;
      readonly rows: number;
      readonly bytes: number;
      readonly fromStride: number;
      readonly toStride: number;
    }
  | {
      readonly do: 'record';
      readonly buffer: number;
      readonly columns: number;
      readonly rows: number;
      readonly first: number;
    }
  | { readonly do: 'add'; readonly buffer: number; readonly times: number };
export type WorkKind = Work['do'];

export const FAILING_KERNELS = {
  RETURN_VALUE: { code: 'KERNEL_ERROR', word: 99n },
  ILLEGAL_INSTRUCTION: { code: 'KERNEL_FAULT', word: 0n },
  OUT_OF_BOUNDS: { code: 'MEMORY_PROTECTION', word: 0x10n },
  ILLEGAL_COMMAND: { code: 'ILLEGAL_UNIT_COMMAND', word: 0n },
  DEADLOCK: { code: 'DEADLOCK', word: 0n },
  ENDLESS: { code: 'KERNEL_TIMEOUT', word: 0n },
} as const;
export type FailingKernel = keyof typeof FAILING_KERNELS;
/** A graph has no deadline of its own for a node. */
export const FAILING_NODES = ['RETURN_VALUE', 'ILLEGAL_INSTRUCTION', 'OUT_OF_BOUNDS', 'ILLEGAL_COMMAND'] as const;

export const MISUSES = ['beyond the end', 'odd fill', 'no such kernel', 'no such grid', 'freed buffer'] as const;
export type Misuse = (typeof MISUSES)[number];

export const HOST_CALLS = ['returns', 'resolves', 'throws'] as const;
export type HostCall = (typeof HOST_CALLS)[number];

export const READS = ['array', 'pinned', 'shared', 'function'] as const;
/** `shared` is pinned memory that workers may attach; `function`: a host function looks at pinned memory. */
export type Read = (typeof READS)[number];

export const FAULT_KINDS = [
  'none',
  'interrupts lost',
  'interrupts late',
  'interrupts repeated',
  'interrupts out of order',
  'interrupts spurious',
  'doorbells repeated',
] as const;
export type FaultKind = (typeof FAULT_KINDS)[number];

/**
 * All with work under way. `close`; `reset`: behind the driver's back; `eject`: the card leaves the bus; each is followed by
 * a new device. `device reset`: Device.reset; `revive`: Device.reset of a device that was lost.
 */
export const RESTARTS = ['close', 'reset', 'eject', 'device reset', 'revive'] as const;
export type Restart = (typeof RESTARTS)[number];

interface OnStream {
  readonly stream: number;
}

export type Step =
  | {
      readonly do: 'allocate';
      readonly buffer: number;
      readonly words: number;
      readonly memory: 'lpddr' | 'sram';
      /** `stream`: in the order of one; `pool`: from a pool of its own. */
      readonly from: 'device' | 'stream' | 'pool';
      readonly stream: number;
    }
  | ({ readonly do: 'free'; readonly buffer: number; readonly behind: boolean } & OnStream)
  | ({ readonly do: 'work'; readonly by: Order; readonly work: Work } & OnStream)
  | ({ readonly do: 'list'; readonly by: Order; readonly works: readonly Work[] } & OnStream)
  | ({
      readonly do: 'read';
      readonly by: Order;
      readonly buffer: number;
      readonly offset: number;
      readonly bytes: number;
      readonly into: Read;
    } & OnStream)
  | ({
      readonly do: 'capture';
      readonly graph: number;
      /** Drawn in, where it is another one. */
      readonly other: number;
      readonly works: readonly Work[];
      readonly reads: readonly number[];
      readonly fails: (typeof FAILING_NODES)[number] | 'none';
    } & OnStream)
  | ({ readonly do: 'bad capture'; readonly how: 'synchronize' | 'unjoined'; readonly other: number } & OnStream)
  | ({ readonly do: 'replay'; readonly graph: number; readonly by: Order; readonly bind: number } & OnStream)
  | ({ readonly do: 'update graph'; readonly graph: number; readonly seed: number } & OnStream)
  | { readonly do: 'close graph'; readonly graph: number }
  | ({ readonly do: 'host function'; readonly call: HostCall } & OnStream)
  | ({ readonly do: 'fail'; readonly kernel: FailingKernel } & OnStream)
  /** Aborted by its signal: `fill` at once, a kernel that never ends a little later. */
  | ({ readonly do: 'cancel'; readonly buffer: number; readonly what: 'fill' | 'kernel' } & OnStream)
  | ({ readonly do: 'misuse'; readonly buffer: number; readonly kind: Misuse } & OnStream)
  | ({ readonly do: 'model'; readonly model: number; readonly seed: number } & OnStream)
  | ({ readonly do: 'open stream'; readonly priority: number } & OnStream)
  | ({ readonly do: 'close stream' } & OnStream)
  | ({ readonly do: 'synchronize' } & OnStream)
  | { readonly do: 'synchronize device' }
  | ({ readonly do: 'abort' } & OnStream)
  | ({ readonly do: 'wait'; readonly other: number; readonly by: Order } & OnStream)
  | ({ readonly do: 'record event'; readonly event: number } & OnStream)
  | ({ readonly do: 'wait event'; readonly event: number } & OnStream)
  | { readonly do: 'await event'; readonly event: number }
  | ({ readonly do: 'signal timeline'; readonly timeline: number } & OnStream)
  | ({ readonly do: 'wait timeline'; readonly timeline: number; readonly back: number } & OnStream)
  | { readonly do: 'await timeline'; readonly timeline: number; readonly back: number }
  | ({ readonly do: 'hold' } & OnStream)
  | ({
      readonly do: 'copy to peer';
      readonly by: Order;
      readonly buffer: number;
      readonly fromOffset: number;
      readonly toOffset: number;
      readonly bytes: number;
    } & OnStream)
  | { readonly do: 'flip a bit'; readonly buffer: number; readonly word: number; readonly bit: number }
  | { readonly do: 'trim' }
  | { readonly do: 'fault'; readonly fault: FaultKind }
  | { readonly do: 'restart'; readonly how: Restart };

export type StepKind = Step['do'];
export type StepOf<K extends StepKind> = Extract<Step, { readonly do: K }>;
