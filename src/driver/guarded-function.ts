/** A card in a thread that has attached it: what was made before a reset reaches it no more, however late it comes. */
import { MtiaError } from './errors.js';
import type {
  DmaRights,
  HostPages,
  InterruptSubscription,
  PciFunction,
  RegisterWidth,
  SharedHostPages,
} from './pci-function.js';

/** The error of everything that was made before a reset. */
export function resetError(name: string, reason: string): MtiaError {
  return new MtiaError('DEVICE_RESET', `${name} was reset (${reason}); make contexts, queues, buffers and models anew`);
}

export class GuardedFunction implements PciFunction {
  readonly #inner: PciFunction;
  readonly #resets: Int32Array;
  readonly #life: number;

  /** @param resets element 0 counts the resets that have begun; what differs from it now is refused later */
  constructor(inner: PciFunction, resets: Int32Array) {
    this.#inner = inner;
    this.#resets = resets;
    this.#life = Atomics.load(resets, 0);
  }

  get name(): string {
    return this.#inner.name;
  }

  configRead(offset: number, width: 1 | 2 | 4): number {
    return this.#inner.configRead(offset, width);
  }

  configWrite(offset: number, width: 1 | 2 | 4, value: number): void {
    this.#check();
    this.#inner.configWrite(offset, width, value);
  }

  barRead(bar: number, offset: number, width: RegisterWidth): bigint {
    return this.#inner.barRead(bar, offset, width);
  }

  barWrite(bar: number, offset: number, width: RegisterWidth, value: bigint | number): void {
    this.#check();
    this.#inner.barWrite(bar, offset, width, value);
  }

  barReadBlock(bar: number, offset: number, bytes: number): Uint8Array {
    return this.#inner.barReadBlock(bar, offset, bytes);
  }

  barWriteBlock(bar: number, offset: number, data: Uint8Array): void {
    this.#check();
    this.#inner.barWriteBlock(bar, offset, data);
  }

  allocateHost(bytes: number): HostPages {
    return this.#inner.allocateHost(bytes);
  }

  attachHost(shared: SharedHostPages): HostPages {
    if (this.#inner.attachHost === undefined) {
      throw new MtiaError('INVALID_ARGUMENT', `${this.name} cannot attach host memory of another thread; copy it`);
    }
    return this.#inner.attachHost(shared);
  }

  dmaMap(context: number, iova: bigint, pages: HostPages, rights: DmaRights): void {
    this.#check();
    this.#inner.dmaMap(context, iova, pages, rights);
  }

  dmaUnmap(context: number, iova: bigint, bytes: number): void {
    this.#check();
    this.#inner.dmaUnmap(context, iova, bytes);
  }

  onInterrupt(vector: number, listener: () => void): InterruptSubscription {
    this.#check();
    return this.#inner.onInterrupt(vector, listener);
  }

  functionReset(): void {
    throw new MtiaError('INVALID_ARGUMENT', `${this.name} is reset by the thread that opened it; call reset() there`);
  }

  close(): void {
    this.#inner.close();
  }

  #check(): void {
    if (Atomics.load(this.#resets, 0) !== this.#life) throw resetError(this.name, 'by another thread');
  }
}
