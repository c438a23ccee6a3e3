/** What one thread holds, written down in shared memory: whoever outlives the thread can read it there. */

/** In the order in which they have to be given back: a card reaches pages until it is closed. */
const KINDS = ['card', 'descriptor', 'pages'] as const;

/**
 * `card`: a handle of the C library, which may be closed twice. `descriptor`: a file. `pages`: host memory by its address.
 */
export interface Holding {
  readonly kind: (typeof KINDS)[number];
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
const HOLDERS = 5;

/** Beyond it what a thread holds is not written down, and stays until the process ends where the thread is terminated. */
const ENTRIES = 8192;
const NOWHERE = -1;

export class HoldingsLedger {
  readonly memory: SharedArrayBuffer;
  readonly #words: Int32Array;
  readonly #doubleWords: BigInt64Array;
  #next = 0;

  constructor(memory = new SharedArrayBuffer(ENTRIES * ENTRY_BYTES)) {
    this.memory = memory;
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

  /** The thread lets go. True where nobody holds it any more: then the caller gives it back. */
  leave({ index, holders }: LedgerEntry): boolean {
    if (index !== NOWHERE) Atomics.store(this.#words, index * WORDS + KIND, 0);
    return Atomics.sub(holders, 0, 1) === 1;
  }

  /** The thread has ended: calls `release` for everything that nobody else holds. */
  releaseAll(release: Release): void {
    for (const [place, kind] of KINDS.entries()) {
      for (let index = 0; index < ENTRIES; index++) {
        const word = index * WORDS;
        if (Atomics.compareExchange(this.#words, word + KIND, place + 1, 0) !== place + 1) continue;
        if (Atomics.sub(this.#words, word + HOLDERS, 1) !== 1) continue;
        const at = index * DOUBLE_WORDS;
        release({ kind, id: this.#doubleWords[at] ?? 0n, bytes: Number(this.#doubleWords[at + 1]) });
      }
    }
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
