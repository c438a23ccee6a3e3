/** What one thread holds, written down in shared memory: whoever outlives the thread can read it there. */
import { type SharedCounters, sharedCounters } from './shared-counters.js';

/** In the order in which they have to be given back: a card reaches pages until it is closed. */
const KINDS = ['card', 'descriptor', 'pages', 'shared'] as const;
/** As KIND has it: pages that other threads may hold as well. */
const SHARED = KINDS.indexOf('shared') + 1;

/**
 * `card`: a handle of the C library, which may be closed twice. `descriptor`: a file. `pages`: host memory by its address.
 */
export interface Holding {
  readonly kind: Exclude<(typeof KINDS)[number], 'shared'>;
  readonly id: bigint;
  /** Of pages; 0 for the others. */
  readonly bytes: number;
}

export type Release = (holding: Holding) => void;

/** A line of the ledger. */
export interface LedgerEntry {
  /** Threads that hold it; 0 when the last has let go. */
  readonly holders: Int32Array;
  readonly index: number;
}

/** An entry is id and bytes as 64-bit words, then two of 32 bits. */
const ENTRY_BYTES = 24;
const WORDS = ENTRY_BYTES / Int32Array.BYTES_PER_ELEMENT;
const DOUBLE_WORDS = ENTRY_BYTES / BigInt64Array.BYTES_PER_ELEMENT;
/** Place in KINDS plus one; 0 while the thread does not hold it. */
const KIND = 4;
/** Threads that hold it; of shared pages the number of their counter. */
const HOLDERS = 5;

/** Beyond it what a thread holds is not written down, and stays until the process ends where the thread is terminated. */
const ENTRIES = 8192;
const NOWHERE = -1;

export class HoldingsLedger {
  readonly memory: SharedArrayBuffer;
  readonly #words: Int32Array;
  readonly #doubleWords: BigInt64Array;
  readonly #counters: SharedCounters;
  #next = 0;

  constructor(memory = new SharedArrayBuffer(ENTRIES * ENTRY_BYTES), counters = sharedCounters()) {
    this.memory = memory;
    this.#counters = counters;
    this.#words = new Int32Array(memory);
    this.#doubleWords = new BigInt64Array(memory);
  }

  /** The thread holds it from now on. Where it is terminated in the middle of this, the entry does not count. */
  enter(kind: Holding['kind'], id: bigint, bytes = 0): LedgerEntry {
    const index = this.#findFree();
    if (index === NOWHERE) return { index, holders: new Int32Array(new SharedArrayBuffer(4)).fill(1) };
    this.#doubleWords[index * DOUBLE_WORDS] = id;
    this.#doubleWords[index * DOUBLE_WORDS + 1] = BigInt(bytes);
    const word = index * WORDS;
    Atomics.store(this.#words, word + HOLDERS, 1);
    Atomics.store(this.#words, word + KIND, KINDS.indexOf(kind) + 1);
    return { index, holders: this.#words.subarray(word + HOLDERS, word + HOLDERS + 1) };
  }

  /**
   * The counter of pages that other threads may hold as well from now on; asked for once. Where the thread is terminated in the
   * middle of this, the pages stay until the process ends.
   */
  share({ index, holders }: LedgerEntry): Int32Array {
    const counter = index === NOWHERE ? undefined : this.#counters.take();
    if (counter === undefined) return holders;
    Atomics.store(this.#words, index * WORDS + HOLDERS, counter);
    Atomics.store(this.#words, index * WORDS + KIND, SHARED);
    return this.#counters.at(counter);
  }

  /** The thread holds pages of another one from now on; undefined where nobody holds them any more. As `enter` otherwise. */
  join(id: bigint, bytes: number, holders: Int32Array): LedgerEntry | undefined {
    const counter = this.#counters.numberOf(holders);
    const index = counter === undefined ? NOWHERE : this.#findFree();
    const word = index * WORDS;
    if (index !== NOWHERE && counter !== undefined) {
      this.#doubleWords[index * DOUBLE_WORDS] = id;
      this.#doubleWords[index * DOUBLE_WORDS + 1] = BigInt(bytes);
      Atomics.store(this.#words, word + HOLDERS, counter);
    }
    for (let count = Atomics.load(holders, 0); count > 0; ) {
      const found = Atomics.compareExchange(holders, 0, count, count + 1);
      if (found === count) {
        if (index !== NOWHERE) Atomics.store(this.#words, word + KIND, SHARED);
        return { index, holders };
      }
      count = found;
    }
    if (index !== NOWHERE) Atomics.store(this.#words, word + HOLDERS, 0);
    return undefined;
  }

  /** The thread lets go. True where nobody holds it any more: then the caller gives it back. */
  leave({ index, holders }: LedgerEntry): boolean {
    const kind = index === NOWHERE ? 0 : Atomics.exchange(this.#words, index * WORDS + KIND, 0);
    return kind === SHARED ? this.#leaveShared(index) : Atomics.sub(holders, 0, 1) === 1;
  }

  /** The thread has ended: calls `release` for everything that nobody else holds. */
  releaseAll(release: Release): void {
    for (const [place, kind] of KINDS.entries()) {
      for (let index = 0; index < ENTRIES; index++) {
        const word = index * WORDS;
        if (Atomics.compareExchange(this.#words, word + KIND, place + 1, 0) !== place + 1) continue;
        const last = kind === 'shared' ? this.#leaveShared(index) : Atomics.sub(this.#words, word + HOLDERS, 1) === 1;
        if (!last) continue;
        const at = index * DOUBLE_WORDS;
        release({
          kind: kind === 'shared' ? 'pages' : kind,
          id: this.#doubleWords[at] ?? 0n,
          bytes: Number(this.#doubleWords[at + 1]),
        });
      }
    }
  }

  /** True where nobody holds the pages any more. */
  #leaveShared(index: number): boolean {
    const counter = Atomics.exchange(this.#words, index * WORDS + HOLDERS, 0);
    return Atomics.sub(this.#counters.at(counter), 0, 1) === 1;
  }

  #findFree(): number {
    for (let looked = 0; looked < ENTRIES; looked++) {
      const index = this.#next;
      this.#next = (index + 1) % ENTRIES;
      const word = index * WORDS;
      // What another thread still holds keeps its entry.
      if (this.#words[word + KIND] === 0 && Atomics.load(this.#words, word + HOLDERS) === 0) return index;
    }
    return NOWHERE;
  }
}
