/** Bindings of a model: made when they are first needed, bounded in number, handed out in the order of the requests. */
import { closedError, MtiaError } from '../driver/index.js';
import type { Binding } from './binding.js';

interface Request {
  readonly resolve: (binding: Binding) => void;
  readonly reject: (error: unknown) => void;
}

/** A request for a binding that may be called off. */
export interface BindingRequest {
  readonly binding: Promise<Binding>;
  /** Rejects the request with the error; does nothing once it is served. */
  cancel(error: MtiaError): void;
}

export class BindingPool {
  readonly #create: () => Promise<Binding>;
  #limit: number;
  readonly #free: Binding[] = [];
  readonly #requests: Request[] = [];
  #existing = 0;
  #closed = false;
  #onEmpty: () => void = () => undefined;

  constructor(limit: number, create: () => Promise<Binding>) {
    this.#limit = limit;
    this.#create = create;
  }

  /** A binding of the caller's own, to be given back; undefined where one must be waited for. */
  take(): Binding | undefined {
    if (this.#closed) throw closedError('the model');
    return this.#free.pop();
  }

  /** Waits for a binding. */
  request(): BindingRequest {
    if (this.#closed) throw closedError('the model');
    let cancel: BindingRequest['cancel'] = () => undefined;
    const binding = new Promise<Binding>((resolve, reject) => {
      const request = { resolve, reject };
      this.#requests.push(request);
      cancel = (error) => {
        const index = this.#requests.indexOf(request);
        if (index < 0) return;
        this.#requests.splice(index, 1);
        reject(error);
        this.#freeWhenIdle();
      };
    });
    if (this.#existing < this.#limit) void this.#grow();
    return { binding, cancel };
  }

  give(binding: Binding): void {
    const request = this.#requests.shift();
    if (request !== undefined) request.resolve(binding);
    else this.#free.push(binding);
    this.#freeWhenIdle();
  }

  /** Forgets a binding that the device may be using still; its memory goes with the device. */
  discard(): void {
    this.#existing--;
    if (this.#requests.length > 0) void this.#grow();
    this.#freeWhenIdle();
  }

  /** Serves the requests that wait, takes no others, and resolves when every binding is back and freed. */
  close(): Promise<void> {
    this.#closed = true;
    return new Promise((resolve) => {
      this.#onEmpty = resolve;
      this.#freeWhenIdle();
    });
  }

  async #grow(): Promise<void> {
    this.#existing++;
    try {
      this.give(await this.#create());
    } catch (error) {
      this.#existing--;
      this.#couldNotGrow(error);
    }
  }

  #couldNotGrow(error: unknown): void {
    const full = error instanceof MtiaError && error.code.startsWith('OUT_OF_');
    // Where memory has run out, the bindings that exist must do.
    if (full && this.#existing > 0) this.#limit = this.#existing;
    else this.#requests.shift()?.reject(error);
    // With no binding left that could come back, every request has to try for itself.
    if (this.#existing === 0 && this.#requests.length > 0) void this.#grow();
    this.#freeWhenIdle();
  }

  #freeWhenIdle(): void {
    if (!this.#closed || this.#requests.length > 0) return;
    for (const binding of this.#free.splice(0)) {
      binding.free();
      this.#existing--;
    }
    if (this.#existing === 0) this.#onEmpty();
  }
}
