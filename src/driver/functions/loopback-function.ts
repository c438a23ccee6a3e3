/**
 * A card that moves bytes and keeps order, and computes nothing: copies, fills, ownership of pages and semaphores work on
 * memory of this process; a launch is UNSUPPORTED_COMMAND. It tells a fault of the driver from one of the chip.
 */
import { type Generation, HOST_COMMAND, MEMORY_MAP, PROTECTION_PAGE_BYTES, SPECIFICATIONS } from '../../hw/index.js';
import type { CardLimits } from '../card-limits.js';
import { DONE, type SoftwareCommand, SoftwareFunction, type SoftwareOutcome } from './software-function.js';
import { SoftwareSemaphores } from './software-semaphores.js';

const PAGE = PROTECTION_PAGE_BYTES;
const ADMINISTRATION_QUEUE = 0;
const ZERO_PAGE = new Uint8Array(PAGE);

interface Region {
  readonly base: bigint;
  readonly bytes: bigint;
}

/** One end of a copy: where a run of bytes lies, or why it may not be touched. */
type Run = { readonly view: Uint8Array } | { readonly refused: SoftwareOutcome };

type Execute = (card: LoopbackFunction, command: SoftwareCommand) => SoftwareOutcome | undefined;

const COMMANDS: ReadonlyMap<number, Execute> = new Map<number, Execute>([
  [HOST_COMMAND.NOP, () => DONE],
  [HOST_COMMAND.BARRIER, () => DONE],
  [HOST_COMMAND.COPY_HOST_TO_DEVICE, (card, command) => card.copy(command, 'host', 'device')],
  [HOST_COMMAND.COPY_DEVICE_TO_HOST, (card, command) => card.copy(command, 'device', 'host')],
  [HOST_COMMAND.COPY_DEVICE_TO_DEVICE, (card, command) => card.copy(command, 'device', 'device')],
  [HOST_COMMAND.FILL, (card, command) => card.fill(command)],
  [HOST_COMMAND.WAIT, (card, command) => card.semaphores.wait(command)],
  [HOST_COMMAND.SIGNAL, (card, command) => card.semaphores.signal(command)],
  [HOST_COMMAND.RECOVER, (card, command) => card.semaphores.recover(command)],
]);

const ADMINISTRATION: ReadonlyMap<number, Execute> = new Map<number, Execute>([
  [HOST_COMMAND.CREATE_CONTEXT, () => DONE],
  [HOST_COMMAND.DESTROY_CONTEXT, (card, { a }) => card.destroyContext(Number(a))],
  [HOST_COMMAND.ASSIGN_PAGES, (card, command) => card.assignPages(command)],
  [HOST_COMMAND.QUERY, () => DONE],
  [HOST_COMMAND.RESET_SEMAPHORE, (card, command) => card.semaphores.reset(command)],
]);

/** A card of this process's memory without processing elements: copies, fills and semaphores work, launches do not. */
export class LoopbackFunction extends SoftwareFunction {
  readonly #regions: readonly Region[];
  readonly #pages = new Map<bigint, Uint8Array>();
  readonly #owners = new Map<bigint, number>();
  readonly semaphores = new SoftwareSemaphores();

