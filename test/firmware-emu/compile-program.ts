/** Compiles a C program for the chip; only where a RISC-V compiler is installed. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const OPTIONS = [
  '-march=rv64gc',
  '-mabi=lp64d',
  '-mcmodel=medany',
  '-O2',
  '-ffreestanding',
  '-nostdlib',
  '-static',
  // Without page alignment, so that the file's own headers are not loaded below the code.
  '-Wl,-n',
  '-Wl,--no-warn-rwx-segments',
  '-Wl,-Ttext=0x80000000',
];

export function compileProgram(compiler: string, source: string): Buffer {
  const folder = mkdtempSync(join(tmpdir(), 'mtia-program-'));
  try {
    writeFileSync(join(folder, 'program.c'), source);
    const [input, output] = [join(folder, 'program.c'), join(folder, 'program')];
    execFileSync(compiler, [...OPTIONS, input, '-o', output], { stdio: 'pipe' });
    return readFileSync(output);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
