/** `mtia fw inspect` and `mtia fw verify`: what a bundle holds, and whether a card would boot it. */
import { createHash } from 'node:crypto';
import type { Command } from 'commander';
import { type Bundle, loadBundle } from '../../firmware-emu/index.js';
import { exitCodeHelp } from '../exit-codes.js';
import { addJsonOption, type JsonFlag } from '../options.js';
import { printJson, printLine } from '../output.js';
import { formatTable } from '../table.js';

interface VerifyOptions extends JsonFlag {
  readonly allowUnsigned?: boolean;
}

const signatureOf = (bundle: Bundle): string => (bundle.signed ? 'good, of a trusted key' : 'none');

function describeBundle(path: string, bundle: Bundle): object {
  return {
    bundle: path,
    bytes: bundle.bytes.byteLength,
    version: bundle.version,
    protocolVersion: bundle.protocolVersion,
    generations: bundle.generations,
    signed: bundle.signed,
    sections: bundle.sections.map(({ kind, name, kernelId, offset, bytes }) => ({
      kind,
      name,
      kernelId: kind === 'KERNEL' ? kernelId : null,
      offset,
      bytes: bytes.byteLength,
      sha256: sha256(bytes),
    })),
  };
}

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

function printBundle(bundle: Bundle): void {
  printLine(
    `firmware ${bundle.version}, host protocol ${bundle.protocolVersion}, for MTIA ${bundle.generations.join(' and ')}, ` +
      `${bundle.bytes.byteLength} bytes, signature: ${signatureOf(bundle)}`,
  );
  const rows = bundle.sections.map(({ kind, name, kernelId, offset, bytes }) => [
    kind,
    name,
    kind === 'KERNEL' ? String(kernelId) : '',
    String(offset),
    String(bytes.byteLength),
    sha256(bytes),
  ]);
  printLine(formatTable(['section', 'name', '>kernel', '>offset', '>bytes', 'sha256'], rows));
}

function inspect(path: string, options: JsonFlag): void {
  const bundle = loadBundle(path, { allowUnsigned: true });
  if (options.json === true) printJson(describeBundle(path, bundle));
  else printBundle(bundle);
}

function verify(path: string, options: VerifyOptions): void {
  const bundle = loadBundle(path, { allowUnsigned: options.allowUnsigned === true });
  if (options.json === true) printJson(describeBundle(path, bundle));
  else
    printLine(`${path}: firmware ${bundle.version}, every field and hash is right; signature: ${signatureOf(bundle)}`);
}

export function addBundleCommands(firmware: Command): void {
  const inspecting = firmware
    .command('inspect')
    .description('versions, sections with sizes and hashes, and the signature of a bundle')
    .argument('<bundle>', 'firmware bundle')
    .addHelpText('after', exitCodeHelp([0, 2]));
  addJsonOption(inspecting).action(inspect);
  const verifying = firmware
    .command('verify')
    .description('check a bundle as the driver does before it boots it')
    .argument('<bundle>', 'firmware bundle')
    .option('--allow-unsigned', 'accept a bundle that nobody signed')
    .addHelpText('after', exitCodeHelp([0, 2]));
  addJsonOption(verifying).action(verify);
}
