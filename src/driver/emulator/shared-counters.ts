/**
 * How many threads hold each piece of host memory that they share: one table for all threads that the main thread has made since
 * it loaded the driver, so that whoever gives back what a terminated thread held can reach the counters of others.
 */
import { randomInt } from 'node:crypto';
import { getEnvironmentData, setEnvironmentData } from 'node:worker_threads';

const NAME = 'mtia: holders of shared host memory';
const COUNTERS = 4096;
/** Tells the tables of threads from each other that have none in common. The counters follow it. */
const IDENTITY = 0;
const LARGEST_IDENTITY = 2 ** 31 - 1;

export class SharedCounters {
  readonly memory: SharedArrayBuffer;
  readonly #words: Int32Array;
  #next = IDENTITY;

  constructor(memory?: SharedArrayBuffer) {
    this.memory = memory ?? new SharedArrayBuffer((COUNTERS + 1) * Int32Array.BYTES_PER_ELEMENT);
    this.#words = new Int32Array(this.memory);
    if (memory === undefined) this.#words[IDENTITY] = randomInt(1, LARGEST_IDENTITY);
  }

  /** The number of a counter that was 0 and is 1 now; undefined where none is left. */
  take(): number | undefined {
    for (let looked = 0; looked < COUNTERS; looked++) {
      this.#next = (this.#next % COUNTERS) + 1;
      if (Atomics.compareExchange(this.#words, this.#next, 0, 1) === 0) return this.#next;
    }
    return undefined;
  }

  /** The counter alone, as other threads get it. */
  at(number: number): Int32Array {
    return this.#words.subarray(number, number + 1);
  }

  /** The number of a counter that came from another thread; undefined where it is of another table. */
  numberOf(counter: Int32Array): number | undefined {
    const { buffer, byteOffset } = counter;
    if (buffer.byteLength !== this.memory.byteLength) return undefined;
    const same = new Int32Array(buffer)[IDENTITY] === this.#words[IDENTITY];
    return same ? byteOffset / Int32Array.BYTES_PER_ELEMENT : undefined;
  }
}

let counters: SharedCounters | undefined;

/** Those of this thread and of all that it makes from now on. */
export function sharedCounters(): SharedCounters {
  if (counters !== undefined) return counters;
  const inherited: unknown = getEnvironmentData(NAME);
  counters = new SharedCounters(inherited instanceof SharedArrayBuffer ? inherited : undefined);
  setEnvironmentData(NAME, counters.memory);
  return counters;
}
