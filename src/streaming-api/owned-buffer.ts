import { closedError, invalidArgument, type MtiaError } from '../driver/index.js';
import { UseCount } from './use-count.js';

/** Stands for a device between two resets. */
export interface BufferOwner {
  /** The card itself, the same over resets. */
  readonly card: object;
  /** Why nothing of it may be used any more. */
  readonly failure: MtiaError | undefined;
}

/** Memory that a user owns: it belongs to one device, and goes back when the last command that uses it is done. */
export abstract class OwnedBuffer implements Disposable {
  /** Commands that use the buffer; streams keep it. */
  readonly uses = new UseCount();
  readonly bytes: number;
  readonly #owner: BufferOwner;
  readonly #name: string;
  readonly #giveBack: () => void;
  #freed = false;

  protected constructor(owner: BufferOwner, name: string, bytes: number, giveBack: () => void) {
    this.#owner = owner;
    this.#name = name;
    this.bytes = bytes;
    this.#giveBack = giveBack;
  }

  get freed(): boolean {
    return this.#freed;
  }

  /**
   * Throws where the buffer is not of the device that `owner` stands for, or older than its latest reset.
   *
   * @param what it is to whoever called: a graph or a model where it holds one
   */
  checkBelongsTo(owner: BufferOwner, what = 'the buffer'): void {
    if (this.#owner === owner) return;
    throw this.#owner.failure ?? owner.failure ?? invalidArgument(`${what} belongs to another device`);
  }

  /** Gives the memory back once the commands that were enqueued with this buffer are done. Idempotent. */
  free(): void {
    if (!this.#freed) this.release(this.#giveBack, false);
  }

  [Symbol.dispose](): void {
    this.free();
  }

  /** @param ordered the commands that use the buffer are ordered before whoever gets the memory next */
  protected release(giveBack: () => void, ordered: boolean): void {
    this.#freed = true;
    if (ordered) giveBack();
    else this.uses.whenIdle(giveBack);
  }

  /** Throws where the buffer was freed. */
  checkUsable(): void {
    if (this.#freed) throw closedError(`the ${this.#name} of ${this.bytes} bytes`);
  }
}
