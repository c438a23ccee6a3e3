/** The default foreign function binding: 12 to 60 ns a call, and interrupts straight from the event loop's poll. */
import { readSync } from 'node:fs';
import { isMainThread } from 'node:worker_threads';
import koffi from 'koffi';
import { MtiaError } from '../errors.js';
import { C_FUNCTIONS, type CLibrary, type CType, type EventDescriptorWatch, type ForeignBinding } from './c-abi.js';
import { EventDescriptorPoll, type PollFunctions } from './event-descriptor-poll.js';
import { threadHoldings } from './worker-holdings.js';

/** Addresses travel as plain 64-bit integers: no pointer object is made for them. */
const KOFFI_TYPE: Readonly<Record<CType, string>> = {
  u32: 'uint32_t',
  i32: 'int32_t',
  u64: 'uint64_t',
  address: 'uint64_t',
  buffer: 'void *',
};

function load(path: string): CLibrary {
  const library = koffi.load(path);
  const functions = Object.entries(C_FUNCTIONS).map(([name, signature]) => [
    name,
    library.func(
      name,
      KOFFI_TYPE[signature.result],
      signature.parameters.map((type) => KOFFI_TYPE[type]),
    ),
  ]);
  return Object.fromEntries(functions) as CLibrary;
}

function watchEventDescriptor(descriptor: number, listener: () => void): EventDescriptorWatch {
  const count = new Uint8Array(8);
  let closed = false;
  const handle = koffi.node.poll(descriptor, { readable: true }, () => {
    if (closed) return;
    // The descriptor blocks, but this is its only reader and the poll says that it is readable.
    readSync(descriptor, count);
    listener();
  });
  handle.unref();
  return {
    ref: () => {
      if (!closed) handle.ref();
    },
    unref: () => {
      if (!closed) handle.unref();
    },
    close: () => {
      if (closed) return;
      closed = true;
      handle.stop();
      handle.close();
    },
  };
}

interface Descriptors extends PollFunctions {
  /** dup(2) */
  duplicate(descriptor: number): number;
}

function descriptors(): Descriptors {
  const libc = koffi.load(null);
  const poll = libc.func('poll', 'int', ['void *', 'unsigned long', 'int']);
  const eventfd = libc.func('eventfd', 'int', ['unsigned int', 'int']);
  const dup = libc.func('dup', 'int', ['int']);
  const close = libc.func('close', 'int', ['int']);
  return {
    eventDescriptor: () => eventfd(0, 0),
    duplicate: (descriptor) => dup(descriptor),
    close: (descriptor) => close(descriptor),
    poll: (records, count, timeoutMs, done) => poll.async(records, count, timeoutMs, () => done()),
  };
}

/**
 * A worker may be terminated at any time, and koffi's poll handle ends the process when it fires while its worker is torn
 * down: there a pool thread waits, for a microsecond or two more. The card may belong to another thread, which closes it when
 * it likes: the worker waits for duplicates, which are its own.
 */
function eventDescriptorWatcher(): ForeignBinding['watchEventDescriptor'] {
  if (isMainThread) return watchEventDescriptor;
  threadWatcher ??= workerWatcher();
  return threadWatcher;
}

/** One for all cards of a worker: it takes a pool thread, and Node has four. */
let threadWatcher: ForeignBinding['watchEventDescriptor'] | undefined;

function workerWatcher(): ForeignBinding['watchEventDescriptor'] {
  const functions = descriptors();
  const holdings = threadHoldings();
  const held = (descriptor: number): number => {
    if (descriptor < 0) throw new MtiaError('CHIP_SYSTEM', 'the process has no file descriptor left; close some');
    return descriptor;
  };
  let wakeUp: number | undefined;
  const poll = new EventDescriptorPoll({
    ...functions,
    // The worker keeps it as long as it lives, and the main thread closes it then, however the worker ends.
    eventDescriptor: () => {
      if (wakeUp !== undefined) return wakeUp;
      wakeUp = held(functions.eventDescriptor());
      holdings.enter('descriptor', BigInt(wakeUp));
      return wakeUp;
    },
    close: () => undefined,
  });
  return (descriptor, listener) => {
    const own = held(functions.duplicate(descriptor));
    const entry = holdings.enter('descriptor', BigInt(own));
    const watch = poll.watch(own, listener);
    let closed = false;
    const close = (): void => {
      if (closed) return;
      closed = true;
      watch.close();
      holdings.leave(entry);
      functions.close(own);
    };
    return { ref: () => watch.ref(), unref: () => watch.unref(), close };
  };
}

export function koffiBinding(): ForeignBinding {
  return {
    name: 'koffi',
    load,
    viewMemory: (address, bytes) => new Uint8Array(koffi.view(address, bytes)),
    watchEventDescriptor: eventDescriptorWatcher(),
  };
}
