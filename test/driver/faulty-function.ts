/** A null card with faults that a test switches on: a second PciFunction under an unchanged driver. */
import { NullFunction, type RegisterWidth } from '../../src/driver/index.js';
import { BOOT_STATUS, PCI, registerOffset } from '../../src/hw/index.js';

const BOOT_STATUS_OFFSET = registerOffset('BAR0', 'BOOT_STATUS');
const BOOT_ERROR_OFFSET = registerOffset('BAR0', 'BOOT_ERROR');
const TAIL = registerOffset('QUEUE_PAGE', 'SUBMISSION_TAIL');
const FAULT = registerOffset('QUEUE_PAGE', 'FAULT');
const ALL_ONES = 0xffff_ffffn;

export class FaultyFunction extends NullFunction {
  /** Queues whose doorbells are lost: their commands never complete. */
  readonly deaf = new Set<number>();
  /** Doorbells that were lost, by queue, to be delivered by `hear`. */
  readonly #lost = new Map<number, readonly [offset: number, value: bigint | number]>();
  /** Error code that QUEUE_PAGE.FAULT of every queue shows. */
  queueFault = 0;
  offTheBus = false;
  bootError: number | undefined;
  closes = 0;

  override barRead(bar: number, offset: number, width: RegisterWidth): bigint {
    const value = super.barRead(bar, offset, width);
    if (this.offTheBus) return width === 4 ? ALL_ONES : 2n ** 64n - 1n;
    if (this.bootError !== undefined) {
      if (offset === BOOT_STATUS_OFFSET && value === BigInt(BOOT_STATUS.READY)) return BigInt(BOOT_STATUS.FAILED);
      if (offset === BOOT_ERROR_OFFSET) return BigInt(this.bootError);
    }
    return this.#inPage(offset) === FAULT ? BigInt(this.queueFault) : value;
  }

  override barWrite(bar: number, offset: number, width: RegisterWidth, value: bigint | number): void {
    const queue = Math.floor((offset - PCI.QUEUE_PAGE_OFFSET) / PCI.QUEUE_PAGE_BYTES);
    if (this.#inPage(offset) === TAIL && this.deaf.has(queue)) this.#lost.set(queue, [offset, value]);
    else super.barWrite(bar, offset, width, value);
  }

  override close(): void {
    this.closes++;
    super.close();
  }

  /** Delivers what a deaf queue has missed. */
  hear(queue: number): void {
    this.deaf.delete(queue);
    const missed = this.#lost.get(queue);
    if (missed !== undefined) super.barWrite(0, missed[0], 4, missed[1]);
  }

  #inPage(offset: number): number {
    return offset < PCI.QUEUE_PAGE_OFFSET ? -1 : (offset - PCI.QUEUE_PAGE_OFFSET) % PCI.QUEUE_PAGE_BYTES;
  }
}
