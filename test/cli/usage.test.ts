import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { inPackage, linesOf, mtia, notBuilt, skipReason } from './mtia.js';
import { infoSchema } from './schemas.js';

const COMMANDS = ['run', 'verify', 'compile', 'conformance', 'info', 'fw', 'bench'];

describe.skipIf(notBuilt !== undefined)(`mtia${skipReason}`, () => {
  it.each([[[]], ...COMMANDS.map((command) => [[command]])])(
    '%j --help documents usage and exit codes',
    async (words) => {
      const { code, stdout, stderr } = await mtia([...words, '--help']);
      expect(code).toBe(0);
      expect(stderr).toBe('');
      expect(stdout).toContain('Usage: mtia');
      expect(stdout).toMatch(/Exit codes:\n {2}0 {4}done/);
    },
  );

  it('lists the commands that exist, and no others', async () => {
    const { stdout } = await mtia(['--help']);
    const listed = [...stdout.matchAll(/^ {2}([a-z]+) /gm)].map((match) => match[1]);
    expect(listed).toEqual(COMMANDS);
  });

  it.each([
    ['an unknown command', ['fry'], "unknown command 'fry'; `mtia --help` lists them"],
    ['an unknown firmware command', ['fw', 'exce'], '(Did you mean exec?); `mtia fw --help` lists them'],
    ['a command of a later version', ['smi'], 'smi is not in this version'],
    ['the help of a command of a later version', ['trace', '--help'], 'trace is not in this version'],
    ['a firmware command of a later version', ['fw', 'build', 'x', '-o', 'y'], 'npm run firmware'],
    ['no command', [], 'no command'],
    ['no firmware command', ['fw'], '`mtia fw --help`'],
    ['a path that is empty', ['run', ''], 'argument <model> is empty'],
    ['a path among others that is empty', ['verify', 'examples', ''], 'argument <dir> is empty'],
    ['an option that is empty', ['run', 'm.onnx', '--out', ''], 'option --out is empty'],
    ['a file where a directory belongs', ['verify', 'package.json'], 'package.json: is not a directory'],
    ['a chart in a folder that is not there', ['bench', 'fidelity', '--chart', 'no/x.svg'], 'no/x.svg: no such file'],
    ['an unknown option', ['run', 'm.onnx', '--fast'], '--fast'],
    ['a missing argument', ['run'], 'model'],
    ['a missing required option', ['compile', 'm.onnx'], '--output'],
    ['a device that does not exist', ['info', '--device', 'v9'], 'v9'],
    ['a number that is none', ['run', 'm.onnx', '--threads', 'many'], 'many'],
    ['no threads at all', ['run', 'm.onnx', '--threads', '0'], '--threads'],
    ['a tolerance below zero', ['verify', '.', '--atol=-1'], '--atol'],
    ['an unknown benchmark', ['bench', 'marks'], 'marks'],
    ['an unsigned bundle that is not named', ['run', 'package.json', '--allow-unsigned'], 'package.json'],
  ])('answers %s with one sentence and exit code 2', async (_, args, named) => {
    const { code, stdout, stderr } = await mtia(args);
    expect(code).toBe(2);
    expect(stdout).toBe('');
    expect(linesOf(stderr)).toHaveLength(1);
    expect(stderr).toMatch(/^mtia: /);
    expect(stderr).toContain(named);
  });

  const inShell = (line: string): { readonly status: number | null; readonly stderr: string } =>
    spawnSync('sh', ['-c', line], { cwd: inPackage('.'), encoding: 'utf8' });

  it.each(['info', 'conformance --category discovery', 'fw inspect firmware/bundle/mtia.bundle'])(
    '%s says nothing where its reader has seen enough',
    (command) => {
      const { stderr } = inShell(`node dist/src/cli/main.js ${command} | head -1`);
      expect(stderr).toBe('');
    },
  );

  it('says that its output cannot be written', () => {
    const { status, stderr } = inShell('node dist/src/cli/main.js info > /dev/full');
    expect({ status, stderr }).toEqual({
      status: 2,
      stderr: 'mtia: standard output: no space left on the file system\n',
    });
  });

  it('prints its version', async () => {
    expect((await mtia(['--version'])).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  });

  it.each(['v1', '2i'])('info --device %s gives every figure with its source', async (device) => {
    const text = await mtia(['info', '--device', device]);
    expect(text.stdout).toContain(`MTIA ${device}`);
    const { figures, generation, published } = infoSchema.parse(
      JSON.parse((await mtia(['info', '--device', device, '--json'])).stdout),
    );
    expect(generation).toBe(device);
    expect(Object.keys(figures).length).toBeGreaterThan(20);
    for (const { source } of [...Object.values(figures), ...published]) expect(text.stdout).toContain(source);
  });
});
