/**
 * The MANIFEST section of a bundle: JSON for people and tools, checked against the binary header and records. Every device
 * that opens reads one, so its check is written out: a schema library would take a third of the time of the whole import.
 */
import { type Generation, SPECIFICATIONS } from '../hw/index.js';

/** The manifest of a bundle: versions and what it was built from. */
export interface Manifest {
  /** Of the firmware: "major.minor.patch". */
  readonly version: string;
  readonly protocolVersion: number;
  readonly generations: readonly Generation[];
  /** What the bundle is for, in one line. */
  readonly description: string;
  /** Compiler and linker that the firmware was built with. */
  readonly toolchain: string;
  /** Kernel ids by name. */
  readonly kernels: Readonly<Record<string, number>>;
}

const VERSION_TEXT = /^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)$/;
const KERNEL_NAME = /^[A-Z][A-Z0-9_]{0,38}$/;
const LONGEST_TEXT = 200;

type Check = (value: unknown) => boolean;
const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const isText: Check = (value) => typeof value === 'string' && value.length <= LONGEST_TEXT;
const isGeneration: Check = (value) => typeof value === 'string' && Object.hasOwn(SPECIFICATIONS, value);
const isKernelId: Check = (value) => Number.isInteger(value) && Number(value) >= 0 && Number(value) <= 0xffff_ffff;

/** What a field must be, and the check of it. */
const FIELDS: Readonly<Record<keyof Manifest, readonly [what: string, check: Check]>> = {
  version: ['a version like 1.2.3', (value) => typeof value === 'string' && VERSION_TEXT.test(value)],
  protocolVersion: ['a whole number', Number.isSafeInteger],
  generations: [
    `some of ${Object.keys(SPECIFICATIONS).join(', ')}`,
    (value) => Array.isArray(value) && value.length > 0 && value.every(isGeneration),
  ],
  description: [`a text of at most ${LONGEST_TEXT} characters`, isText],
  toolchain: [`a text of at most ${LONGEST_TEXT} characters`, isText],
  kernels: [
    'an object of ids by NAME',
    (value) => isRecord(value) && Object.entries(value).every(([name, id]) => KERNEL_NAME.test(name) && isKernelId(id)),
  ],
};

/** Calls `refuse` with the field at fault where the content is no manifest. */
export function checkedManifest(content: unknown, refuse: (why: string) => never): Manifest {
  if (!isRecord(content)) return refuse('is no object');
  const unknown = Object.keys(content).find((name) => !Object.hasOwn(FIELDS, name));
  if (unknown !== undefined) refuse(`"${unknown}" is no field of it`);
  for (const [name, [what, check]] of Object.entries(FIELDS)) {
    if (!check(content[name])) refuse(`${name} is not ${what}`);
  }
  return content as unknown as Manifest;
}

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
