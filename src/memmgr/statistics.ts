/** Memory statistics under the names that torch.mtia gives them. */

/** As torch.mtia.memory_stats()["dram"]. */
export interface MemoryStatistics {
  /** Bytes that live allocations hold now. */
  readonly allocated_bytes: number;
  /** The most that they ever held at once. */
  readonly peak_bytes: number;
  /** Bytes taken from the device, allocated or kept for the next allocation. */
  readonly reserved_bytes: number;
  /** Live allocations. */
  readonly num_allocs: number;
  /** Failed for want of memory. */
  readonly num_ooms: number;
}

export class MemoryCounter {
  #allocated = 0;
  #peak = 0;
  #reserved = 0;
  #allocations = 0;
  #failures = 0;

  allocate(bytes: number): void {
    this.#allocated += bytes;
    this.#allocations++;
    this.#peak = Math.max(this.#peak, this.#allocated);
  }

  free(bytes: number): void {
    this.#allocated -= bytes;
    this.#allocations--;
  }

  reserve(bytes: number): void {
    this.#reserved += bytes;
  }

  fail(): void {
    this.#failures++;
  }

  resetPeak(): void {
    this.#peak = this.#allocated;
  }

  read(): MemoryStatistics {
    return {
      allocated_bytes: this.#allocated,
      peak_bytes: this.#peak,
      reserved_bytes: this.#reserved,
      num_allocs: this.#allocations,
      num_ooms: this.#failures,
    };
  }
}
