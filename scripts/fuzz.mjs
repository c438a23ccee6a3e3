/**
 * Fuzzes a part of the chip under AddressSanitizer and UndefinedBehaviorSanitizer; needs clang.
 *
 *   npm run fuzz -- commands|hart|bundle|registers|debug|gzip [SECONDS]
 *
 * Inputs that reach new code stay in build/fuzz/corpus/TARGET; one that crashes is left in build/fuzz and named at the end:
 * run build/fuzz/TARGET with that file to see it again.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { CHIP, compile, HART, PE, ROOT, run } from './native-build.mjs';

const TARGETS = {
  commands: ['native/fuzz/fuzz_commands.c', 'native/test/pe_test_fixture.c', ...PE],
  hart: ['native/fuzz/fuzz_hart.c', ...HART],
  bundle: ['native/fuzz/fuzz_bundle.c', 'firmware/common/sha256.c', ...CHIP],
  registers: ['native/fuzz/fuzz_registers.c', ...CHIP],
  debug: ['native/fuzz/fuzz_debug.c', ...CHIP],
  gzip: ['native/fuzz/fuzz_gzip.c', 'native/src/host-interface/gzip_decompressor.c'],
};
const FLAGS = ['-fsanitize=fuzzer,address,undefined', '-fno-sanitize-recover=undefined'];
/** Programs run on a hart for most of these inputs: telling the fuzzer of each comparison takes two thirds of the time, and helps with none. */
const UNTRACED = ['bundle', 'debug'];
/** An input that runs for longer is a finding: every call is bounded. */
const INPUT_SECONDS = 25;

const [target = '', seconds = '600'] = process.argv.slice(2);
if (!Object.hasOwn(TARGETS, target) || !/^\d+$/.test(seconds)) {
  console.error(`usage: npm run fuzz -- ${Object.keys(TARGETS).join('|')} [SECONDS]`);
  process.exit(2);
}
try {
  const corpus = join(ROOT, 'build', 'fuzz', 'corpus', target);
  mkdirSync(corpus, { recursive: true });
  const flags = [...FLAGS, ...(UNTRACED.includes(target) ? ['-fno-sanitize-coverage=trace-cmp'] : [])];
  const program = compile('clang', join('build', 'fuzz', target), TARGETS[target], flags);
  const crashes = `-artifact_prefix=${join(ROOT, 'build', 'fuzz', target)}-`;
  const limits = [`-max_total_time=${seconds}`, `-timeout=${INPUT_SECONDS}`, '-max_len=2048', '-len_control=0'];
  // The handle of a closed device stays for ever (mtia.h): not a leak. libFuzzer would run each input again to look for one.
  const leaks = TARGETS[target].includes('native/src/chip/device.c') ? 0 : 1;
  run(program, [...limits, crashes, `-detect_leaks=${leaks}`, '-print_final_stats=1', corpus], {
    ASAN_OPTIONS: `detect_leaks=${leaks}`,
  });
} catch (error) {
  console.error(`fuzz: ${error.message}`);
  process.exitCode = 1;
}
