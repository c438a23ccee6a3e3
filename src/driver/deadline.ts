/** Deadlines of the host, in milliseconds, as callers give them. */
import { invalidArgument } from './errors.js';

/** What a timer of Node takes: one that is longer fires at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** For programs that no compiler has checked. Throws INVALID_ARGUMENT. */
export function checkDeadline(deadlineMs: number): void {
  if (typeof deadlineMs === 'number' && deadlineMs > 0) return;
  throw invalidArgument(`deadlineMs is ${deadlineMs}; give a positive number of milliseconds`);
}

/** Calls `late` when the time is over, until the returned function is called. Infinity never is over. */
export function startDeadline(deadlineMs: number, late: () => void): () => void {
  let timer: NodeJS.Timeout | undefined;
  const endMs = performance.now() + deadlineMs;
  const wait = (): void => {
    const leftMs = endMs - performance.now();
    timer = leftMs > LONGEST_TIMER_MS ? setTimeout(wait, LONGEST_TIMER_MS) : setTimeout(late, leftMs);
  };
  if (deadlineMs !== Number.POSITIVE_INFINITY) wait();
  return () => clearTimeout(timer);
}
