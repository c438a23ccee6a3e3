/** Functions of the host in the order of a stream: it stops at a wait until the function is done. */
import { describeValue, invalidArgument, MtiaError } from '../driver/index.js';
import { HOST_COMMAND, SIGNAL_FAILS_ALONE, WAIT_MODE } from '../hw/index.js';
import type { CommandStream } from './command-stream.js';
import type { Semaphore, Semaphores } from './semaphores.js';

/** Called on the event loop; the stream waits for the promise that it may return. */
export type HostFunction = () => void | Promise<void>;

export class HostFunctions {
  readonly #commands: CommandStream;
  readonly #semaphores: Semaphores;
  /** Taken when it is first needed. */
  #semaphore: Semaphore | undefined;

  constructor(commands: CommandStream, semaphores: Semaphores) {
    this.#commands = commands;
    this.#semaphores = semaphores;
  }

  /** The promise settles when the stream goes on. */
  launch(call: HostFunction): Promise<void> {
    const commands = this.#commands;
    if (typeof call !== 'function') throw invalidArgument(`expected a function, got ${describeValue(call)}`);
    commands.checkOpen();
    commands.checkNotCapturing('launchHostFunction');
    this.#semaphore ??= this.#semaphores.take();
    const semaphore = this.#semaphore;
    const value = ++semaphore.value;
    const before = commands.submit({ opcode: HOST_COMMAND.BARRIER });
    const held = commands.submit({
      opcode: HOST_COMMAND.WAIT,
      a: semaphore.number,
      b: value,
      c: WAIT_MODE.ALONE,
      hostSignals: true,
    });
    held.catch(() => undefined);
    return this.#run(before, held, call, semaphore, value);
  }

  /** Nothing may be outstanding. */
  close(): void {
    if (this.#semaphore !== undefined) this.#semaphores.give(this.#semaphore);
  }

  async #run(
    before: Promise<unknown>,
    held: Promise<unknown>,
    call: HostFunction,
    semaphore: Semaphore,
    value: number,
  ): Promise<void> {
    // Where this fails the wait is aborted, too: the function must not run.
    await before;
    try {
      await call();
    } catch (cause) {
      const message = `a function that the stream called threw: ${cause instanceof Error ? cause.message : cause}`;
      const failure = new MtiaError('HOST_FUNCTION_ERROR', message, { cause });
      // Its wait is the next to complete: what was enqueued behind it comes after the failure.
      this.#commands.fail(failure, this.#commands.completed);
      // The next function is no concern of this failure.
      await this.#semaphores.release(semaphore, value, SIGNAL_FAILS_ALONE);
      await held.catch(() => undefined);
      throw failure;
    }
    await this.#semaphores.release(semaphore, value);
    await held;
  }
}
