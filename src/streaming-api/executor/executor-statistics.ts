/** Counts what an executor has done. */
import { createHistogram } from 'node:perf_hooks';

const NS_PER_MS = 1e6;

export class ExecutorStatistics {
  readonly #latency = createHistogram();
  completed = 0;
  failed = 0;
  batches = 0;
  rows = 0;

  batch(rows: number): void {
    this.batches++;
    this.rows += rows;
  }

  complete(wallMs: number): void {
    this.completed++;
    this.#latency.record(Math.max(1, Math.round(wallMs * NS_PER_MS)));
  }

  get meanBatchRows(): number {
    return this.batches === 0 ? 0 : this.rows / this.batches;
  }

  /** Milliseconds; 0 where nothing has completed. */
  percentile(percent: number): number {
    return this.#latency.count === 0 ? 0 : this.#latency.percentile(percent) / NS_PER_MS;
  }
}