  constructor(generation: Generation = '2i', limits: CardLimits = {}) {
    super('loopback', generation, limits);
    const { sramBytes, lpddrBytes } = SPECIFICATIONS[generation];
    this.#regions = [
      { base: MEMORY_MAP.SRAM.base, bytes: BigInt(sramBytes.value) },
      { base: MEMORY_MAP.LPDDR.base, bytes: BigInt(lpddrBytes.value) },
    ];
  }

  protected override get opcodes(): readonly number[] {
    return [...COMMANDS.keys(), ...ADMINISTRATION.keys(), HOST_COMMAND.ABORT];
  }

  protected override execute(command: SoftwareCommand): SoftwareOutcome | undefined {
    if (this.semaphores.aborts(command)) return { error: 'ABORTED' };
    const outcome = this.#execute(command);
    if (outcome !== undefined && outcome.error !== 'OK') this.semaphores.noteFailure(command.queue);
    return outcome;
  }

  protected override queueChanged(queue: number): void {
    this.semaphores.forgetQueue(queue);
  }

  #execute(command: SoftwareCommand): SoftwareOutcome | undefined {
    const known = COMMANDS.get(command.opcode);
    if (known !== undefined) return known(this, command);
    const administration = ADMINISTRATION.get(command.opcode);
    if (administration === undefined) return { error: 'UNSUPPORTED_COMMAND' };
    return command.queue === ADMINISTRATION_QUEUE ? administration(this, command) : { error: 'INVALID_COMMAND' };
  }

  protected override clear(): void {
    this.#owners.clear();
    this.semaphores.clear();
  }

  assignPages({ a, b, c, d }: SoftwareCommand): SoftwareOutcome {
    const owner = d === 1n ? Number(a) : 0;
    for (let page = 0n; page < c; page++) {
      const address = b + page * BigInt(PAGE);
      if (owner === 0) this.#owners.delete(address);
      else this.#owners.set(address, owner);
      this.#pages.delete(address);
    }
    return DONE;
  }

  destroyContext(context: number): SoftwareOutcome {
    this.semaphores.forgetContext(context);
    for (const [address, owner] of [...this.#owners]) {
      if (owner !== context) continue;
      this.#owners.delete(address);
      this.#pages.delete(address);
    }
    return DONE;
  }

  /** As if all of the source were read before anything is written. */
  copy({ context, a, b, c }: SoftwareCommand, from: 'host' | 'device', to: 'host' | 'device'): SoftwareOutcome {
    const staged = new Uint8Array(Number(c));
    const read = this.#walk(context, from, a, staged.length, 'read', (run, offset) => staged.set(run, offset));
    if (read !== DONE) return read;
    return this.#walk(context, to, b, staged.length, 'write', (run, offset) =>
      run.set(staged.subarray(offset, offset + run.length)),
    );
  }

  fill({ context, a, b, c }: SoftwareCommand): SoftwareOutcome {
    if (a >= 1n << 32n || b % 4n !== 0n || c % 4n !== 0n) return { error: 'INVALID_COMMAND' };
    const pattern = new Uint8Array(4);
    new DataView(pattern.buffer).setUint32(0, Number(BigInt.asUintN(32, a)), true);
    return this.#walk(context, 'device', b, Number(c), 'write', (run, offset) => {
      for (let index = 0; index < run.length; index++) run[index] = pattern[(offset + index) % 4] ?? 0;
    });
  }

  /** Visits a range in runs that lie in one mapping or page; stops at the first that is refused. */
  #walk(
    context: number,
    side: 'host' | 'device',
    address: bigint,
    bytes: number,
    right: 'read' | 'write',
    visit: (run: Uint8Array, offset: number) => void,
  ): SoftwareOutcome {
    for (let done = 0; done < bytes; ) {
      const at = address + BigInt(done);
      const found = side === 'host' ? this.#hostRun(context, at, right) : this.#deviceRun(context, at);
      if ('refused' in found) return found.refused;
      const run = found.view.subarray(0, bytes - done);
      visit(run, done);
      done += run.length;
    }
    return DONE;
  }

  #hostRun(context: number, address: bigint, right: 'read' | 'write'): Run {
    const mapping = this.mappingAt(context, address);
    if (mapping === undefined || !mapping.rights.includes(right)) {
      return { refused: { error: 'HOST_ADDRESS_FAULT', value: address } };
    }
    return { view: mapping.pages.view.subarray(Number(address - mapping.iova)) };
  }

  #deviceRun(context: number, address: bigint): Run {
    const page = address - (address % BigInt(PAGE));
    const exists = this.#regions.some(({ base, bytes }) => address >= base && address < base + bytes);
    if (!exists || this.#owners.get(page) !== context) {
      return { refused: { error: 'MEMORY_PROTECTION', value: address } };
    }
    const memory = this.#pages.get(page) ?? ZERO_PAGE.slice();
    this.#pages.set(page, memory);
    return { view: memory.subarray(Number(address - page)) };
  }
}
