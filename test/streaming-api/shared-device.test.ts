/** One card for several threads: each drives a context of its own, and what a thread leaves behind is given back. */
import { describe, expect, it } from 'vitest';
import { LoopbackFunction, MtiaError } from '../../src/driver/index.js';
import { Device } from '../../src/streaming-api/index.js';
import { runChild } from './child-process.js';

const CLEAN = { signal: null, stderr: '', code: 0 };
/** The other binding works on the main thread only. */
const run = (script: string) => runChild(PRELUDE + script, { MTIA_FFI: 'koffi' });

/** `attach(body)` starts a worker whose body has `device`, attached, and `say`; it resolves when the body has said something. */
const PRELUDE = `
  const ATTACH = \`
    const { once } = await import('node:events');
    const [shared] = await once(parentPort, 'message');
    const device = await Device.attach(shared);
    const stream = device.defaultStream;
    const say = (word) => parentPort.postMessage(word);
    const endless = () => device.defaultStream.launch(device.kernel('endless'), { grid: { columns: 1, rows: 1 } }, []);
    const alive = setInterval(() => undefined, 1000);
  \`;
  const attach = async (device, body) => {
    const worker = startWorker(ATTACH + body);
    const shared = device.share();
    worker.postMessage(shared, shared.ports);
    return [worker, await messageOf(worker)];
  };
  const until = async (holds) => {
    for (let times = 0; !(await holds()); times++) {
      if (times > 500) throw new Error('it never came to be: ' + holds);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  };
  const works = async (device) => {
    const buffer = await device.allocate(4096);
    await device.defaultStream.fill(buffer, 42);
    const words = new Uint32Array(1024);
    await device.defaultStream.copyToHost(words, buffer);
    buffer.free();
    return words.every((word) => word === 42);
  };
`;

