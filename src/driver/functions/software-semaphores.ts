/** Timeline semaphores of a card without firmware: as firmware/control/semaphores.c has them. */
import { HOST_COMMAND, SIGNAL_FAILS_ALONE, WAIT_MODE } from '../../hw/index.js';
import { DONE, type SoftwareCommand, type SoftwareOutcome } from './software-function.js';

const NEVER = (1n << 64n) - 1n;
const ADMINISTRATION_QUEUE = 0;

interface Semaphore {
  value: bigint;
  /** Waits for values from here up to `failedTo` fail; 0 = none. */
  failedFrom: bigint;
  failedTo: bigint;
}

export class SoftwareSemaphores {
  /** By context. */
  readonly #table = new Map<number, Map<bigint, Semaphore>>();
  readonly #failed = new Set<number>();
  readonly #aborting = new Set<number>();

  /** Whether the command is behind a wait that failed. */
  aborts({ queue, opcode }: SoftwareCommand): boolean {
    return this.#aborting.has(queue) && opcode !== HOST_COMMAND.SIGNAL && opcode !== HOST_COMMAND.RECOVER;
  }

  noteFailure(queue: number): void {
    if (queue !== ADMINISTRATION_QUEUE) this.#failed.add(queue);
  }

  forgetQueue(queue: number): void {
    this.#failed.delete(queue);
    this.#aborting.delete(queue);
  }

  forgetContext(context: number): void {
    this.#table.delete(context);
  }

  clear(): void {
    this.#table.clear();
    this.#failed.clear();
    this.#aborting.clear();
  }

  wait({ queue, context, a, b, c }: SoftwareCommand): SoftwareOutcome | undefined {
    const { value, failedFrom, failedTo } = this.#at(context, a);
    const known = c === BigInt(WAIT_MODE.FAILED);
    if (!known && value < b) return undefined;
    if (!known && (failedFrom === 0n || b < failedFrom || b >= failedTo)) return DONE;
    if (c !== BigInt(WAIT_MODE.ALONE)) this.#aborting.add(queue);
    return { error: 'ABORTED' };
  }

  signal({ queue, context, a, b, c, d }: SoftwareCommand): SoftwareOutcome {
    const semaphore = this.#at(queue === ADMINISTRATION_QUEUE ? Number(c) : context, a);
    const alone = d === SIGNAL_FAILS_ALONE;
    const from = alone || (d === 0n && this.#failed.has(queue)) ? b : d;
    if (from !== 0n) {
      const sound = semaphore.failedFrom === 0n || semaphore.failedTo !== NEVER;
      if (sound || from < semaphore.failedFrom) semaphore.failedFrom = from;
      semaphore.failedTo = alone ? b + 1n : NEVER;
    }
    if (b > semaphore.value) semaphore.value = b;
    return DONE;
  }

  recover({ queue, context, a, b }: SoftwareCommand): SoftwareOutcome {
    this.forgetQueue(queue);
    const semaphore = this.#at(context, a);
    if (b !== 0n && b < semaphore.failedTo) semaphore.failedTo = b;
    return DONE;
  }

  reset({ a, b, c }: SoftwareCommand): SoftwareOutcome {
    Object.assign(this.#at(Number(c), a), { value: b, failedFrom: 0n, failedTo: 0n });
    return DONE;
  }

  #at(context: number, number: bigint): Semaphore {
    const semaphores = this.#table.get(context) ?? new Map<bigint, Semaphore>();
    this.#table.set(context, semaphores);
    const semaphore = semaphores.get(number) ?? { value: 0n, failedFrom: 0n, failedTo: 0n };
    semaphores.set(number, semaphore);
    return semaphore;
  }
}
