/** What goes wrong beside the program: interrupts, doorbells, bits of memory, whole devices. */
import assert from 'node:assert/strict';
import type { FaultInjectingFunction, MtiaError } from '../../driver/index.js';
import type { Device } from '../../streaming-api/index.js';
import { rejectsWith } from '../expectations.js';
import { endCopies } from './peer-steps.js';
import type { FaultKind, Restart, StepOf } from './step.js';
import type { World } from './world.js';

const LOST_WITHIN_MS = 10_000;
const SHARE = 0.3;
const LATE_MS = 5;

const FAULTS: Readonly<Record<FaultKind, Partial<FaultInjectingFunction['faults']>>> = {
  none: {},
  'interrupts lost': { dropInterrupts: SHARE },
  'interrupts late': { delayInterruptsMs: LATE_MS },
  'interrupts repeated': { repeatInterrupts: 2 },
  'interrupts out of order': { reorderInterrupts: SHARE },
  'interrupts spurious': {},
  'doorbells repeated': { repeatDoorbells: SHARE },
};

function fault({ card }: World, { fault: kind }: StepOf<'fault'>): void {
  card.heal();
  Object.assign(card.faults, FAULTS[kind]);
  if (kind === 'interrupts spurious') card.raiseSpuriousInterrupts();
}

/** One in a word is corrected by whoever reads it: the program sees nothing of it. */
function flipBit(world: World, { buffer, word, bit }: StepOf<'flip a bit'>): void {
  const account = world.account(buffer);
  const { debug, backend } = world;
  if (account === undefined || debug === undefined || account.buffer.memory !== 'lpddr') return;
  if (!backend.capabilities.has('error correction')) return;
  const address = account.buffer.address + BigInt((word * 8) % account.bytes.byteLength);
  if (world.flipped.has(address)) return;
  world.flipped.add(address);
  debug.injectError(address, 1n << BigInt(bit));
}

async function expectLost(device: Device): Promise<MtiaError> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`the loss was not noticed in ${LOST_WITHIN_MS} ms`)), LOST_WITHIN_MS);
  });
  try {
    return await Promise.race([device.lost, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Somebody resets the function; the driver finds out at its next command. */
async function lose({ card, device }: World): Promise<void> {
  card.functionReset();
  device.defaultStream.recordEvent();
  await expectLost(device);
}

/** Device.reset ends what is under way; what was made before is refused, and never reaches the device. */
async function reset(world: World): Promise<void> {
  const { device } = world;
  const [stale] = world.accounts.values();
  const stream = device.defaultStream;
  const heard: string[] = [];
  const before = (): number => heard.push('resetting');
  const after = (): number => heard.push('reset');
  device.on('resetting', before).on('reset', after);
  await device.reset('the program says so');
  device.off('resetting', before).off('reset', after);
  assert.deepEqual(heard, ['resetting', 'reset']);
  world.resets++;
  await world.settle(true);
  await rejectsWith('DEVICE_RESET', stream.launch(device.kernel('NULL'), { grid: { columns: 1, rows: 1 } }));
  if (stale !== undefined) await rejectsWith('DEVICE_RESET', device.defaultStream.fill(stale.buffer, 0));
  await device.defaultStream.synchronize().catch(() => undefined);
}

async function replace(world: World): Promise<void> {
  await world.device.close();
  await world.settle(true);
  await world.reopen();
}

const END: Readonly<Record<Restart, (world: World) => Promise<void>>> = {
  close: replace,
  reset: async (world) => {
    await lose(world);
    await replace(world);
  },
  eject: async (world) => {
    world.card.faults.ejected = true;
    world.device.defaultStream.recordEvent();
    await expectLost(world.device);
    await replace(world);
  },
  'device reset': reset,
  revive: async (world) => {
    await lose(world);
    await reset(world);
  },
};

/** Ends the device with all that is under way, and goes on with a new one. */
async function restart(world: World, { how }: StepOf<'restart'>): Promise<void> {
  if (world.peer !== undefined) endCopies(world.peer.on);
  await END[how](world);
  world.forgetAll();
  world.restarts++;
}

async function trim(world: World): Promise<void> {
  world.openGates();
  await world.device.emptyCache();
}

export const FAULT_STEPS = { fault, 'flip a bit': flipBit, restart, trim } as const;
