/**
 * Waits for many eventfds with one thread of Node's pool, for a binding that cannot reach the event loop's own poll.
 *
 * One poll(2) call at a time covers every referenced descriptor. A read per descriptor would take a pool thread each,
 * and Node has four. The wait is bounded, and an eventfd of its own ends it early when the set of descriptors changes.
 */
import { readSync, writeSync } from 'node:fs';
import type { EventDescriptorWatch } from './c-abi.js';

export interface PollFunctions {
  eventDescriptor(): number;
  /** close(2): a worker warns where Node closes a descriptor that Node did not open. */
  close(descriptor: number): void;
  /** poll(2) on a pool thread; `records` is filled in when `done` is called. */
  poll(records: Buffer, count: number, timeoutMs: number, done: () => void): void;
}

const TIMEOUT_MS = 100;
const RECORD_BYTES = 8; // struct pollfd: int fd, short events, short revents
const POLLIN = 1;

interface Watch {
  readonly descriptor: number;
  readonly listener: () => void;
  referenced: boolean;
}

export class EventDescriptorPoll {
  readonly #functions: PollFunctions;
  readonly #watches = new Set<Watch>();
  readonly #count = new Uint8Array(8);
  #wakeUp = -1;
  #running = false;

  constructor(functions: PollFunctions) {
    this.#functions = functions;
  }

  watch(descriptor: number, listener: () => void): EventDescriptorWatch {
    const watch: Watch = { descriptor, listener, referenced: false };
    this.#watches.add(watch);
    return {
      ref: () => {
        if (watch.referenced || !this.#watches.has(watch)) return;
        watch.referenced = true;
        this.#change();
      },
      unref: () => {
        if (!watch.referenced) return;
        watch.referenced = false;
        this.#change();
      },
      close: () => {
        watch.referenced = false;
        if (this.#watches.delete(watch)) this.#change();
      },
    };
  }

  /** The set of descriptors changed: starts waiting, or makes the wait under way look again. */
  #change(): void {
    if (this.#running) writeSync(this.#wakeUp, new Uint8Array([1, 0, 0, 0, 0, 0, 0, 0]));
    else this.#wait();
  }

  #wait(): void {
    const watched = [...this.#watches].filter((watch) => watch.referenced);
    this.#running = watched.length > 0;
    if (!this.#running) {
      this.#closeWakeUp();
      return;
    }
    if (this.#wakeUp < 0) this.#wakeUp = this.#functions.eventDescriptor();
    const records = Buffer.alloc((watched.length + 1) * RECORD_BYTES);
    [this.#wakeUp, ...watched.map((watch) => watch.descriptor)].forEach((descriptor, index) => {
      records.writeInt32LE(descriptor, index * RECORD_BYTES);
      records.writeInt16LE(POLLIN, index * RECORD_BYTES + 4);
    });
    this.#functions.poll(records, watched.length + 1, TIMEOUT_MS, () => {
      this.#deliver(records, watched);
      this.#wait();
    });
  }

  #deliver(records: Buffer, watched: readonly Watch[]): void {
    const ready = (index: number): boolean => (records.readInt16LE(index * RECORD_BYTES + 6) & POLLIN) !== 0;
    if (ready(0)) readSync(this.#wakeUp, this.#count);
    watched.forEach((watch, index) => {
      // A watch that was closed during the wait may name a descriptor that is closed by now: it is left alone.
      if (!ready(index + 1) || !this.#watches.has(watch)) return;
      readSync(watch.descriptor, this.#count);
      watch.listener();
    });
  }

  #closeWakeUp(): void {
    if (this.#wakeUp < 0) return;
    this.#functions.close(this.#wakeUp);
    this.#wakeUp = -1;
  }
}
