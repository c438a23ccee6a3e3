/**
 * Device memory of one context. Protection works on 64 KiB pages, allocations are as small as 64 bytes: pages are taken in
 * arenas, assigned to the context by the firmware, and divided up here.
 */
import { type Context, closedError, invalidArgument, MtiaError } from '../driver/index.js';
import { PROTECTION_PAGE_BYTES } from '../hw/index.js';
import type { DeviceHeaps, MemoryKind } from './device-heaps.js';
import { Heap } from './heap.js';
import { MemoryCounter, type MemoryStatistics } from './statistics.js';

export interface AllocationOptions {
  /** LPDDR when absent. */
  readonly memory?: MemoryKind;
  /** A power of two, at least 64. */
  readonly alignment?: number;
}

export interface DeviceAllocation {
  readonly address: bigint;
  /** As requested. */
  readonly bytes: number;
  readonly memory: MemoryKind;
  /** Gives the memory back at once: nothing that uses it may be outstanding. Idempotent. */
  free(): void;
}

/** What allocation needs of a context. */
export type PageOwner = Pick<Context, 'id' | 'assignPages' | 'releasePages'>;

const GRANULE = 64;
const PAGE = PROTECTION_PAGE_BYTES;
const MIB = 1024 * 1024;

/** Sizes of an arena for small allocations, and of the empty arenas that are kept for the next ones. */
const POLICY: Readonly<Record<MemoryKind, { readonly arenaBytes: number; readonly keptBytes: number }>> = {
  lpddr: { arenaBytes: 16 * MIB, keptBytes: 256 * MIB },
  sram: { arenaBytes: 1 * MIB, keptBytes: 16 * MIB },
};

interface Arena {
  readonly memory: MemoryKind;
  readonly address: number;
  readonly bytes: number;
  readonly heap: Heap;
}

