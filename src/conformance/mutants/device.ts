/** Broken devices: the card of the backend behind a layer that does one thing wrong. */
import {
  type DmaRights,
  FaultInjectingFunction,
  type HostPages,
  type InterruptSubscription,
  type PciFunction,
  type RegisterWidth,
} from '../../driver/index.js';
import { LIMITS, PCI, registerOffset } from '../../hw/index.js';
import type { Mutant } from './mutant.js';

const at = (name: string): number => registerOffset('BAR0', name);
const TAIL = registerOffset('QUEUE_PAGE', 'SUBMISSION_TAIL');
const COMMAND = 4;

const isDoorbell = (bar: number, offset: number): boolean =>
  bar === 0 && offset >= PCI.QUEUE_PAGE_OFFSET && offset % PCI.QUEUE_PAGE_BYTES === TAIL;

/** Passes everything on; a mutant overrides what it breaks. */
class Passing extends FaultInjectingFunction {
  protected readonly card: PciFunction;

  constructor(card: PciFunction) {
    super(card);
    this.card = card;
  }
}

class LostInterrupt extends Passing {
  override onInterrupt(vector: number, listener: () => void): InterruptSubscription {
    let count = 0;
    return this.card.onInterrupt(vector, () => {
      if (++count % 5 !== 0) listener();
    });
  }
}

class SwappedVectors extends Passing {
  override onInterrupt(vector: number, listener: () => void): InterruptSubscription {
    return this.card.onInterrupt(vector ^ 1, listener);
  }
}

/** The last entry before the end of the ring is seen with the next doorbell only. */
class OffByOneAtWrap extends Passing {
  override barWrite(bar: number, offset: number, width: RegisterWidth, value: bigint | number): void {
    const cut = isDoorbell(bar, offset) && Number(value) % 256 === 0 && Number(value) !== 0;
    this.card.barWrite(bar, offset, width, cut ? Number(value) - 1 : value);
  }
}

class LostDoorbell extends Passing {
  #count = 0;

  override barWrite(bar: number, offset: number, width: RegisterWidth, value: bigint | number): void {
    if (isDoorbell(bar, offset) && ++this.#count % 40 === 0) return;
    this.card.barWrite(bar, offset, width, value);
  }
}

/** An unmapped page stays reachable until its address is mapped again. */
class StaleTranslation extends Passing {
  readonly #stale = new Map<string, () => void>();

  override dmaMap(context: number, iova: bigint, pages: HostPages, rights: DmaRights): void {
    this.#stale.get(`${context}:${iova}`)?.();
    this.#stale.delete(`${context}:${iova}`);
    this.card.dmaMap(context, iova, pages, rights);
  }

  override dmaUnmap(context: number, iova: bigint, bytes: number): void {
    this.#stale.set(`${context}:${iova}`, () => this.card.dmaUnmap(context, iova, bytes));
  }
}

class EveryRight extends Passing {
  override dmaMap(context: number, iova: bigint, pages: HostPages): void {
    this.card.dmaMap(context, iova, pages, 'read-write');
  }
}

class WrongResetValue extends Passing {
  #written = false;

  override barRead(bar: number, offset: number, width: RegisterWidth): bigint {
    const value = this.card.barRead(bar, offset, width);
    return bar === 0 && offset === at('WINDOW_BASE') && !this.#written ? value ^ 0x1000n : value;
  }

  override barWrite(bar: number, offset: number, width: RegisterWidth, value: bigint | number): void {
    if (bar === 0 && offset === at('WINDOW_BASE')) this.#written = true;
    this.card.barWrite(bar, offset, width, value);
  }
}

class WritableIdentity extends Passing {
  #size: bigint | undefined;

  override barRead(bar: number, offset: number, width: RegisterWidth): bigint {
    const value = this.card.barRead(bar, offset, width);
    return bar === 0 && offset === at('SRAM_BYTES') && width === 8 ? (this.#size ?? value) : value;
  }

  override barWrite(bar: number, offset: number, width: RegisterWidth, value: bigint | number): void {
    if (bar === 0 && offset === at('SRAM_BYTES')) this.#size = BigInt(value);
    this.card.barWrite(bar, offset, width, value);
  }
}

class IncompleteReset extends Passing {
  override functionReset(): void {
    const kept = this.card.barRead(0, at('BOOT_IMAGE_ADDRESS'), 8);
    this.card.functionReset();
    this.card.barWrite(0, at('BOOT_IMAGE_ADDRESS'), 8, kept);
  }
}

class ShortWindow extends Passing {
  override barWriteBlock(bar: number, offset: number, data: Uint8Array): void {
    this.card.barWriteBlock(bar, offset, data.byteLength % 2 === 1 ? data.subarray(0, -1) : data);
  }
}

class ClockGoesBack extends Passing {
  #reads = 0;

