/** A protection domain of the device: its own queues, mapped host memory and pages of device memory. */
import type { Logger } from 'pino';
import { HOST_COMMAND, type HostCommandName, LIMITS } from '../hw/index.js';
import { AddressSpace } from './address-space.js';
import type { ContextAdministration } from './administration.js';
import { checkOptions, closedError, invalidArgument, type MtiaError } from './errors.js';
import type { DmaRights, HostPages, PciFunction, SharedHostPages } from './pci-function.js';
import type { Queue } from './queue.js';

/** What a queue is made with. */
export interface QueueOptions {
  /** 0 to 3; of queues with work the highest is served first, but none starves. 0 when absent. */
  readonly priority?: number;
}

/** An address space of the card with its queues: what one user of it owns. Others' memory is out of reach. */
export class Context {
  readonly id: number;
  readonly #pci: PciFunction;
  readonly #administration: ContextAdministration;
  readonly #space: AddressSpace;
  readonly #queues = new Set<Queue>();
  readonly #forget: (context: Context, destroyed: boolean) => void;
  #closing: Promise<void> | undefined;

  /** Use Device.createContext. */
  constructor(
    id: number,
    pci: PciFunction,
    administration: ContextAdministration,
    forget: (context: Context, destroyed: boolean) => void,
  ) {
    this.id = id;
    this.#pci = pci;
    this.#administration = administration;
    this.#space = new AddressSpace(pci, id);
    this.#forget = forget;
  }

  get closed(): boolean {
    return this.#closing !== undefined;
  }

  /** DEVICE_RESET where the device has been reset since; undefined while the context may be used. */
  get failure(): MtiaError | undefined {
    return this.#administration.retired;
  }

  async createQueue(options: QueueOptions = {}): Promise<Queue> {
    this.#checkOpen();
    checkOptions(options);
    const { priority = 0 } = options;
    if (!Number.isInteger(priority) || priority < 0 || priority >= LIMITS.QUEUE_PRIORITIES) {
      throw invalidArgument(`priority is ${priority}; queues have 0 to ${LIMITS.QUEUE_PRIORITIES - 1}`);
    }
    const queue = await this.#administration.openQueue({ context: this.id, space: this.#space, priority }, (closed) =>
      this.#queues.delete(closed),
    );
    this.#queues.add(queue);
    // The context was closed meanwhile, or the card was reset.
    if (this.closed) await queue.close();
    this.#checkOpen();
    return queue;
  }

  /** Host memory to be mapped or not; it belongs to no context. */
  allocateHost(bytes: number): HostPages {
    this.#checkOpen();
    return this.#pci.allocateHost(bytes);
  }

  /** Host memory that another thread of the process has allocated and shares. */
  attachHost(shared: SharedHostPages): HostPages {
    this.#checkOpen();
    const pages = this.#pci.attachHost?.(shared);
    if (pages === undefined)
      throw invalidArgument(`${this.#pci.name} cannot attach host memory of another thread; copy it`);
    return pages;
  }

  /** Lets commands and kernels of this context reach host memory; gives the address to use for it. */
  mapHost(pages: HostPages, rights: DmaRights = 'read-write'): bigint {
    this.#checkOpen();
    return this.#space.map(pages, rights);
  }

  unmapHost(iova: bigint): void {
    this.#checkOpen();
    this.#space.unmap(iova);
  }

  /** Makes 64 KiB pages of device memory this context's own. */
  assignPages(address: bigint, pages: number): Promise<void> {
    return this.#administer('ASSIGN_PAGES', address, pages, 1);
  }

  /** Takes pages back; whoever gets them next must not find this context's accesses still under way. */
  releasePages(address: bigint, pages: number): Promise<void> {
    return this.#administer('ASSIGN_PAGES', address, pages, 0);
  }

  /**
   * Raises a timeline semaphore from the host.
   *
   * @param failedFrom waits for this value and higher ones then fail, 0 = none; SIGNAL_FAILS_ALONE = those for `value` only
   */
  async signal(semaphore: number, value: number | bigint, failedFrom: number | bigint = 0): Promise<void> {
    this.#checkOpen();
    const command = { opcode: HOST_COMMAND.SIGNAL, a: semaphore, b: value, c: this.id, d: failedFrom };
    await this.#administration.administer(command);
  }

  /** Gives a timeline semaphore a value, which may be lower, and makes it sound. Nobody may wait for it. */
  async resetSemaphore(semaphore: number, value: bigint): Promise<void> {
    this.#checkOpen();
    const command = { opcode: HOST_COMMAND.RESET_SEMAPHORE, a: semaphore, b: value, c: this.id };
    await this.#administration.administer(command);
  }

  /** Closes the queues, unmaps all host memory and gives the device's pages back. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #administer(command: HostCommandName, b: bigint, c: number, d: number): Promise<void> {
    this.#checkOpen();
    await this.#administration.administer({ opcode: HOST_COMMAND[command], a: this.id, b, c, d });
  }

  async #close(): Promise<void> {
    const closed = await Promise.allSettled([...this.#queues].map((queue) => queue.close()));
    for (const result of closed) if (result.status === 'rejected') throw result.reason;
    // A reset has ended everything, and the number is another context's by now.
    if (this.failure !== undefined) return;
    const destroyed = await this.#administration.destroyContext(this.id);
    if (this.failure !== undefined) return;
    this.#space.unmapAll();
    this.#forget(this, destroyed);
  }

  #checkOpen(): void {
    if (this.failure !== undefined) throw this.failure;
    if (this.closed) throw closedError(`context ${this.id}`);
  }
}

/** Ends contexts as far as the device still does, all at once: firmware that is stuck costs the deadline of one. */
export async function closeContexts(contexts: Iterable<Context>, logger: Logger): Promise<void> {
  const close = async (context: Context): Promise<void> => {
    try {
      await context.close();
    } catch (error) {
      logger.warn({ context: context.id, err: error }, 'context did not close in order');
    }
  };
  await Promise.all(Array.from(contexts, close));
}
