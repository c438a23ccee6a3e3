/** Random programs over several contexts of one card: each finds its own bytes, none reaches another's. */
import assert from 'node:assert/strict';
import { type Device, type FirmwareImage, MtiaError } from '../../driver/index.js';
import { HOST_COMMAND } from '../../hw/index.js';
import { equalBytes, rejectsWith } from '../expectations.js';
import type { Random } from '../random.js';
import { FIRST_ADDRESS, Session } from '../session.js';

const SLOTS = 4;
/** The pages of a session lie in it. */
const SLOT_BYTES = 16 * 2 ** 20;
/** At the start of the pages of each context. */
const KEPT_BYTES = 5_000;

/** Contexts are named by slots. What is written is decided by `seed`. */
export type ContextStep =
  | { readonly do: 'open' | 'read' | 'record'; readonly slot: number }
  | { readonly do: 'close'; readonly slot: number; readonly busy: boolean }
  | { readonly do: 'write'; readonly slot: number; readonly at: number; readonly byte: number; readonly bytes: number }
  | { readonly do: 'trespass'; readonly slot: number; readonly other: number; readonly how: Trespass }
  | { readonly do: 'reset' };

const TRESPASSES = ['read', 'fill', 'launch'] as const;
type Trespass = (typeof TRESPASSES)[number];

interface Tenant {
  readonly session: Session;
  readonly bytes: Uint8Array;
}

export function randomContextProgram(random: Random, steps: number): ContextStep[] {
  const slot = (): number => random.integer(0, SLOTS - 1);
  return Array.from({ length: steps }, (): ContextStep => {
    const kind = random.pick([
      'open',
      'open',
      'close',
      'write',
      'write',
      'read',
      'record',
      'trespass',
      'reset',
    ] as const);
    const at = random.integer(0, KEPT_BYTES - 1);
    if (kind === 'close') return { do: kind, slot: slot(), busy: random.next() < 0.5 };
    if (kind === 'trespass') return { do: kind, slot: slot(), other: slot(), how: random.pick(TRESPASSES) };
    // A reset ends every context: few of them leave some to look at.
    if (kind === 'reset') return random.next() < 0.1 ? { do: kind } : { do: 'read', slot: slot() };
    if (kind !== 'write') return { do: kind, slot: slot() };
    return { do: kind, slot: slot(), at, byte: random.integer(1, 255), bytes: random.integer(0, KEPT_BYTES - at) };
  });
}

export class ContextProgram {
  readonly #device: Device;
  readonly #firmware: FirmwareImage;
  readonly #tenants = new Map<number, Tenant>();
  /** Work that is under way where its context or the card ends. */
  #begun: Promise<unknown>[] = [];

  constructor(device: Device, firmware: FirmwareImage) {
    this.#device = device;
    this.#firmware = firmware;
  }

  /** Throws at the first byte or error that is not what it must be. */
  async run(program: readonly ContextStep[]): Promise<void> {
    for (const step of program) await this.#step(step);
    for (const tenant of this.#tenants.values()) await this.#compare(tenant);
    for (const { session } of this.#tenants.values()) await session.context.close();
    await this.#settle();
  }

  async #step(step: ContextStep): Promise<void> {
    if (step.do === 'reset') return this.#reset();
    const tenant = this.#tenants.get(step.slot);
    if (step.do === 'open') return tenant === undefined ? this.#open(step.slot) : undefined;
    if (tenant === undefined) return undefined;
    const { session, bytes } = tenant;
    switch (step.do) {
      case 'close':
        if (step.busy) this.#occupy(session);
        this.#tenants.delete(step.slot);
        return session.context.close();
      case 'write':
        bytes.fill(step.byte, step.at, step.at + step.bytes);
        return session.write(session.memory, bytes);
      case 'record': {
        await session.launch('RECORD', [session.memory, BigInt(step.slot)]);
        new DataView(bytes.buffer).setBigUint64(0, BigInt(step.slot), true);
        return undefined;
      }
      case 'read':
        return this.#compare(tenant);
      case 'trespass':
        return this.#trespass(tenant, this.#tenants.get(step.other), step.how);
    }
  }

  /** The pages of a slot hold zeros, whichever context had them before. */
  async #open(slot: number): Promise<void> {
    const session = await Session.open(this.#device, this.#firmware, FIRST_ADDRESS + BigInt(slot * SLOT_BYTES));
    const tenant = { session, bytes: new Uint8Array(KEPT_BYTES) };
    await this.#compare(tenant);
    this.#tenants.set(slot, tenant);
  }

  async #compare({ session, bytes }: Tenant): Promise<void> {
    equalBytes(await session.read(session.memory, KEPT_BYTES), bytes, `memory of context ${session.context.id}`);
  }

  async #trespass({ session }: Tenant, other: Tenant | undefined, how: Trespass): Promise<void> {
    if (other === undefined || other.session === session) return;
    const { memory } = other.session;
    const begin: Readonly<Record<Trespass, () => Promise<unknown>>> = {
      read: () => session.read(memory, 64),
      fill: () => session.submit({ opcode: HOST_COMMAND.FILL, a: 0, b: memory, c: 64 }),
      launch: () => session.launch('RECORD', [memory, 1n]),
    };
    await rejectsWith('MEMORY_PROTECTION', begin[how]());
    await this.#compare(other);
  }

  #occupy(session: Session): void {
    const copy = { opcode: HOST_COMMAND.COPY_HOST_TO_DEVICE, a: session.iova, b: session.memory, c: 1_000_000 };
    this.#begun.push(...Array.from({ length: 8 }, () => session.submit(copy)));
    for (const work of this.#begun) work.catch(() => undefined);
  }

  async #reset(): Promise<void> {
    for (const { session } of this.#tenants.values()) this.#occupy(session);
    await this.#device.reset('the program says so');
    for (const { session } of this.#tenants.values()) {
      await rejectsWith('DEVICE_RESET', session.submit({ opcode: HOST_COMMAND.NOP }));
    }
    this.#tenants.clear();
    await this.#settle();
  }

  async #settle(): Promise<void> {
    for (const outcome of await Promise.allSettled(this.#begun.splice(0))) {
      if (outcome.status === 'fulfilled') continue;
      const { reason } = outcome;
      assert.ok(reason instanceof MtiaError && ENDINGS.has(reason.code), `work of a context ended with ${reason}`);
    }
  }
}

const ENDINGS: ReadonlySet<string> = new Set(['DEVICE_CLOSED', 'DEVICE_RESET']);
