import { afterEach, describe, expect, it, vi } from 'vitest';
import {
  addDeviceProvider,
  availableDevice,
  deviceCount,
  enumerateDevices,
  NullFunction,
} from '../../src/driver/index.js';

afterEach(() => vi.unstubAllEnvs());

describe('enumerateDevices', () => {
  it('lists one emulated 2i where nothing else is asked for', () => {
    vi.stubEnv('MTIA_EMULATED_DEVICES', undefined);
    expect(enumerateDevices().map(({ generation }) => generation)).toEqual(['2i']);
  });

  it('lists the emulated cards that the environment names, in their order', () => {
    vi.stubEnv('MTIA_EMULATED_DEVICES', '2i, v1,2i');
    expect(enumerateDevices().map(({ generation }) => generation)).toEqual(['2i', 'v1', '2i']);
    expect(deviceCount()).toBe(3);
  });

  it('may list none, and then no index is taken', () => {
    vi.stubEnv('MTIA_EMULATED_DEVICES', '');
    expect(deviceCount()).toBe(0);
    expect(() => availableDevice(0)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
  });

  it('refuses a generation that nobody knows', () => {
    vi.stubEnv('MTIA_EMULATED_DEVICES', '2i,v9');
    expect(() => deviceCount()).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
  });

  it('lists cards of other providers behind, until they are taken away', () => {
    const remove = addDeviceProvider(() => [{ name: 'null', generation: 'v1', open: () => new NullFunction('v1') }]);
    const before = deviceCount() - 1;
    expect(availableDevice(before).open({}).name).toBe('null MTIA v1');
    remove();
    expect(deviceCount()).toBe(before);
  });
});
