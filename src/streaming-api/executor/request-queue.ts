/** Requests that wait: by priority, then in the order in which they came. */
import type { Request } from './request.js';

export class RequestQueue {
  readonly #requests: Request[] = [];
  #rows = 0;

  get length(): number {
    return this.#requests.length;
  }

  /** Of all requests. */
  get rows(): number {
    return this.#rows;
  }

  get first(): Request | undefined {
    return this.#requests[0];
  }

  /** Behind those of its priority. */
  add(request: Request): void {
    const before = this.#requests.findLastIndex((other) => other.priority >= request.priority);
    this.#insert(before + 1, request);
  }

  /** Before those of its priority: for a request that has waited once. */
  addFirst(request: Request): void {
    const behind = this.#requests.findIndex((other) => other.priority <= request.priority);
    this.#insert(behind < 0 ? this.#requests.length : behind, request);
  }

  remove(request: Request): boolean {
    const index = this.#requests.indexOf(request);
    if (index < 0) return false;
    this.#requests.splice(index, 1);
    this.#rows -= request.rows;
    return true;
  }

  /** The first requests that have `maxRows` together, or the first one where it has to run alone. */
  takeBatch(maxRows: number): readonly Request[] {
    let rows = 0;
    let count = 0;
    for (const request of this.#requests) {
      if (count > 0 && (request.alone || rows + request.rows > maxRows)) break;
      rows += request.rows;
      count++;
      if (request.alone) break;
    }
    this.#rows -= rows;
    return this.#requests.splice(0, count);
  }

  /** All that are left. */
  clear(): readonly Request[] {
    this.#rows = 0;
    return this.#requests.splice(0);
  }

  #insert(index: number, request: Request): void {
    this.#requests.splice(index, 0, request);
    this.#rows += request.rows;
  }
}
