/**
 * Requests between two threads over a MessagePort. Each settles: with the answer, with the typed error of the other side, with
 * DEVICE_TIMEOUT where the other side does not answer, or with what `close` says.
 */
import type { MessagePort } from 'node:worker_threads';
import { startDeadline } from './deadline.js';
import { decodeError, type ErrorMessage, encodeError } from './error-message.js';
import { MtiaError } from './errors.js';

/** Requests by name, each with one argument that postMessage takes. */
type Handlers<Requests> = { readonly [Name in keyof Requests]: Requests[Name] };
type Argument<Request> = Request extends (argument: infer A) => unknown ? A : never;
type Answer<Request> = Request extends (...args: never) => infer R ? Awaited<R> : never;

interface RequestMessage {
  readonly request: number;
  readonly name: string;
  readonly argument: unknown;
}

type AnswerMessage = { readonly answer: number } & ({ readonly value: unknown } | { readonly error: ErrorMessage });

interface Pending {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: MtiaError) => void;
  readonly endDeadline: () => void;
}

/** Requests of this thread to another one, and the answers to those of the other side. */
export class RequestPort<Local, Remote> {
  readonly #port: MessagePort;
  readonly #handlers: Handlers<Local>;
  readonly #deadlineMs: number;
  readonly #pending = new Map<number, Pending>();
  #next = 0;
  #closed: MtiaError | undefined;

  /**
   * @param onEnd the other thread has ended, or has closed its side
   */
  constructor(port: MessagePort, handlers: Handlers<Local>, options: { deadlineMs: number; onEnd: () => void }) {
    this.#port = port;
    this.#handlers = handlers;
    this.#deadlineMs = options.deadlineMs;
    port.on('message', (message: RequestMessage | AnswerMessage) => this.#receive(message));
    port.on('close', () => options.onEnd());
    // Only a request that waits keeps a process alive.
    port.unref();
  }

  request<Name extends keyof Remote & string>(
    name: Name,
    argument: Argument<Remote[Name]>,
  ): Promise<Answer<Remote[Name]>> {
    return new Promise((resolve, reject) => {
      if (this.#closed !== undefined) throw this.#closed;
      const request = this.#next++;
      const endDeadline = startDeadline(this.#deadlineMs, () => this.#timeOut(request, name));
      this.#pending.set(request, { resolve: resolve as Pending['resolve'], reject, endDeadline });
      this.#port.ref();
      this.#port.postMessage({ request, name, argument } satisfies RequestMessage);
    });
  }

  /** As request, where nobody waits for the answer. */
  tell<Name extends keyof Remote & string>(name: Name, argument: Argument<Remote[Name]>): void {
    if (this.#closed === undefined) this.#port.postMessage({ request: -1, name, argument } satisfies RequestMessage);
  }

  /** Rejects what waits, and every later request. Idempotent. */
  close(error: MtiaError): void {
    if (this.#closed !== undefined) return;
    this.#closed = error;
    for (const number of [...this.#pending.keys()]) this.#settle(number)?.reject(error);
    this.#port.close();
  }

  #timeOut(number: number, name: string): void {
    const message = `the other thread of the card did not answer "${name}" within ${this.#deadlineMs} ms; is it blocked?`;
    this.#settle(number)?.reject(new MtiaError('DEVICE_TIMEOUT', message));
  }

  #settle(number: number): Pending | undefined {
    const pending = this.#pending.get(number);
    if (pending === undefined) return undefined;
    pending.endDeadline();
    this.#pending.delete(number);
    if (this.#pending.size === 0) this.#port.unref();
    return pending;
  }

  #receive(message: RequestMessage | AnswerMessage): void {
    if ('request' in message) {
      void this.#serve(message);
      return;
    }
    const pending = this.#settle(message.answer);
    if ('error' in message) pending?.reject(decodeError(message.error));
    else pending?.resolve(message.value);
  }

  async #serve({ request, name, argument }: RequestMessage): Promise<void> {
    const answer = await this.#answer(name, argument);
    if (request >= 0 && this.#closed === undefined) this.#port.postMessage({ answer: request, ...answer });
  }

  async #answer(name: string, argument: unknown): Promise<{ value: unknown } | { error: ErrorMessage }> {
    // Both sides are of one build: what one asks for, the other has.
    const handler = this.#handlers[name as keyof Local] as (argument: unknown) => unknown;
    try {
      return { value: await handler(argument) };
    } catch (error) {
      const known =
        error instanceof MtiaError ? error : new MtiaError('DEVICE_LOST', `${name}: ${error}`, { cause: error });
      return { error: encodeError(known) };
    }
  }
}
