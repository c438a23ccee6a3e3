/**
 * Device memory of one context. Protection works on 64 KiB pages, allocations are as small as 64 bytes: pages are taken in
 * arenas, assigned to the context by the firmware, and divided up by pools.
 */
import { type Context, checkOptions, closedError, describeValue, invalidArgument, MtiaError } from '../driver/index.js';
import { PROTECTION_PAGE_BYTES } from '../hw/index.js';
import { Arena, GRANULE } from './arena.js';
import type { PageSource } from './device-heaps.js';
import type { Occupancy } from './heap-occupancy.js';
import { MemoryHistory } from './memory-history.js';
import { MEMORY_KINDS, type MemoryKind } from './memory-kind.js';
import {
  type AllocationRequest,
  type ArenaSource,
  type DeviceAllocation,
  MemoryPool,
  type MemoryPoolOptions,
} from './memory-pool.js';
import { type MemorySnapshot, segmentSnapshot } from './snapshot.js';
import { MemoryCounter, type MemoryStatistics } from './statistics.js';
import type { StreamOrder } from './stream-order.js';

/** Where and how device memory is allocated. */
export interface AllocationOptions {
  /** LPDDR when absent, or what the pool holds. */
  readonly memory?: MemoryKind;
  /** A power of two, at least 64. */
  readonly alignment?: number;
  /** The device's own pool for the memory when absent. */
  readonly pool?: MemoryPool;
}

/**
 * Called before an allocation fails for want of memory.
 *
 * @param device number of the device
 * @param requested bytes that there was no room for
 * @param deviceTotal bytes of that memory on the device
 * @param deviceFree bytes of it that no context holds
 */
export type OutOfMemoryObserver = (device: number, requested: number, deviceTotal: number, deviceFree: number) => void;

/** What allocation needs of a context. */
export type PageOwner = Pick<Context, 'id' | 'failure' | 'assignPages' | 'releasePages'>;

/** What the memory manager of a device needs to know of it. */
export interface DeviceMemoryOptions {
  /** Number of the device, for observers and snapshots. */
  readonly device?: number;
  /** Resolves when every command enqueued so far, on whichever stream, has ended. */
  readonly whenIdle?: () => Promise<void>;
}

const PAGE = PROTECTION_PAGE_BYTES;
const MIB = 1024 * 1024;

/** Empty segments that the device's own pools keep. */
const KEPT_BYTES: Readonly<Record<MemoryKind, number>> = { lpddr: 256 * MIB, sram: 16 * MIB };

function checkKind(memory: MemoryKind): void {
  if (MEMORY_KINDS.includes(memory)) return;
  throw invalidArgument(`there is no memory "${memory}"; there are ${MEMORY_KINDS.join(' and ')}`);
}

