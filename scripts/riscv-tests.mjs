/**
 * Builds the public RISC-V tests that a machine-mode RV64IMAFDC hart can run, and runs each on every kind of hart.
 *
 *   npm run riscv-tests -- DIR
 *
 * DIR: a checkout of github.com/riscv-software-src/riscv-tests with its submodule env. Needs riscv64-unknown-elf-gcc (or RISCV_GCC).
 * Prints a table and what did not pass; the exit code is 1 where a test failed that is not in NOT_ASKED_FOR.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import Table from 'cli-table3';
import { openEmulatorWithDebug } from '../dist/src/driver/index.js';
import { DebugPort, executeElf, parseHart } from '../dist/src/firmware-emu/index.js';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const COMPILER = process.env.RISCV_GCC ?? 'riscv64-unknown-elf-gcc';
const BUILD_FLAGS =
  '-march=rv64gc -mabi=lp64 -static -mcmodel=medany -fvisibility=hidden -nostdlib -nostartfiles'.split(' ');
const MOST_INSTRUCTIONS = 10_000_000;

const SUITES = ['rv64ui', 'rv64um', 'rv64ua', 'rv64uf', 'rv64ud', 'rv64uc', 'rv64mi'];
const HARTS = [
  { generation: 'v1', name: 'ccp' },
  { generation: 'v1', name: 'pe0.0' },
  { generation: '2i', name: 'ccp' },
  { generation: '2i', name: 'ccp.3' },
  { generation: '2i', name: 'pe0.0' },
  { generation: '2i', name: 'pe63.1' },
];
/** Tests that a hart need not pass: each with its reason and the harts it is about. */
const NOT_ASKED_FOR = {
  'rv64mi-pmpaddr': {
    why: 'wants entries of physical memory protection; here, as the privileged specification allows, their registers are read-only zero',
    on: () => true,
  },
  'rv64mi-mcsr': { why: 'wants mhartid to be 0', on: ({ name }) => /[.][1-3]$/.test(name) },
};

function reasonFor({ name, hart }) {
  return NOT_ASKED_FOR[name]?.on(hart) === true ? NOT_ASKED_FOR[name].why : undefined;
}

function testsOf(source, suite) {
  return readdirSync(join(source, 'isa', suite))
    .filter((file) => file.endsWith('.S'))
    .map((file) => ({ suite, name: `${suite}-${file.slice(0, -2)}`, file: join(source, 'isa', suite, file) }));
}

/** The environment of the suite stops every hart but the one with mhartid 0, by this; there are tests to run on others, too. */
const STOPS_OTHER_HARTS = '1: bnez a0, 1b';

function writeHeader(source, folder) {
  const header = readFileSync(join(source, 'env', 'p', 'riscv_test.h'), 'utf8');
  if (!header.includes(STOPS_OTHER_HARTS)) throw new Error('env/p/riscv_test.h is not the one that is known here');
  writeFileSync(join(folder, 'riscv_test.h'), header.replace(STOPS_OTHER_HARTS, ''));
}

function build(source, folder, { name, file }) {
  const output = join(folder, name);
  const environment = join(source, 'env', 'p');
  const include = [folder, environment, join(source, 'isa', 'macros', 'scalar')].map((path) => `-I${path}`);
  const built = spawnSync(COMPILER, [
    ...BUILD_FLAGS,
    ...include,
    `-T${join(environment, 'link.ld')}`,
    file,
    '-o',
    output,
  ]);
  if (built.status !== 0) throw new Error(`${COMPILER}: ${name}: ${built.error?.message ?? built.stderr}`);
  return readFileSync(output);
}

/** A chip of its own for each test: nothing of one is left for the next. */
async function runTest(elf, { generation, name }) {
  const { pci, debug } = openEmulatorWithDebug({ generation, threads: 1 });
  try {
    const options = { generation, hart: parseHart(name), maxInstructions: MOST_INSTRUCTIONS };
    const { status, testNumber } = await executeElf(new DebugPort(debug), elf, options);
    return status === 'fail' ? `fail: test ${testNumber}` : status;
  } finally {
    pci.close();
  }
}

function commitOf(folder) {
  const git = spawnSync('git', ['-C', folder, 'rev-parse', '--short', 'HEAD'], { encoding: 'utf8' });
  return git.status === 0 ? git.stdout.trim() : 'no git checkout';
}

async function main(source) {
  const folder = join(ROOT, 'build', 'riscv-tests');
  mkdirSync(folder, { recursive: true });
  writeHeader(source, folder);
  const tests = SUITES.flatMap((suite) => testsOf(source, suite));
  const programs = tests.map((test) => ({ ...test, elf: build(source, folder, test) }));
  const table = new Table({
    head: ['suite', ...HARTS.map(({ generation, name }) => `${generation} ${name}`)],
    style: { head: [] },
  });
  const failures = [];
  for (const suite of SUITES) {
    const ofSuite = programs.filter((program) => program.suite === suite);
    const cells = [];
    for (const hart of HARTS) {
      const verdicts = await Promise.all(
        ofSuite.map(async ({ name, elf }) => ({ name, hart, verdict: await runTest(elf, hart) })),
      );
      failures.push(...verdicts.filter(({ verdict }) => verdict !== 'pass'));
      cells.push(`${verdicts.filter(({ verdict }) => verdict === 'pass').length} of ${ofSuite.length}`);
    }
    table.push([suite, ...cells]);
  }
  console.log(`riscv-tests ${commitOf(source)}, env ${commitOf(join(source, 'env'))}`);
  console.log(table.toString());
  for (const failure of failures) {
    const { name, hart, verdict } = failure;
    console.log(
      `${name} on ${hart.generation} ${hart.name}: ${verdict} (${reasonFor(failure) ?? 'a fault of the hart'})`,
    );
  }
  return failures.every((failure) => reasonFor(failure) !== undefined);
}

const [folder] = process.argv.slice(2);
if (folder === undefined || !existsSync(join(folder, 'isa')) || !existsSync(join(folder, 'env', 'p'))) {
  console.error(
    'usage: npm run riscv-tests -- DIR, a checkout of riscv-tests with its submodule (git clone --recursive)',
  );
  process.exit(2);
}
try {
  process.exitCode = (await main(resolve(folder))) ? 0 : 1;
} catch (error) {
  console.error(`riscv-tests: ${error.message}`);
  process.exitCode = 1;
}
