/**
 * Device memory for contexts of several threads: the thread that opened the device has its heaps, and gives ranges of pages to
 * the others by message. What such a range is divided into is the business of the context that has it, without any message.
 */
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { closedError, type MtiaError, RequestPort } from '../driver/index.js';
import type { PageSource } from './device-heaps.js';
import { HeapOccupancy, type Occupancy } from './heap-occupancy.js';
import type { MemoryKind } from './memory-kind.js';

/** Heaps on their way to another thread. The port has to be in the transfer list. */
export interface SharedHeaps {
  readonly port: MessagePort;
  readonly occupancy: SharedArrayBuffer;
  readonly deadlineMs: number;
}

interface Range {
  readonly address: number;
  /** Tells it from ranges at the same address before a reset of the device. */
  readonly ticket: number;
}

interface HeapRequests {
  take(argument: { memory: MemoryKind; bytes: number; alignment: number }): Promise<Range | undefined>;
  give(ticket: number): void;
}

/** What one thread has of the heaps of another thread's device, there. */
export class HeapLender {
  readonly shared: SharedHeaps;
  readonly #heaps: () => PageSource;
  readonly #port: RequestPort<HeapRequests, object>;
  /** What the thread has, by ticket, and from which heaps: those before a reset are no more. */
  readonly #lent = new Map<
    number,
    { readonly heaps: PageSource; readonly memory: MemoryKind; readonly address: number }
  >();
  #tickets = 0;
  #closed = false;

  /** @param heaps those of the device as it is now */
  constructor(heaps: () => PageSource, occupancy: HeapOccupancy, deadlineMs: number) {
    const { port1, port2 } = new MessageChannel();
    this.#heaps = heaps;
    this.shared = { port: port2, occupancy: occupancy.memory, deadlineMs };
    this.#port = new RequestPort<HeapRequests, object>(
      port1,
      {
        take: (request) => this.#take(request),
        give: (ticket) => this.#give(ticket),
      },
      { deadlineMs, onEnd: () => undefined },
    );
  }

  /** The thread uses none of it any more: its contexts are gone. */
  close(): void {
    this.#closed = true;
    this.#port.close(closedError('the memory of another thread'));
    for (const ticket of [...this.#lent.keys()]) this.#give(ticket);
  }

  async #take({ memory, bytes, alignment }: Parameters<HeapRequests['take']>[0]): Promise<Range | undefined> {
    const heaps = this.#heaps();
    const address = await heaps.take(memory, bytes, alignment);
    if (address === undefined) return undefined;
    if (this.#closed) {
      heaps.give(memory, address);
      return undefined;
    }
    const ticket = this.#tickets++;
    this.#lent.set(ticket, { heaps, memory, address });
    return { address, ticket };
  }

  #give(ticket: number): void {
    const lent = this.#lent.get(ticket);
    this.#lent.delete(ticket);
    if (lent !== undefined && lent.heaps === this.#heaps()) lent.heaps.give(lent.memory, lent.address);
  }
}

/** The heaps of a device that another thread has opened. */
export class BorrowedHeaps {
  readonly #port: RequestPort<object, HeapRequests>;
  readonly #occupancy: HeapOccupancy;

  constructor({ port, occupancy, deadlineMs }: SharedHeaps) {
    this.#port = new RequestPort<object, HeapRequests>(port, {}, { deadlineMs, onEnd: () => undefined });
    this.#occupancy = new HeapOccupancy(occupancy);
  }

  /** A source of pages for what is made from now on: after a reset, what was taken before is nobody's any more. */
  source(): PageSource {
    const tickets = new Map<number, number>();
    return {
      take: async (memory, bytes, alignment) => {
        const range = await this.#port.request('take', { memory, bytes, alignment });
        if (range === undefined) return undefined;
        tickets.set(range.address, range.ticket);
        return range.address;
      },
      give: (_, address) => {
        const ticket = tickets.get(address);
        tickets.delete(address);
        if (ticket !== undefined) this.#port.tell('give', ticket);
      },
      occupancy: (memory): Occupancy => this.#occupancy.read(memory),
    };
  }

  close(error: MtiaError): void {
    this.#port.close(error);
  }
}
