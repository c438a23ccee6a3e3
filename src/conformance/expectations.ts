/** Assertions that cases share; all others are node:assert's. */
import assert from 'node:assert/strict';
import { MtiaError } from '../driver/index.js';
import type { ErrorName } from '../hw/index.js';

/** The promise must be rejected with an MtiaError of this code; returns the error. */
export async function rejectsWith(code: ErrorName, work: Promise<unknown> | (() => unknown)): Promise<MtiaError> {
  try {
    await (typeof work === 'function' ? work() : work);
  } catch (error) {
    assert.ok(error instanceof MtiaError, `expected ${code}, got ${error}`);
    assert.equal(error.code, code, error.message);
    return error;
  }
  return assert.fail(`expected ${code}, and nothing failed`);
}

/** Fails with what was still going on when the time was over. */
export async function settlesWithin(deadlineMs: number, what: string, work: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new assert.AssertionError({ message: `${what} took more than ${deadlineMs} ms` })),
      deadlineMs,
    );
  });
  try {
    await Promise.race([work.catch(() => undefined), late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Compares bytes and names the first that differs. */
export function equalBytes(actual: Uint8Array, expected: Uint8Array, what: string): void {
  assert.equal(actual.length, expected.length, `${what}: length`);
  if (Buffer.compare(actual, expected) === 0) return;
  const at = actual.findIndex((byte, index) => byte !== expected[index]);
  assert.fail(`${what}: byte ${at} is ${actual[at]} instead of ${expected[at]}`);
}
