/**
 * Wraps any card and misbehaves on demand: interrupts that are lost, late, repeated, out of order or spurious, doorbells
 * that are lost, registers that read wrong, a card that is ejected. Faults are switched on and off while the card works.
 */
import { PCI, registerOffset } from '../../hw/index.js';
import { invalidArgument } from '../errors.js';
import type {
  DmaRights,
  HostPages,
  InterruptSubscription,
  PciFunction,
  RegisterWidth,
  SharedHostPages,
} from '../pci-function.js';

const TAIL = registerOffset('QUEUE_PAGE', 'SUBMISSION_TAIL');
const BAR0 = 0;

/** What goes wrong from now on. All of it is off at first. */
export interface Faults {
  /** Share of the interrupts that never arrive, 0..1. */
  dropInterrupts: number;
  /** Milliseconds by which interrupts are late. */
  delayInterruptsMs: number;
  /** How often an interrupt is delivered beyond the first time. */
  repeatInterrupts: number;
  /** Share of the interrupts that arrive behind the next one, whichever vector that is of, 0..1; see MOST_BEHIND_MS. */
  reorderInterrupts: number;
  /** Share of the doorbells that never arrive, 0..1. */
  dropDoorbells: number;
  /** Share of the doorbells that arrive twice, 0..1. */
  repeatDoorbells: number;
  /** What a register of BAR0 reads as instead of `value`. */
  corruptRead: ((offset: number, value: bigint) => bigint) | undefined;
  /** What is written to a register of BAR0 instead of `value`; undefined: the write is lost. */
  corruptWrite: ((offset: number, value: bigint) => bigint | undefined) | undefined;
  /** The card is off the bus: reads are all ones, writes and interrupts are lost. */
  ejected: boolean;
}

const NO_FAULTS: Faults = {
  dropInterrupts: 0,
  delayInterruptsMs: 0,
  repeatInterrupts: 0,
  reorderInterrupts: 0,
  dropDoorbells: 0,
  repeatDoorbells: 0,
  corruptRead: undefined,
  corruptWrite: undefined,
  ejected: false,
};

/** An interrupt that no other follows arrives by itself after so long. */
const MOST_BEHIND_MS = 20;

/** Interrupts that let the next one pass, on whichever vector. */
class OvertakenInterrupts {
  #held: (() => void)[] = [];
  #timer: NodeJS.Timeout | undefined;

  hold(deliver: () => void): void {
    this.#held.push(deliver);
    this.#timer ??= setTimeout(() => this.overtake(), MOST_BEHIND_MS);
  }

  /** One has passed them. */
  overtake(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (const deliver of this.#held.splice(0)) deliver();
  }
}

/** What the interrupts of one function have in common. */
interface InterruptFaults {
  readonly faults: Faults;
  readonly random: () => number;
  readonly overtaken: OvertakenInterrupts;
  /** One went wrong. */
  injected(): void;
}

/** Delivers interrupts as the faults of the moment have it. */
class FaultyInterrupt implements InterruptSubscription {
  readonly #inner: InterruptSubscription;
  readonly #late = new Set<NodeJS.Timeout>();
  readonly #listener: () => void;
  readonly #shared: InterruptFaults;
  readonly #forget: (interrupt: FaultyInterrupt) => void;
  #closed = false;

  constructor(
    subscribe: (listener: () => void) => InterruptSubscription,
    listener: () => void,
    shared: InterruptFaults,
    forget: (interrupt: FaultyInterrupt) => void,
  ) {
    this.#listener = listener;
    this.#shared = shared;
    this.#forget = forget;
    this.#inner = subscribe(() => this.#arrive());
  }

  /** An interrupt that nothing caused. */
  raise(): void {
    this.#listener();
  }

  ref(): void {
    this.#inner.ref();
  }

  unref(): void {
    this.#inner.unref();
  }

  close(): void {
    this.#closed = true;
    for (const timer of this.#late) clearTimeout(timer);
    this.#late.clear();
    this.#inner.close();
    this.#forget(this);
  }

  #arrive(): void {
    const { faults, random, overtaken, injected } = this.#shared;
    if (faults.ejected) return;
    const dropped = random() < faults.dropInterrupts;
    const held = !dropped && faults.reorderInterrupts > 0 && random() < faults.reorderInterrupts;
    if (dropped || held || faults.delayInterruptsMs > 0 || faults.repeatInterrupts > 0) injected();
    if (dropped) return;
    const deliver = (): void => {
      for (let times = 0; times <= faults.repeatInterrupts; times++) this.#deliver(faults.delayInterruptsMs);
    };
    if (held) {
      overtaken.hold(deliver);
      return;
    }
    deliver();
    overtaken.overtake();
  }

