/**
 * Runs the tests that drive the chip against one built with a sanitizer, in build/SANITIZER.
 *
 *   npm run sanitize:address | sanitize:undefined | sanitize:thread
 *
 * First the C programs of native/test, then the vitest suites above the C ABI (MTIA_LIBRARY names the library).
 */
import { execFileSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { CHIP, compile, HART, HART_TESTS, PE, PE_TESTS, ROOT, run } from './native-build.mjs';

const SUITES = ['test/driver', 'test/firmware', 'test/memmgr', 'test/streaming-api'];
/** Instrumented code is several times slower; the promises are the same, their deadlines are not. */
const TEST_TIMEOUT_MS = 600_000;

const SANITIZERS = {
  address: { flags: ['-fsanitize=address'], runtime: 'libasan.so' },
  undefined: { flags: ['-fsanitize=undefined', '-fno-sanitize-recover=undefined'], runtime: 'libubsan.so' },
  thread: { flags: ['-fsanitize=thread'], runtime: 'libtsan.so' },
};
/**
 * Node leaves memory to the operating system when it ends, uses signal stacks of its own, and its own threads are not
 * instrumented. A finding ends the process, so that the suite fails.
 */
const UNDER_NODE = {
  ASAN_OPTIONS: 'detect_leaks=0:use_sigaltstack=0',
  UBSAN_OPTIONS: 'print_stacktrace=1',
  TSAN_OPTIONS: 'ignore_noninstrumented_modules=1:report_signal_unsafe=0:halt_on_error=1',
};
/** Shadow memory has fixed places, which randomised addresses may hit. */
function runAtFixedAddresses(program, parameters, environment) {
  run('setarch', ['--addr-no-randomize', program, ...parameters], environment);
}
const COMPILER = process.env.CC ?? 'cc';

function runPrograms(folder, flags, library) {
  const linked = [`-Wl,-rpath,${dirname(library)}`, ...flags];
  const chip = (name) => [`native/test/${name}.c`, 'native/test/chip_test_script.c', library];
  const programs = [
    ['hart_test', [...HART, ...HART_TESTS], flags],
    ['pe_test', [...PE, ...PE_TESTS], flags],
    ...['chip_test_interface', 'chip_test_engines', 'chip_test_queues'].map((name) => [name, chip(name), linked]),
  ];
  for (const [name, sources, itsFlags] of programs) {
    console.log(`${name} ...`);
    const program = compile(COMPILER, join(folder, name), sources, itsFlags);
    runAtFixedAddresses(program, []);
  }
}

function runSuites(runtime, library) {
  const [program, ...words] = COMPILER.split(' ');
  const preload = execFileSync(program, [...words, `-print-file-name=${runtime}`], { encoding: 'utf8' }).trim();
  const vitest = join(ROOT, 'node_modules', 'vitest', 'vitest.mjs');
  const timeouts = [`--testTimeout=${TEST_TIMEOUT_MS}`, `--hookTimeout=${TEST_TIMEOUT_MS}`];
  const deadline = { CHILD_DEADLINE_MS: String(TEST_TIMEOUT_MS / 2) };
  const environment = { ...UNDER_NODE, ...deadline, LD_PRELOAD: preload, MTIA_LIBRARY: library };
  runAtFixedAddresses(process.execPath, [vitest, 'run', ...SUITES, ...timeouts], environment);
}

const name = process.argv[2] ?? '';
if (!Object.hasOwn(SANITIZERS, name)) {
  console.error(`usage: node scripts/sanitize.mjs ${Object.keys(SANITIZERS).join('|')}`);
  process.exit(2);
}
try {
  const { flags, runtime } = SANITIZERS[name];
  const folder = join('build', name);
  const library = compile(COMPILER, join(folder, 'mtia.so'), CHIP, ['-fPIC', '-shared', ...flags]);
  runPrograms(folder, flags, library);
  runSuites(runtime, library);
  console.log(`clean under the ${name} sanitizer`);
} catch (error) {
  console.error(`sanitize: ${error.message}`);
  process.exitCode = 1;
}
