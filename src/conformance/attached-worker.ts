/** What cases have a worker thread do with a card of the main thread: attaches it, works on it, and ends as it is asked to. */
import { parentPort, workerData } from 'node:worker_threads';
import { AttachedDevice, type FirmwareImage, type SharedCard } from '../driver/index.js';
import { Session, WHOLE_GRID } from './session.js';

export interface AttachedWorkerData {
  readonly shared: SharedCard;
  readonly kernels: FirmwareImage['kernels'];
  /** `terminated`: waits for that; `busy`: with a kernel that never ends; `reset`: works again when the card was reset. */
  readonly end: 'close' | 'exit' | 'throw' | 'terminated' | 'busy' | 'reset';
}

const { shared, kernels, end } = workerData as AttachedWorkerData;
const device = new AttachedDevice(shared);
const say = (word: string): void => parentPort?.postMessage(word);

const session = await Session.open(device, { kernels });
for (let times = 0; times < 20; times++) await session.expectWorking();
if (end === 'busy' || end === 'reset') {
  const { done } = await session.startLaunch('ENDLESS', [], { rectangle: WHOLE_GRID });
  device.on('reset', async () => {
    const code = await done.then(
      () => 'completed',
      (error) => error.code,
    );
    const stale = await session.expectWorking().then(
      () => 'worked',
      (error) => error.code,
    );
    const again = await Session.open(device, { kernels });
    await again.expectWorking();
    say(`${code} ${stale}`);
  });
}
if (end === 'close') await device.close();
say('worked');
if (end === 'exit') process.exit(0);
// Its word has to arrive first.
if (end === 'throw') setTimeout(() => Promise.reject(new Error('a worker that fails')), 50);
if (end !== 'close' && end !== 'throw') setInterval(() => undefined, 1_000);
