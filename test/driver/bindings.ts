/** The foreign function bindings that are installed: the packages of the second one are optional. */
import { createRequire } from 'node:module';

function isInstalled(name: string): boolean {
  try {
    createRequire(import.meta.url).resolve(name);
    return true;
  } catch {
    return false;
  }
}

export const BINDINGS: readonly string[] = ['koffi', ...(isInstalled('@2060.io/ffi-napi') ? ['ffi-napi'] : [])];
