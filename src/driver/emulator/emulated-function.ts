/** PciFunction over the C library of the emulated chip. */
import { ERROR_CODES } from '../../hw/index.js';
import { closedError, invalidArgument } from '../errors.js';
import type {
  DmaRights,
  FunctionShare,
  HostPages,
  InterruptSubscription,
  PciFunction,
  RegisterWidth,
  SharedHostPages,
} from '../pci-function.js';
import type { CFunctionName, CLibrary } from './c-abi.js';
import type { EmulatedDevice, SharedEmulatedDevice } from './emulated-device.js';
import { HoldingsLedger } from './holdings-ledger.js';
import { allocateHostPages, attachHostPages } from './host-memory.js';

const RIGHTS: Readonly<Record<DmaRights, number>> = { read: 1, write: 2, 'read-write': 3 };

export class EmulatedFunction implements PciFunction {
  readonly name: string;
  readonly #device: EmulatedDevice;
  readonly #library: CLibrary;
  readonly #handle: bigint;
  /** Out parameter of the small calls; made once, because register reads are frequent. */
  readonly #result = new Uint8Array(8);
  readonly #resultView = new DataView(this.#result.buffer);
  /** By vector: one event descriptor cannot be watched twice. */
  readonly #subscriptions = new Map<number, InterruptSubscription>();

  constructor(device: EmulatedDevice) {
    this.name = device.name;
    this.#device = device;
    this.#library = device.library;
    this.#handle = device.handle;
  }

  configRead(offset: number, width: 1 | 2 | 4): number {
    this.#open();
    this.#checkOffset(offset, 'mtia_pci_config_read');
    const status = this.#library.mtia_pci_config_read(this.#handle, offset, width, this.#result);
    this.#device.check(status, 'mtia_pci_config_read');
    return this.#resultView.getUint32(0, true);
  }

  configWrite(offset: number, width: 1 | 2 | 4, value: number): void {
    this.#open();
    this.#checkOffset(offset, 'mtia_pci_config_write');
    const status = this.#library.mtia_pci_config_write(this.#handle, offset, width, value);
    this.#device.check(status, 'mtia_pci_config_write');
  }

  barRead(bar: number, offset: number, width: RegisterWidth): bigint {
    this.#open();
    this.#checkOffset(offset, 'mtia_pci_bar_read');
    const status = this.#library.mtia_pci_bar_read(this.#handle, bar, offset, width, this.#result);
    this.#device.check(status, 'mtia_pci_bar_read');
    return this.#resultView.getBigUint64(0, true);
  }

  barWrite(bar: number, offset: number, width: RegisterWidth, value: bigint | number): void {
    this.#open();
    this.#checkOffset(offset, 'mtia_pci_bar_write');
    const status = this.#library.mtia_pci_bar_write(this.#handle, bar, offset, width, value);
    this.#device.check(status, 'mtia_pci_bar_write');
  }

  barReadBlock(bar: number, offset: number, bytes: number): Uint8Array {
    this.#open();
    const data = new Uint8Array(bytes);
    this.#checkOffset(offset, 'mtia_pci_bar_read_block');
    const status = this.#library.mtia_pci_bar_read_block(this.#handle, bar, offset, data, bytes);
    this.#device.check(status, 'mtia_pci_bar_read_block');
    return data;
  }

  barWriteBlock(bar: number, offset: number, data: Uint8Array): void {
    this.#open();
    this.#checkOffset(offset, 'mtia_pci_bar_write_block');
    const status = this.#library.mtia_pci_bar_write_block(this.#handle, bar, offset, data, data.byteLength);
    this.#device.check(status, 'mtia_pci_bar_write_block');
  }

  allocateHost(bytes: number): HostPages {
    this.#open();
    if (!Number.isSafeInteger(bytes) || bytes <= 0) {
      throw invalidArgument(`allocateHost takes a positive number of bytes, got ${bytes}`);
    }
    return allocateHostPages(this.#device, bytes);
  }

  attachHost(shared: SharedHostPages): HostPages {
    this.#open();
    return attachHostPages(this.#device, shared);
  }

  dmaMap(context: number, iova: bigint, pages: HostPages, rights: DmaRights): void {
    this.#open();
    const { address, bytes } = pages;
    const status = this.#library.mtia_pci_dma_map(this.#handle, context, iova, address, bytes, RIGHTS[rights]);
    this.#device.check(status, 'mtia_pci_dma_map');
  }

  dmaUnmap(context: number, iova: bigint, bytes: number): void {
    this.#open();
    const status = this.#library.mtia_pci_dma_unmap(this.#handle, context, iova, bytes);
    this.#device.check(status, 'mtia_pci_dma_unmap');
  }

  onInterrupt(vector: number, listener: () => void): InterruptSubscription {
    this.#open();
    if (this.#subscriptions.has(vector)) {
      throw invalidArgument(`interrupt vector ${vector} of ${this.name} has a listener; one Device drives a card`);
    }
    const status = this.#library.mtia_pci_interrupt_fd(this.#handle, vector, this.#result);
    this.#device.check(status, 'mtia_pci_interrupt_fd');
    const watch = this.#device.binding.watchEventDescriptor(this.#resultView.getInt32(0, true), listener);
    const subscription: InterruptSubscription = {
      ref: () => watch.ref(),
      unref: () => watch.unref(),
      close: () => {
        if (this.#subscriptions.get(vector) === subscription) this.#subscriptions.delete(vector);
        watch.close();
      },
    };
    this.#subscriptions.set(vector, subscription);
    return subscription;
  }

  functionReset(): void {
    this.#open();
    this.#device.check(this.#library.mtia_pci_function_reset(this.#handle), 'mtia_pci_function_reset');
  }

  share(): FunctionShare {
    this.#open();
    const { name, handle, library } = this.#device;
    const holdings = new HoldingsLedger();
    const data: SharedEmulatedDevice = { name, handle, holdings: holdings.memory };
    return {
      shared: { kind: 'emulator', data },
      release: () => holdings.releaseAll(({ id, bytes }) => library.mtia_host_free(id, bytes)),
    };
  }

  close(): void {
    // The device closes the event descriptors: nothing may wait for them any more.
    for (const subscription of [...this.#subscriptions.values()]) subscription.close();
    this.#device.close();
  }

  #open(): void {
    if (this.#device.closed) throw closedError(this.name);
  }

  /** Bindings cut other numbers down to 32 bits, or throw errors of their own. */
  #checkOffset(offset: number, call: CFunctionName): void {
    if (offset >>> 0 !== offset) this.#device.check(ERROR_CODES.CHIP_BAD_ARGUMENT.code, call);
  }
}
