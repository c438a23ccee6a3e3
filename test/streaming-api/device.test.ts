import { afterAll, describe, expect, it } from 'vitest';
import { addDeviceProvider, deviceCount, NullFunction, openEmulator } from '../../src/driver/index.js';
import { loadBundle } from '../../src/firmware-emu/index.js';
import { Device, type Stream } from '../../src/streaming-api/index.js';
import { ONE_PE, openTestDevice } from './test-device.js';

describe('Device.open', () => {
  it.each(['2i', 'v1'] as const)('opens an emulated %s', async (generation) => {
    await using device = await Device.open({ generation, threads: 1 });
    expect(device.properties).toMatchObject({
      generation,
      name: `emulated MTIA ${generation}`,
      capability: [generation === 'v1' ? 1 : 2, 0],
      grid: { columns: 8, rows: 8 },
      kernels: expect.arrayContaining(['NULL', 'FULLY_CONNECTED']),
    });
    expect(device.properties.sramBytes).toBe((generation === 'v1' ? 128 : 256) * 1024 * 1024);
  });

  it('takes any PciFunction, and firmware as a path, as bytes or as an image', async () => {
    const { bytes } = loadBundle();
    for (const firmware of [undefined, bytes, loadBundle()]) {
      const options = firmware === undefined ? {} : { firmware };
      await using device = await Device.open({ pci: new NullFunction('v1'), ...options });
      expect(device.properties).toMatchObject({ name: 'null MTIA v1', generation: 'v1' });
      await device.defaultStream.launch(device.kernel('null'), { grid: ONE_PE }, [1, 2]);
    }
  });

  it('computes on the path that it is told, and refuses one that does not exist', async () => {
    await using device = await Device.open({ generation: '2i', threads: 1, matmulPath: 'portable' });
    expect(device.closed).toBe(false);
    const refused = Device.open({ generation: '2i', matmulPath: 'abacus' as never });
    await expect(refused).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringContaining('abacus'),
    });
  });

  it('refuses a bundle that is missing, broken or unsigned, with the card closed', async () => {
    const { bytes } = loadBundle();
    const pci = new NullFunction();
    await expect(Device.open({ pci, firmware: '/no/such.bundle' })).rejects.toMatchObject({ code: 'INVALID_BUNDLE' });
    expect(() => pci.configRead(0)).toThrow(expect.objectContaining({ code: 'DEVICE_CLOSED' }));
    await expect(Device.open({ firmware: bytes.subarray(0, 1000) })).rejects.toMatchObject({ code: 'INVALID_BUNDLE' });
  });

  it('has the number of its card in snapshots and in what observers are told', async () => {
    const card = {
      name: 'another',
      generation: '2i',
      open: () => openEmulator({ generation: '2i', threads: 1 }),
    } as const;
    const forget = addDeviceProvider(() => [card, card]);
    const index = deviceCount() - 1;
    await using device = await Device.open({ index });
    forget();
    const told: number[] = [];
    device.attachOutOfMemoryObserver((number) => told.push(number));
    await expect(device.allocate(2 ** 50)).rejects.toMatchObject({ code: 'OUT_OF_DEVICE_MEMORY' });
    expect(told).toEqual([index]);
    expect(device.snapshot().segments.map((segment) => segment.device)).toEqual([index]);
  });

  it('opens and closes 50 times without a trace', async () => {
    const threads = process.listenerCount('exit');
    for (let count = 0; count < 50; count++) {
      await using device = await Device.open({ threads: 1 });
      await device.defaultStream.launch(device.kernel('null'), { grid: ONE_PE });
    }
    expect(process.listenerCount('exit')).toBe(threads);
  });
});

