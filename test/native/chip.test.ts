/** The chip through its C ABI: each case is a process of its own, linked with the library that users get. */
import { spawnSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { bundlePath } from '../../src/firmware-emu/index.js';
import { compileNative, ROOT } from './compile.js';

const LIBRARY = 'build/Release/mtia.so';
const CASE_DEADLINE_MS = 60_000;

const PROGRAMS = {
  chip_test_interface: [
    'arguments',
    'config-space',
    'bar-rules',
    'halt-and-time',
    'use-after-close',
    'open-and-close',
    'no-resources',
    'close-under-calls',
    'reduced-configuration',
  ],
  chip_test_engines: [
    'copies',
    'iommu-rules',
    'protection',
    'unmap-in-flight',
    'jobs',
    'job-replacement',
    'reset-and-close-while-busy',
    'peripherals',
  ],
  chip_test_queues: [
    'wrap-around',
    'full-completion-ring',
    'doorbell-storm',
    'faults',
    'new-lives',
    'reset-under-traffic',
  ],
} as const;

describe.each(Object.entries(PROGRAMS))('%s', (name, cases) => {
  it.each(cases)('%s', { timeout: CASE_DEADLINE_MS }, (testCase) => {
    const sources = [`native/test/${name}.c`, 'native/test/chip_test_script.c', LIBRARY];
    const program = compileNative(name, sources, { flags: [`-Wl,-rpath,${dirname(join(ROOT, LIBRARY))}`] });
    const run = spawnSync(program, [testCase, bundlePath()], { encoding: 'utf8', timeout: CASE_DEADLINE_MS });
    expect({ status: run.status, signal: run.signal, stderr: run.stderr }).toEqual({
      status: 0,
      signal: null,
      stderr: '',
    });
  });
});
