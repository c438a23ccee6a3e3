/** A segment of pages that one pool holds, divided into blocks; what a stream has freed stays that stream's at first. */

import { FreeRanges } from './free-ranges.js';
import type { MemoryKind } from './memory-kind.js';
import type { StackFrame, StackRecord } from './stack.js';
import type { StreamOrder } from './stream-order.js';

export const GRANULE = 64;

/** As in torch.cuda.memory.snapshot. */
export type BlockState = 'active_allocated' | 'active_pending_free' | 'inactive';

/** One block of a snapshot, under torch's names. */
export interface BlockSnapshot {
  /** Device address of its first byte. */
  readonly address: number;
  /** Whole granules. */
  readonly size: number;
  /** As asked for; 0 where nothing is allocated. */
  readonly requested_size: number;
  /** Allocated, freed but perhaps still used by commands, or free. */
  readonly state: BlockState;
  /** Number of the stream whose free is queued. */
  readonly stream?: number;
  /** Where it was allocated, if the history is recorded. */
  readonly frames: readonly StackFrame[];
}

/** A point in a stream. */
interface Behind {
  readonly stream: StreamOrder;
  readonly position: number;
}

interface Found {
  readonly address: number;
  /** Commands of a stream may still touch it. */
  readonly queued: boolean;
}

/** An allocation as its arena keeps it. */
export interface UsedBlock {
  readonly address: number;
  readonly size: number;
  readonly requested: number;
  readonly stack: StackRecord | undefined;
  /** Who may use it: commands behind those of the last user, who had freed it but not got past it. */
  readonly behind: Behind | undefined;
  /** Its free waits for commands that use it. */
  retired: boolean;
}

export class Arena {
  readonly memory: MemoryKind;
  readonly address: number;
  readonly bytes: number;
  readonly #used = new Map<number, UsedBlock>();
  readonly #free = new FreeRanges();
  /** Freed by a stream that has not got there yet. */
  readonly #queued = new Map<StreamOrder, FreeRanges>();

  constructor(memory: MemoryKind, address: number, bytes: number) {
    this.memory = memory;
    this.address = address;
    this.bytes = bytes;
    this.#free.add(address, bytes);
  }

  /** Nothing is allocated, and no command may touch it. */
  get empty(): boolean {
    return this.#free.bytes === this.bytes;
  }

  get queuedBytes(): number {
    let bytes = 0;
    for (const ranges of this.#queued.values()) bytes += ranges.bytes;
    return bytes;
  }

  get retiredBytes(): number {
    let bytes = 0;
    for (const block of this.#used.values()) if (block.retired) bytes += block.requested;
    return bytes;
  }

  get queuedStreams(): Iterable<StreamOrder> {
    return this.#queued.keys();
  }

  /** A block for the commands that `stream` enqueues from now on, or for anybody where no stream is given. */
  allocate(
    bytes: number,
    alignment: number,
    stack: StackRecord | undefined,
    stream?: StreamOrder,
  ): UsedBlock | undefined {
    const size = Math.ceil(bytes / GRANULE) * GRANULE;
    const found = this.#find(size, alignment, stream);
    if (found === undefined) return undefined;
    const { address } = found;
    const behind = found.queued && stream !== undefined ? { stream, position: stream.enqueued } : undefined;
    const block = { address, size, requested: bytes, stack, behind, retired: false };
    this.#used.set(address, block);
    return block;
  }

  /**
   * No command of this block's owner uses it any more. Those of the owner before may, though: then the block stays that
   * stream's, which is returned.
   */
  free(block: UsedBlock): StreamOrder | undefined {
    this.#end(block);
    const { behind } = block;
    if (behind === undefined || behind.stream.completed >= behind.position) {
      this.#free.add(block.address, block.size);
      return undefined;
    }
    this.#queue(block, behind.stream, behind.position);
    return behind.stream;
  }

  /** Only commands that the stream has enqueued so far use the block; see `unordered`. */
  freeBehind(block: UsedBlock, stream: StreamOrder): void {
    this.#end(block);
    this.#queue(block, stream, stream.enqueued);
  }

  /** The stream whose commands may still touch the block from before, and that `stream` knows nothing of. */
  unordered({ behind }: UsedBlock, stream: StreamOrder): StreamOrder | undefined {
    if (behind === undefined || behind.stream === stream || behind.stream.completed >= behind.position)
      return undefined;
    return stream.covers(behind.stream) >= behind.position ? undefined : behind.stream;
  }

  /** Takes over what streams have got past. */
  collect(): void {
    for (const [stream, ranges] of this.#queued) {
      for (const { start, bytes } of ranges.drain(stream.completed)) this.#free.add(start, bytes);
      if (ranges.bytes === 0) this.#queued.delete(stream);
    }
  }

  /** Every byte of the arena, in the order of addresses. */
  blocks(): readonly BlockSnapshot[] {
    const blocks: BlockSnapshot[] = [...this.#used.values()].map(({ address, size, requested, retired, stack }) => ({
      address,
      size,
      requested_size: requested,
      state: retired ? 'active_pending_free' : 'active_allocated',
      frames: stack?.frames ?? [],
    }));
    for (const { start, bytes } of this.#free.all) blocks.push(unused(start, bytes, 'inactive'));
    for (const [stream, ranges] of this.#queued) {
      for (const { start, bytes } of ranges.all) {
        blocks.push({ ...unused(start, bytes, 'active_pending_free'), stream: stream.number });
      }
    }
    return blocks.sort((a, b) => a.address - b.address);
  }

  /**
   * What nobody uses. A stream's own frees come before it: they are the warmest, and nobody else can have them yet.
   */
  #find(size: number, alignment: number, stream: StreamOrder | undefined): Found | undefined {
    const own = stream === undefined ? undefined : this.#takeQueued(stream, size, alignment, Number.POSITIVE_INFINITY);
    if (own !== undefined) return { address: own, queued: true };
    if (this.#queued.size > 0) this.collect();
    const free = this.#free.take(size, alignment);
    if (free !== undefined) return { address: free, queued: false };
    for (const other of stream === undefined ? [] : [...this.#queued.keys()]) {
      const covered = this.#takeQueued(other, size, alignment, stream?.covers(other));
      if (covered !== undefined) return { address: covered, queued: true };
    }
    return undefined;
  }

  #takeQueued(stream: StreamOrder, size: number, alignment: number, limit: number | undefined): number | undefined {
    const ranges = this.#queued.get(stream);
    const found = ranges?.take(size, alignment, limit);
    if (ranges?.bytes === 0) this.#queued.delete(stream);
    return found;
  }

  #end(block: UsedBlock): void {
    if (this.#used.get(block.address) !== block) {
      throw new RangeError(`nothing is allocated at 0x${block.address.toString(16)}`);
    }
    this.#used.delete(block.address);
  }

  #queue(block: UsedBlock, stream: StreamOrder, position: number): void {
    let ranges = this.#queued.get(stream);
    if (ranges === undefined) {
      ranges = new FreeRanges();
      this.#queued.set(stream, ranges);
    }
    ranges.add(block.address, block.size, position);
  }
}

function unused(address: number, size: number, state: BlockState): BlockSnapshot {
  return { address, size, requested_size: 0, state, frames: [] };
}