  #deliver(delayMs: number): void {
    if (this.#closed) return;
    if (delayMs === 0) {
      this.#listener();
      return;
    }
    const timer = setTimeout(() => {
      this.#late.delete(timer);
      this.#listener();
    }, delayMs);
    this.#late.add(timer);
  }
}

/** Another function with faults put in: for testing what is above it. */
export class FaultInjectingFunction implements PciFunction {
  readonly faults: Faults = { ...NO_FAULTS };
  /** Interrupts and doorbells that went wrong so far. */
  injected = 0;
  readonly #inner: PciFunction;
  readonly #random: () => number;
  readonly #interrupts = new Set<FaultyInterrupt>();
  readonly #overtaken = new OvertakenInterrupts();

  /** @param random 0 <= x < 1; decides which interrupts and doorbells are met */
  constructor(inner: PciFunction, random: () => number = Math.random) {
    this.#inner = inner;
    this.#random = random;
  }

  get name(): string {
    return this.#inner.name;
  }

  /** From now on the card works as the one inside does. */
  heal(): void {
    Object.assign(this.faults, NO_FAULTS);
  }

  /** Raises every vector that somebody listens to, for no reason. */
  raiseSpuriousInterrupts(): void {
    for (const interrupt of [...this.#interrupts]) {
      this.injected++;
      interrupt.raise();
    }
  }

  configRead(offset: number, width: 1 | 2 | 4): number {
    return this.faults.ejected ? 2 ** (8 * width) - 1 : this.#inner.configRead(offset, width);
  }

  configWrite(offset: number, width: 1 | 2 | 4, value: number): void {
    if (!this.faults.ejected) this.#inner.configWrite(offset, width, value);
  }

  barRead(bar: number, offset: number, width: RegisterWidth): bigint {
    const value = this.#inner.barRead(bar, offset, width);
    if (this.faults.ejected) return width === 4 ? 0xffff_ffffn : 0xffff_ffff_ffff_ffffn;
    return bar === BAR0 ? (this.faults.corruptRead?.(offset, value) ?? value) : value;
  }

  barWrite(bar: number, offset: number, width: RegisterWidth, value: bigint | number): void {
    const { faults } = this;
    if (faults.ejected) return;
    let times = 1;
    if (bar === BAR0 && isDoorbell(offset)) {
      const dropped = this.#random() < faults.dropDoorbells;
      if (!dropped && this.#random() < faults.repeatDoorbells) times = 2;
      if (dropped || times > 1) this.injected++;
      if (dropped) return;
    }
    const written =
      bar === BAR0 && faults.corruptWrite !== undefined ? faults.corruptWrite(offset, BigInt(value)) : value;
    if (written === undefined) return;
    for (; times > 0; times--) this.#inner.barWrite(bar, offset, width, written);
  }

  barReadBlock(bar: number, offset: number, bytes: number): Uint8Array {
    const block = this.#inner.barReadBlock(bar, offset, bytes);
    return this.faults.ejected ? new Uint8Array(bytes).fill(0xff) : block;
  }

  barWriteBlock(bar: number, offset: number, data: Uint8Array): void {
    if (!this.faults.ejected) this.#inner.barWriteBlock(bar, offset, data);
  }

  allocateHost(bytes: number): HostPages {
    return this.#inner.allocateHost(bytes);
  }

  attachHost(shared: SharedHostPages): HostPages {
    const pages = this.#inner.attachHost?.(shared);
    if (pages === undefined) throw invalidArgument(`${this.name} cannot attach host memory of another thread; copy it`);
    return pages;
  }

  dmaMap(context: number, iova: bigint, pages: HostPages, rights: DmaRights): void {
    this.#inner.dmaMap(context, iova, pages, rights);
  }

  dmaUnmap(context: number, iova: bigint, bytes: number): void {
    this.#inner.dmaUnmap(context, iova, bytes);
  }

  onInterrupt(vector: number, listener: () => void): InterruptSubscription {
    const interrupt = new FaultyInterrupt(
      (deliver) => this.#inner.onInterrupt(vector, deliver),
      listener,
      { faults: this.faults, random: this.#random, overtaken: this.#overtaken, injected: () => this.injected++ },
      (closed) => this.#interrupts.delete(closed),
    );
    this.#interrupts.add(interrupt);
    return interrupt;
  }

  functionReset(): void {
    if (!this.faults.ejected) this.#inner.functionReset();
  }

  close(): void {
    this.#inner.close();
  }
}

function isDoorbell(offset: number): boolean {
  return offset >= PCI.QUEUE_PAGE_OFFSET && (offset - PCI.QUEUE_PAGE_OFFSET) % PCI.QUEUE_PAGE_BYTES === TAIL;
}