/** Memory of one context: pools over arenas of pages, frees in the order of streams, statistics, observers. */
export class DeviceMemory {
  readonly history = new MemoryHistory();
  readonly #heaps: PageSource;
  readonly #owner: PageOwner;
  readonly #device: number;
  readonly #whenIdle: () => Promise<void>;
  readonly #counters: Readonly<Record<MemoryKind, MemoryCounter>> = {
    lpddr: new MemoryCounter(),
    sram: new MemoryCounter(),
  };
  readonly #pools = new Set<MemoryPool>();
  readonly #defaults: Readonly<Record<MemoryKind, MemoryPool>>;
  readonly #observers = new Set<OutOfMemoryObserver>();
  /** Gives memory back that is only kept for diagnosis. */
  readonly #reserves = new Set<() => Promise<boolean>>();
  /** Pages on their way back to the device. */
  readonly #releases = new Set<Promise<void>>();
  /** Last step of the arena growth under way: growth is one at a time, so that small allocations share an arena. */
  #growth: Promise<unknown> = Promise.resolve();
  #nextPool = 0;
  /** Times that memory has become free. */
  #frees = 0;
  #waiting: (() => void)[] = [];
  #closed = false;

  constructor(heaps: PageSource, owner: PageOwner, options: DeviceMemoryOptions = {}) {
    this.#heaps = heaps;
    this.#owner = owner;
    this.#device = options.device ?? 0;
    this.#whenIdle = options.whenIdle ?? (() => Promise.resolve());
    this.#defaults = {
      lpddr: this.createPool({ memory: 'lpddr', releaseThreshold: KEPT_BYTES.lpddr }),
      sram: this.createPool({ memory: 'sram', releaseThreshold: KEPT_BYTES.sram }),
    };
  }

  createPool(options: MemoryPoolOptions = {}): MemoryPool {
    this.#checkOpen();
    checkOptions(options);
    checkKind(options.memory ?? 'lpddr');
    const pool = new MemoryPool(this.#nextPool++, this.#source, options);
    this.#pools.add(pool);
    return pool;
  }

  /** The pool of allocations that name none. */
  defaultPool(memory: MemoryKind): MemoryPool {
    checkKind(memory);
    return this.#defaults[memory];
  }

  /**
   * @param stream the memory is for commands that this stream enqueues from now on; for anybody when absent
   */
  async allocate(bytes: number, options: AllocationOptions = {}, stream?: StreamOrder): Promise<DeviceAllocation> {
    const stack = this.history.stack(this.allocate);
    checkOptions(options);
    const pool = this.#poolOf(options);
    const { alignment = GRANULE } = options;
    if (!Number.isSafeInteger(bytes) || bytes <= 0) {
      throw invalidArgument(`an allocation of ${bytes} bytes; give a whole number from 1`);
    }
    if (!Number.isSafeInteger(alignment) || !Number.isInteger(Math.log2(alignment)) || alignment < GRANULE) {
      throw invalidArgument(`an alignment is a power of two of at least ${GRANULE}, got ${alignment}`);
    }
    this.#checkOpen();
    pool.checkOpen();
    const request = { bytes, alignment, stack, stream };
    return pool.allocate(request) ?? this.#allocateSlowly(pool, request);
  }

  /** `dram` is the LPDDR, named as torch.mtia names it. */
  statistics(): { readonly dram: MemoryStatistics; readonly sram: MemoryStatistics } {
    return { dram: this.#statisticsOf('lpddr'), sram: this.#statisticsOf('sram') };
  }

  /** As torch.accelerator.get_memory_info: what no context holds, and all there is. */
  memoryInfo(memory: MemoryKind): readonly [free: number, total: number] {
    checkKind(memory);
    const { freeBytes, totalBytes } = this.#heaps.occupancy(memory);
    return [freeBytes, totalBytes];
  }

  resetPeakStatistics(): void {
    for (const counter of Object.values(this.#counters)) counter.resetPeak();
  }

  resetAccumulatedStatistics(): void {
    for (const counter of Object.values(this.#counters)) counter.resetAccumulated();
  }

  /** Every segment and block, and the trace if it is recorded. */
  snapshot(): MemorySnapshot {
    const segments = [...this.#pools].flatMap((pool) =>
      [...pool.arenas].map((arena) => segmentSnapshot(arena, pool.id, this.#device)),
    );
    segments.sort((a, b) => a.address - b.address);
    return { segments, device_traces: [this.history.trace] };
  }

  /** Calls the observer before an allocation fails for want of memory, until the returned function is called. */
  observeOutOfMemory(observer: OutOfMemoryObserver): () => void {
    if (typeof observer !== 'function') throw invalidArgument(`expected a function, got ${describeValue(observer)}`);
    this.#observers.add(observer);
    return () => {
      this.#observers.delete(observer);
    };
  }

  /** @param giveBack called when memory is out; resolves to whether it gave any back */
  addReserve(giveBack: () => Promise<boolean>): void {
    this.#reserves.add(giveBack);
  }

  /** Gives the arenas that hold nothing back to the device. */
  async trim(): Promise<void> {
    await Promise.all([...this.#pools].map((pool) => pool.trim()));
  }

  /**
   * Gives everything back. Call it before the context closes, or after: a closed context has lost its pages anyway.
   * Idempotent.
   */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#freed();
    await this.#growth;
    for (const pool of this.#pools) pool.releaseAll();
    await Promise.all(this.#releases);
  }

  /** Grows, gives reserve back, waits for frees that are queued, and fails only when none of it helps. */
  async #allocateSlowly(pool: MemoryPool, request: AllocationRequest): Promise<DeviceAllocation> {
    for (;;) {
      const grown = await this.#inTurn(() => this.#fromNewArena(pool, request));
      if (grown !== undefined) return grown;
      const helped = (await this.#useReserves()) || (await this.#awaitFree(pool.memory));
      this.#checkOpen();
      if (!helped) throw this.#outOfMemory(pool.memory, request.bytes);
      this.#counters[pool.memory].retry();
    }
  }

  async #inTurn<T>(step: () => Promise<T>): Promise<T> {
    const turn = this.#growth.then(step);
    this.#growth = turn.catch(() => undefined);
    return turn;
  }

  async #fromNewArena(pool: MemoryPool, request: AllocationRequest): Promise<DeviceAllocation | undefined> {
    this.#checkOpen();
    // Room may have come up while this allocation waited for its turn.
    const found = pool.allocate(request);
    if (found !== undefined) return found;
    return (await this.#grow(pool, request)) ? pool.allocate(request) : undefined;
  }

  async #grow(pool: MemoryPool, { bytes, alignment }: AllocationRequest): Promise<boolean> {
    const { memory } = pool;
    const sizes = pool.segmentSizes(bytes);
    let taken = await this.#take(memory, sizes, alignment);
    if (taken === undefined) {
      await this.trim();
      taken = await this.#take(memory, sizes, alignment);
      if (taken !== undefined) this.#counters[memory].retry();
    }
    if (taken === undefined) return false;
    const { address, size } = taken;
    try {
      await this.#owner.assignPages(BigInt(address), size / PAGE);
    } catch (error) {
      this.#heaps.give(memory, address);
      throw error;
    }
    pool.add(new Arena(memory, address, size));
    return true;
  }

  async #take(
    memory: MemoryKind,
    sizes: readonly number[],
    alignment: number,
  ): Promise<{ readonly address: number; readonly size: number } | undefined> {
    for (const size of sizes) {
      const address = await this.#heaps.take(memory, size, alignment);
      if (address !== undefined) return { address, size };
    }
    return undefined;
  }

  async #useReserves(): Promise<boolean> {
    for (const giveBack of this.#reserves) if (await giveBack()) return true;
    return false;
  }

  /** Waits until something that was freed already may be used; false where nothing of that kind is to be had. */
  async #awaitFree(memory: MemoryKind): Promise<boolean> {
    const pending = this.#pendingFreeBytes(memory);
    if (pending === 0) return false;
    const before = this.#frees;
    const next = new Promise<void>((resolve) => this.#waiting.push(resolve));
    await Promise.race([next, this.#whenIdle()]);
    for (const pool of this.#pools) pool.collect();
    return this.#frees > before || this.#pendingFreeBytes(memory) < pending;
  }

  #freed(): void {
    this.#frees++;
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  readonly #source: ArenaSource = {
    history: this.history,
    counters: this.#counters,
    release: (arena) => this.#release(arena),
    released: async () => {
      await Promise.all(this.#releases);
    },
    freed: () => this.#freed(),
    forget: (pool) => this.#pools.delete(pool),
    failure: () => this.#owner.failure,
  };

  /** The pages belong to the device again only when the firmware has taken them from the context. */
  #release(arena: Arena): void {
    const giveBack = (): void => this.#heaps.give(arena.memory, arena.address);
    const release = this.#owner
      .releasePages(BigInt(arena.address), arena.bytes / PAGE)
      .then(giveBack, (error: unknown) => {
        // A context that is closed has lost its pages already. Otherwise nobody may use them again.
        if (error instanceof MtiaError && error.code === 'DEVICE_CLOSED') giveBack();
      });
    this.#releases.add(release);
    void release.then(() => this.#releases.delete(release));
  }

  #poolOf({ memory, pool }: AllocationOptions): MemoryPool {
    if (pool === undefined) {
      const kind = memory ?? 'lpddr';
      checkKind(kind);
      return this.#defaults[kind];
    }
    if (!(pool instanceof MemoryPool)) throw invalidArgument(`expected a memory pool, got ${describeValue(pool)}`);
    if (!this.#pools.has(pool) && !pool.closed) {
      throw pool.failure ?? invalidArgument('the pool belongs to another device');
    }
    if (memory !== undefined && memory !== pool.memory) {
      throw invalidArgument(`the pool holds ${pool.memory}, not ${memory}; leave memory out`);
    }
    return pool;
  }

  #statisticsOf(memory: MemoryKind): MemoryStatistics {
    return this.#counters[memory].read(this.#pendingFreeBytes(memory));
  }

  #pendingFreeBytes(memory: MemoryKind): number {
    let bytes = 0;
    for (const pool of this.#pools) if (pool.memory === memory) bytes += pool.pendingFreeBytes;
    return bytes;
  }

  #outOfMemory(memory: MemoryKind, bytes: number): MtiaError {
    this.#counters[memory].fail();
    const device = this.#heaps.occupancy(memory);
    const own = this.#counters[memory].read();
    this.history.record({ action: 'oom', addr: 0, size: bytes, memory });
    const failures = this.#tellObservers(bytes, device);
    return new MtiaError(
      'OUT_OF_DEVICE_MEMORY',
      `no room for ${bytes} bytes of ${memory}: ${device.freeBytes} of ${device.totalBytes} bytes are free on the device, ` +
        `${device.largestFreeBytes} in one piece; this context holds ${own.allocated_bytes} in allocations and ` +
        `${own.reserved_bytes - own.allocated_bytes} in reserve; free buffers or use a smaller batch`,
      { place: { context: this.#owner.id }, cause: failures[0] },
    );
  }

  /** What observers threw: a failure of theirs keeps the news from no other, and hides no lack of memory. */
  #tellObservers(bytes: number, { totalBytes, freeBytes }: Occupancy): readonly unknown[] {
    const failures: unknown[] = [];
    for (const observer of this.#observers) {
      try {
        observer(this.#device, bytes, totalBytes, freeBytes);
      } catch (error) {
        failures.push(error);
      }
    }
    return failures;
  }

  #checkOpen(): void {
    if (this.#closed) throw closedError(`memory of context ${this.#owner.id}`);
  }
}
