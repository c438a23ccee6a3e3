/**
 * Checking mode: red zones around every allocation, patterns in memory that nobody has written and in memory that was
 * freed, and reports of what damaged them. It reaches the device through ordinary commands only.
 */
import { checkOptions, MtiaError } from '../driver/index.js';
import type { AllocationOptions, DeviceMemory } from './device-memory.js';
import type { MemoryKind } from './memory-kind.js';
import { FREED, firstDamage, neverWritten, PATTERN_BYTES, RED_ZONE, repeat, UNINITIALIZED } from './memory-patterns.js';
import type { DeviceAllocation } from './memory-pool.js';
import { StackRecord } from './stack.js';
import type { StreamOrder } from './stream-order.js';

/** How checking mode reaches device memory. */
export interface MemoryAccess {
  /** Whole 32-bit words. */
  fill(address: bigint, bytes: number, pattern: number): Promise<void>;
  write(address: bigint, data: Uint8Array): Promise<void>;
  read(address: bigint, bytes: number): Promise<Uint8Array>;
}

/** What checking mode finds. */
export type MemoryFault = 'write outside of the allocation' | 'write after free' | 'read of memory never written';

/** One fault that checking mode found: where, and what ran since memory was last known to be sound. */
export interface MemoryReport {
  /** What was found. */
  readonly fault: MemoryFault;
  /** Memory that the allocation lies in. */
  readonly memory: MemoryKind;
  /** Of the allocation. */
  readonly address: bigint;
  /** Size of the allocation, as asked for. */
  readonly bytes: number;
  /** First damaged byte from the start of the allocation; negative in front of it. */
  readonly offset: number;
  /** Where it was allocated, as Error.stack prints it. */
  readonly allocatedAt: string;
  /** Where it was freed, as Error.stack prints it; absent while it is not. */
  readonly freedAt?: string;
  /** Launches, copies and fills since the last check that found nothing, the latest last. */
  readonly commands: readonly string[];
  /** All of it in one text. */
  readonly message: string;
}

interface CheckedBlock {
  readonly inner: DeviceAllocation;
  /** What the user sees. */
  readonly address: bigint;
  readonly bytes: number;
  /** Bytes of the zone in front. */
  readonly front: number;
  readonly total: number;
  readonly allocatedAt: StackRecord;
  freedAt?: StackRecord;
  /** Faults that were reported already. */
  readonly reported: Set<MemoryFault>;
}

const ZONE_BYTES = 64;
/** Freed memory that is kept to find writes to it. */
const QUARANTINE_BYTES = 64 * 1024 * 1024;
/** Device memory is read back in pieces of it. */
const PIECE_BYTES = 1024 * 1024;
const KEPT_COMMANDS = 32;

/** Checking mode: red zones around allocations, patterns in what nobody has written, quarantine for what is freed. */
export class MemoryChecker {
  readonly #memory: DeviceMemory;
  readonly #access: MemoryAccess;
  readonly #onReport: (report: MemoryReport) => void;
  readonly #live = new Set<CheckedBlock>();
  /** Freed, the oldest first. */
  readonly #quarantine = new Set<CheckedBlock>();
  #quarantinedBytes = 0;
  /** Frees whose memory is being looked at. */
  readonly #pending = new Set<Promise<void>>();
  #commands: string[] = [];
  #reports: MemoryReport[] = [];

