/**
 * Ed25519 signatures of bundles (RFC 8032). A SIGNATURE section holds the signer's public key (32 bytes) and the signature
 * (64 bytes) of the bundle's header and section records, which hold the hash of every other section.
 */
import { createPrivateKey, createPublicKey, type KeyObject, sign, verify } from 'node:crypto';

const PUBLIC_KEY_BYTES = 32;
const SIGNATURE_BYTES = 64;
export const SIGNATURE_SECTION_BYTES = PUBLIC_KEY_BYTES + SIGNATURE_BYTES;

/** SubjectPublicKeyInfo of an Ed25519 key (RFC 8410), up to the key itself. */
const SPKI_PREFIX = Buffer.from('302a300506032b6570032100', 'hex');

/** The 32 bytes of an Ed25519 public key; of the public half where a private key is given. */
export function rawPublicKey(key: KeyObject): Uint8Array {
  const publicKey = key.type === 'private' ? createPublicKey(key) : key;
  if (publicKey.asymmetricKeyType !== 'ed25519') throw new RangeError('bundles are signed with Ed25519 keys');
  return publicKey.export({ format: 'der', type: 'spki' }).subarray(SPKI_PREFIX.length);
}

/** A private key from PEM text. Throws a RangeError where it is not an Ed25519 key. */
export function readPrivateKey(pem: string): KeyObject {
  const key = createPrivateKey(pem);
  rawPublicKey(key);
  return key;
}

/** Content of the SIGNATURE section for a bundle's header and records. The same input gives the same bytes. */
export function signRecords(records: Uint8Array, privateKey: KeyObject): Uint8Array {
  return Buffer.concat([rawPublicKey(privateKey), sign(null, records, privateKey)]);
}

export type SignatureVerdict = 'good' | 'wrong' | 'untrusted key';

/** Judges a SIGNATURE section; `trusted` holds raw public keys. */
export function verifyRecords(
  records: Uint8Array,
  section: Uint8Array,
  trusted: readonly Uint8Array[],
): SignatureVerdict {
  const signer = Buffer.from(section.subarray(0, PUBLIC_KEY_BYTES));
  if (!trusted.some((key) => signer.equals(key))) return 'untrusted key';
  const key = createPublicKey({ key: Buffer.concat([SPKI_PREFIX, signer]), format: 'der', type: 'spki' });
  return verify(null, records, key, section.subarray(PUBLIC_KEY_BYTES)) ? 'good' : 'wrong';
}
