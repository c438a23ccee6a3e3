/** The driver on the emulated chip, through both foreign function bindings. */
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import {
  Device,
  type HostPages,
  openEmulator,
  openEmulatorWithDebug,
  type PciFunction,
} from '../../src/driver/index.js';
import { HOST_COMMAND, IDENTITY, MEMORY_MAP, PCI, RESERVED, registerOffset } from '../../src/hw/index.js';
import { BINDINGS } from './bindings.js';
import { FIRMWARE } from './firmware-fixture.js';

const PAGE = MEMORY_MAP.LPDDR.base + BigInt(RESERVED.LPDDR_FIRMWARE_BYTES);
const IDENTITY_OFFSET = registerOffset('BAR0', 'IDENTITY');

describe.each(BINDINGS)('the emulated card through %s', (binding) => {
  let pci: PciFunction;
  let device: Device;

  beforeAll(async () => {
    vi.stubEnv('MTIA_FFI', binding);
    pci = openEmulator({ generation: '2i', threads: 1 });
    device = await Device.open(pci, FIRMWARE);
  });
  afterAll(async () => {
    await device.close();
    vi.unstubAllEnvs();
  });

  it('answers in configuration space and registers', () => {
    expect(pci.configRead(0, 2)).toBe(PCI.VENDOR_ID);
    expect(pci.configRead(2, 2)).toBe(PCI.DEVICE_ID_2I);
    expect(pci.barRead(0, IDENTITY_OFFSET, 4)).toBe(BigInt(IDENTITY));
    pci.barWrite(0, registerOffset('BAR0', 'WINDOW_BASE'), 8, PAGE);
    const data = Uint8Array.from({ length: 1000 }, (_, index) => index);
    pci.barWriteBlock(2, 3, data);
    expect(pci.barReadBlock(2, 3, 1000)).toEqual(data);
  });

  it('refuses what is out of range with a name', () => {
    const failures: readonly (() => unknown)[] = [
      () => pci.barRead(0, PCI.BAR0_BYTES, 4),
      () => pci.barRead(0, 1, 4),
      () => pci.barRead(5, 0, 4),
      () => pci.configRead(4096, 4),
      () => pci.barWriteBlock(2, PCI.BAR2_BYTES, new Uint8Array(1)),
    ];
    for (const fail of failures) expect(fail).toThrow(expect.objectContaining({ code: 'CHIP_BAD_ARGUMENT' }));
  });

  it('refuses a second listener on an interrupt vector, which would end the process', () => {
    const first = pci.onInterrupt(31, () => undefined);
    expect(() => pci.onInterrupt(31, () => undefined)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
    first.close();
    pci.onInterrupt(31, () => undefined).close();
  });

  it('moves data between mapped host memory and assigned pages', async () => {
    const context = await device.createContext();
    await context.assignPages(PAGE, 1);
    const queue = await context.createQueue();
    const [from, to] = [context.allocateHost(4096), context.allocateHost(4096)];
    from.view.forEach((_, index, view) => {
      view[index] = index * 7;
    });
    const [source, destination] = [context.mapHost(from, 'read'), context.mapHost(to, 'write')];
    await Promise.all([
      queue.submit({ opcode: HOST_COMMAND.COPY_HOST_TO_DEVICE, a: source, b: PAGE, c: 4096 }),
      queue.submit({ opcode: HOST_COMMAND.COPY_DEVICE_TO_HOST, a: PAGE, b: destination, c: 4096 }),
    ]);
    expect(to.view).toEqual(from.view);
    await context.close();
  });

  it('keeps a context off memory that is not its own, with the address in the error', async () => {
    const [owner, other] = [await device.createContext(), await device.createContext()];
    await owner.assignPages(PAGE, 1);
    const pages: HostPages = other.allocateHost(4096);
    const readOnly = other.mapHost(pages, 'read');
    const queue = await other.createQueue();
    const copy = (a: bigint, b: bigint, opcode: number) => queue.submit({ opcode, a, b, c: 64 });
    await expect(copy(readOnly, PAGE, HOST_COMMAND.COPY_HOST_TO_DEVICE)).rejects.toMatchObject({
      code: 'MEMORY_PROTECTION',
      place: { context: other.id, command: 'COPY_HOST_TO_DEVICE', value: PAGE },
    });
    await other.assignPages(PAGE + 65536n, 1);
    const mine = PAGE + 65536n;
    await expect(copy(mine, readOnly, HOST_COMMAND.COPY_DEVICE_TO_HOST)).rejects.toMatchObject({
      code: 'HOST_ADDRESS_FAULT',
    });
    await expect(copy(0x1234n, mine, HOST_COMMAND.COPY_HOST_TO_DEVICE)).rejects.toMatchObject({
      code: 'HOST_ADDRESS_FAULT',
    });
    other.unmapHost(readOnly);
    await expect(copy(readOnly, mine, HOST_COMMAND.COPY_HOST_TO_DEVICE)).rejects.toMatchObject({
      code: 'HOST_ADDRESS_FAULT',
    });
    await expect(queue.submit({ opcode: HOST_COMMAND.NOP })).resolves.toBeDefined();
    await Promise.all([owner.close(), other.close()]);
  });

  it('gives pages to the next context only when the last one has lost them', async () => {
    const first = await device.createContext();
    await first.assignPages(PAGE, 4);
    const second = await device.createContext();
    await expect(second.assignPages(PAGE, 4)).rejects.toMatchObject({ name: 'MtiaError' });
    await first.close();
    await expect(second.assignPages(PAGE, 4)).resolves.toBeUndefined();
    await second.close();
  });

  it('completes thousands of commands on several queues', async () => {
    const context = await device.createContext();
    const queues = await Promise.all([1, 2, 3].map(() => context.createQueue()));
    const all = queues.flatMap((queue) =>
      Array.from({ length: 700 }, () => queue.submit({ opcode: HOST_COMMAND.NOP })),
    );
    await expect(Promise.all(all)).resolves.toHaveLength(2100);
    await context.close();
  });

  it('says what a command lacks', async () => {
    const context = await device.createContext();
    const queue = await context.createQueue();
    await expect(queue.submit({ opcode: 200 })).rejects.toMatchObject({ code: 'UNSUPPORTED_COMMAND' });
    await expect(queue.submit({ opcode: HOST_COMMAND.QUERY })).rejects.toMatchObject({ code: 'INVALID_COMMAND' });
    await context.close();
  });

  it('restarts a card that a former owner left running, and is closed once', async () => {
    const card = openEmulator({ generation: 'v1', threads: 1 });
    const shielded: PciFunction = Object.create(card, { close: { value: () => undefined } });
    // Private members need the card itself as receiver.
    for (const name of Object.getOwnPropertyNames(Object.getPrototypeOf(card))) {
      if (name === 'close' || name === 'constructor') continue;
      const member: unknown = Reflect.get(card, name);
      if (typeof member === 'function') Object.defineProperty(shielded, name, { value: member.bind(card) });
    }
    await (await Device.open(shielded, FIRMWARE)).close();
    const again = await Device.open(card, FIRMWARE);
    expect(again.generation).toBe('v1');
    await again.close();
    card.close();
    expect(() => card.configRead(0, 4)).toThrow(expect.objectContaining({ code: 'DEVICE_CLOSED' }));
    expect(() => card.barWrite(0, 0, 4, 0)).toThrow(expect.objectContaining({ code: 'DEVICE_CLOSED' }));
  });

  it('has a debug door beside it', async () => {
    const { pci: card, debug } = openEmulatorWithDebug({ generation: '2i', threads: 1 });
    await using opened = await Device.open(card, FIRMWARE);
    expect(debug.consoleRead()).toContain(`control firmware ${opened.firmwareVersion}`);
    expect(debug.counters().controlInstructions).toBeGreaterThan(0n);
    expect(debug.peCounters(63).units.DPE).toEqual({ busyCycles: 0n, commands: 0n });
    expect(debug.peCounters(0).stallCycles).toHaveLength(2);
    expect(() => debug.peCounters(64)).toThrow(expect.objectContaining({ code: 'CHIP_BAD_ARGUMENT' }));
    debug.halt();
    expect(debug.registerRead(0, 0, 32)).toBeGreaterThan(0n);
    debug.resume();
    await opened.close();
    expect(() => debug.counters()).toThrow(expect.objectContaining({ code: 'DEVICE_CLOSED' }));
  });
});

describe('the emulated card', () => {
  it('does not count time against commands while a debugger holds the chip', async () => {
    const { pci, debug } = openEmulatorWithDebug({ generation: '2i', threads: 1 });
    // Long enough for a machine that is busy with something else.
    await using device = await Device.open(pci, FIRMWARE, { deadlineMs: 1000 });
    const context = await device.createContext();
    const queue = await context.createQueue();
    debug.halt();
    const done = queue.submit({ opcode: HOST_COMMAND.NOP });
    await new Promise((resolve) => setTimeout(resolve, 2000));
    debug.resume();
    await expect(done).resolves.toBeDefined();
  });

  it('names the fix where the binding or the library is missing', () => {
    vi.stubEnv('MTIA_FFI', 'ffi-rs');
    expect(() => openEmulator({ generation: '2i' })).toThrow(
      expect.objectContaining({ code: 'NATIVE_LIBRARY', message: expect.stringContaining('koffi or ffi-napi') }),
    );
    vi.unstubAllEnvs();
  });
});
