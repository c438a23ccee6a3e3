/** Host memory that the device can reach, pooled by size so that repeated requests neither map nor unmap anything. */
import {
  type Context,
  closedError,
  type HostPages,
  invalidArgument,
  MtiaError,
  type SharedHostPages,
} from '../driver/index.js';
import { MemoryCounter, type MemoryStatistics } from './statistics.js';

/** Host memory that the device copies from and to directly. */
export interface PinnedBuffer {
  /** Address for commands and kernels of the context. */
  readonly iova: bigint;
  /** The memory itself. Its contents are undefined at first. */
  readonly view: Uint8Array;
  readonly bytes: number;
  /** The pages behind a buffer that has some of its own. */
  readonly shared?: SharedHostPages;
  /** Gives the memory back to the pool: nothing that uses it may be outstanding. Idempotent. */
  free(): void;
}

/** What pinning needs of a context. */
export type PinningContext = Pick<Context, 'id' | 'allocateHost' | 'attachHost' | 'mapHost' | 'unmapHost'>;

/** What an unmap fails with where the mapping has gone already. */
const GONE: ReadonlySet<string> = new Set(['DEVICE_CLOSED', 'DEVICE_RESET', 'CHIP_BAD_ARGUMENT']);

const SMALLEST_CLASS = 256;
/** Classes up to here are cut from slabs; larger ones have pages of their own. */
const LARGEST_SLAB_CLASS = 64 * 1024;
const SLAB_BYTES = 1024 * 1024;
/** Free large blocks that are kept; beyond it they are unmapped. */
const KEPT_BYTES = 256 * 1024 * 1024;

/**
 * Size class of a request: powers of two while memory is cut from slabs, then four steps to each doubling, which wastes
 * a quarter at most.
 */
export function sizeClassOf(bytes: number): number {
  const power = 2 ** Math.ceil(Math.log2(Math.max(bytes, SMALLEST_CLASS)));
  if (power <= LARGEST_SLAB_CLASS) return power;
  const step = power / 8;
  return Math.ceil(bytes / step) * step;
}

interface Block {
  readonly iova: bigint;
  readonly view: Uint8Array;
  /** Present where the block has pages of its own. */
  readonly pages?: HostPages;
}

function checkBytes(bytes: number): void {
  if (Number.isSafeInteger(bytes) && bytes > 0) return;
  throw invalidArgument(`an allocation of ${bytes} bytes of host memory; give a whole number from 1`);
}

/** Pinned host memory of a context: small buffers share pages, each size class has its own. */
export class PinnedMemory {
  readonly #context: PinningContext;
  readonly #free = new Map<number, Block[]>();
  readonly #mapped = new Map<bigint, HostPages>();
  readonly #counter = new MemoryCounter();
  #keptBytes = 0;
  #closed = false;

  constructor(context: PinningContext) {
    this.#context = context;
  }

