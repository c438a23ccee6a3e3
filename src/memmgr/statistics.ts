/** Memory statistics under the names that torch.mtia and torch.accelerator give them. */

/** As torch.mtia.memory_stats()["dram"]. */
export interface MemoryStatistics {
  /** Bytes that live allocations hold now, those included whose free waits for commands that use them. */
  readonly allocated_bytes: number;
  /** The most that they ever held at once. */
  readonly peak_bytes: number;
  /** Bytes taken from the device, allocated or kept for the next allocation. */
  readonly reserved_bytes: number;
  /** The most that reserved_bytes ever was, or was since the peaks were reset. */
  readonly peak_reserved_bytes: number;
  /** Bytes that were freed, but that commands enqueued before the free may still use. */
  readonly pending_free_bytes: number;
  /** Bytes allocated, and freed, since the start. */
  readonly total_allocated_bytes: number;
  /** Bytes freed since the start, or since the accumulated statistics were reset. */
  readonly total_freed_bytes: number;
  /** Live allocations. */
  readonly num_allocs: number;
  /** Times that reserve had to be given back, or a free waited for, before an allocation had room. */
  readonly num_alloc_retries: number;
  /** Failed for want of memory. */
  readonly num_ooms: number;
}

export class MemoryCounter {
  #allocated = 0;
  #peak = 0;
  #reserved = 0;
  #peakReserved = 0;
  #totalAllocated = 0;
  #totalFreed = 0;
  #allocations = 0;
  #retries = 0;
  #failures = 0;

  allocate(bytes: number): void {
    this.#allocated += bytes;
    this.#totalAllocated += bytes;
    this.#allocations++;
    this.#peak = Math.max(this.#peak, this.#allocated);
  }

  free(bytes: number): void {
    this.#allocated -= bytes;
    this.#totalFreed += bytes;
    this.#allocations--;
  }

  reserve(bytes: number): void {
    this.#reserved += bytes;
    this.#peakReserved = Math.max(this.#peakReserved, this.#reserved);
  }

  retry(): void {
    this.#retries++;
  }

  fail(): void {
    this.#failures++;
  }

  resetPeak(): void {
    this.#peak = this.#allocated;
    this.#peakReserved = this.#reserved;
  }

  /** Forgets what was counted since the start, as torch.accelerator.reset_accumulated_memory_stats. */
  resetAccumulated(): void {
    this.#totalAllocated = 0;
    this.#totalFreed = 0;
    this.#retries = 0;
    this.#failures = 0;
  }

  read(pendingFreeBytes = 0): MemoryStatistics {
    return {
      allocated_bytes: this.#allocated,
      peak_bytes: this.#peak,
      reserved_bytes: this.#reserved,
      peak_reserved_bytes: this.#peakReserved,
      pending_free_bytes: pendingFreeBytes,
      total_allocated_bytes: this.#totalAllocated,
      total_freed_bytes: this.#totalFreed,
      num_allocs: this.#allocations,
      num_alloc_retries: this.#retries,
      num_ooms: this.#failures,
    };
  }
}
