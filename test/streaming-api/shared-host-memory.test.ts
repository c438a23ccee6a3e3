/** Pinned memory of one worker, seen by others: the same bytes for every thread and every device, alive while held. */
import { describe, expect, it } from 'vitest';
import { runChild } from './child-process.js';

const CLEAN = { signal: null, stderr: '', code: 0 };

/** Attaches what arrives; its own device copies the memory in and adds up what it sees. */
const WORKER = `
  const device = await open();
  const { once } = await import('node:events');
  parentPort.postMessage('ready');
  const [shared] = await once(parentPort, 'message');
  const host = device.attachHost(shared);
  const counters = host.as(Int32Array);
  for (let i = 0; i < 10000; i++) Atomics.add(counters, 0, 1);
  const buffer = await device.allocate(host.bytes);
  await device.defaultStream.copyToDevice(buffer, host, { bytes: 64 });
  const seen = new Int32Array(host.bytes / 4);
  await device.defaultStream.copyToHost(seen, buffer);
  counters[8 + seen[4]] = seen[5];
`;

/** The other binding works on the main thread only. */
const run = (script: string) => runChild(script, { MTIA_FFI: 'koffi' });

describe('pinned memory', () => {
  it('is the same for two workers, their devices, and the thread that allocated it', async () => {
    const script = `
      const device = await open();
      const host = device.allocateHost(4096, { shared: true });
      const words = host.as(Int32Array);
      words.set([0, 0, 0, 0, 1, 77]);
      const workers = [1, 2].map(() => startWorker(\`${WORKER} await device.close(); parentPort.postMessage('done');\`));
      await Promise.all(workers.map(messageOf));
      const done = workers.map(messageOf);
      for (const worker of workers) worker.postMessage(host.share());
      await Promise.all(done);
      console.log(words[0], words[9]);
      await device.close();`;
    expect(await run(script)).toMatchObject({ ...CLEAN, stdout: '20000 77\n' });
  });

  it('outlives the buffer and the device that it came from, and a worker that is terminated', async () => {
    const script = `
      const device = await open();
      const host = device.allocateHost(4096, { shared: true });
      host.as(Int32Array).set([0, 0, 0, 0, 1, 77]);
      const worker = startWorker(\`${WORKER}
        parentPort.postMessage('attached');
        await once(parentPort, 'message');
        parentPort.postMessage(counters[9] + Atomics.add(counters, 1, 5) + Atomics.load(counters, 1));\`);
      await messageOf(worker);
      worker.postMessage(host.share());
      await messageOf(worker);
      const { view } = host;
      host.free();
      await device.close();
      worker.postMessage('go on');
      console.log(await messageOf(worker));
      await worker.terminate();
      console.log(view[4]);`;
    expect(await run(script)).toMatchObject({ ...CLEAN, stdout: '82\n5\n' });
  });

  it.each([
    ['of a card of its own', 'await open()'],
    ['of a card that it has attached', 'await Device.attach(shared)'],
  ])('goes with the last who held it, a worker that is terminated: through a context %s', async (_, opening) => {
    const script = `
      const { readFileSync } = await import('node:fs');
      const { setFlagsFromString } = await import('node:v8');
      const { runInNewContext } = await import('node:vm');
      setFlagsFromString('--expose-gc');
      const collectGarbage = runInNewContext('gc');
      const isMapped = (address) => readFileSync('/proc/self/maps', 'latin1').split('\\n').some((line) => {
        const [start, end] = line.split(' ')[0].split('-').map((word) => BigInt('0x' + (word || '0')));
        return start <= address && address < (end ?? 0n);
      });
      const device = await open();
      const worker = startWorker(\`
        const { once } = await import('node:events');
        const [{ shared, pages }] = await once(parentPort, 'message');
        const device = ${opening};
        const host = device.attachHost(pages);
        const buffer = await device.allocate(1 << 20);
        await device.defaultStream.copyToDevice(buffer, host, { bytes: 1 << 20 });
        parentPort.postMessage('holds');
        setInterval(() => device.defaultStream.copyToDevice(buffer, host, { bytes: 1 << 20 }), 1);\`);
      const shared = device.share();
      let host = device.allocateHost(4 << 20, { shared: true });
      const pages = host.share();
      const { address } = pages.pages;
      worker.postMessage({ shared, pages }, shared.ports);
      await messageOf(worker);
      host.free();
      host = undefined;
      const pause = () => new Promise((resolve) => setTimeout(resolve, 10));
      for (let times = 0; times < 20; times++) { collectGarbage(); await pause(); }
      const held = isMapped(address);
      await worker.terminate();
      for (let times = 0; times < 500 && isMapped(address); times++) await pause();
      console.log(held, isMapped(address));
      await device.defaultStream.fill(await device.allocate(4096), 1);
      await device.close();`;
    expect(await run(script)).toMatchObject({ ...CLEAN, stdout: 'true false\n' });
  });
});
