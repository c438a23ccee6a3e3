/**
 * Makes a clone ready to run: installs packages, builds the emulated chip, compiles TypeScript. Each step is skipped while
 * its inputs are what they were the last time, so running it again costs a fraction of a second. Where the package is a
 * dependency of another, npm calls it as the install script: there only the chip is left to build.
 *
 *   node scripts/set-up.mjs
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const STAMP = join(ROOT, 'build', 'set-up.json');

/** Set while `npm ci` runs, whose `install` and `prepare` scripts are this file again. */
const INSTALLING = 'MTIA_SET_UP_INSTALLING';

/** An install script runs when the packages are there. */
const PACKAGES_ARE_THERE = process.env.npm_lifecycle_event === 'install';

const STEPS = [
  {
    name: 'dependencies',
    says: 'installing packages',
    inputs: ['package-lock.json'],
    outputs: ['node_modules/koffi', 'node_modules/typescript'],
    run: PACKAGES_ARE_THERE
      ? undefined
      : () => execute('npm', ['ci', '--no-fund', '--no-audit'], { [INSTALLING]: '1' }),
  },
  {
    name: 'native',
    says: 'building the emulated chip',
    inputs: ['binding.gyp', 'native/include', 'native/src'],
    outputs: ['build/Release/mtia.so'],
    run: buildChip,
  },
  {
    name: 'typescript',
    says: 'compiling TypeScript',
    inputs: ['tsconfig.json', 'package-lock.json', 'src', 'examples', 'bench'],
    outputs: ['dist/src/cli/main.js', 'dist/examples'],
    run: () => execute(process.execPath, [join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc'), '-p', ROOT]),
  },
];

function execute(command, args, environment = {}) {
  const result = spawnSync(command, args, { cwd: ROOT, env: { ...process.env, ...environment }, encoding: 'utf8' });
  if (result.status === 0) return;
  process.stderr.write(`${result.stdout ?? ''}${result.stderr ?? ''}`);
  const why = result.error === undefined ? `exit code ${result.status}` : result.error.message;
  throw new Error(`${[command, ...args].join(' ')}: ${why}`);
}

function buildChip() {
  try {
    execute(process.execPath, [nodeGyp(), 'configure', 'build', '--silent', '--jobs', 'max', ...headersOfThisNode()]);
  } catch (error) {
    throw new Error(
      `${error.message}\nThe chip is C: its build needs a C compiler, make and Python 3 (Debian: apt install build-essential python3)`,
    );
  }
}

/** npm brings node-gyp along and says where while it runs a script. */
function nodeGyp() {
  const named = process.env.npm_config_node_gyp;
  if (named !== undefined && existsSync(named)) return named;
  const npm = spawnSync('npm', ['config', 'get', 'node-gyp'], { encoding: 'utf8' }).stdout?.trim();
  if (npm && existsSync(npm)) return npm;
  throw new Error('node-gyp, which comes with npm, was not found; install npm beside this Node');
}

/** Headers that lie beside this Node spare node-gyp a download; the library itself needs none. */
function headersOfThisNode() {
  const prefix = dirname(dirname(process.execPath));
  return existsSync(join(prefix, 'include', 'node', 'node.h')) ? [`--nodedir=${prefix}`] : [];
}

function filesUnder(path) {
  const full = join(ROOT, path);
  if (!existsSync(full)) return [];
  if (statSync(full).isFile()) return [path];
  return readdirSync(full)
    .filter((name) => name !== 'node_modules')
    .sort()
    .flatMap((name) => filesUnder(join(path, name)));
}

function digestOf(inputs) {
  const hash = createHash('sha256').update(process.version);
  for (const path of inputs.flatMap(filesUnder)) {
    hash.update(`${path}\0`);
    hash.update(readFileSync(join(ROOT, path)));
  }
  return hash.digest('hex');
}

function readStamp() {
  try {
    return JSON.parse(readFileSync(STAMP, 'utf8'));
  } catch {
    return {}; // No stamp, or a damaged one: every step runs.
  }
}

const isHere = (path) => existsSync(join(ROOT, path));

function runStep({ says, run }) {
  if (run === undefined) return;
  const start = performance.now();
  process.stderr.write(`${says} ...`);
  run();
  process.stderr.write(` ${((performance.now() - start) / 1000).toFixed(1)} s\n`);
}

function setUp() {
  const stamp = readStamp();
  // An installed package has neither a lock file nor TypeScript: what there is to do lies in the tarball already.
  for (const step of STEPS.filter(({ inputs: [main] }) => isHere(main))) {
    const digest = digestOf(step.inputs);
    if (stamp[step.name] === digest && step.outputs.every(isHere)) continue;
    runStep(step);
    stamp[step.name] = digest;
    mkdirSync(dirname(STAMP), { recursive: true });
    writeFileSync(STAMP, `${JSON.stringify(stamp, undefined, 2)}\n`);
  }
}

if (process.env[INSTALLING] === undefined) {
  try {
    setUp();
  } catch (error) {
    process.stderr.write(`\nset-up failed: ${error.message}\n`);
    process.exitCode = 1;
  }
}
