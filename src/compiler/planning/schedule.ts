/**
 * Order of the jobs. A level is a set of jobs that do not depend on each other; the first job of every level but the
 * first carries the barrier flag, and the jobs of a level sit on disjoint rows of the grid. A job that may run in several
 * levels (an embedding job beside the layers of the bottom MLP) goes where it lengthens the whole least.
 */
import type { Rectangle } from '../../hw/index.js';
import { type Footprint, overlap, type PlannedJob } from './buffers.js';
import type { Grid } from './footprints.js';

export interface ScheduledJob {
  readonly job: PlannedJob;
  readonly level: number;
  readonly rectangle: Required<Rectangle>;
  readonly footprint: Footprint;
  readonly barrier: boolean;
}

/** Levels and rectangles for jobs given in an order in which they could run one by one. */
export function scheduleJobs(jobs: readonly PlannedJob[], grid: Grid): readonly ScheduledJob[] {
  const predecessors = jobs.map((job, index) => conflicting(jobs, job, index));
  const levels = chooseLevels(jobs, predecessors, grid);
  const scheduled: ScheduledJob[] = [];
  const count = Math.max(0, ...levels.map((level) => level + 1));
  let first = true;
  for (let level = 0; level < count; level++) {
    for (const members of batches(jobs, levels, level, grid.rows)) {
      let row = 0;
      for (const [index, { job, footprint, band }] of placeSideBySide(members, grid).entries()) {
        const rectangle = { column: 0, row, columns: footprint.columns, rows: footprint.rows };
        scheduled.push({ job, level, rectangle, footprint, barrier: index === 0 && !first });
        row += band;
      }
      first = false;
    }
  }
  return scheduled;
}

/** Earlier jobs that must be done before: they write what the job reads or writes, or read what it writes. */
function conflicting(jobs: readonly PlannedJob[], job: PlannedJob, index: number): number[] {
  const found: number[] = [];
  for (let earlier = 0; earlier < index; earlier++) {
    const other = jobs[earlier];
    if (other === undefined) continue;
    const touches =
      other.writes.some((write) => [...job.reads, ...job.writes].some((access) => overlap(write, access))) ||
      other.reads.some((read) => job.writes.some((write) => overlap(read, write)));
    if (touches) found.push(earlier);
  }
  return found;
}

function chooseLevels(jobs: readonly PlannedJob[], predecessors: readonly number[][], grid: Grid): number[] {
  const earliest: number[] = [];
  for (const before of predecessors) earliest.push(Math.max(0, ...before.map((index) => (earliest[index] ?? 0) + 1)));
  const last = Math.max(0, ...earliest);
  const latest = jobs.map(() => last);
  for (let index = jobs.length - 1; index >= 0; index--) {
    for (const before of predecessors[index] ?? []) {
      latest[before] = Math.min(latest[before] ?? last, (latest[index] ?? last) - 1);
    }
  }
  const members = Array.from({ length: last + 1 }, (): PlannedJob[] => []);
  const levels = new Array<number>(jobs.length).fill(-1);
  const place = (index: number, level: number): void => {
    const job = jobs[index];
    if (job !== undefined) members[level]?.push(job);
    levels[index] = level;
  };
  for (const index of jobs.keys()) if (earliest[index] === latest[index]) place(index, earliest[index] ?? 0);
  for (const [index, job] of jobs.entries()) {
    if (levels[index] !== -1) continue;
    const low = Math.max(0, ...(predecessors[index] ?? []).map((before) => (levels[before] ?? 0) + 1));
    const high = Math.max(low, latest[index] ?? low);
    place(index, cheapestLevel(job, members, low, high, grid));
  }
  return levels;
}

function cheapestLevel(
  job: PlannedJob,
  members: readonly (readonly PlannedJob[])[],
  low: number,
  high: number,
  grid: Grid,
): number {
  let best = low;
  let bestCost = Number.POSITIVE_INFINITY;
  for (let level = low; level <= high; level++) {
    const present = members[level] ?? [];
    const cost = levelCycles([...present, job], grid) - levelCycles(present, grid);
    if (cost < bestCost) [best, bestCost] = [level, cost];
  }
  return best;
}

function levelCycles(jobs: readonly PlannedJob[], grid: Grid): number {
  let cycles = 0;
  for (let start = 0; start < jobs.length; start += grid.rows) {
    const placed = placeSideBySide(jobs.slice(start, start + grid.rows), grid);
    cycles += grid.launchCycles + Math.max(...placed.map(({ footprint }) => footprint.cycles));
  }
  return cycles;
}

/** The jobs of a level, at most as many at a time as the grid has rows. */
function* batches(
  jobs: readonly PlannedJob[],
  levels: readonly number[],
  level: number,
  size: number,
): Generator<readonly PlannedJob[]> {
  const members = jobs.filter((_, index) => levels[index] === level);
  for (let start = 0; start < members.length; start += size) yield members.slice(start, start + size);
}

interface Placed {
  readonly job: PlannedJob;
  readonly footprint: Footprint;
  /** Rows of the grid that are the job's. */
  readonly band: number;
}

/** Deals the rows of the grid: one each, then always one more to the job that would take longest. */
function placeSideBySide(jobs: readonly PlannedJob[], grid: Grid): readonly Placed[] {
  const bands = jobs.map(() => 1);
  const placed = jobs.map((job) => job.footprint(1));
  for (let free = grid.rows - jobs.length; free > 0; free--) {
    const order = placed.map((footprint, index) => ({ index, cycles: footprint.cycles }));
    order.sort((a, b) => b.cycles - a.cycles);
    for (const { index } of order) {
      const band = (bands[index] ?? 1) + 1;
      bands[index] = band;
      const job = jobs[index];
      if (job !== undefined) placed[index] = job.footprint(band);
      break;
    }
  }
  return jobs.map((job, index) => {
    const footprint = placed[index] ?? job.footprint(1);
    return { job, footprint, band: bands[index] ?? 1 };
  });
}
