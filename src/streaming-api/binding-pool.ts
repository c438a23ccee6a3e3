/** Bindings of a model: made when they are first needed, bounded in number, handed out in the order of the requests. */
import { closedError, MtiaError } from '../driver/index.js';
import type { Binding } from './binding.js';

interface Request {
  readonly resolve: (binding: Binding) => void;
  readonly reject: (error: unknown) => void;
}

export class BindingPool {
  readonly #create: () => Promise<Binding>;
  #limit: number;
  readonly #free: Binding[] = [];
  readonly #requests: Request[] = [];
  #existing = 0;
  #closed = false;
  #onIdle: () => void = () => undefined;

  constructor(limit: number, create: () => Promise<Binding>) {
    this.#limit = limit;
    this.#create = create;
  }

  /** A binding of the caller's own, to be given back. Requests beyond the limit wait. */
  take(signal?: AbortSignal): Promise<Binding> {
    return new Promise((resolve, reject) => {
      if (this.#closed) throw closedError('the model');
      const free = this.#free.pop();
      if (free !== undefined) {
        resolve(free);
        return;
      }
      this.#wait({ resolve, reject }, signal);
      if (this.#existing < this.#limit) void this.#grow();
    });
  }

  give(binding: Binding): void {
    const request = this.#requests.shift();
    if (request !== undefined) request.resolve(binding);
    else this.#free.push(binding);
    if (this.#closed) this.#freeAll();
  }

  /** Rejects the requests that wait, and frees every binding when it comes back. */
  close(): Promise<void> {
    this.#closed = true;
    for (const { reject } of this.#requests.splice(0)) reject(closedError('the model'));
    return new Promise((resolve) => {
      this.#onIdle = resolve;
      this.#freeAll();
    });
  }

  #wait(request: Request, signal: AbortSignal | undefined): void {
    if (signal === undefined) {
      this.#requests.push(request);
      return;
    }
    const leave = (): void => {
      const index = this.#requests.indexOf(waiting);
      if (index >= 0) this.#requests.splice(index, 1);
      request.reject(abortedError(signal));
    };
    const stay = (): void => signal.removeEventListener('abort', leave);
    const waiting: Request = {
      resolve: (binding) => {
        stay();
        request.resolve(binding);
      },
      reject: (error) => {
        stay();
        request.reject(error);
      },
    };
    signal.addEventListener('abort', leave, { once: true });
    this.#requests.push(waiting);
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

  /** Where memory has run out, the bindings that exist must do. */
  #couldNotGrow(error: unknown): void {
    const full = error instanceof MtiaError && error.code.startsWith('OUT_OF_');
    if (full && this.#existing > 0) this.#limit = this.#existing;
    else this.#requests.shift()?.reject(error);
    if (this.#closed) this.#freeAll();
  }

  #freeAll(): void {
    for (const binding of this.#free.splice(0)) {
      binding.free();
      this.#existing--;
    }
    if (this.#existing === 0) this.#onIdle();
  }
}

export function abortedError(signal: AbortSignal): MtiaError {
  return new MtiaError('ABORTED', 'the run was aborted by its signal', { cause: signal.reason });
}
