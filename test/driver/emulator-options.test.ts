/** What a caller without types may hand over: refused by name, before there is a chip. */
import { describe, expect, it } from 'vitest';
import { type EmulatorOptions, openEmulator } from '../../src/driver/index.js';

const REFUSED: readonly (readonly [option: string, value: unknown, message: RegExp])[] = [
  ['generation', 'V1', /generation is "V1"; give v1 or 2i/],
  ['generation', 'toString', /give v1 or 2i/],
  ['generation', 2, /generation is 2/],
  ['generation', undefined, /give v1 or 2i/],
  ['threads', -1, /threads is -1; give a whole number/],
  ['threads', 1.5, /threads is 1.5/],
  ['threads', Number.NaN, /threads is NaN/],
  ['lpddrBytes', 0.5, /lpddrBytes is 0.5/],
  ['lpddrBytes', Number.POSITIVE_INFINITY, /lpddrBytes is Infinity/],
];

describe('an emulated card', () => {
  it.each(REFUSED)('is not opened with %s = %s', (option, value, message) => {
    const options = { generation: '2i', [option]: value } as EmulatorOptions;
    expect(() => openEmulator(options)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
    expect(() => openEmulator(options)).toThrow(message);
  });
});
