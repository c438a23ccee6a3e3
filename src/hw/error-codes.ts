/**
 * Error codes of the whole stack. Codes below 64 travel in completion entries (firmware to host);
 * 64 to 127 are the chip's C ABI; from 128 on they exist on the host only.
 */

export interface ErrorCode {
  readonly code: number;
  /** Who is at fault: what a caller can do about it follows from it. */
  readonly fault: 'caller' | 'kernel' | 'firmware' | 'device' | 'host';
  readonly doc: string;
}

/** Every error of the stack by name, in the order of the codes. */
export const ERROR_CODES = {
  OK: { code: 0, fault: 'caller', doc: 'no error' },
  UNSUPPORTED_COMMAND: { code: 1, fault: 'firmware', doc: 'the firmware does not implement this command' },
  INVALID_COMMAND: { code: 2, fault: 'caller', doc: 'a field of the command is out of range' },
  INVALID_CONTEXT: { code: 3, fault: 'caller', doc: 'the context does not exist or is closed' },
  INVALID_GRID: {
    code: 4,
    fault: 'caller',
    doc: 'the rectangle of PEs is empty, leaves the grid, or does not divide the work',
  },
  UNKNOWN_KERNEL: { code: 5, fault: 'caller', doc: 'the firmware bundle has no such kernel' },
  MEMORY_PROTECTION: { code: 6, fault: 'caller', doc: 'the address does not belong to the context' },
  HOST_ADDRESS_FAULT: { code: 7, fault: 'caller', doc: 'the IOMMU has no mapping, or no right, for the host address' },
  KERNEL_FAULT: { code: 8, fault: 'kernel', doc: 'a hart trapped while it ran a kernel' },
  KERNEL_TIMEOUT: { code: 9, fault: 'kernel', doc: 'the kernel did not finish before its deadline' },
  KERNEL_ERROR: { code: 10, fault: 'kernel', doc: 'the kernel reported an error of its own' },
  INDEX_OUT_OF_RANGE: {
    code: 11,
    fault: 'caller',
    doc: 'an embedding index is negative or not below the number of rows',
  },
  INVALID_GRAPH: { code: 12, fault: 'caller', doc: 'the compiled graph in device memory is malformed' },
  INVALID_KERNEL: { code: 13, fault: 'firmware', doc: "the kernel's ELF file is malformed" },
  OUT_OF_CODE_MEMORY: { code: 14, fault: 'firmware', doc: 'no room is left for kernel code' },
  ABORTED: { code: 15, fault: 'caller', doc: 'the command was aborted' },
  DEADLOCK: { code: 16, fault: 'kernel', doc: 'every hart of the job waits and nothing can wake one' },
  ILLEGAL_UNIT_COMMAND: { code: 17, fault: 'kernel', doc: 'a unit command carries an illegal field' },
  INSUFFICIENT_LOCAL_MEMORY: { code: 18, fault: 'caller', doc: 'the job does not fit the local memory of a PE' },
  DECOMPRESSION: {
    code: 19,
    fault: 'caller',
    doc: 'the compressed data is damaged or cut off, or longer than its destination once decompressed',
  },
  ECC_UNCORRECTABLE: {
    code: 30,
    fault: 'device',
    doc: 'a word of LPDDR has more flipped bits than its code corrects; write it anew',
  },

  BOOT_BAD_BUNDLE: { code: 40, fault: 'firmware', doc: 'the boot ROM refused the bundle: malformed header or section' },
  BOOT_BAD_HASH: {
    code: 41,
    fault: 'firmware',
    doc: 'the boot ROM refused the bundle: a section does not match its hash',
  },
  BOOT_WRONG_CHIP: {
    code: 42,
    fault: 'firmware',
    doc: 'the boot ROM refused the bundle: it is built for another chip generation',
  },
  BOOT_NO_CONTROL_FIRMWARE: {
    code: 43,
    fault: 'firmware',
    doc: 'the boot ROM refused the bundle: no control firmware in it',
  },
  FIRMWARE_PANIC: { code: 44, fault: 'firmware', doc: 'the control firmware trapped' },
  WATCHDOG_EXPIRED: { code: 45, fault: 'firmware', doc: 'the control firmware made no progress' },

  CHIP_CLOSED: { code: 64, fault: 'host', doc: 'the device handle is closed' },
  CHIP_BAD_ARGUMENT: { code: 65, fault: 'host', doc: 'a C ABI argument is out of range' },
  CHIP_NO_MEMORY: { code: 66, fault: 'host', doc: 'the host has no memory for the device' },
  CHIP_SYSTEM: { code: 67, fault: 'host', doc: 'a system call of the emulated chip failed' },
  CHIP_NOT_HALTED: { code: 68, fault: 'host', doc: 'the hart must be halted for this debug access' },
  CHIP_LINK_DOWN: { code: 69, fault: 'device', doc: 'the PCI Express link took no more writes (credits exhausted)' },
  CHIP_MATMUL_PATH: { code: 70, fault: 'caller', doc: 'this host cannot run the matmul path that was asked for' },

  DEVICE_LOST: { code: 128, fault: 'device', doc: 'the device stopped answering; open it again' },
  DEVICE_TIMEOUT: { code: 129, fault: 'device', doc: 'the device did not answer before the deadline' },
  DEVICE_CLOSED: { code: 130, fault: 'caller', doc: 'the device, context, stream or buffer is closed' },
  FIRMWARE_ABI_MISMATCH: {
    code: 131,
    fault: 'firmware',
    doc: 'the firmware speaks another version of the host protocol',
  },
  OUT_OF_DEVICE_MEMORY: { code: 132, fault: 'caller', doc: 'no device memory is left for the allocation' },
  OUT_OF_HOST_MEMORY: { code: 133, fault: 'host', doc: 'no pinned host memory is left for the allocation' },
  INVALID_ARGUMENT: { code: 134, fault: 'caller', doc: 'an argument of an API call is out of range' },
  INVALID_BUNDLE: { code: 135, fault: 'firmware', doc: 'the firmware bundle is malformed or truncated' },
  BAD_SIGNATURE: { code: 136, fault: 'firmware', doc: 'the firmware bundle is unsigned or its signature is wrong' },
  INVALID_MODEL: { code: 137, fault: 'caller', doc: 'the model file is missing, malformed or truncated' },
  UNSUPPORTED_OPERATOR: {
    code: 138,
    fault: 'caller',
    doc: 'the compiler has no lowering for an operator of the model',
  },
  SHAPE_MISMATCH: {
    code: 139,
    fault: 'caller',
    doc: 'a tensor does not have the shape or type that the model declares',
  },
  FIRMWARE_MISMATCH: {
    code: 140,
    fault: 'caller',
    doc: 'the compiled graph needs another chip, kernel or firmware version',
  },
  NATIVE_LIBRARY: { code: 141, fault: 'host', doc: 'the library of the emulated chip is missing or too old' },
  TOO_MANY: { code: 142, fault: 'caller', doc: 'a limited resource (contexts, queues, mappings) is used up' },
  DEVICE_RESET: { code: 143, fault: 'device', doc: 'the device was reset after this was made or sent' },

  EXECUTOR_FULL: { code: 150, fault: 'caller', doc: 'as many requests wait for an executor as its queue holds' },
  DEADLINE_EXCEEDED: { code: 151, fault: 'caller', doc: 'the request was not answered before its deadline' },
  WORKER_LOST: {
    code: 152,
    fault: 'host',
    doc: 'the worker thread that ran the request ended, and so did the next one',
  },

  HOST_FUNCTION_ERROR: { code: 160, fault: 'caller', doc: 'a function of the host that a stream called threw' },
  CAPTURE_UNSUPPORTED: {
    code: 161,
    fault: 'caller',
    doc: 'a stream that is captured was asked for what no graph holds',
  },
  CAPTURE_INVALIDATED: { code: 162, fault: 'caller', doc: 'the capture was given up; it makes no graph' },
  CAPTURE_UNJOINED: { code: 163, fault: 'caller', doc: 'a stream was drawn into a capture and not joined' },
} as const satisfies Readonly<Record<string, ErrorCode>>;

/** Name of an error: what MtiaError.code is. */
export type ErrorName = keyof typeof ERROR_CODES;

const NAME_OF_CODE: ReadonlyMap<number, ErrorName> = new Map(
  (Object.keys(ERROR_CODES) as ErrorName[]).map((name) => [ERROR_CODES[name].code, name]),
);

/** Name of a numeric code; unknown codes are a firmware defect and say so. */
export function errorNameOf(code: number): ErrorName {
  return NAME_OF_CODE.get(code) ?? 'FIRMWARE_PANIC';
}
