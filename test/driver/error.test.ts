import { describe, expect, it } from 'vitest';
import { deviceError } from '../../src/driver/errors.js';
import { describePlace, MtiaError } from '../../src/driver/index.js';
import { ERROR_CODES, type ErrorName } from '../../src/hw/index.js';

describe('MtiaError', () => {
  it('has a name, a code, a number and a cause', () => {
    const cause = new Error('why');
    const error = new MtiaError('DEVICE_LOST', 'gone', { cause });
    expect(error).toMatchObject({ name: 'MtiaError', code: 'DEVICE_LOST', number: 128, message: 'gone', cause });
    expect(error).toBeInstanceOf(Error);
  });

  it('words a fault with its place and what to do', () => {
    const place = { context: 1, queue: 2, command: 'LAUNCH', pe: 5, hart: 0, cause: 5n, pc: 0x80801000n, value: 0x10n };
    expect(deviceError('KERNEL_FAULT', place).message).toBe(
      'LAUNCH: a hart trapped while it ran a kernel (context 1, queue 2, PE 5, hart 0, pc 0x80801000, ' +
        'load access fault, value 0x10); debug the kernel at this program counter',
    );
  });

  it('names only what is known of a place', () => {
    expect(describePlace({}, 'ABORTED')).toBe('');
    expect(describePlace({ kernel: 7, cause: 3n }, 'KERNEL_ERROR')).toBe('kernel 7, cause 3');
  });

  it.each(Object.keys(ERROR_CODES) as ErrorName[])('%s makes a sentence', (code) => {
    expect(deviceError(code, {}).message).toContain(ERROR_CODES[code].doc);
  });
});