describe('a device that a worker attaches', () => {
  it('is the same card, with memory and streams of its own', async () => {
    const script = `
      const device = await open();
      const body = (word) => \`
        const buffers = [];
        for (let i = 0; i < 20; i++) buffers.push(await device.allocate(3 << 20));
        for (const buffer of buffers) stream.fill(buffer, \${word}).catch(() => undefined);
        const other = await device.createStream();
        await stream.synchronize();
        const words = new Uint32Array(3 << 18);
        for (const buffer of buffers) {
          await other.copyToHost(words, buffer);
          if (!words.every((word) => word === \${word})) say('overwritten');
        }
        say(device.properties.name + ' ' + device.memoryInfo()[1]);\`;
      const said = await Promise.all([1, 2, 3].map((word) => attach(device, body(word))));
      const [name, total] = [device.properties.name, device.memoryInfo()[1]];
      console.log(said.every(([, word]) => word === name + ' ' + total), await works(device));
      await device.close();
      process.exit();`;
    expect(await run(script)).toMatchObject({ ...CLEAN, stdout: 'true true\n' });
  });

  it('gives back what a worker held that is terminated in the middle of its work: of more contexts than there are', async () => {
    const script = `
      const device = await open();
      const before = device.memoryInfo()[0];
      for (let times = 0; times < 4; times++) {
        const shares = Array.from({ length: 10 }, () => device.share());
        const worker = startWorker(\`
          parentPort.once('message', async (shares) => {
            for (const device of await Promise.all(shares.map((shared) => Device.attach(shared)))) {
              await device.allocate(64 << 20);
              await device.createStream();
              device.defaultStream.launch(device.kernel('endless'), { grid: { columns: 1, rows: 1 } }, []).catch(() => undefined);
            }
            parentPort.postMessage('works');
          });
          setInterval(() => undefined, 1000);\`);
        worker.postMessage(shares, shares.flatMap(({ ports }) => ports));
        await messageOf(worker);
        await worker.terminate();
        await until(() => device.memoryInfo()[0] === before);
      }
      console.log(await works(device));
      await device.close();`;
    expect(await run(script)).toMatchObject({ ...CLEAN, stdout: 'true\n' });
  });

  it('may be closed by the worker, while others go on', async () => {
    const script = `
      const device = await open();
      const before = device.memoryInfo()[0];
      const [worker, word] = await attach(device, \`
        const host = device.allocateHost(4096, { shared: true });
        const pending = endless().catch(({ code }) => code);
        await device.close();
        say([await pending, await device.allocate(64).catch(({ code }) => code), host.view === undefined]);
        clearInterval(alive);\`);
      console.log(word.join(), await works(device));
      await until(() => device.memoryInfo()[0] === before);
      await device.close();`;
    expect(await run(script)).toMatchObject({ ...CLEAN, stdout: 'DEVICE_CLOSED,DEVICE_CLOSED,false true\n' });
  });

  it('is closed for a worker when the thread that opened it closes it', async () => {
    const script = `
      const device = await open();
      const [worker] = await attach(device, \`
        const pending = endless().catch(({ code }) => code);
        say('works');
        const code = await pending;
        say([code, await device.allocate(64).catch(({ code }) => code)]);
        clearInterval(alive);\`);
      const last = messageOf(worker);
      await device.close();
      console.log((await last).join());`;
    expect(await run(script)).toMatchObject({ ...CLEAN, stdout: 'DEVICE_CLOSED,DEVICE_CLOSED\n' });
  });

  it('is reset for every thread by whoever resets it, and works again', async () => {
    const script = `
      const device = await open();
      const body = \`
        let pending = endless().catch(({ code }) => code);
        const old = await device.allocate(64);
        device.on('reset', async ({ resets }) => {
          const code = await pending;
          const stale = await device.defaultStream.fill(old, 1).then(() => 'worked', (error) => error.code);
          const buffer = await device.allocate(4096);
          await device.defaultStream.fill(buffer, 7);
          say([resets, code, stale].join());
          pending = endless().catch(({ code }) => code);
        });
        parentPort.on('message', () => device.reset('worker'));
        say('works');\`;
      const workers = (await Promise.all([attach(device, body), attach(device, body)])).map(([worker]) => worker);
      for (const reset of [() => device.reset('main'), () => workers[0].postMessage('reset')]) {
        const said = workers.map(messageOf);
        await reset();
        console.log((await Promise.all(said)).join(' '), await works(device));
      }
      await device.close();
      process.exit();`;
    const again = (resets: number): string => `${resets},DEVICE_RESET,DEVICE_RESET`;
    const stdout = [1, 2].map((resets) => `${again(resets)} ${again(resets)} true\n`).join('');
    expect(await run(script)).toMatchObject({ ...CLEAN, stdout });
  });

  it('may be attached when it was reset since it was shared', async () => {
    const script = `
      const device = await open();
      const worker = startWorker(ATTACH + \`
        device.on('reset', () => say('told of a reset before it was there'));
        const buffer = await device.allocate(4096);
        await stream.fill(buffer, 42);
        await new Promise((resolve) => setTimeout(resolve, 50));
        await stream.synchronize();
        say('works');\`);
      const shared = device.share();
      await device.reset();
      worker.postMessage(shared, shared.ports);
      console.log(await messageOf(worker), await works(device));
      await worker.terminate();
      await device.close();`;
    expect(await run(script)).toMatchObject({ ...CLEAN, stdout: 'works true\n' });
  });

  it('is lost for every thread when it falls off the bus', async () => {
    const script = `
      const pci = openEmulator({ generation: '2i', threads: 1 });
      const device = await Device.open({ pci, firmware: bundlePath(TEST_KERNELS_BUNDLE) });
      const [worker] = await attach(device, \`
        const pending = endless().catch(({ code }) => code);
        say('works');
        const { code } = await device.lost;
        say([code, await pending, await device.createStream().catch(({ code }) => code)].join());
        clearInterval(alive);\`);
      const said = messageOf(worker);
      pci.configWrite(4, 2, 0);
      console.log(await said, (await device.lost).code);
      await device.close();`;
    expect(await run(script)).toMatchObject({ ...CLEAN, stdout: 'DEVICE_LOST,DEVICE_LOST,DEVICE_LOST DEVICE_LOST\n' });
  });

  it('is lost for a worker when the thread that opened it ends', async () => {
    const script = `
      const owner = startWorker(\`
        const device = await open();
        const shared = device.share();
        parentPort.postMessage(shared, shared.ports);
        setInterval(() => undefined, 1000);\`);
      const device = await Device.attach(await messageOf(owner));
      const pending = device.defaultStream.launch(device.kernel('endless'), { grid }, []).catch(({ code }) => code);
      await owner.terminate();
      console.log((await device.lost).code, await pending);`;
    expect(await run(script)).toMatchObject({ ...CLEAN, stdout: 'DEVICE_LOST DEVICE_LOST\n' });
  });
});

describe('pinned pages of a worker', () => {
  /** Much more than what else a worker takes with it. */
  const BYTES = 256 * 1024 * 1024;

  it.each([
    ['of its own card', 'const device = await open();'],
    ['of a card that it has attached', ''],
  ])('%s go when it is terminated', async (_, opening) => {
    const script = `
      const { readFileSync } = await import('node:fs');
      const resident = () => Number(readFileSync('/proc/self/statm', 'latin1').split(' ')[1]) * 4096;
      const device = await open();
      const hold = \`
        const host = device.allocateHost(${BYTES});
        host.view.fill(1);
        const buffer = await device.allocate(1 << 20);
        await device.defaultStream.copyToDevice(buffer, host, { bytes: 1 << 20 });
        parentPort.postMessage('holds');
        setInterval(() => device.defaultStream.copyToDevice(buffer, host, { bytes: 1 << 20 }), 1);\`;
      const opening = ${JSON.stringify(opening)};
      const [worker] = opening === '' ? await attach(device, hold) : await (async () => {
        const started = startWorker(opening + hold);
        await messageOf(started);
        return [started];
      })();
      const held = resident();
      await worker.terminate();
      await until(() => resident() < held - ${BYTES} / 2);
      console.log(await works(device));
      await device.close();`;
    expect(await run(script)).toMatchObject({ ...CLEAN, stdout: 'true\n' });
  });
});

describe('Device.share', () => {
  it('is refused for a card that only its own thread can drive', async () => {
    await using device = await Device.open({ pci: new LoopbackFunction() });
    expect(() => device.share()).toThrow(MtiaError);
    expect(() => device.share()).toThrow('one thread only');
  });
});
