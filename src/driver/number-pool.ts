/** Hands out the numbers of a limited resource, the longest unused first. */
import { MtiaError } from './errors.js';

export class NumberPool {
  readonly #what: string;
  readonly #count: number;
  readonly #free: number[];

  constructor(what: string, first: number, last: number) {
    this.#what = what;
    this.#free = Array.from({ length: last - first + 1 }, (_, index) => first + index);
    this.#count = this.#free.length;
  }

  take(): number {
    const number = this.#free.shift();
    if (number === undefined) {
      const held = this.#count === 1 ? `1 ${this.#what}, which is` : `${this.#count} ${this.#what}s, all`;
      throw new MtiaError('TOO_MANY', `the device has ${held} in use; close one first`);
    }
    return number;
  }

  give(number: number): void {
    this.#free.push(number);
  }
}
