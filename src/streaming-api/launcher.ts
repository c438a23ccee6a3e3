/** Launches of one stream: a command without arguments, a copy and a command with them. */
import { type Command, type CompletionRecord, describeValue, invalidArgument } from '../driver/index.js';
import { GRAPH_ARGUMENT_WORDS, HOST_COMMAND } from '../hw/index.js';
import { type ArgumentSlots, writeArguments } from './argument-slots.js';
import type { Capture, NodeWord, NodeWork } from './capture.js';
import type { CommandStream } from './command-stream.js';
import { DeviceBuffer } from './device-buffer.js';
import { Kernel } from './kernel.js';
import { deadlineUs, encodeGrid, type LaunchArgument, type LaunchOptions } from './launch.js';
import type { BufferOwner } from './owned-buffer.js';
import { checkAttached } from './typed-array.js';
import type { UseCount } from './use-count.js';

// Every command has all fields: one shape of object keeps the code that writes the rings fast.
function launchCommand(kernel: Kernel, options: LaunchOptions, address: number, bytes: number): Command {
  return {
    opcode: HOST_COMMAND.LAUNCH,
    a: kernel.id,
    b: address,
    c: bytes,
    d: encodeGrid(options.grid),
    deadlineUs: deadlineUs(options.deadlineMs),
  };
}

/** For programs that no compiler has checked: anything else would launch kernel 0. */
function checkLaunch(kernel: Kernel, options: LaunchOptions, args: LaunchArguments): void {
  if (!(kernel instanceof Kernel))
    throw invalidArgument(`a launch takes what device.kernel(name) gives, got ${kernel}`);
  if (typeof options?.grid !== 'object' || options.grid === null)
    throw invalidArgument('a launch needs a grid: { grid: { columns: 1, rows: 1 } }');
  if (args instanceof Uint8Array) checkAttached(args, 'the array of arguments');
  else if (!Array.isArray(args))
    throw invalidArgument(`launch arguments are an array or a Uint8Array, got ${describeValue(args)}`);
}

export type LaunchArguments = readonly LaunchArgument[] | Uint8Array;

export class Launcher {
  readonly #commands: CommandStream;
  readonly #slots: ArgumentSlots;
  /** Stands for the device: buffers of another one are refused. */
  readonly #owner: BufferOwner;

  constructor(commands: CommandStream, slots: ArgumentSlots, owner: BufferOwner) {
    this.#commands = commands;
    this.#slots = slots;
    this.#owner = owner;
  }

  launch(kernel: Kernel, options: LaunchOptions, args: LaunchArguments): Promise<CompletionRecord> {
    checkLaunch(kernel, options, args);
    kernel.checkBelongsTo(this.#owner.card);
    const { capture } = this.#commands;
    if (capture !== undefined) return capture.add(this.#commands, this.#node(capture, kernel, options, args));
    if (args.length > 0) return this.#launchWith(kernel, options, args);
    return this.#commands.submit(launchCommand(kernel, options, 0, 0), [], { signal: options.signal });
  }

  /** Puts words on the device, where the next command of the stream may read them; gives their address. */
  stageWords(words: BigUint64Array): number {
    const slot = this.#slots.take();
    slot.words.set(words);
    const address = this.#slots.nextDeviceSlot();
    const copy = { opcode: HOST_COMMAND.COPY_HOST_TO_DEVICE, a: slot.iova, b: address, c: words.byteLength, d: 0 };
    this.#commands.release(this.#commands.submit(copy), () => this.#slots.give(slot));
    return address;
  }

  /** Nothing may be outstanding. */
  close(): void {
    this.#slots.close();
  }

  #launchWith(kernel: Kernel, options: LaunchOptions, args: LaunchArguments): Promise<CompletionRecord> {
    this.#commands.checkOpen();
    const uses = this.#usesOf(args);
    const slot = this.#slots.take();
    const giveBack = (): void => this.#slots.give(slot);
    let copy: Command;
    let launch: Command;
    try {
      const bytes = writeArguments(slot, args);
      const address = this.#slots.nextDeviceSlot();
      copy = { opcode: HOST_COMMAND.COPY_HOST_TO_DEVICE, a: slot.iova, b: address, c: bytes, d: 0, deadlineUs: 0 };
      launch = launchCommand(kernel, options, address, bytes);
    } catch (error) {
      giveBack();
      throw error;
    }
    const copied = this.#commands.submit(copy);
    this.#commands.release(copied, giveBack);
    const launched = this.#commands.submit(launch, uses, { signal: options.signal });
    return copied.then(() => launched);
  }

  #node(capture: Capture, kernel: Kernel, options: LaunchOptions, args: LaunchArguments): NodeWork {
    this.#commands.checkOpen();
    if (options.deadlineMs !== undefined) throw capture.refuse('a launch with a deadline of its own');
    const count = args instanceof Uint8Array ? args.byteLength / 8 : args.length;
    if (count > GRAPH_ARGUMENT_WORDS) {
      throw capture.refuse(`a launch with ${count} words of arguments, more than ${GRAPH_ARGUMENT_WORDS},`);
    }
    this.#usesOf(args);
    const slot = this.#slots.take();
    try {
      const bytes = writeArguments(slot, args);
      const words = Array.from(slot.words.subarray(0, bytes / 8), (value, index): NodeWord => {
        const argument = args[index];
        return argument instanceof DeviceBuffer ? { value: 0n, buffer: argument } : { value };
      });
      return { kind: 'launch', kernel: kernel.id, rectangle: encodeGrid(options.grid), words };
    } finally {
      this.#slots.give(slot);
    }
  }

  #usesOf(args: LaunchArguments): UseCount[] | undefined {
    if (args instanceof Uint8Array) return undefined;
    let uses: UseCount[] | undefined;
    for (const argument of args) {
      if (!(argument instanceof DeviceBuffer)) continue;
      argument.checkBelongsTo(this.#owner);
      uses ??= [];
      uses.push(argument.uses);
    }
    return uses;
  }
}
