/** What a program has begun: how each command may end, and what that means for the bytes that are expected. */
import { MtiaError } from '../../driver/index.js';
import type { ErrorName } from '../../hw/index.js';

/** A command of a program. */
export interface Begun {
  readonly what: string;
  readonly done: Promise<unknown>;
  /** Codes with which the command is to fail; it may succeed unless there are any. */
  readonly fails?: readonly ErrorName[];
  /** Reports failures of others: it may fail as any of them. */
  readonly reports?: boolean;
  /** Called in the order of the program when the command has succeeded: changes what is expected, or compares. */
  readonly succeeded?: () => void;
  /** As `succeeded`, of a command that was ended by the failure of another, or with the device. */
  readonly ended?: () => void;
}

/** How a device ends everything at once. */
const ENDINGS: ReadonlySet<string> = new Set(['DEVICE_CLOSED', 'DEVICE_LOST', 'DEVICE_RESET']);
const SETTLE_MS = 60_000;

export class OutcomeLog {
  #begun: Begun[] = [];
  /** A command was to fail: those that depend on it may end as ABORTED, and a synchronize reports it. */
  #failing = false;

  begin(begun: Begun): void {
    begun.done.catch(() => undefined);
    this.#begun.push(begun);
    if (begun.fails !== undefined) this.#failing = true;
  }

  /** Waits for everything that was begun and judges it, in order. `ending`: the device goes away meanwhile. */
  async settle(ending = false): Promise<void> {
    const begun = this.#begun;
    this.#begun = [];
    const outcomes = await this.#outcomes(begun);
    const failing = this.#failing;
    this.#failing = false;
    for (const [index, command] of begun.entries()) judge(command, outcomes[index], failing, ending);
  }

  async #outcomes(begun: readonly Begun[]): Promise<readonly PromiseSettledResult<unknown>[]> {
    const waiting = new Set(begun);
    const all = Promise.allSettled(begun.map((command) => command.done.finally(() => waiting.delete(command))));
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        const first = [...waiting][0]?.what;
        reject(new Error(`${waiting.size} commands did not settle within ${SETTLE_MS} ms, first: ${first}`));
      }, SETTLE_MS);
    });
    try {
      return await Promise.race([all, late]);
    } finally {
      clearTimeout(timer);
    }
  }
}

function judge(
  command: Begun,
  outcome: PromiseSettledResult<unknown> | undefined,
  failing: boolean,
  ending: boolean,
): void {
  const { what, fails, reports = false } = command;
  if (outcome?.status === 'fulfilled') {
    if (fails !== undefined) throw new Error(`${what}: succeeded, and was to fail with ${fails.join(' or ')}`);
    command.succeeded?.();
    return;
  }
  const reason: unknown = outcome?.reason;
  if (!(reason instanceof MtiaError)) throw new Error(`${what}: failed without a name`, { cause: reason });
  const { code } = reason;
  const expected =
    fails?.includes(code) || (failing && (reports || code === 'ABORTED')) || (ending && ENDINGS.has(code));
  if (!expected) throw new Error(`${what}: ${code}: ${reason.message}`);
  command.ended?.();
}
