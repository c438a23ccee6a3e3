/** Where this package lies: the library of the emulated chip and the firmware bundles are beside its sources. */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { MtiaError } from './errors.js';

/** The package root: the sources run from src/ under a test runner and from dist/src/ otherwise. */
export function packageRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json'))) {
    const parent = dirname(folder);
    if (parent === folder) {
      throw new MtiaError('NATIVE_LIBRARY', 'the package root was not found; install the package again');
    }
    folder = parent;
  }
  return folder;
}
