/** Brings what the firmware prints on the chip's UART into the log. */
import type pino from 'pino';

/** The debug call that this needs (src/driver/emulator DebugCalls). */
export interface ConsoleSource {
  /** Takes what has been printed since the last call. */
  consoleRead(): string;
}

const PERIOD_MS = 100;

/** The console of the control core as lines of a logger. */
export class ConsoleLog {
  readonly #source: ConsoleSource;
  readonly #logger: pino.Logger;
  readonly #timer: NodeJS.Timeout;
  #unfinished = '';

  /** Polls until close(); does not keep the process alive. */
  constructor(source: ConsoleSource, logger: pino.Logger, periodMs = PERIOD_MS) {
    this.#source = source;
    this.#logger = logger.child({ source: 'firmware console' });
    this.#timer = setInterval(() => this.poll(), periodMs);
    this.#timer.unref();
  }

  /** Logs every line that is complete by now. */
  poll(): void {
    try {
      const lines = (this.#unfinished + this.#source.consoleRead()).split('\n');
      this.#unfinished = lines.pop() ?? '';
      for (const line of lines) this.#logger.info(line);
    } catch (error) {
      // A device that is closed has nothing more to say.
      this.#logger.debug({ err: error }, 'console ended');
      clearInterval(this.#timer);
    }
  }

  /** Logs what is left. Idempotent. */
  close(): void {
    clearInterval(this.#timer);
    this.poll();
    if (this.#unfinished !== '') this.#logger.info(this.#unfinished);
    this.#unfinished = '';
  }
}
