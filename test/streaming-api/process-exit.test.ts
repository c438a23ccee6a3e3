/**
 * How a process ends that has a device open. The library has threads of its own, which must be joined before the process
 * tears its memory down; an eventfd is polled by the event loop, which must not keep an idle process alive and must not
 * outlive a worker. Each of these ended other libraries with SIGABRT or SIGSEGV (references of the design), so every case
 * asserts the exit code of a child process.
 */
import { describe, expect, it } from 'vitest';
import { BINDINGS } from '../driver/bindings.js';
import { runChild } from './child-process.js';

const CLEAN = { signal: null, stderr: '' };

describe.each(BINDINGS)('a process through %s', (binding) => {
  const run = (script: string) => runChild(script, { MTIA_FFI: binding });

  it('ends by itself with an open device', async () => {
    const script = `
      const device = await open();
      await device.defaultStream.launch(device.kernel('null'), { grid });
      console.log('done');`;
    expect(await run(script)).toMatchObject({ ...CLEAN, code: 0, stdout: 'done\n' });
  });

  it('stays alive until what it waits for is done', async () => {
    const script = `
      const device = await open();
      device.defaultStream.launch(device.kernel('endless'), { grid, deadlineMs: 300 }).catch((e) => console.log(e.code));`;
    expect(await run(script)).toMatchObject({ ...CLEAN, code: 0, stdout: 'KERNEL_TIMEOUT\n' });
  });

  it('does not end with an unhandled rejection when only synchronize() is awaited', async () => {
    const script = `
      const device = await open();
      const buffer = await device.allocate(64);
      const stream = device.defaultStream;
      stream.launch(device.kernel('return_value'), { grid }, [9]);
      stream.launch(device.kernel('null'), { grid: { columns: 0, rows: 0 } });
      stream.copyToHost(new Uint8Array(65), buffer);
      stream.copyToHost(new Uint8Array(64), buffer);
      stream.recordEvent();
      await new Promise((resolve) => setTimeout(resolve, 100));
      await stream.synchronize().catch((error) => console.log(error.code));
      await device.close();`;
    // Of the three, the first in the order of the stream.
    expect(await run(script)).toMatchObject({ ...CLEAN, code: 0, stdout: 'KERNEL_ERROR\n' });
  });

  it('ends through process.exit() with work under way', async () => {
    const script = `
      const device = await open();
      device.defaultStream.launch(device.kernel('endless'), { grid });
      setTimeout(() => process.exit(7), 50);`;
    expect(await run(script)).toMatchObject({ ...CLEAN, code: 7 });
  });

  it('ends with an uncaught error as any process does', async () => {
    const script = `
      const device = await open();
      device.defaultStream.launch(device.kernel('endless'), { grid });
      setTimeout(() => { throw new Error('mine'); }, 50);`;
    expect(await run(script)).toMatchObject({ code: 1, signal: null, stderr: expect.stringContaining('Error: mine') });
  });

  it('ends after close with work under way', async () => {
    const script = `
      const device = await open();
      const done = device.defaultStream.launch(device.kernel('endless'), { grid });
      await device.close();
      await done.catch((error) => console.log(error.code));`;
    expect(await run(script)).toMatchObject({ ...CLEAN, code: 0, stdout: 'DEVICE_CLOSED\n' });
  });

  it('ends with views of pinned memory left behind, which then read what was there', async () => {
    const script = `
      const device = await open();
      const view = device.allocateHost(1 << 20).view.fill(5);
      await device.close();
      console.log(view[1000]);`;
    expect(await run(script)).toMatchObject({ ...CLEAN, code: 0, stdout: '5\n' });
  });
});

describe('a worker thread', () => {
  const run = (script: string) => runChild(script, { MTIA_FFI: 'koffi' });
  const launch = "await device.defaultStream.launch(device.kernel('null'), { grid });";

  it('opens a device of its own, beside that of the main thread', async () => {
    const script = `
      const device = await open();
      const workers = Array.from({ length: 3 }, () => startWorker(\`
        const device = await open();
        ${launch}
        await device.close();
        parentPort.postMessage('done');\`));
      console.log(...await Promise.all(workers.map(messageOf)));
      ${launch}
      await device.close();`;
    expect(await run(script)).toMatchObject({ ...CLEAN, code: 0, stdout: 'done done done\n' });
  });

  it('may be the only one that ever loaded the library', async () => {
    const script = `
      const worker = startWorker(\`const device = await open(); ${launch} await device.close();\`);
      console.log(await exitOf(worker));`;
    expect(await run(script)).toMatchObject({ ...CLEAN, code: 0, stdout: '0\n' });
  });

  it('stops cooperatively with work under way', async () => {
    const script = `
      const worker = startWorker(\`
        const device = await open();
        device.defaultStream.launch(device.kernel('endless'), { grid }).catch(() => undefined);
        parentPort.once('message', async () => { await device.close(); parentPort.close(); });
        parentPort.postMessage('running');\`);
      await messageOf(worker);
      worker.postMessage('stop');
      console.log(await exitOf(worker));`;
    expect(await run(script)).toMatchObject({ ...CLEAN, code: 0, stdout: '0\n' });
  });

  it('ends by itself with an open device', async () => {
    const script = `
      const worker = startWorker(\`const device = await open(); ${launch}\`);
      console.log(await exitOf(worker));`;
    expect(await run(script)).toMatchObject({ ...CLEAN, code: 0, stdout: '0\n' });
  });

  it('may be terminated while its device is idle', async () => {
    const script = `
      const worker = startWorker(\`const device = await open(); ${launch} parentPort.on('message', () => undefined); parentPort.postMessage('idle');\`);
      await messageOf(worker);
      await new Promise((resolve) => setTimeout(resolve, 300));
      await worker.terminate();
      const device = await open();
      ${launch}`;
    expect(await run(script)).toMatchObject({ ...CLEAN, code: 0 });
  });

  it('may be terminated while its device works, and nobody else notices', async () => {
    const script = `
      const work = "const device = await open(); parentPort.postMessage('running'); for (;;) await device.defaultStream.launch(device.kernel('null'), { grid });";
      for (let round = 0; round < 5; round++) {
        const workers = [1, 2, 3].map(() => startWorker(work));
        await Promise.all(workers.map(messageOf));
        await new Promise((resolve) => setTimeout(resolve, 20 + 7 * round));
        await Promise.all(workers.map((worker) => worker.terminate()));
      }
      const device = await open();
      ${launch}
      await device.close();`;
    expect(await run(script)).toMatchObject({ ...CLEAN, code: 0 });
  });

  it('is refused the binding that would crash it', async () => {
    const script = `
      const worker = startWorker(\`
        parentPort.postMessage(await open().catch((error) => error.code + ': ' + error.message));\`);
      console.log(await messageOf(worker));`;
    const result = await runChild(script, { MTIA_FFI: 'ffi-napi' });
    expect(result).toMatchObject({ ...CLEAN, code: 0, stdout: expect.stringMatching(/^NATIVE_LIBRARY: .*koffi/) });
  });
});
