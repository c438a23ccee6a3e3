/**
 * `npm run firmware`: builds the boot ROM and every bundle from firmware/. With --check it builds into memory, compares with
 * what is committed and ends with exit code 1 where a byte differs; without the right toolchain it says so and ends with 0.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { packageRoot } from '../driver/package-root.js';
import { MEMORY_MAP, PROTOCOL_VERSION } from '../hw/index.js';
import {
  BOOT_ROM,
  BOOT_ROM_HEADER,
  BUNDLES,
  type BundleRecipe,
  CONTROL_FIRMWARE,
  FIRMWARE_VERSION,
  KERNEL_INCLUDES,
  KERNEL_LINKER_SCRIPT,
  type KernelRecipe,
  PE_MONITOR,
  SIGNING_KEY,
} from './bundle-recipes.js';
import { type SectionContent, writeBundle } from './bundle-writer.js';
import { checkKernelElf, checkProgramElf } from './elf-file.js';
import { MUTANT_BUNDLES, type MutantRecipe } from './mutant-recipes.js';
import { readPrivateKey } from './signature.js';
import { TOOLCHAIN, Toolchain, toolchainProblem } from './toolchain.js';

interface Output {
  readonly path: string;
  readonly bytes: Uint8Array;
}

const BYTES_PER_LINE = 16;

function renderBootRom(image: Uint8Array): Uint8Array {
  const lines = [];
  for (let at = 0; at < image.length; at += BYTES_PER_LINE) {
    const line = [...image.subarray(at, at + BYTES_PER_LINE)].map((byte) => `0x${byte.toString(16).padStart(2, '0')},`);
    lines.push(`  ${line.join(' ')}`);
  }
  const text = [
    '/* Generated from firmware/boot-rom by `npm run firmware`. Do not edit. */',
    '#ifndef MTIA_BOOT_ROM_H',
    '#define MTIA_BOOT_ROM_H',
    'static const unsigned char boot_rom[] = {',
    ...lines,
    '};',
    '#endif',
    '',
  ].join('\n');
  return Buffer.from(text, 'utf8');
}

function kernelSection(toolchain: Toolchain, kernel: KernelRecipe): SectionContent {
  const bytes = toolchain.compile({
    sources: [kernel.source],
    includes: KERNEL_INCLUDES,
    linkerScript: KERNEL_LINKER_SCRIPT,
    options: ['-O2', ...(kernel.options ?? [])],
  });
  checkKernelElf(bytes);
  return { kind: 'KERNEL', name: kernel.name, kernelId: kernel.id, bytes };
}

function controlSection(toolchain: Toolchain, options: readonly string[]): SectionContent {
  const bytes = toolchain.compile({ ...CONTROL_FIRMWARE, options: [...CONTROL_FIRMWARE.options, ...options] });
  checkProgramElf(bytes, Number(MEMORY_MAP.CONTEXT_SRAM.base), Number(MEMORY_MAP.CONTEXT_SRAM.size));
  return { kind: 'CONTROL_FIRMWARE', name: CONTROL_FIRMWARE.name, bytes };
}

function monitorSection(toolchain: Toolchain): SectionContent {
  const bytes = toolchain.compile(PE_MONITOR);
  checkProgramElf(bytes, Number(MEMORY_MAP.SRAM.base), Number(MEMORY_MAP.SRAM.size));
  return { kind: 'PE_MONITOR', name: PE_MONITOR.name, bytes };
}

function bundle(toolchain: Toolchain, recipe: BundleRecipe, signingKey: string): Uint8Array {
  const content = {
    manifest: {
      version: FIRMWARE_VERSION,
      protocolVersion: PROTOCOL_VERSION,
      generations: ['v1' as const, '2i' as const],
      description: recipe.description,
      toolchain: TOOLCHAIN,
      kernels: Object.fromEntries(recipe.kernels.map(({ name, id }) => [name, id])),
    },
    sections: [
      controlSection(toolchain, recipe.controlOptions ?? []),
      monitorSection(toolchain),
      ...recipe.kernels.map((kernel) => kernelSection(toolchain, kernel)),
    ],
  };
  return writeBundle(content, readPrivateKey(signingKey));
}

/**
 * Control firmware and monitor alone: the suite puts them together with the kernels of the bundle under test. Unsigned: no
 * card takes one by mistake.
 */
function mutantBundle(toolchain: Toolchain, recipe: MutantRecipe): Uint8Array {
  // What a defect leaves unused is no reason to refuse it.
  const options = [...CONTROL_FIRMWARE.options, '-Wno-unused'];
  const control = toolchain.compile({ ...CONTROL_FIRMWARE, options, change: recipe });
  const manifest = {
    version: FIRMWARE_VERSION,
    protocolVersion: PROTOCOL_VERSION,
    generations: ['v1' as const, '2i' as const],
    description: `for tests: a defect, ${recipe.doc}`,
    toolchain: TOOLCHAIN,
    kernels: {},
  };
  const sections = [
    { kind: 'CONTROL_FIRMWARE' as const, name: CONTROL_FIRMWARE.name, bytes: control },
    monitorSection(toolchain),
  ];
  return writeBundle({ manifest, sections });
}

/** Everything that `npm run firmware` generates. Throws INVALID_BUNDLE or a RangeError where a source is at fault. */
function buildAll(root: string): Output[] {
  const toolchain = new Toolchain(root);
  try {
    const signingKey = readFileSync(join(root, SIGNING_KEY), 'utf8');
    return [
      { path: BOOT_ROM_HEADER, bytes: renderBootRom(toolchain.memoryImage(BOOT_ROM)) },
      ...BUNDLES.map((recipe) => ({ path: recipe.path, bytes: bundle(toolchain, recipe, signingKey) })),
      ...MUTANT_BUNDLES.map((recipe) => ({ path: recipe.path, bytes: mutantBundle(toolchain, recipe) })),
    ];
  } finally {
    toolchain.dispose();
  }
}

function committed(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch {
    return Buffer.alloc(0);
  }
}

function main(args: readonly string[]): number {
  const root = packageRoot();
  const check = args.includes('--check');
  const problem = toolchainProblem();
  if (problem !== undefined) {
    console.log(check ? `firmware: not checked, ${problem}` : `firmware: not built, ${problem}`);
    return check ? 0 : 1;
  }
  const changed = buildAll(root).filter(({ path, bytes }) => !committed(join(root, path)).equals(bytes));
  if (check) {
    for (const { path } of changed) console.error(`${path} is stale: run \`npm run firmware\` and commit it`);
    return changed.length === 0 ? 0 : 1;
  }
  for (const { path, bytes } of changed) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), bytes);
    console.log(`wrote ${path} (${bytes.byteLength} bytes)`);
  }
  return 0;
}

if (process.argv[1]?.endsWith('build-bundles.js') === true) {
  try {
    process.exitCode = main(process.argv.slice(2));
  } catch (error) {
    console.error(error instanceof Error ? error.message : String(error));
    process.exitCode = 1;
  }
}