  override barRead(bar: number, offset: number, width: RegisterWidth): bigint {
    const value = this.card.barRead(bar, offset, width);
    return bar === 0 && offset === at('DEVICE_TIME') && ++this.#reads % 16 === 0 ? value - 1_000_000n : value;
  }
}

class BytesOfTheWrongWord extends Passing {
  override configRead(offset: number, width: 1 | 2 | 4): number {
    return this.card.configRead(width === 1 ? offset & ~3 : offset, width);
  }
}

class TornWrite extends Passing {
  override barWrite(bar: number, offset: number, width: RegisterWidth, value: bigint | number): void {
    const torn = bar === 0 && offset === at('WINDOW_BASE') && width === 8;
    this.card.barWrite(bar, offset, width, torn ? BigInt(value) & 0xffff_ffffn : value);
  }
}

class AlwaysEnabled extends Passing {
  override configWrite(offset: number, width: 1 | 2 | 4, value: number): void {
    this.card.configWrite(offset, width, offset === COMMAND ? value | 2 : value);
  }
}

/** The driver finds out only when a queue behind the last one does nothing. */
class ClaimsEveryQueue extends Passing {
  override barRead(bar: number, offset: number, width: RegisterWidth): bigint {
    return bar === 0 && offset === at('QUEUES') ? BigInt(LIMITS.QUEUES) : this.card.barRead(bar, offset, width);
  }
}

class ClosesOnce extends Passing {
  #closed = false;

  override close(): void {
    if (this.#closed) throw new Error('closed already');
    this.#closed = true;
    this.card.close();
  }
}

interface Defect {
  readonly name: string;
  readonly doc: string;
  readonly promisedBy: readonly string[];
  readonly backend?: 'one-queue';
  readonly card: new (card: PciFunction) => PciFunction;
}

const DEFECTS: readonly Defect[] = [
  {
    name: 'lost-interrupt',
    doc: 'every fifth interrupt is lost',
    promisedBy: ['interrupts'],
    card: LostInterrupt,
  },
  {
    name: 'swapped-vectors',
    doc: 'a queue raises the vector of its neighbour',
    promisedBy: ['interrupts'],
    card: SwappedVectors,
  },
  {
    name: 'off-by-one-at-wrap',
    doc: 'the last entry of the ring is seen too late',
    promisedBy: ['queues'],
    card: OffByOneAtWrap,
  },
  {
    name: 'lost-doorbell',
    doc: 'every fortieth doorbell is lost',
    promisedBy: ['queues'],
    card: LostDoorbell,
  },
  { name: 'stale-translation', doc: 'an unmapped page stays reachable', promisedBy: ['DMA'], card: StaleTranslation },
  { name: 'every-right', doc: 'the IOMMU ignores rights', promisedBy: ['DMA'], card: EveryRight },
  {
    name: 'wrong-reset-value',
    doc: 'WINDOW_BASE is not zero after power-on',
    promisedBy: ['config and BAR'],
    card: WrongResetValue,
  },
  { name: 'writable-size', doc: 'SRAM_BYTES can be written', promisedBy: ['config and BAR'], card: WritableIdentity },
  {
    name: 'incomplete-reset',
    doc: 'a function reset forgets a register',
    promisedBy: ['config and BAR'],
    card: IncompleteReset,
  },
  {
    name: 'short-window',
    doc: 'writes of an odd length through the window lose their last byte',
    promisedBy: ['config and BAR'],
    card: ShortWindow,
  },
  {
    name: 'clock-goes-back',
    doc: 'device time jumps back now and then',
    promisedBy: ['config and BAR'],
    card: ClockGoesBack,
  },
  {
    name: 'bytes-of-the-wrong-word',
    doc: 'byte reads of configuration space are not aligned',
    promisedBy: ['config and BAR'],
    card: BytesOfTheWrongWord,
  },
  { name: 'torn-write', doc: '64-bit writes lose their upper half', promisedBy: ['config and BAR'], card: TornWrite },
  {
    name: 'always-enabled',
    doc: 'memory space cannot be disabled',
    promisedBy: ['config and BAR'],
    card: AlwaysEnabled,
  },
  {
    name: 'claims-every-queue',
    doc: 'QUEUES says more than there are',
    promisedBy: ['queues'],
    backend: 'one-queue',
    card: ClaimsEveryQueue,
  },
  { name: 'closes-once', doc: 'a second close fails', promisedBy: ['lifecycle'], card: ClosesOnce },
];

export const DEVICE_MUTANTS: readonly Mutant[] = DEFECTS.map(({ card: Broken, ...defect }) => ({
  ...defect,
  breaks: 'device',
  apply: ({ backend, firmware }) => ({
    firmware,
    backend: {
      ...backend,
      openCard: (options) => {
        const { pci, ...rest } = backend.openCard(options);
        return { ...rest, pci: new Broken(pci) };
      },
    },
  }),
}));
