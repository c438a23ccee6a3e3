/**
 * The chip on 64-bit Arm: every native source passes the cross compiler with warnings as errors, then it runs the C tests of arithmetic and units under
 * qemu-aarch64, where the NEON paths are held to the portable code.
 *
 *   npm run test:arm64
 *
 * Needs Debian's gcc-aarch64-linux-gnu, libc6-dev-arm64-cross and qemu-user; exit status 77 where one is missing.
 */
import { spawnSync } from 'node:child_process';
import { CHIP, compile, PE, PE_TESTS, run } from './native-build.mjs';

const COMPILER = 'aarch64-linux-gnu-gcc';
const EMULATOR = 'qemu-aarch64';
const SKIPPED = 77;
/** An emulated host is some fifty times slower: fewer products, of the same kinds. */
const FEWER = ['-DPRODUCTS=300u', '-DSE_ROUNDS=60u'];

const missing = [COMPILER, EMULATOR].filter((tool) => spawnSync(tool, ['--version']).status !== 0);
if (missing.length > 0) {
  console.error(`test:arm64: not here: ${missing.join(', ')}`);
  process.exit(SKIPPED);
}
try {
  const others = CHIP.filter((source) => !PE.includes(source));
  compile(COMPILER, 'build/arm64/chip', others, ['-fsyntax-only']);
  const program = compile(COMPILER, 'build/arm64/pe_test', [...PE, ...PE_TESTS], ['-static', ...FEWER]);
  for (const suite of ['units', 'quantize', 'matmul']) run(EMULATOR, [program, suite]);
} catch (error) {
  console.error(`test:arm64: ${error.message}`);
  process.exitCode = 1;
}
