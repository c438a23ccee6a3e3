/** Where the bundles of this package lie. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { MtiaError } from '../driver/errors.js';
import { packageRoot } from '../driver/package-root.js';
import { type Bundle, type BundleOptions, readBundle } from './bundle.js';
import { DEFAULT_BUNDLE } from './bundle-recipes.js';

/** Absolute path of a bundle of this package (see bundle-recipes.ts); the default one where none is named. */
export function bundlePath(bundle: string = DEFAULT_BUNDLE): string {
  return join(packageRoot(), bundle);
}

/** Reads and checks a bundle file. Throws INVALID_BUNDLE or BAD_SIGNATURE, naming the file. */
export function loadBundle(path: string = bundlePath(), options: BundleOptions = {}): Bundle {
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(path);
  } catch (cause) {
    throw new MtiaError('INVALID_BUNDLE', `${path}: cannot be read; name an existing firmware bundle`, { cause });
  }
  return readBundle(bytes, { name: path, ...options });
}
