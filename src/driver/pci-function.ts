/**
 * What a PCI Express function offers to a user-space driver: the only door between the driver and the chip.
 * Anything that implements it (the emulated chip, a fault injector, a remote card) works under the driver unchanged.
 */

/** Host pages on their way to another thread of the process: plain data that postMessage takes. */
export interface SharedHostPages {
  /** Address in this process. */
  readonly address: bigint;
  /** Of all pages. */
  readonly bytes: number;
  /** Threads that hold the pages, over memory that they share; 0 when the last has let go. */
  readonly holders: Int32Array;
}

/** Page-aligned host memory that a device may be given access to. */
export interface HostPages {
  /** Address in this process. */
  readonly address: bigint;
  /** A multiple of 4096. */
  readonly bytes: number;
  /** The memory itself, made once. It stays readable after free() for as long as somebody holds it. */
  readonly view: Uint8Array;
  /** Gives the memory back. Unmap it from every context first. */
  free(): void;
  /** For attachHost in another thread; absent where the memory cannot be shared. */
  share?(): SharedHostPages;
}

/** What the device may do with mapped host memory. */
export type DmaRights = 'read' | 'write' | 'read-write';

/** A listener on one MSI-X vector. Interrupts coalesce: one call may stand for many. */
export interface InterruptSubscription {
  /** Something is awaited: interrupts must be delivered, and may keep the process alive. */
  ref(): void;
  /** Nothing is awaited: delivery may pause, and the process may end. A new subscription starts like this. */
  unref(): void;
  /** No call of the listener comes after it. Idempotent. */
  close(): void;
}

/** A function on its way to another thread of the process: plain data that postMessage takes. */
export interface SharedFunction {
  /** Who attaches it; see addFunctionKind. */
  readonly kind: string;
  readonly data: unknown;
}

/** The door to a function that one other thread gets. */
export interface FunctionShare {
  readonly shared: SharedFunction;
  /**
   * Gives back the host memory that the other thread left behind. It has ended by then, and nothing of that memory is mapped
   * any more. Idempotent.
   */
  release(): void;
}

/** Bytes of a register access. */
export type RegisterWidth = 4 | 8;

/** A PCI Express function: a real card, the emulated chip, or anything that stands for one. A failure is an MtiaError. */
export interface PciFunction {
  /** For people: which card this is. */
  readonly name: string;
  /** Reads configuration space, naturally aligned. */
  configRead(offset: number, width: 1 | 2 | 4): number;
  /** Writes configuration space, naturally aligned. */
  configWrite(offset: number, width: 1 | 2 | 4, value: number): void;
  /** Reads a register of a base address register's window, naturally aligned. */
  barRead(bar: number, offset: number, width: RegisterWidth): bigint;
  /** A number is taken as well as a bigint, so that a doorbell needs no allocation. */
  barWrite(bar: number, offset: number, width: RegisterWidth, value: bigint | number): void;
  /** Reads any bytes of a memory window (BAR2). */
  barReadBlock(bar: number, offset: number, bytes: number): Uint8Array;
  /** Writes any bytes of a memory window (BAR2). */
  barWriteBlock(bar: number, offset: number, data: Uint8Array): void;
  /** Zeroed host memory that dmaMap takes: whole host pages. */
  allocateHost(bytes: number): HostPages;
  /**
   * The same memory that another thread of the process shares; absent where that is not possible. DEVICE_CLOSED where every
   * other holder has let go already.
   */
  attachHost?(shared: SharedHostPages): HostPages;
  /** Lets the device reach the pages at an I/O virtual address of a context. */
  dmaMap(context: number, iova: bigint, pages: HostPages, rights: DmaRights): void;
  /** Returns when no access through the mapping is under way. */
  dmaUnmap(context: number, iova: bigint, bytes: number): void;
  /** Listens to an MSI-X vector; the listener runs on the event loop of the calling thread. */
  onInterrupt(vector: number, listener: () => void): InterruptSubscription;
  /** Function level reset: all work ends, queues and mappings are gone, the boot ROM starts again. */
  functionReset(): void;
  /** For one other thread of the process; absent where the function can be driven by its own thread only. */
  share?(): FunctionShare;
  /** Idempotent. Every other call afterwards fails with DEVICE_CLOSED. */
  close(): void;
}

/** Bytes of a page of host memory: what is mapped for a device is whole pages. */
export const HOST_PAGE_BYTES = 4096;

/** Rounds up to whole host pages. */
export function wholePages(bytes: number): number {
  return Math.ceil(bytes / HOST_PAGE_BYTES) * HOST_PAGE_BYTES;
}
