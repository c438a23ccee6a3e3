/** The default foreign function binding: 12 to 60 ns a call, and interrupts straight from the event loop's poll. */
import { readSync } from 'node:fs';
import { isMainThread } from 'node:worker_threads';
import koffi from 'koffi';
import { C_FUNCTIONS, type CLibrary, type CType, type EventDescriptorWatch, type ForeignBinding } from './c-abi.js';
import { EventDescriptorPoll, type PollFunctions } from './event-descriptor-poll.js';
import { tellMainThread } from './worker-holdings.js';

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

function pollFunctions(): PollFunctions {
  const libc = koffi.load(null);
  const poll = libc.func('poll', 'int', ['void *', 'unsigned long', 'int']);
  const eventfd = libc.func('eventfd', 'int', ['unsigned int', 'int']);
  const close = libc.func('close', 'int', ['int']);
  return {
    eventDescriptor: () => eventfd(0, 0),
    close: (descriptor) => close(descriptor),
    poll: (records, count, timeoutMs, done) => poll.async(records, count, timeoutMs, () => done()),
  };
}

/**
 * A worker may be terminated at any time, and koffi's poll handle ends the process when it fires while its worker is torn
 * down: there a pool thread waits, for a microsecond or two more.
 */
function eventDescriptorWatcher(): ForeignBinding['watchEventDescriptor'] {
  if (isMainThread) return watchEventDescriptor;
  threadPoll ??= new EventDescriptorPoll(heldPollFunctions());
  const poll = threadPoll;
  return (descriptor, listener) => poll.watch(descriptor, listener);
}

/** One for all cards of a worker: it takes a pool thread, and Node has four. */
let threadPoll: EventDescriptorPoll | undefined;

/** The worker keeps one descriptor as long as it lives, and the main thread closes it then, however the worker ends. */
function heldPollFunctions(): PollFunctions {
  const functions = pollFunctions();
  let wakeUp: number | undefined;
  const hold = (): number => {
    const descriptor = functions.eventDescriptor();
    tellMainThread({ kind: 'descriptor', id: BigInt(descriptor) }, true);
    return descriptor;
  };
  return {
    ...functions,
    eventDescriptor: () => {
      wakeUp ??= hold();
      return wakeUp;
    },
    close: () => undefined,
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
