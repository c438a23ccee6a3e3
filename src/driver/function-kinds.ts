/** How a thread attaches a function that another thread shares: by the name of its kind. */
import { attachEmulator } from './emulator/index.js';
import { invalidArgument } from './errors.js';
import type { PciFunction, SharedFunction } from './pci-function.js';

/** @param data what `share` of the function gave in the other thread */
export type AttachFunction = (data: unknown) => PciFunction;

const kinds = new Map<string, AttachFunction>([['emulator', attachEmulator]]);

/** Adds a kind of functions in this thread, until the returned function is called. */
export function addFunctionKind(kind: string, attach: AttachFunction): () => void {
  if (kinds.has(kind)) throw invalidArgument(`there are functions of kind "${kind}" already`);
  kinds.set(kind, attach);
  return () => {
    kinds.delete(kind);
  };
}

export function attachFunction({ kind, data }: SharedFunction): PciFunction {
  const attach = kinds.get(kind);
  if (attach !== undefined) return attach(data);
  throw invalidArgument(`this thread knows no functions of kind "${kind}"; call addFunctionKind first`);
}
