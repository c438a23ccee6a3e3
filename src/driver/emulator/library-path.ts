/** Where the library of the emulated chip lies, and which binding loads it. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { isMainThread } from 'node:worker_threads';
import { MtiaError } from '../errors.js';
import { packageRoot } from '../package-root.js';
import { C_ABI_VERSION, type CLibrary, type ForeignBinding } from './c-abi.js';
import { ffiNapiBinding } from './ffi-napi-binding.js';
import { koffiBinding } from './koffi-binding.js';

const LIBRARY = join('build', 'Release', 'mtia.so');
/** The same in a checkout and where the package is a dependency, whose install script npm may not have run. */
const howToBuild = (): string => `run \`node ${join(packageRoot(), 'scripts', 'set-up.mjs')}\``;

export type BindingName = 'koffi' | 'ffi-napi';

const BINDINGS: Readonly<Record<BindingName, () => ForeignBinding>> = {
  koffi: koffiBinding,
  'ffi-napi': ffiNapiBinding,
};

function isBindingName(name: string): name is BindingName {
  return Object.hasOwn(BINDINGS, name);
}

/** Their native part keeps state for one environment: a call from a second one ends the process with a segmentation fault. */
const MAIN_THREAD_ONLY: ReadonlySet<string> = new Set<BindingName>(['ffi-napi']);

const bindingName = (): string => process.env.MTIA_FFI ?? 'koffi';

/** Whether worker threads may open emulated cards, too. */
export function workersMayOpenCards(): boolean {
  return !MAIN_THREAD_ONLY.has(bindingName());
}

/** The binding that MTIA_FFI names; koffi when it is not set. */
export function selectBinding(name: string = bindingName()): ForeignBinding {
  if (!isBindingName(name)) {
    throw new MtiaError('NATIVE_LIBRARY', `MTIA_FFI is "${name}"; set it to ${Object.keys(BINDINGS).join(' or ')}`);
  }
  if (MAIN_THREAD_ONLY.has(name) && !isMainThread) {
    throw new MtiaError(
      'NATIVE_LIBRARY',
      `${name} works on the main thread only; set MTIA_FFI=koffi for worker threads`,
    );
  }
  try {
    return BINDINGS[name]();
  } catch (cause) {
    throw new MtiaError('NATIVE_LIBRARY', `the package behind MTIA_FFI=${name} does not load; run \`npm install\``, {
      cause,
    });
  }
}

/** The library that MTIA_LIBRARY names (one built with a sanitizer, say); the built one when it is not set. */
function libraryPath(): string {
  return process.env.MTIA_LIBRARY ?? join(packageRoot(), LIBRARY);
}

/** Loads the library and checks that it is the one this code was written for. */
export function loadLibrary(binding: ForeignBinding, path = libraryPath()): CLibrary {
  if (!existsSync(path))
    throw new MtiaError('NATIVE_LIBRARY', `the emulated chip is not built: no ${path}; ${howToBuild()}`);
  const library = tryLoad(binding, path);
  const version = library.mtia_c_abi_version();
  if (version !== C_ABI_VERSION) {
    throw new MtiaError(
      'NATIVE_LIBRARY',
      `${path} has C ABI ${version}, this package needs ${C_ABI_VERSION}; ${howToBuild()}`,
    );
  }
  return library;
}

function tryLoad(binding: ForeignBinding, path: string): CLibrary {
  try {
    return binding.load(path);
  } catch (cause) {
    throw new MtiaError('NATIVE_LIBRARY', `${path} does not load through ${binding.name}; ${howToBuild()}`, { cause });
  }
}
