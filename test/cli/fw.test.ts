import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { elfOf, ILLEGAL, JUMP_TO_ITSELF, report, WAIT_FOR_EVER } from '../firmware-emu/programs.js';
import { inPackage, linesOf, mtia, notBuilt, skipReason, temporaryFolder } from './mtia.js';

const hexText = z.string().regex(/^0x[0-9a-f]+$/);
const execSchema = z.strictObject({
  status: z.enum(['pass', 'fail', 'trap', 'limit']),
  testNumber: z.int().nullable(),
  instructions: z.int().min(1),
  pc: hexText,
  cause: hexText.nullable(),
  value: hexText.nullable(),
  waitsFor: z.string().nullable(),
});

const bundleSchema = z.object({
  bundle: z.string(),
  bytes: z.int().positive(),
  version: z.string(),
  protocolVersion: z.int(),
  generations: z.array(z.enum(['v1', '2i'])),
  signed: z.boolean(),
  sections: z.array(
    z.object({
      kind: z.string(),
      name: z.string(),
      bytes: z.int().positive(),
      sha256: z.string().regex(/^[0-9a-f]{64}$/),
    }),
  ),
});

const BUNDLE = inPackage('firmware/bundle/mtia.bundle');
let folder = { path: '', remove: async (): Promise<void> => undefined };

beforeAll(async () => {
  folder = await temporaryFolder();
});
afterAll(() => folder.remove());

function written(name: string, bytes: Uint8Array): string {
  const path = join(folder.path, name);
  writeFileSync(path, bytes);
  return path;
}

describe.skipIf(notBuilt !== undefined)(`mtia fw exec${skipReason}`, () => {
  it.each([
    ['pass', report(1), 0, /^pass after \d+ instructions$/, {}],
    ['fail', report(11), 1, /^fail: test 5 after/, { testNumber: 5 }],
    ['trap', ILLEGAL, 1, /^trap .*: mcause 0x2, mepc 0x80000004, mtval 0x0$/, { cause: '0x2', pc: '0x80000004' }],
    ['limit', [JUMP_TO_ITSELF], 1, /^limit: no verdict after \d+ instructions, pc 0x80000000$/, { pc: '0x80000000' }],
    ['limit', WAIT_FOR_EVER, 1, /^limit: waits for ever .* pc 0x80000004: wfi$/, { waitsFor: 'wfi' }],
  ] as const)('says %s to a person and to a script', async (status, words, code, text, fields) => {
    const path = written(`${status}.elf`, elfOf(words));
    const args = ['fw', 'exec', path, '--max-instructions', '20000'];
    const said = await mtia([...args, '--hart', 'ccp', '--device', 'v1']);
    expect(said).toMatchObject({ code, stderr: '' });
    expect(said.stdout.trimEnd()).toMatch(text);
    const json = await mtia([...args, '--json']);
    expect(json.code).toBe(code);
    expect(execSchema.parse(JSON.parse(json.stdout))).toMatchObject({ status, ...fields });
  });

  it.each([
    ['a file that does not exist', () => [join(folder.path, 'none.elf')], 'none.elf'],
    ['a file that is no program', () => [inPackage('package.json')], 'package.json: not a 64-bit'],
    ['a program linked elsewhere', () => [written('low.elf', elfOf(report(1), { base: 0x1000 }))], '0x80000000'],
    ['a hart that does not exist', () => [BUNDLE, '--hart', 'pe64.0'], '--hart'],
    [
      'a control hart that this generation lacks',
      () => [written('g.elf', elfOf(report(1))), '--hart', 'ccp.1', '--device', 'v1'],
      'ccp.1',
    ],
    ['no instructions', () => [BUNDLE, '--max-instructions', '0'], '--max-instructions'],
  ])('refuses %s in one sentence', async (_what, args, named) => {
    const { code, stdout, stderr } = await mtia(['fw', 'exec', ...args()]);
    expect(code).toBe(2);
    expect(stdout).toBe('');
    expect(linesOf(stderr)).toHaveLength(1);
    expect(stderr).toContain(named);
  });

  it('ends at Ctrl-C', async () => {
    const path = written('long.elf', elfOf([JUMP_TO_ITSELF]));
    const args = ['fw', 'exec', path, '--max-instructions', '1000000000000'];
    expect((await mtia(args, { signal: 'SIGINT', afterMs: 2500 })).code).toBe(130);
  });
});

describe.skipIf(notBuilt !== undefined)(`mtia fw inspect and verify${skipReason}`, () => {
  it('show what the bundle of the package holds', async () => {
    const { code, stdout } = await mtia(['fw', 'inspect', BUNDLE]);
    expect(code).toBe(0);
    expect(stdout).toContain('signature: good');
    const bundle = bundleSchema.parse(JSON.parse((await mtia(['fw', 'inspect', BUNDLE, '--json'])).stdout));
    expect(bundle.signed).toBe(true);
    for (const section of bundle.sections) expect(stdout).toContain(section.sha256);
    expect((await mtia(['fw', 'verify', BUNDLE])).code).toBe(0);
  });

  it.each(['inspect', 'verify'])('%s names what is wrong with a damaged bundle', async (command) => {
    const bytes = Buffer.from(readFileSync(BUNDLE));
    bytes[2000] = (bytes[2000] ?? 0) ^ 1;
    const path = written('damaged.bundle', bytes);
    const { code, stdout, stderr } = await mtia(['fw', command, path]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(linesOf(stderr)).toHaveLength(1);
    expect(stderr).toMatch(/damaged\.bundle: section \d+: sha256/);
  });
});
