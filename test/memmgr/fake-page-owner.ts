/** A context's pages without a device: who owns what, and promises that a test resolves when it likes. */
import { MtiaError } from '../../src/driver/index.js';
import { PROTECTION_PAGE_BYTES } from '../../src/hw/index.js';
import type { PageOwner } from '../../src/memmgr/index.js';

export class FakePageOwner implements PageOwner {
  readonly id: number;
  /** Pages of this context, by number. */
  readonly pages = new Set<number>();
  assigned = 0;
  released = 0;
  /** Fails the next assignment. */
  failure: MtiaError | undefined;
  closed = false;

  constructor(id = 1) {
    this.id = id;
  }

  async assignPages(address: bigint, pages: number): Promise<void> {
    await this.#answer();
    const { failure } = this;
    this.failure = undefined;
    if (failure !== undefined) throw failure;
    for (const page of this.#pagesOf(address, pages)) {
      if (this.pages.has(page)) throw new Error(`page ${page} is assigned twice`);
      this.pages.add(page);
    }
    this.assigned++;
  }

  async releasePages(address: bigint, pages: number): Promise<void> {
    await this.#answer();
    for (const page of this.#pagesOf(address, pages)) {
      if (!this.pages.delete(page)) throw new Error(`page ${page} is released but not assigned`);
    }
    this.released++;
  }

  /** Whether every byte lies on a page of this context. */
  owns(address: bigint, bytes: number): boolean {
    const last = address + BigInt(bytes - 1);
    const count = Number(last / BigInt(PROTECTION_PAGE_BYTES) - address / BigInt(PROTECTION_PAGE_BYTES)) + 1;
    return this.#pagesOf(address, count).every((page) => this.pages.has(page));
  }

  #pagesOf(address: bigint, count: number): number[] {
    const first = Number(address / BigInt(PROTECTION_PAGE_BYTES));
    return Array.from({ length: count }, (_, index) => first + index);
  }

  async #answer(): Promise<void> {
    await new Promise(setImmediate);
    if (this.closed) throw new MtiaError('DEVICE_CLOSED', 'the context is closed');
  }
}
