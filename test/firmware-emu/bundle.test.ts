import { generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MtiaError } from '../../src/driver/errors.js';
import { type Bundle, type BundleOptions, readBundle } from '../../src/firmware-emu/bundle.js';
import { bundlePath, loadBundle } from '../../src/firmware-emu/bundle-location.js';
import { BUNDLES, SIGNING_KEY } from '../../src/firmware-emu/bundle-recipes.js';
import { writeBundle } from '../../src/firmware-emu/bundle-writer.js';
import { rawPublicKey, readPrivateKey, signRecords } from '../../src/firmware-emu/signature.js';
import { BUNDLE_HEADER, BUNDLE_SECTION_RECORD, PROTOCOL_VERSION, placeFields } from '../../src/hw/index.js';

const developmentKey = readPrivateKey(readFileSync(bundlePath(SIGNING_KEY), 'utf8'));

const manifest = {
  version: '1.2.3',
  protocolVersion: PROTOCOL_VERSION,
  generations: ['v1' as const, '2i' as const],
  description: 'a small bundle',
  toolchain: 'none',
  kernels: { FIRST: 0, SECOND: 300 },
};
const sections = [
  { kind: 'CONTROL_FIRMWARE' as const, name: 'control', bytes: Uint8Array.of(1, 2, 3) },
  { kind: 'PE_MONITOR' as const, name: 'monitor', bytes: new Uint8Array(64).fill(4) },
  { kind: 'KERNEL' as const, name: 'FIRST', kernelId: 0, bytes: Uint8Array.of(5) },
  { kind: 'KERNEL' as const, name: 'SECOND', kernelId: 300, bytes: new Uint8Array(100).fill(6) },
];
const content = { manifest, sections };
const signed = writeBundle(content, developmentKey);
const unsigned = writeBundle(content);

function errorOf(bytes: Uint8Array, options?: BundleOptions): MtiaError {
  try {
    readBundle(bytes, options);
  } catch (error) {
    if (error instanceof MtiaError) return error;
    throw error;
  }
  throw new Error('the bundle was accepted');
}

function changed(bytes: Uint8Array, change: (view: DataView, bytes: Uint8Array) => void): Uint8Array {
  const copy = Uint8Array.from(bytes);
  change(new DataView(copy.buffer), copy);
  return copy;
}

const headerField = (name: string): number => placeFields(BUNDLE_HEADER).find((f) => f.name === name)?.offset ?? -1;
const recordField = (section: number, name: string): number =>
  BUNDLE_HEADER.size +
  section * BUNDLE_SECTION_RECORD.size +
  (placeFields(BUNDLE_SECTION_RECORD).find((f) => f.name === name)?.offset ?? -1);

describe('a bundle', () => {
  it('is read as it was written', () => {
    const bundle = readBundle(signed);
    expect(bundle).toMatchObject({ version: '1.2.3', protocolVersion: PROTOCOL_VERSION, signed: true, manifest });
    expect(bundle.generations).toEqual(['v1', '2i']);
    expect([...bundle.kernels]).toEqual([
      ['FIRST', 0],
      ['SECOND', 300],
    ]);
    for (const section of sections) {
      const read = bundle.sections.find(({ name }) => name === section.name);
      expect(read).toMatchObject({ kind: section.kind, kernelId: section.kernelId ?? 0 });
      expect([...(read?.bytes ?? [])]).toEqual([...section.bytes]);
    }
  });

  it('has the same bytes every time it is written', () => {
    expect(writeBundle(content, developmentKey)).toEqual(signed);
  });

  it('is not changed by who owns the bytes it was read from', () => {
    const bytes = Uint8Array.from(signed);
    const bundle = readBundle(bytes);
    bytes.fill(0);
    expect(bundle.bytes).toEqual(signed);
  });

  it('of this package is accepted, every one', () => {
    for (const { path, kernels } of BUNDLES) {
      const bundle: Bundle = loadBundle(bundlePath(path));
      expect([...bundle.kernels.values()]).toEqual(kernels.map(({ id }) => id));
    }
  });

  it('that is missing is an INVALID_BUNDLE that names the file', () => {
    expect(() => loadBundle('/no/such/file.bundle')).toThrow(
      expect.objectContaining({ code: 'INVALID_BUNDLE', message: expect.stringContaining('/no/such/file.bundle') }),
    );
  });
});

