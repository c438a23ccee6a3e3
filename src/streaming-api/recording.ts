/** One record of an event: where in which stream it lies, and what is known of it. */
import type { MtiaError } from '../driver/index.js';
import type { StreamOrder } from '../memmgr/index.js';
import type { Dependency } from './dependency.js';
import type { Semaphore } from './semaphores.js';

/** Commands of streams, counted, that are done before a point of this one. */
export type Frontier = ReadonlyMap<StreamOrder, number>;

export class Recording implements Dependency {
  readonly stream: StreamOrder;
  readonly semaphore: Semaphore;
  /** The stream raises the semaphore to it. */
  readonly value: number;
  /** What is done when the recording is reached. */
  readonly frontier: Frontier;
  /** Resolves when the stream has got there or has failed; never rejects. */
  readonly settled: Promise<void>;
  #reached = false;
  #failure: MtiaError | undefined;
  #wallMs = 0;
  #deviceUs = 0;
  #settle: () => void = () => undefined;

  constructor(stream: StreamOrder, semaphore: Semaphore, value: number, frontier: Frontier) {
    this.stream = stream;
    this.semaphore = semaphore;
    this.value = value;
    this.frontier = frontier;
    this.settled = new Promise((resolve) => {
      this.#settle = resolve;
    });
  }

  get reached(): boolean {
    return this.#reached;
  }

  /** Of the stream before the event. */
  get failure(): MtiaError | undefined {
    return this.#failure;
  }

  /** Of performance.now(). */
  get wallMs(): number {
    return this.#wallMs;
  }

  get deviceUs(): number {
    return this.#deviceUs;
  }

  reach(deviceUs: number, failure: MtiaError | undefined): void {
    this.#reached = true;
    this.#wallMs = performance.now();
    this.#deviceUs = deviceUs;
    this.#failure = failure;
    this.#settle();
  }
}