  constructor(memory: DeviceMemory, access: MemoryAccess, onReport: (report: MemoryReport) => void) {
    this.#memory = memory;
    this.#access = access;
    this.#onReport = onReport;
    memory.addReserve(() => this.#giveBack());
  }

  async allocate(bytes: number, options: AllocationOptions = {}): Promise<DeviceAllocation> {
    const allocatedAt = new StackRecord(this.allocate);
    checkOptions(options);
    const front = Math.max(ZONE_BYTES, options.alignment ?? 0);
    const whole = bytes - (bytes % PATTERN_BYTES);
    const total = front + whole + PATTERN_BYTES + ZONE_BYTES;
    // A size that makes no sense is refused as it is, not with its zones.
    const sensible = Number.isSafeInteger(bytes) && Number.isSafeInteger(total) && bytes > 0;
    const inner = await this.#memory.allocate(sensible ? total : bytes, options);
    const address = inner.address + BigInt(front);
    const block = { inner, address, bytes, front, total, allocatedAt, reported: new Set<MemoryFault>() };
    try {
      await this.#access.fill(inner.address, front, RED_ZONE);
      if (whole > 0) await this.#access.fill(address, whole, UNINITIALIZED);
      await this.#access.write(address + BigInt(whole), this.#tail(block));
    } catch (error) {
      inner.free();
      throw error;
    }
    this.#live.add(block);
    return this.#allocation(block);
  }

  /** A launch, copy or fill that the program enqueues. */
  note(command: string): void {
    this.#commands.push(command);
    if (this.#commands.length > KEPT_COMMANDS) this.#commands.shift();
  }

  /** Bytes that are copied out of device memory. */
  copied(address: bigint, data: Uint8Array): void {
    const block = this.#find(address);
    if (block === undefined) return;
    const offset = Number(address - block.address);
    const at = neverWritten(data, offset);
    if (at !== undefined) this.#report('read of memory never written', block, offset + at);
  }

  /** Looks at every zone and at all freed memory that is kept; resolves to what was found since the last call. */
  async check(): Promise<readonly MemoryReport[]> {
    await Promise.all(this.#pending);
    const before = this.#reports.length;
    for (const block of [...this.#live]) if (this.#live.has(block)) await this.#checkZones(block);
    for (const block of [...this.#quarantine]) if (this.#quarantine.has(block)) await this.#checkFreed(block);
    if (this.#reports.length === before) this.#commands = [];
    return this.#reports.splice(0);
  }

  #allocation(block: CheckedBlock): DeviceAllocation {
    const { inner, address, bytes } = block;
    const freed = (by: () => void): void => {
      block.freedAt ??= new StackRecord(by);
    };
    const end = (): void => {
      freed(end);
      if (!this.#live.delete(block)) return;
      const done = this.#retire(block).catch((error: unknown) => {
        // A device that is closed or lost has no memory to look at.
        inner.free();
        if (!(error instanceof MtiaError)) throw error;
      });
      this.#pending.add(done);
      void done.finally(() => this.#pending.delete(done));
    };
    const retire = (): void => {
      freed(retire);
      inner.retire();
    };
    return {
      address,
      bytes,
      memory: inner.memory,
      free: end,
      retire,
      // What a stream frees is looked at when the stream is past it.
      freeBehind: (stream: StreamOrder) => {
        retire();
        void stream.whenIdle().then(end);
      },
      freedAt: () => block.freedAt?.text,
    };
  }

  async #retire(block: CheckedBlock): Promise<void> {
    await this.#checkZones(block);
    const { inner, total } = block;
    if (total > QUARANTINE_BYTES) {
      inner.free();
      return;
    }
    await this.#access.fill(inner.address, total, FREED);
    this.#quarantine.add(block);
    this.#quarantinedBytes += total;
    for (const oldest of this.#quarantine) {
      if (this.#quarantinedBytes <= QUARANTINE_BYTES) break;
      await this.#evict(oldest);
    }
  }

  async #evict(block: CheckedBlock): Promise<void> {
    if (!this.#quarantine.delete(block)) return;
    this.#quarantinedBytes -= block.total;
    await this.#checkFreed(block);
    block.inner.free();
  }

  /** Memory is out: what is only kept for diagnosis goes back. */
  async #giveBack(): Promise<boolean> {
    await Promise.all(this.#pending);
    const kept = [...this.#quarantine];
    for (const block of kept) await this.#evict(block);
    return kept.length > 0;
  }

  async #checkZones(block: CheckedBlock): Promise<void> {
    const { inner, address, bytes, front } = block;
    const before = await this.#access.read(inner.address, front);
    // The byte next to the allocation is the one that an overrun backwards has written first.
    const inFront = firstDamage(before, repeat(RED_ZONE, front));
    if (inFront !== undefined) this.#report('write outside of the allocation', block, inFront - front);
    const behind = this.#tail(block);
    const rest = bytes % PATTERN_BYTES;
    const found = await this.#access.read(address + BigInt(bytes - rest), behind.length);
    const after = firstDamage(found.subarray(rest), behind.subarray(rest));
    if (after !== undefined) this.#report('write outside of the allocation', block, bytes + after);
  }

  async #checkFreed({ inner, total, front, ...block }: CheckedBlock): Promise<void> {
    for (let offset = 0; offset < total; offset += PIECE_BYTES) {
      const bytes = Math.min(PIECE_BYTES, total - offset);
      const found = await this.#access.read(inner.address + BigInt(offset), bytes);
      const damaged = firstDamage(found, repeat(FREED, bytes));
      if (damaged === undefined) continue;
      this.#report('write after free', { inner, total, front, ...block }, offset + damaged - front);
      return;
    }
  }

  /** The last bytes of the allocation that are no whole word, and the zone behind it. */
  #tail({ bytes }: { readonly bytes: number }): Uint8Array {
    const tail = repeat(RED_ZONE, PATTERN_BYTES + ZONE_BYTES);
    tail.set(repeat(UNINITIALIZED, PATTERN_BYTES).subarray(0, bytes % PATTERN_BYTES));
    return tail;
  }

  #find(address: bigint): CheckedBlock | undefined {
    for (const block of this.#live) {
      if (address >= block.address && address < block.address + BigInt(block.bytes)) return block;
    }
    return undefined;
  }

  #report(fault: MemoryFault, block: CheckedBlock, offset: number): void {
    if (block.reported.has(fault)) return;
    block.reported.add(fault);
    const { address, bytes, inner, freedAt } = block;
    const { memory } = inner;
    const allocatedAt = block.allocatedAt.text;
    const commands = [...this.#commands];
    const message = [
      `${fault}: byte ${offset} of ${bytes} bytes of ${memory} at 0x${address.toString(16)}`,
      `allocated\n${allocatedAt}`,
      ...(freedAt === undefined ? [] : [`freed\n${freedAt.text}`]),
      ...(commands.length === 0 ? [] : [`since the last check ran\n    ${commands.join('\n    ')}`]),
    ].join('\n');
    const report: MemoryReport = {
      fault,
      memory,
      address,
      bytes,
      offset,
      allocatedAt,
      ...(freedAt === undefined ? {} : { freedAt: freedAt.text }),
      commands,
      message,
    };
    this.#reports.push(report);
    this.#onReport(report);
  }
}