describe('Device', () => {
  const opened = openTestDevice();
  afterAll(async () => (await opened).close());

  it('names the kernels that there are when asked for another', async () => {
    const device = await opened;
    expect(() => device.kernel('softmax')).toThrow(
      expect.objectContaining({ code: 'UNKNOWN_KERNEL', message: expect.stringContaining('FULLY_CONNECTED') }),
    );
    expect(device.kernel('copy')).toMatchObject({ name: 'copy', id: 6 });
  });

  it('counts memory under the names of torch.mtia', async () => {
    const device = await opened;
    const before = device.memoryStats();
    {
      using lpddr = await device.allocate(1000);
      using sram = await device.allocate(64, { memory: 'sram' });
      using host = device.allocateHost(4096);
      expect([lpddr.memory, sram.memory, host.bytes]).toEqual(['lpddr', 'sram', 4096]);
      const during = device.memoryStats();
      expect(during.dram.allocated_bytes).toBe(before.dram.allocated_bytes + 1000);
      expect(during.sram.allocated_bytes).toBe(before.sram.allocated_bytes + 64);
      expect(during.pinned.allocated_bytes).toBe(before.pinned.allocated_bytes + 4096);
    }
    expect(device.memoryStats().dram.allocated_bytes).toBe(before.dram.allocated_bytes);
    device.resetPeakMemoryStats();
    expect(device.memoryStats().dram.peak_bytes).toBe(before.dram.allocated_bytes);
    await device.emptyCache();
    expect(device.memoryStats().sram.reserved_bytes).toBe(0);
  });

  it('says that memory is out, and goes on', async () => {
    const device = await opened;
    await expect(device.allocate(2 ** 40)).rejects.toMatchObject({ code: 'OUT_OF_DEVICE_MEMORY' });
    using buffer = await device.allocate(64);
    await expect(device.defaultStream.fill(buffer, 1)).resolves.toBeDefined();
  });

  it('keeps freed memory until the commands that use it are done', async () => {
    const device = await opened;
    const before = device.memoryStats().dram.allocated_bytes;
    const buffer = await device.allocate(1 << 20);
    const filled = device.defaultStream.fill(buffer, 7);
    buffer.free();
    buffer.free();
    expect(device.memoryStats().dram.allocated_bytes).toBe(before + (1 << 20));
    expect(() => buffer.address).toThrow(expect.objectContaining({ code: 'DEVICE_CLOSED' }));
    await filled;
    await device.synchronize();
    expect(device.memoryStats().dram.allocated_bytes).toBe(before);
  });

  it('refuses buffers of another device', async () => {
    const device = await opened;
    await using other = await Device.open({ pci: new NullFunction() });
    using buffer = await other.allocate(64);
    await expect(device.defaultStream.fill(buffer, 0)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    await expect(device.synchronize()).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });

  it('has 31 streams at most, and gets them back', async () => {
    const device = await opened;
    const streams: Stream[] = [];
    const failure = await (async () => {
      for (;;) streams.push(await device.createStream());
    })().catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: 'TOO_MANY' });
    expect(streams.length).toBe(30);
    await Promise.all(streams.map((stream) => stream.launch(device.kernel('null'), { grid: ONE_PE })));
    await Promise.all(streams.map((stream) => stream.close()));
    await using again = await device.createStream();
    await again.launch(device.kernel('null'), { grid: ONE_PE });
  });
});

describe('Device.close', () => {
  it('rejects what is outstanding, and every later use, with DEVICE_CLOSED', async () => {
    const device = await openTestDevice();
    const stream = await device.createStream();
    const buffer = await device.allocate(64);
    const host = device.allocateHost(64);
    const kernel = device.kernel('endless');
    const endless = stream.launch(kernel, { grid: ONE_PE });
    const behind = stream.fill(buffer, 0);
    await Promise.all([device.close(), device.close()]);
    await expect(endless).rejects.toMatchObject({ code: 'DEVICE_CLOSED' });
    await expect(behind).rejects.toMatchObject({ code: 'DEVICE_CLOSED' });
    const uses: readonly (() => unknown)[] = [
      () => stream.launch(kernel, { grid: ONE_PE }),
      () => stream.fill(buffer, 0),
      () => stream.copyToDevice(buffer, host),
      () => stream.recordEvent(),
      () => device.createStream(),
      () => device.allocate(64),
      () => device.allocateHost(64),
      () => device.kernel('null'),
      () => device.synchronize(),
      () => device.emptyCache(),
      () => device.loadModel('model.onnx'),
    ];
    for (const use of uses) {
      await expect((async () => use())()).rejects.toMatchObject({ code: 'DEVICE_CLOSED' });
    }
    buffer.free();
    host.free();
    await stream.close();
    expect(device.closed).toBe(true);
  });
});