export class DeviceMemory {
  readonly #heaps: DeviceHeaps;
  readonly #owner: PageOwner;
  readonly #arenas: Readonly<Record<MemoryKind, Set<Arena>>> = { lpddr: new Set(), sram: new Set() };
  readonly #counters: Readonly<Record<MemoryKind, MemoryCounter>> = {
    lpddr: new MemoryCounter(),
    sram: new MemoryCounter(),
  };
  /** Pages on their way back to the device. */
  readonly #releases = new Set<Promise<void>>();
  /** Last step of the arena growth under way: growth is one at a time, so that small allocations share an arena. */
  #growth: Promise<unknown> = Promise.resolve();
  #closed = false;

  constructor(heaps: DeviceHeaps, owner: PageOwner) {
    this.#heaps = heaps;
    this.#owner = owner;
  }

  async allocate(bytes: number, options: AllocationOptions = {}): Promise<DeviceAllocation> {
    const { memory = 'lpddr', alignment = GRANULE } = options;
    if (!Number.isSafeInteger(bytes) || bytes <= 0) throw invalidArgument(`cannot allocate ${bytes} bytes`);
    if (!Number.isSafeInteger(Math.log2(alignment)) || alignment < GRANULE) {
      throw invalidArgument(`an alignment is a power of two of at least ${GRANULE}, got ${alignment}`);
    }
    this.#checkOpen();
    const found = this.#fromArenas(memory, bytes, alignment);
    if (found !== undefined) return found;
    const grown = this.#growth.then(() => this.#fromNewArena(memory, bytes, alignment));
    this.#growth = grown.catch(() => undefined);
    return grown;
  }

  /** `dram` is the LPDDR, named as torch.mtia names it. */
  statistics(): { readonly dram: MemoryStatistics; readonly sram: MemoryStatistics } {
    return { dram: this.#counters.lpddr.read(), sram: this.#counters.sram.read() };
  }

  resetPeakStatistics(): void {
    for (const counter of Object.values(this.#counters)) counter.resetPeak();
  }

  /** Gives the arenas that hold nothing back to the device. */
  async trim(): Promise<void> {
    for (const arenas of Object.values(this.#arenas)) {
      for (const arena of [...arenas]) if (arena.heap.empty) this.#release(arena);
    }
    await Promise.all(this.#releases);
  }

  /**
   * Gives everything back. Call it before the context closes, or after: a closed context has lost its pages anyway.
   * Idempotent.
   */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#growth;
    for (const arenas of Object.values(this.#arenas)) for (const arena of [...arenas]) this.#release(arena);
    await Promise.all(this.#releases);
  }

  #fromArenas(memory: MemoryKind, bytes: number, alignment: number): DeviceAllocation | undefined {
    for (const arena of this.#arenas[memory]) {
      const address = arena.heap.allocate(bytes, alignment);
      if (address !== undefined) return this.#allocation(arena, address, bytes);
    }
    return undefined;
  }

  async #fromNewArena(memory: MemoryKind, bytes: number, alignment: number): Promise<DeviceAllocation> {
    this.#checkOpen();
    // Room may have come up while this allocation waited for its turn.
    const found = this.#fromArenas(memory, bytes, alignment);
    if (found !== undefined) return found;
    const arena = await this.#grow(memory, bytes, alignment);
    const address = arena.heap.allocate(bytes, alignment);
    if (address === undefined) throw this.#outOfMemory(memory, bytes);
    return this.#allocation(arena, address, bytes);
  }

  async #grow(memory: MemoryKind, bytes: number, alignment: number): Promise<Arena> {
    const exact = Math.ceil(bytes / PAGE) * PAGE;
    const { arenaBytes } = POLICY[memory];
    // A large allocation gets pages of its own; where a whole arena does not fit any more, the exact size may.
    const sizes = exact > arenaBytes / 2 ? [exact] : [arenaBytes, exact];
    let taken = this.#take(memory, sizes, alignment);
    if (taken === undefined) {
      await this.trim();
      taken = this.#take(memory, sizes, alignment);
    }
    if (taken === undefined) throw this.#outOfMemory(memory, bytes);
    const { address, size } = taken;
    try {
      await this.#owner.assignPages(BigInt(address), size / PAGE);
    } catch (error) {
      this.#heaps.give(memory, address);
      throw error;
    }
    const arena = { memory, address, bytes: size, heap: new Heap({ base: address, bytes: size, granule: GRANULE }) };
    this.#arenas[memory].add(arena);
    this.#counters[memory].reserve(size);
    return arena;
  }

  #take(
    memory: MemoryKind,
    sizes: readonly number[],
    alignment: number,
  ): { readonly address: number; readonly size: number } | undefined {
    for (const size of sizes) {
      const address = this.#heaps.take(memory, size, alignment);
      if (address !== undefined) return { address, size };
    }
    return undefined;
  }

  #allocation(arena: Arena, address: number, bytes: number): DeviceAllocation {
    this.#counters[arena.memory].allocate(bytes);
    let freed = false;
    const free = (): void => {
      if (freed) return;
      freed = true;
      this.#counters[arena.memory].free(bytes);
      arena.heap.free(address);
      if (arena.heap.empty) this.#shrink(arena.memory);
    };
    return { address: BigInt(address), bytes, memory: arena.memory, free };
  }

  /** Releases empty arenas beyond what is kept. */
  #shrink(memory: MemoryKind): void {
    let kept = 0;
    for (const arena of [...this.#arenas[memory]]) {
      if (!arena.heap.empty) continue;
      kept += arena.bytes;
      if (kept <= POLICY[memory].keptBytes) continue;
      kept -= arena.bytes;
      this.#release(arena);
    }
  }

  /** The pages belong to the device again only when the firmware has taken them from the context. */
  #release(arena: Arena): void {
    if (!this.#arenas[arena.memory].delete(arena)) return;
    this.#counters[arena.memory].reserve(-arena.bytes);
    const release = this.#owner.releasePages(BigInt(arena.address), arena.bytes / PAGE).then(
      () => this.#heaps.give(arena.memory, arena.address),
      (error: unknown) => {
        // A context that is closed has lost its pages already. Otherwise nobody may use them again.
        if (error instanceof MtiaError && error.code === 'DEVICE_CLOSED') this.#heaps.give(arena.memory, arena.address);
      },
    );
    this.#releases.add(release);
    void release.then(() => this.#releases.delete(release));
  }

  #outOfMemory(memory: MemoryKind, bytes: number): MtiaError {
    this.#counters[memory].fail();
    const device = this.#heaps.statistics(memory);
    const own = this.#counters[memory].read();
    return new MtiaError(
      'OUT_OF_DEVICE_MEMORY',
      `no room for ${bytes} bytes of ${memory}: ${device.freeBytes} of ${device.totalBytes} bytes are free on the device, ` +
        `${device.largestFreeBytes} in one piece; this context holds ${own.allocated_bytes} in allocations and ` +
        `${own.reserved_bytes - own.allocated_bytes} in reserve; free buffers or use a smaller batch`,
      { place: { context: this.#owner.id } },
    );
  }

  #checkOpen(): void {
    if (this.#closed) throw closedError(`memory of context ${this.#owner.id}`);
  }
}
