/** The line without which a figure means nothing. */
import { arch, availableParallelism, cpus, loadavg, release } from 'node:os';

export interface Machine {
  readonly cpu: string;
  /** Processors that this process may use. */
  readonly cores: number;
  readonly architecture: string;
  readonly kernel: string;
  readonly node: string;
  /** Processes that wanted to run in the minute before: other work makes every figure worse, and unevenly so. */
  readonly loadAverage: number;
  /** Host threads that execute PEs. */
  readonly threads: number;
  /** Instructions that the DPE's products are computed with. */
  readonly matmulPath: string;
}

export function describeMachine(threads: number, matmulPath: string): Machine {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    architecture: arch(),
    kernel: release(),
    node: process.version,
    loadAverage: loadavg()[0] ?? 0,
    threads,
    matmulPath,
  };
}
