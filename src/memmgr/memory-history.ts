/** What was allocated, freed and reserved, in the order in which it happened, under torch's names. */
import { checkOptions, describeValue, invalidArgument } from '../driver/index.js';
import type { MemoryKind } from './memory-kind.js';
import { type StackFrame, StackRecord } from './stack.js';

/** What happened to memory, under torch's names. */
export type MemoryAction = 'alloc' | 'free_requested' | 'free_completed' | 'segment_alloc' | 'segment_free' | 'oom';

/** One entry of a snapshot's trace. */
export interface MemoryEvent {
  /** What happened. */
  readonly action: MemoryAction;
  /** 0 for 'oom'. */
  readonly addr: number;
  /** Bytes: of the allocation or the segment; for 'oom' what was asked for. */
  readonly size: number;
  /** Memory in which it happened. */
  readonly memory: MemoryKind;
  /** Microseconds since the epoch. */
  readonly time_us: number;
  /** Number of the stream, where a stream freed or allocated. */
  readonly stream?: number;
  /** Stack of the call; empty where stacks are not recorded. */
  readonly frames: readonly StackFrame[];
}

/** As torch.mtia.record_memory_history. */
export interface MemoryHistoryOptions {
  /** 'state': stacks of live allocations only; 'all': a trace, too; null: off. 'all' when absent. */
  readonly enabled?: 'all' | 'state' | null;
  /** 'js': JavaScript stacks; 'none': none. 'js' when absent. */
  readonly stacks?: 'js' | 'none';
  /** Of the trace; the oldest go. 65,536 when absent. */
  readonly maxEntries?: number;
}

const MAX_ENTRIES = 65_536;
const ENABLED: ReadonlySet<unknown> = new Set(['all', 'state', null]);
const STACKS: ReadonlySet<unknown> = new Set(['js', 'none']);

type EventDetails = Omit<MemoryEvent, 'frames' | 'time_us'>;

interface Entry {
  readonly event: EventDetails;
  readonly timeUs: number;
  readonly stack: StackRecord | undefined;
}

export class MemoryHistory {
  #entries: Entry[] = [];
  /** Index of the oldest entry once the trace is full. */
  #oldest = 0;
  #maxEntries = 0;
  #stacks = false;

  /** Starts anew; what was recorded is forgotten. */
  configure(options: MemoryHistoryOptions): void {
    checkOptions(options);
    const { enabled = 'all', stacks = 'js', maxEntries = MAX_ENTRIES } = options;
    if (!ENABLED.has(enabled))
      throw invalidArgument(`enabled is 'all', 'state' or null, got ${describeValue(enabled)}`);
    if (!STACKS.has(stacks)) throw invalidArgument(`stacks is 'js' or 'none', got ${describeValue(stacks)}`);
    if (!Number.isSafeInteger(maxEntries) || maxEntries < 0) {
      throw invalidArgument(`maxEntries is a whole number of entries, got ${maxEntries}`);
    }
    this.#entries = [];
    this.#oldest = 0;
    this.#maxEntries = enabled === 'all' ? maxEntries : 0;
    this.#stacks = enabled !== null && stacks === 'js';
  }

  /** The caller's stack, where stacks are recorded. */
  stack(hidden: (...args: never[]) => unknown): StackRecord | undefined {
    return this.#stacks ? new StackRecord(hidden) : undefined;
  }

  record(event: EventDetails, stack?: StackRecord): void {
    if (this.#maxEntries === 0) return;
    const entry = { event, timeUs: Math.round((performance.timeOrigin + performance.now()) * 1000), stack };
    if (this.#entries.length < this.#maxEntries) {
      this.#entries.push(entry);
      return;
    }
    this.#entries[this.#oldest] = entry;
    this.#oldest = (this.#oldest + 1) % this.#maxEntries;
  }

  /** The oldest first. */
  get trace(): readonly MemoryEvent[] {
    const ordered = [...this.#entries.slice(this.#oldest), ...this.#entries.slice(0, this.#oldest)];
    return ordered.map(({ event, timeUs, stack }) => ({ ...event, time_us: timeUs, frames: stack?.frames ?? [] }));
  }
}
