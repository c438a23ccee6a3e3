/** What a program has begun: how each command may end, and what that means for the bytes that are expected. */
import { MtiaError } from '../../driver/index.js';
import type { ErrorName } from '../../hw/index.js';
import type { TrackedStream } from './tracked-stream.js';

/** A command of a program. */
export interface Begun {
  readonly what: string;
  readonly done: Promise<unknown>;
  /** Where it was enqueued. */
  readonly on?: TrackedStream;
  /** Codes with which the command is to fail; it is to succeed where there are none. */
  readonly fails?: readonly ErrorName[];
  /** It may fail with one of these, too. */
  readonly mayFail?: readonly ErrorName[];
  /** Called in the order of the program when the command has succeeded: changes what is expected, or compares. */
  readonly succeeded?: () => void;
  /** As `succeeded`, of a command that failed. */
  readonly failed?: () => void;
}

/** How an abort ends what it meets; copies to another device end as host functions. */
const ABORTS: readonly string[] = ['ABORTED', 'HOST_FUNCTION_ERROR'];
/** How a device ends everything at once. */
const ENDINGS: readonly string[] = [...ABORTS, 'DEVICE_CLOSED', 'DEVICE_LOST', 'DEVICE_RESET'];
const SETTLE_MS = 60_000;

export class OutcomeLog {
  #begun: Begun[] = [];
  readonly #open = new Set<Begun>();
  /** Those of which it is open how they end: their streams were aborted. */
  readonly #uncertain = new Set<Begun>();
  #count = 0;

  /** Commands so far. */
  get count(): number {
    return this.#count;
  }

  begin(begun: Begun): void {
    const settled = (): void => {
      this.#open.delete(begun);
    };
    this.#open.add(begun);
    begun.done.then(settled, settled);
    this.#begun.push(begun);
    this.#count++;
  }

  /** The streams are about to be aborted. */
  doubt(streams: ReadonlySet<TrackedStream>): void {
    for (const begun of this.#begun) {
      if (begun.on !== undefined && streams.has(begun.on)) this.#uncertain.add(begun);
    }
  }

  /** Waits for everything that was begun and judges it, in order. `ending`: the device goes away meanwhile. */
  async settle(ending = false): Promise<void> {
    const begun = this.#begun;
    this.#begun = [];
    const outcomes = await this.#outcomes(begun);
    for (const [index, command] of begun.entries()) {
      const outcome = outcomes[index] as PromiseSettledResult<unknown>;
      judge(command, outcome, this.#uncertain.has(command), ending);
    }
    this.#uncertain.clear();
  }

  async #outcomes(begun: readonly Begun[]): Promise<readonly PromiseSettledResult<unknown>[]> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        const first = [...this.#open][0]?.what;
        reject(new Error(`${this.#open.size} commands did not settle within ${SETTLE_MS} ms, first: ${first}`));
      }, SETTLE_MS);
    });
    try {
      return await Promise.race([Promise.allSettled(begun.map(({ done }) => done)), late]);
    } finally {
      clearTimeout(timer);
    }
  }
}

function judge(command: Begun, outcome: PromiseSettledResult<unknown>, uncertain: boolean, ending: boolean): void {
  const { what, fails, mayFail = [] } = command;
  if (outcome.status === 'fulfilled') {
    if (fails !== undefined && !uncertain) {
      throw new Error(`${what}: succeeded, and was to fail with ${fails.join(' or ')}`);
    }
    command.succeeded?.();
    return;
  }
  const { reason } = outcome as { reason: unknown };
  if (!(reason instanceof MtiaError)) throw new Error(`${what}: failed without a name: ${reason}`, { cause: reason });
  const { code } = reason;
  const expected =
    fails?.includes(code) ||
    mayFail.includes(code) ||
    (uncertain && ABORTS.includes(code)) ||
    (ending && ENDINGS.includes(code));
  if (!expected) throw new Error(`${what}: ${code}: ${reason.message}`, { cause: reason });
  command.failed?.();
}
