/** Copies to a buffer of a second device, which outlives the restarts of the first. */
import assert from 'node:assert/strict';
import { Device, type DeviceBuffer } from '../../streaming-api/index.js';
import { type Account, compare, forget, moveBytes, openAccount, room } from './account.js';
import type { StepOf } from './step.js';
import { TrackedStream, worse } from './tracked-stream.js';
import type { World } from './world.js';

const PEER_BYTES = 40_000;

export interface Peer {
  readonly device: Device;
  readonly on: TrackedStream;
  readonly account: Account;
}

async function openPeer(world: World): Promise<Peer> {
  const { pci } = world.backend.openCard({ threads: 1 });
  const device = await Device.open({ pci, firmware: world.firmware });
  const buffer: DeviceBuffer = await device.allocate(PEER_BYTES);
  return { device, on: new TrackedStream(device.defaultStream), account: openAccount(buffer, undefined) };
}

/** A failure on the way fails the host function that hands the bytes over, and is the peer's stream's own. */
async function copyToPeer(world: World, step: StepOf<'copy to peer'>, what: string): Promise<void> {
  const source = world.account(step.buffer);
  if (source === undefined) return;
  world.peer ??= await openPeer(world);
  const { on: to, account: target } = world.peer;
  const on = world.stream(step.stream);
  const [fromOffset, toOffset] = [step.fromOffset, step.toOffset];
  const bytes = Math.min(room(source, fromOffset, step.bytes), room(target, toOffset, step.bytes));
  if (fromOffset > source.bytes.byteLength) return;
  world.use([source], on, step.by, what);
  const { aborts } = on;
  const done = on.stream.copyToPeer(to.stream, target.buffer, source.buffer, {
    sourceOffset: fromOffset,
    destinationOffset: toOffset,
    bytes,
  });
  const codes = ['HOST_FUNCTION_ERROR', 'ABORTED'] as const;
  // Nothing of no bytes is sent.
  const outcome = aborts === 'no' || bytes === 0 ? {} : aborts === 'yes' ? { fails: codes } : { mayFail: codes };
  if (bytes > 0) {
    to.failure = worse(to.failure, aborts);
    to.codes.add('HOST_FUNCTION_ERROR');
    on.waiters.add(to);
  }
  done.catch(() => undefined);
  world.log.begin({
    what,
    done,
    on,
    ...outcome,
    succeeded: () => moveBytes(source, target, { fromOffset, toOffset, bytes }),
    failed: () => forget(target, toOffset, bytes),
  });
}

/** Copies that are under way to the stream may fail. */
export function endCopies(to: TrackedStream): void {
  to.failure = worse(to.failure, 'maybe');
  to.codes.add('HOST_FUNCTION_ERROR');
}

/** What the peer holds at the end of a program, and that its stream has failed only with what it was given. */
export async function checkPeer(world: World): Promise<void> {
  const { peer } = world;
  if (peer === undefined) return;
  const { on, account, device } = peer;
  await world.synchronize(on, 'synchronize of the peer');
  const bytes = new Uint8Array(account.bytes.byteLength);
  await on.stream.copyToHost(bytes, account.buffer);
  await world.settle();
  compare(account, 0, bytes, 'what is left on the peer');
  assert.equal(device.memoryStats().dram.num_allocs, 2, 'allocations of LPDDR that stay on the peer');
}

export const PEER_STEPS = { 'copy to peer': copyToPeer } as const;
