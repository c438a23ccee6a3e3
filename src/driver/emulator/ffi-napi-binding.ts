/**
 * The second foreign function binding: ffi-napi and ref-napi through their maintained forks. Its calls cost microseconds,
 * so it serves where koffi is not available, and to prove that nothing above depends on koffi.
 */
import { createRequire } from 'node:module';
import { C_FUNCTIONS, type CLibrary, type CType, type ForeignBinding } from './c-abi.js';
import { EventDescriptorPoll, type PollFunctions } from './event-descriptor-poll.js';

/** The parts of the two packages that are used here; they are optional, so their own types may be absent. */
interface FfiNapi {
  Library(
    path: string | null,
    functions: Readonly<Record<string, readonly [string, readonly string[]]>>,
  ): ForeignLibrary;
}
type ForeignFunction = ((...args: readonly unknown[]) => number) & {
  async(...args: readonly unknown[]): void;
};
type ForeignLibrary = Readonly<Record<string, ForeignFunction>>;
interface RefNapi {
  readPointer(buffer: Buffer, offset: number, bytes: number): Buffer;
}

const FFI_TYPE: Readonly<Record<CType, string>> = {
  u32: 'uint32',
  i32: 'int32',
  u64: 'uint64',
  address: 'uint64',
  buffer: 'pointer',
};

/** ffi-napi takes 64-bit values as decimal text, and pointers as Buffers. */
function toForeign(value: unknown): unknown {
  if (typeof value === 'bigint') return value.toString();
  if (value instanceof Uint8Array) return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  return value;
}

function required(library: ForeignLibrary, name: string): ForeignFunction {
  const found = library[name];
  if (found === undefined) throw new Error(`the library lacks ${name}`);
  return found;
}

function loadWith(ffi: FfiNapi, path: string): CLibrary {
  const signatures = Object.entries(C_FUNCTIONS).map(
    ([name, signature]) =>
      [name, [FFI_TYPE[signature.result], signature.parameters.map((type) => FFI_TYPE[type])]] as const,
  );
  const library = ffi.Library(path, Object.fromEntries(signatures));
  const functions = Object.keys(C_FUNCTIONS).map((name) => {
    const call = required(library, name);
    return [name, (...args: readonly unknown[]) => call(...args.map(toForeign))];
  });
  return Object.fromEntries(functions) as CLibrary;
}

function pollFunctions(ffi: FfiNapi): PollFunctions {
  const libc = ffi.Library(null, {
    poll: ['int', ['pointer', 'ulong', 'int']],
    eventfd: ['int', ['uint', 'int']],
    close: ['int', ['int']],
  });
  return {
    eventDescriptor: () => required(libc, 'eventfd')(0, 0),
    close: (descriptor) => {
      required(libc, 'close')(descriptor);
    },
    poll: (records, count, timeoutMs, done) => {
      required(libc, 'poll').async(records, count, timeoutMs, () => done());
    },
  };
}

export function ffiNapiBinding(): ForeignBinding {
  const require = createRequire(import.meta.url);
  const ffi = require('@2060.io/ffi-napi') as FfiNapi;
  const ref = require('@2060.io/ref-napi') as RefNapi;
  const poll = new EventDescriptorPoll(pollFunctions(ffi));
  return {
    name: 'ffi-napi',
    load: (path) => loadWith(ffi, path),
    viewMemory: (address, bytes) => {
      const pointer = Buffer.alloc(8);
      pointer.writeBigUInt64LE(address);
      const view = ref.readPointer(pointer, 0, bytes);
      return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
    },
    watchEventDescriptor: (descriptor, listener) => poll.watch(descriptor, listener),
  };
}
