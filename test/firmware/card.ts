/** An emulated card with running firmware, and short words for what tests do with it. */
import { ONE_PE, Session, WHOLE_GRID } from '../../src/conformance/session.js';
import { type DebugCalls, Device, type FirmwareImage, openEmulatorWithDebug } from '../../src/driver/index.js';
import { bundlePath, EXTERNAL_KERNEL_ID, loadBundle, TEST_KERNELS_BUNDLE } from '../../src/firmware-emu/index.js';
import { type Generation, KERNEL_ID } from '../../src/hw/index.js';

export { ONE_PE, Session, WHOLE_GRID };

export const testKernels = (): FirmwareImage => loadBundle(bundlePath(TEST_KERNELS_BUNDLE));

/** Small, so that a test does not depend on how much memory the machine lets a process reserve. */
const LPDDR_BYTES = 1024 * 1024 * 1024;

const KERNELS: FirmwareImage['kernels'] = new Map(Object.entries({ ...KERNEL_ID, ...EXTERNAL_KERNEL_ID }));

/** A context with memory at an address, or at one that no other session has. */
export function openSession(device: Device, address?: bigint): Promise<Session> {
  return Session.open(device, { kernels: KERNELS }, address);
}

export interface Card {
  readonly device: Device;
  readonly debug: DebugCalls;
}

/** threads: host threads that run PEs; the number of processors when absent. */
export async function openCard(
  generation: Generation,
  firmware: FirmwareImage = testKernels(),
  threads?: number,
): Promise<Card> {
  const { pci, debug } = openEmulatorWithDebug({
    generation,
    lpddrBytes: LPDDR_BYTES,
    ...(threads === undefined ? {} : { threads }),
  });
  return { device: await Device.open(pci, firmware), debug };
}
