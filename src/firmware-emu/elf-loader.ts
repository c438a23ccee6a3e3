/** Puts a bare-metal ELF file into the memory of a halted chip, through the debug door. */
import { CONTROL_CORE } from '../driver/index.js';
import { type Generation, MEMORY_MAP, RESERVED, SPECIFICATIONS } from '../hw/index.js';
import type { DebugPort, HartId } from './debug-port.js';
import { type ElfSegment, readElf } from './elf-file.js';
import { findAddress } from './elf-symbols.js';

interface Window {
  readonly name: string;
  readonly base: number;
  readonly end: number;
  readonly executable: boolean;
}

export interface LoadedProgram {
  readonly entry: bigint;
  /** Where the program reports; undefined where it has no such symbol or section. */
  readonly tohost: bigint | undefined;
}

const PAGE_BYTES = 4096;
const SRAM_BASE = Number(MEMORY_MAP.SRAM.base);
/**
 * Last page of the SRAM that harts of either kind execute from. Kept from programs: a trap that they do not handle ends here.
 */
export const TRAP_PAGE = SRAM_BASE + RESERVED.SRAM_FIRMWARE_BYTES - PAGE_BYTES;

/** More than any test program has; bounds the time to clear it. */
const MOST_BYTES = 256 * 1024 * 1024;
const CHUNK_BYTES = 1024 * 1024;
const TOHOST_BYTES = 8;

/** Memory that a program for this hart may occupy, beginning with where code runs. */
function windowsOf(generation: Generation, { core }: HartId): readonly Window[] {
  const specification = SPECIFICATIONS[generation];
  const window = (name: string, base: bigint, bytes: number, executable = false): Window => {
    return { name, base: Number(base), end: Number(base) + bytes, executable };
  };
  const own =
    core === CONTROL_CORE
      ? [
          window('context SRAM', MEMORY_MAP.CONTEXT_SRAM.base, Number(MEMORY_MAP.CONTEXT_SRAM.size), true),
          window('descriptor SRAM', MEMORY_MAP.DESCRIPTOR_SRAM.base, Number(MEMORY_MAP.DESCRIPTOR_SRAM.size)),
        ]
      : [window('local memory', MEMORY_MAP.PE_LOCAL.base, specification.localMemoryBytes.value)];
  const afterTrapPage = BigInt(TRAP_PAGE + PAGE_BYTES);
  return [
    window('SRAM', MEMORY_MAP.SRAM.base, TRAP_PAGE - SRAM_BASE, true),
    ...own,
    window('SRAM', afterTrapPage, specification.sramBytes.value - RESERVED.SRAM_FIRMWARE_BYTES),
    window('LPDDR', MEMORY_MAP.LPDDR.base, specification.lpddrBytes.value),
  ];
}

/** A number as people write addresses: 0x80001000. */
export const hex = (value: number | bigint): string => `0x${value.toString(16)}`;
const rangeText = ({ name, base, end }: Window): string => `${name} ${hex(base)}..${hex(end)}`;

function checkSegment({ loadAddress, memoryBytes, offset }: ElfSegment, windows: readonly Window[]): void {
  if (windows.some(({ base, end }) => loadAddress >= base && loadAddress + memoryBytes <= end)) return;
  const places = windows.map(rangeText).join(', ');
  // GNU ld puts the headers of the file below the code unless it is told not to.
  const headers = offset === 0 ? ', without the ELF headers in the segment (-Wl,-n)' : '';
  throw new RangeError(
    `segment at ${hex(loadAddress)} of ${memoryBytes} bytes lies outside what this hart sees (${places}); link it at ${hex(SRAM_BASE)}${headers}`,
  );
}

function checkEntry(entry: number, segments: readonly ElfSegment[], windows: readonly Window[]): void {
  const loaded = segments.some(
    ({ loadAddress, memoryBytes }) => entry >= loadAddress && entry < loadAddress + memoryBytes,
  );
  if (!loaded || entry % 2 !== 0) throw new RangeError(`entry ${hex(entry)} is not an instruction of a loaded segment`);
  const executable = windows.filter((window) => window.executable);
  if (executable.some(({ base, end }) => entry >= base && entry < end)) return;
  throw new RangeError(
    `entry ${hex(entry)} lies where this hart cannot execute; it can in ${executable.map(rangeText).join(' and ')}`,
  );
}

function findTohost(file: Uint8Array, windows: readonly Window[]): bigint | undefined {
  const tohost = findAddress(file, 'tohost');
  if (tohost === undefined) return undefined;
  const visible = windows.some(
    ({ base, end }) => tohost >= BigInt(base) && tohost + BigInt(TOHOST_BYTES) <= BigInt(end),
  );
  if (!visible || tohost % BigInt(TOHOST_BYTES) !== 0n) {
    throw new RangeError(`tohost at ${hex(tohost)} is not ${TOHOST_BYTES} aligned bytes of memory that this hart sees`);
  }
  return tohost;
}

function loadSegment(port: DebugPort, hart: HartId, file: Uint8Array, segment: ElfSegment): void {
  const { loadAddress, offset, fileBytes, memoryBytes } = segment;
  if (fileBytes > 0) port.writeMemory(hart, BigInt(loadAddress), file.subarray(offset, offset + fileBytes));
  for (let at = fileBytes; at < memoryBytes; at += CHUNK_BYTES) {
    const zeros = new Uint8Array(Math.min(CHUNK_BYTES, memoryBytes - at));
    port.writeMemory(hart, BigInt(loadAddress + at), zeros);
  }
}

/** Checks everything before it writes anything. Throws a RangeError, one sentence, where the file cannot run on this hart. */
export function loadProgram(port: DebugPort, hart: HartId, generation: Generation, file: Uint8Array): LoadedProgram {
  const { entry, segments } = readElf(file);
  const windows = windowsOf(generation, hart);
  if (segments.length === 0) throw new RangeError('has no segment to load');
  for (const segment of segments) checkSegment(segment, windows);
  const total = segments.reduce((sum, { memoryBytes }) => sum + memoryBytes, 0);
  if (total > MOST_BYTES) throw new RangeError(`occupies ${total} bytes; at most ${MOST_BYTES} are loaded`);
  checkEntry(entry, segments, windows);
  const tohost = findTohost(file, windows);
  for (const segment of segments) loadSegment(port, hart, file, segment);
  return { entry: BigInt(entry), tohost };
}