  allocate(bytes: number): PinnedBuffer {
    if (this.#closed) throw closedError(`pinned memory of context ${this.#context.id}`);
    checkBytes(bytes);
    const sizeClass = sizeClassOf(bytes);
    const block = this.#takeFree(sizeClass) ?? this.#newBlock(sizeClass);
    const free = this.#count(bytes, () => this.#giveBack(sizeClass, block));
    return { iova: block.iova, view: block.view.subarray(0, bytes), bytes, free };
  }

  /** The bytes behind an address of the context; undefined where they are not pinned here. */
  find(iova: bigint, bytes: number): Uint8Array | undefined {
    for (const [start, pages] of this.#mapped) {
      const offset = Number(iova - start);
      if (offset >= 0 && offset + bytes <= pages.bytes) return pages.view.subarray(offset, offset + bytes);
    }
    return undefined;
  }

  statistics(): MemoryStatistics {
    return this.#counter.read();
  }

  /** Memory on pages of its own, for other threads to attach. It is never pooled: others may hold it when it is freed here. */
  allocateShared(bytes: number): PinnedBuffer {
    if (this.#closed) throw closedError(`pinned memory of context ${this.#context.id}`);
    checkBytes(bytes);
    const pages = this.#allocatePages(bytes);
    const shared = pages.share?.();
    if (shared === undefined)
      throw invalidArgument('host memory of this card cannot be shared between threads; leave `shared` out and copy');
    return this.#ownPages(bytes, pages, shared);
  }

  /** Memory that another thread shares, mapped for this context. */
  attach(bytes: number, shared: SharedHostPages): PinnedBuffer {
    if (this.#closed) throw closedError(`pinned memory of context ${this.#context.id}`);
    checkBytes(bytes);
    if (bytes > shared.bytes)
      throw invalidArgument(`a buffer of ${bytes} bytes is larger than its ${shared.bytes} bytes of pages`);
    return this.#ownPages(bytes, this.#context.attachHost(shared), shared);
  }

  resetPeakStatistics(): void {
    this.#counter.resetPeak();
  }

  /** Unmaps free blocks that have pages of their own. */
  trim(): void {
    for (const [sizeClass, blocks] of this.#free) {
      for (const block of blocks.splice(0)) {
        if (block.pages === undefined) blocks.push(block);
        else this.#unmap(block.iova, block.pages);
        if (block.pages !== undefined) this.#keptBytes -= sizeClass;
      }
    }
  }

  /** Unmaps everything, buffers in use included. Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#free.clear();
    for (const [iova, pages] of [...this.#mapped]) this.#unmap(iova, pages);
  }

  #takeFree(sizeClass: number): Block | undefined {
    const block = this.#free.get(sizeClass)?.pop();
    if (block?.pages !== undefined) this.#keptBytes -= sizeClass;
    return block;
  }

  #giveBack(sizeClass: number, block: Block): void {
    if (this.#closed) return;
    if (block.pages !== undefined) {
      if (this.#keptBytes + sizeClass > KEPT_BYTES) {
        this.#unmap(block.iova, block.pages);
        return;
      }
      this.#keptBytes += sizeClass;
    }
    this.#freeList(sizeClass).push(block);
  }

  #newBlock(sizeClass: number): Block {
    if (sizeClass > LARGEST_SLAB_CLASS) {
      const { pages, iova } = this.#map(sizeClass);
      return { iova, view: pages.view.subarray(0, sizeClass), pages };
    }
    const { pages, iova } = this.#map(SLAB_BYTES);
    const cut = (offset: number): Block => ({
      iova: iova + BigInt(offset),
      view: pages.view.subarray(offset, offset + sizeClass),
    });
    for (let offset = SLAB_BYTES - sizeClass; offset > 0; offset -= sizeClass)
      this.#freeList(sizeClass).push(cut(offset));
    return cut(0);
  }

  #ownPages(bytes: number, pages: HostPages, shared: SharedHostPages): PinnedBuffer {
    const iova = this.#mapPages(pages);
    const free = this.#count(bytes, () => {
      if (this.#mapped.has(iova)) this.#unmap(iova, pages);
    });
    return { iova, view: pages.view.subarray(0, bytes), bytes, shared, free };
  }

  /** Counts the bytes as allocated until the function that comes back is called, whose first call gives them back. */
  #count(bytes: number, giveBack: () => void): () => void {
    this.#counter.allocate(bytes);
    let freed = false;
    return () => {
      if (freed) return;
      freed = true;
      this.#counter.free(bytes);
      giveBack();
    };
  }

  #map(bytes: number): { readonly pages: HostPages; readonly iova: bigint } {
    const pages = this.#allocatePages(bytes);
    return { pages, iova: this.#mapPages(pages) };
  }

  #mapPages(pages: HostPages): bigint {
    const iova = this.#context.mapHost(pages, 'read-write');
    this.#mapped.set(iova, pages);
    this.#counter.reserve(pages.bytes);
    return iova;
  }

  #allocatePages(bytes: number): HostPages {
    try {
      return this.#context.allocateHost(bytes);
    } catch (cause) {
      if (!(cause instanceof MtiaError) || cause.code !== 'CHIP_NO_MEMORY') throw cause;
      this.#counter.fail();
      const held = this.#counter.read().reserved_bytes;
      const message = `the host has no ${bytes} bytes to pin; this context holds ${held}; free buffers first`;
      throw new MtiaError('OUT_OF_HOST_MEMORY', message, { cause });
    }
  }

  #unmap(iova: bigint, pages: HostPages): void {
    this.#mapped.delete(iova);
    this.#counter.reserve(-pages.bytes);
    try {
      this.#context.unmapHost(iova);
    } catch (error) {
      // A closed context has unmapped everything itself, and a reset, be it behind the driver, that of every context.
      if (!(error instanceof MtiaError) || !GONE.has(error.code)) throw error;
    }
    pages.free();
  }

  #freeList(sizeClass: number): Block[] {
    const list = this.#free.get(sizeClass);
    if (list !== undefined) return list;
    const created: Block[] = [];
    this.#free.set(sizeClass, created);
    return created;
  }
}
