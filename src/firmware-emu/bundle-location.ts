/** Where the bundles of this package lie. */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { MtiaError } from '../driver/errors.js';
import { type Bundle, type BundleOptions, readBundle } from './bundle.js';
import { DEFAULT_BUNDLE } from './bundle-recipes.js';

/** The package root: the sources run from src/ under a test runner and from dist/src/ otherwise. */
export function packageRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json'))) {
    const parent = dirname(folder);
    if (parent === folder)
      throw new MtiaError('INVALID_BUNDLE', 'the package root was not found; install the package again');
    folder = parent;
  }
  return folder;
}

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
