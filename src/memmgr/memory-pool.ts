/**
 * Memory of one kind that a context holds in arenas. Allocations are ordered by the host, or by a stream: then what a
 * stream frees is its own again at once, and another stream's when that one knows the first to be past the free.
 */
import { closedError, invalidArgument, type MtiaError } from '../driver/index.js';
import { PROTECTION_PAGE_BYTES } from '../hw/index.js';
import type { Arena, UsedBlock } from './arena.js';
import type { MemoryHistory } from './memory-history.js';
import type { MemoryKind } from './memory-kind.js';
import type { StackRecord } from './stack.js';
import { MemoryCounter } from './statistics.js';
import type { StreamOrder } from './stream-order.js';

const MIB = 1024 * 1024;
const PAGE = PROTECTION_PAGE_BYTES;

/** Size of an arena for small allocations. */
const ARENA_BYTES: Readonly<Record<MemoryKind, number>> = { lpddr: 16 * MIB, sram: 1 * MIB };

/** Memory of the device that was allocated. */
export interface DeviceAllocation {
  readonly address: bigint;
  /** As requested. */
  readonly bytes: number;
  readonly memory: MemoryKind;
  /** Gives the memory back at once: nothing that uses it may be outstanding. Idempotent. */
  free(): void;
  /** Gives the memory back behind what the stream has enqueued so far: nothing else may use it. Idempotent. */
  freeBehind(stream: StreamOrder): void;
  /** Says that free() will follow when the commands that use the memory are done. */
  retire(): void;
  /** In checking mode: where it was freed, as Error.stack prints it. */
  freedAt?(): string | undefined;
}

/** What a pool is made with. */
export interface MemoryPoolOptions {
  /** LPDDR when absent. */
  readonly memory?: MemoryKind;
  /** Bytes of empty segments that the pool keeps for later allocations; 0 when absent. */
  readonly releaseThreshold?: number;
}

/** As cudaMemPoolGetAttribute names them, in bytes. */
export interface MemoryPoolAttributes {
  /** Empty segments that the pool keeps for later allocations. */
  readonly releaseThreshold: number;
  /** Segments that the pool holds. */
  readonly reservedMemCurrent: number;
  /** The most that it ever held, or held since resetPeakAttributes(). */
  readonly reservedMemHigh: number;
  /** Live allocations, as asked for. */
  readonly usedMemCurrent: number;
  /** The most that they ever were, or were since resetPeakAttributes(). */
  readonly usedMemHigh: number;
}

/** What a pool is allocated from. */
export interface ArenaSource {
  readonly history: MemoryHistory;
  /** Counts what all pools of a kind hold. */
  readonly counters: Readonly<Record<MemoryKind, MemoryCounter>>;
  /** Gives the pages back to the device. */
  release(arena: Arena): void;
  /** Resolves when all pages on their way back have arrived. */
  released(): Promise<void>;
  /** Memory has become free. */
  freed(): void;
  forget(pool: MemoryPool): void;
  /** DEVICE_RESET where the device has been reset since. */
  failure(): MtiaError | undefined;
}

export interface AllocationRequest {
  readonly bytes: number;
  readonly alignment: number;
  readonly stack: StackRecord | undefined;
  readonly stream: StreamOrder | undefined;
}

/** Arenas of one kind of memory that allocations share, as cudaMemPool: empty ones are kept up to a threshold. */
export class MemoryPool implements AsyncDisposable {
  /** Told apart by it in snapshots. */
  readonly id: number;
  /** Memory that the pool allocates. */
  readonly memory: MemoryKind;
  readonly #source: ArenaSource;
  readonly #releaseThreshold: number;
  readonly #arenas = new Set<Arena>();
  readonly #counter = new MemoryCounter();
  /** Streams whose frees are watched: what they get past is collected then. */
  readonly #watched = new Set<StreamOrder>();
  #closed = false;

  /** Use Device.createMemoryPool. */
  constructor(id: number, source: ArenaSource, { memory = 'lpddr', releaseThreshold = 0 }: MemoryPoolOptions) {
    if (typeof releaseThreshold !== 'number' || !(releaseThreshold >= 0))
      throw invalidArgument(`releaseThreshold is a number of bytes, got ${releaseThreshold}`);
    this.id = id;
    this.memory = memory;
    this.#source = source;
    this.#releaseThreshold = releaseThreshold;
  }

  /** Whether close() was called: allocations fail with DEVICE_CLOSED. */
  get closed(): boolean {
    return this.#closed;
  }

  /** What the pool holds now and held at most. */
  get attributes(): MemoryPoolAttributes {
    const { allocated_bytes, peak_bytes, reserved_bytes, peak_reserved_bytes } = this.#counter.read();
    return {
      releaseThreshold: this.#releaseThreshold,
      reservedMemCurrent: reserved_bytes,
      reservedMemHigh: peak_reserved_bytes,
      usedMemCurrent: allocated_bytes,
      usedMemHigh: peak_bytes,
    };
  }

  /** Sets the high-water marks to what is held now. */
  resetPeakAttributes(): void {
    this.#counter.resetPeak();
  }

  /**
   * Gives segments back to the device until no more than `keepBytes` are left or the rest is in use: a segment that a
   * command may still touch stays.
   */
  async trim(keepBytes = 0): Promise<void> {
    this.#giveBack(() => this.#counter.read().reserved_bytes > keepBytes);
    await this.#source.released();
  }

  /** Takes no more allocations; what is allocated stays valid, and its memory goes back as it is freed. Idempotent. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#forgetIfEmpty();
    await this.trim();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  // What follows is for DeviceMemory.

  /** Why it may be used no more, be it open. */
  get failure(): MtiaError | undefined {
    return this.#source.failure();
  }

