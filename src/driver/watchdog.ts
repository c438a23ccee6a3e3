/**
 * Notices a device that stopped answering. One timer per device, alive only while a command is outstanding, so it is also
 * what keeps the process alive until the answer is there.
 */
import { deviceError, type MtiaError } from './errors.js';

/** A queue as the watchdog sees it. */
export interface Watched {
  readonly outstanding: number;
  /** The device is busy with a command of this queue, other than waiting for another queue. */
  readonly working: boolean;
  /**
   * Takes what has completed, then judges the oldest command by the watchdog's clock. While another queue works, a wait
   * may last: it is that queue's command that has a deadline.
   */
  inspect(nowMs: number, othersWork: boolean): void;
  /** Whether interrupts are to be delivered. */
  listen(awaited: boolean): void;
}

export interface DeviceHealth {
  /** The device's own clock. It stands still while a debugger holds the chip, and then no deadline runs. */
  deviceTime(): bigint;
  /** Why the device is lost; undefined while it is well. */
  diagnose(): MtiaError | undefined;
  onLost(error: MtiaError): void;
}

const PERIOD_MS = 100;

export class Watchdog {
  readonly #health: DeviceHealth;
  readonly #watched = new Set<Watched>();
  #timer: NodeJS.Timeout | undefined;
  #deviceTime = 0n;
  #nowMs = 0;

  constructor(health: DeviceHealth) {
    this.#health = health;
  }

  add(queue: Watched): void {
    this.#watched.add(queue);
    queue.listen(this.#timer !== undefined);
  }

  remove(queue: Watched): void {
    this.#watched.delete(queue);
  }

  /** A command was submitted. Nearly free when the timer already runs. */
  start(): void {
    if (this.#timer !== undefined) return;
    this.#timer = setInterval(() => this.#tick(), PERIOD_MS);
    for (const queue of this.#watched) queue.listen(true);
  }

  stop(): void {
    if (this.#timer === undefined) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
    for (const queue of this.#watched) queue.listen(false);
  }

  #tick(): void {
    if ([...this.#watched].every((queue) => queue.outstanding === 0)) {
      this.stop();
      return;
    }
    const lost = this.#health.diagnose();
    if (lost !== undefined) {
      this.#health.onLost(lost);
      return;
    }
    try {
      this.#inspectAll();
    } catch (cause) {
      this.#health.onLost(deviceError('DEVICE_LOST', {}, { cause }));
    }
  }

  #inspectAll(): void {
    const deviceTime = this.#health.deviceTime();
    if (deviceTime !== this.#deviceTime) this.#nowMs += PERIOD_MS;
    this.#deviceTime = deviceTime;
    const othersWork = [...this.#watched].some((queue) => queue.working);
    for (const queue of this.#watched) queue.inspect(this.#nowMs, othersWork);
  }
}