describe('a damaged bundle', () => {
  it('is refused at every truncation', () => {
    for (let bytes = 0; bytes < signed.length; bytes++) {
      expect(errorOf(signed.subarray(0, bytes)).code).toBe('INVALID_BUNDLE');
    }
  });

  it('is refused with every single byte changed', () => {
    for (let at = 0; at < signed.length; at++) {
      const bytes = changed(signed, (_view, copy) => copy.fill((copy[at] ?? 0) ^ 0x41, at, at + 1));
      expect(['INVALID_BUNDLE', 'BAD_SIGNATURE']).toContain(errorOf(bytes).code);
    }
  });

  it('never makes the reader crash', () => {
    const edits = fc.array(fc.tuple(fc.nat(signed.length - 1), fc.nat(255)), { minLength: 1, maxLength: 20 });
    fc.assert(
      fc.property(edits, fc.nat(64), fc.uint8Array({ maxLength: 200 }), (bytes, cut, tail) => {
        const file = Buffer.concat([
          changed(unsigned, (_view, copy) => {
            for (const [at, value] of bytes) copy[at % copy.length] = value;
          }).subarray(0, unsigned.length - cut),
          tail,
        ]);
        try {
          readBundle(file, { allowUnsigned: true });
        } catch (error) {
          expect(error).toBeInstanceOf(MtiaError);
        }
      }),
      { numRuns: 2000 },
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 2000 }), (bytes) => {
        expect(errorOf(bytes).code).toBe('INVALID_BUNDLE');
      }),
    );
  });

  it.each([
    ['magic', headerField('magic'), 0, 'magic'],
    ['version', headerField('version'), 9, 'version'],
    ['total_bytes', headerField('total_bytes'), 9, 'total_bytes'],
    ['section_count', headerField('section_count'), 0, 'section_count'],
    ['section_count', headerField('section_count'), 65, 'section_count'],
    ['generations', headerField('generations'), 0, 'generations'],
    ['generations', headerField('generations'), 8, 'generations'],
    ['firmware_version', headerField('firmware_version'), 7, 'version'],
    ['protocol_version', headerField('protocol_version'), 7, 'protocolVersion'],
    ['reserved', headerField('reserved'), 1, 'reserved'],
    ['kind', recordField(1, 'kind'), 77, 'kind'],
    ['kernel_id', recordField(1, 'kernel_id'), 1, 'kernel_id'],
    ['offset', recordField(1, 'offset'), 64, 'offset'],
    ['offset', recordField(1, 'offset'), 65, 'offset'],
    ['offset', recordField(1, 'offset'), 0xffff_ffc0, 'offset'],
    ['bytes', recordField(1, 'bytes'), 0, 'bytes'],
    ['bytes', recordField(1, 'bytes'), 0xffff_ffff, 'bytes'],
    ['name', recordField(1, 'name'), 0, 'name'],
    ['sha256', recordField(1, 'sha256'), 0, 'sha256'],
    ['a second kernel of an id', recordField(4, 'kernel_id'), 0, 'kernel_id'],
  ])('with a wrong %s is refused by name', (_field, offset, value, named) => {
    const error = errorOf(
      changed(unsigned, (view) => view.setUint32(offset, value, true)),
      { allowUnsigned: true },
    );
    expect(error.code).toBe('INVALID_BUNDLE');
    expect(error.message).toContain(named);
  });

  it.each([
    ['lists a kernel that is not there', { kernels: { FIRST: 0, SECOND: 300, THIRD: 4 } }, 'kernels'],
    ['lacks a kernel', { kernels: { FIRST: 0 } }, 'SECOND'],
    ['names another id', { kernels: { FIRST: 0, SECOND: 301 } }, 'SECOND'],
    ['has an unknown field', { surprise: 1 }, 'surprise'],
    ['lacks a description', { description: undefined }, 'description'],
    ['is for no generation', { generations: [] }, 'generations'],
    ['is for an unknown generation', { generations: ['v3'] }, 'generations'],
    ['has a kernel id that is none', { kernels: { FIRST: -1 } }, 'kernels'],
    ['has a kernel name that is none', { kernels: { first: 0 } }, 'kernels'],
    ['has a description that is a book', { description: 'x'.repeat(201) }, 'description'],
    ['has a protocol version that is none', { protocolVersion: '1' }, 'protocolVersion'],
  ])('whose manifest %s is refused', (_what, change, named) => {
    const file = writeBundle({ sections, manifest: { ...manifest, ...change } as typeof manifest }, developmentKey);
    const error = errorOf(file);
    expect(error.code).toBe('INVALID_BUNDLE');
    expect(error.message).toContain(named);
  });

  it('without one of its parts is refused', () => {
    for (const kind of ['CONTROL_FIRMWARE', 'PE_MONITOR'] as const) {
      const rest = sections.filter((section) => section.kind !== kind);
      expect(errorOf(writeBundle({ manifest, sections: rest }, developmentKey)).message).toContain(kind);
    }
  });
});

describe('a signature', () => {
  it('is demanded', () => {
    expect(errorOf(unsigned).code).toBe('BAD_SIGNATURE');
    expect(readBundle(unsigned, { allowUnsigned: true }).signed).toBe(false);
  });

  it('of other records is refused, also where unsigned bundles are allowed', () => {
    const other = writeBundle({ ...content, manifest: { ...manifest, description: 'another' } }, developmentKey);
    const forged = changed(signed, (_view, copy) => copy.set(other.subarray(-96), copy.length - 96));
    for (const allowUnsigned of [false, true]) {
      const error = errorOf(forged, { allowUnsigned });
      expect(error.code).toBe('BAD_SIGNATURE');
      expect(error.message).toContain('other content');
    }
  });

  it('of an untrusted key is refused', () => {
    const { privateKey } = generateKeyPairSync('ed25519');
    const file = writeBundle(content, privateKey);
    expect(errorOf(file).code).toBe('BAD_SIGNATURE');
    expect(readBundle(file, { trustedKeys: [rawPublicKey(privateKey)] }).signed).toBe(true);
    expect(errorOf(signed, { trustedKeys: [rawPublicKey(privateKey)] }).code).toBe('BAD_SIGNATURE');
  });

  it('is made with Ed25519 keys only', () => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
    expect(() => signRecords(Uint8Array.of(1), privateKey)).toThrow(RangeError);
  });
});
