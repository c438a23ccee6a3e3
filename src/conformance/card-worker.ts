/** What cases have a worker thread do with a card of its own: boots it, works on it, and ends in a way that is asked for. */

import { readFileSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { Device, openEmulator } from '../driver/index.js';
import { bundlePath, readBundle, TEST_KERNELS_BUNDLE } from '../firmware-emu/index.js';
import { encodeRectangle, type Generation, HOST_COMMAND } from '../hw/index.js';
import { WHOLE_GRID } from './session.js';

export interface CardWorkerData {
  readonly generation: Generation;
  readonly cards: number;
  /** `terminated`: waits for that; `busy`: with a kernel that never ends. */
  readonly end: 'close' | 'return' | 'exit' | 'throw' | 'terminated' | 'busy';
}

/** LPDDR of a card: enough for the firmware and a little. */
const LPDDR_BYTES = 64 * 1024 * 1024;

const { generation, cards, end } = workerData as CardWorkerData;
const firmware = readBundle(readFileSync(bundlePath(TEST_KERNELS_BUNDLE)), { allowUnsigned: true });
const devices: Device[] = [];
for (let count = 0; count < cards; count++) {
  devices.push(await Device.open(openEmulator({ generation, threads: 1, lpddrBytes: LPDDR_BYTES }), firmware));
}
for (const device of devices) {
  const queue = await (await device.createContext()).createQueue();
  await Promise.all(Array.from({ length: 300 }, () => queue.submit({ opcode: HOST_COMMAND.NOP })));
  if (end !== 'busy') continue;
  const a = firmware.kernels.get('ENDLESS') ?? 0;
  queue.submit({ opcode: HOST_COMMAND.LAUNCH, a, d: encodeRectangle(WHOLE_GRID) }).catch(() => undefined);
}
if (end === 'close') for (const device of devices) await device.close();
parentPort?.postMessage('worked');
if (end === 'exit') process.exit(0);
if (end === 'throw') throw new Error('a worker that fails');
if (end === 'terminated' || end === 'busy') setInterval(() => undefined, 1_000);