  /** Segments that the pool holds. */
  get arenas(): Iterable<Arena> {
    return this.#arenas;
  }

  /** Bytes that were freed and that commands may still touch. */
  get pendingFreeBytes(): number {
    let bytes = 0;
    for (const arena of this.#arenas) bytes += arena.queuedBytes + arena.retiredBytes;
    return bytes;
  }

  /** Takes over what streams have got past. */
  collect(): void {
    for (const arena of this.#arenas) arena.collect();
  }

  /** Throws DEVICE_CLOSED where the pool is closed. */
  checkOpen(): void {
    if (this.#closed) throw closedError(`memory pool ${this.id}`);
  }

  /** Sizes of pages to ask for: a large allocation gets pages of its own; where a whole arena does not fit, less may. */
  segmentSizes(bytes: number): readonly number[] {
    const exact = Math.ceil(bytes / PAGE) * PAGE;
    const arenaBytes = ARENA_BYTES[this.memory];
    return exact > arenaBytes / 2 ? [exact] : [arenaBytes, exact];
  }

  /** Takes over a segment of pages. */
  add(arena: Arena): void {
    this.#arenas.add(arena);
    this.#counter.reserve(arena.bytes);
    this.#source.counters[this.memory].reserve(arena.bytes);
    this.#source.history.record({
      action: 'segment_alloc',
      addr: arena.address,
      size: arena.bytes,
      memory: this.memory,
    });
  }

  /** An allocation out of the arenas that the pool holds; undefined when nothing fits. */
  allocate({ bytes, alignment, stack, stream }: AllocationRequest): DeviceAllocation | undefined {
    for (const arena of this.#arenas) {
      const block = arena.allocate(bytes, alignment, stack, stream);
      if (block === undefined) continue;
      this.#counter.allocate(bytes);
      this.#source.counters[this.memory].allocate(bytes);
      this.#record('alloc', block, stream, stack);
      return this.#allocation(arena, block);
    }
    return undefined;
  }

  /** Closes the pool and gives every segment back, in use or not: the device closes. */
  releaseAll(): void {
    this.#closed = true;
    for (const arena of [...this.#arenas]) this.#release(arena);
  }

  #allocation(arena: Arena, block: UsedBlock): DeviceAllocation {
    const { requested, address } = block;
    let live = true;
    const end = (giveBack: () => void): void => {
      if (!live) return;
      live = false;
      this.#counter.free(requested);
      this.#source.counters[this.memory].free(requested);
      // A device that has closed has taken its arenas back already.
      if (this.#arenas.has(arena)) giveBack();
    };
    return {
      address: BigInt(address),
      bytes: requested,
      memory: this.memory,
      free: () =>
        end(() => {
          if (!block.retired) this.#record('free_requested', block);
          this.#record('free_completed', block);
          const behind = arena.free(block);
          if (behind !== undefined) this.#watch(behind);
          this.#afterFree();
        }),
      freeBehind: (stream) =>
        end(() => {
          this.#record('free_requested', block, stream);
          this.#freeBehind(arena, block, stream);
        }),
      retire: () => {
        if (!live || block.retired) return;
        block.retired = true;
        this.#record('free_requested', block);
      },
    };
  }

  #freeBehind(arena: Arena, block: UsedBlock, stream: StreamOrder): void {
    const unordered = arena.unordered(block, stream);
    if (unordered === undefined) {
      arena.freeBehind(block, stream);
      this.#watch(stream);
      return;
    }
    block.retired = true;
    void unordered.whenIdle().then(() => {
      // A stream that broke keeps its memory: it never gets past it.
      if (!this.#arenas.has(arena) || arena.unordered(block, stream) !== undefined) return;
      this.#freeBehind(arena, block, stream);
    });
  }

  /** Collects what the stream frees, once it is past it, so that reserve beyond the threshold goes back to the device. */
  #watch(stream: StreamOrder): void {
    if (this.#watched.has(stream)) return;
    this.#watched.add(stream);
    const seen = stream.enqueued;
    void stream.whenIdle().then(() => {
      this.#watched.delete(stream);
      this.collect();
      this.#afterFree();
      if (stream.enqueued > seen && this.#hasQueued(stream)) this.#watch(stream);
    });
  }

  #hasQueued(stream: StreamOrder): boolean {
    for (const arena of this.#arenas) for (const queued of arena.queuedStreams) if (queued === stream) return true;
    return false;
  }

  #afterFree(): void {
    const threshold = this.#closed ? 0 : this.#releaseThreshold;
    let kept = 0;
    this.#giveBack((arena) => {
      if (kept + arena.bytes > threshold) return true;
      kept += arena.bytes;
      return false;
    });
    this.#forgetIfEmpty();
    this.#source.freed();
  }

  #giveBack(wanted: (arena: Arena) => boolean): void {
    for (const arena of [...this.#arenas]) {
      arena.collect();
      if (arena.empty && wanted(arena)) this.#release(arena);
    }
  }

  #release(arena: Arena): void {
    this.#arenas.delete(arena);
    this.#counter.reserve(-arena.bytes);
    this.#source.counters[this.memory].reserve(-arena.bytes);
    this.#source.history.record({
      action: 'segment_free',
      addr: arena.address,
      size: arena.bytes,
      memory: this.memory,
    });
    this.#source.release(arena);
  }

  #forgetIfEmpty(): void {
    if (this.#closed && this.#arenas.size === 0) this.#source.forget(this);
  }

  #record(
    action: 'alloc' | 'free_requested' | 'free_completed',
    { address, requested }: UsedBlock,
    stream?: StreamOrder,
    stack?: StackRecord,
  ): void {
    const { memory } = this;
    const event = { action, addr: address, size: requested, memory };
    this.#source.history.record(stream === undefined ? event : { ...event, stream: stream.number }, stack);
  }
}
