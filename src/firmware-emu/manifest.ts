/** The MANIFEST section of a bundle: JSON for people and tools, checked against the binary header and records. */
import { z } from 'zod';

const VERSION_TEXT = /^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)$/;

const kernelName = z.string().regex(/^[A-Z][A-Z0-9_]{0,38}$/);
const kernelId = z.number().int().min(0).max(0xffff_ffff);

export const MANIFEST = z.strictObject({
  /** Of the firmware: "major.minor.patch". */
  version: z.string().regex(VERSION_TEXT),
  protocolVersion: z.number().int(),
  generations: z.array(z.enum(['v1', '2i'])).min(1),
  /** What the bundle is for, in one line. */
  description: z.string().max(200),
  /** Compiler and linker that the firmware was built with. */
  toolchain: z.string().max(200),
  /** Kernel ids by name. */
  kernels: z.record(kernelName, kernelId),
});
/** The manifest of a bundle: versions and what it was built from. */
export type Manifest = z.infer<typeof MANIFEST>;

/** The same manifest gives the same bytes. */
export function encodeManifest(manifest: Manifest): Uint8Array {
  return Buffer.from(`${JSON.stringify(manifest, null, 1)}\n`, 'utf8');
}

/** "1.2.3" as in BAR0.FIRMWARE_VERSION: major (31:24), minor (23:16), patch (15:0). Throws a RangeError where it does not fit. */
export function encodeVersion(version: string): number {
  const [major = 0, minor = 0, patch = 0] = version.split('.').map(Number);
  if (!VERSION_TEXT.test(version) || major > 0xff || minor > 0xff || patch > 0xffff) {
    throw new RangeError(`"${version}" is not a firmware version like 1.2.3`);
  }
  return major * 2 ** 24 + minor * 2 ** 16 + patch;
}
