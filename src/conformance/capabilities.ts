/** What a backend can do. A case that requires what is missing is reported as unsupported, with the reason given here. */
export const CAPABILITIES = {
  memory: 'copies and fills move bytes',
  isolation: 'IOMMU mappings, ownership of device pages and their faults are enforced',
  kernels: 'kernels run on processing elements',
  semaphores: 'waits wait for timeline semaphores',
  boot: 'a boot ROM checks and starts the firmware',
  registers: 'registers have their documented access and reset values',
  queues: 'there is more than one queue beside the administration queue',
  priorities: 'queues of a higher priority are served first',
  vectors: 'every queue can have an interrupt vector of its own',
  broadcast: 'the work queue engine hands a job to a rectangle at once',
  limits: 'cards can be opened with fewer queues, fewer interrupt vectors, or without broadcast',
  decompression: 'the host path decompresses GZIP',
  'error correction': 'LPDDR has ECC, and errors can be injected',
  debug: 'a debug door can halt the chip and read harts',
  'shared host memory': 'pinned memory can be attached by other threads of the process',
  workers: 'worker threads may open devices of their own',
  executor: 'an executor can open a card like this one by itself: an emulated one',
} as const satisfies Readonly<Record<string, string>>;

/** One of ALL_CAPABILITIES. */
export type Capability = keyof typeof CAPABILITIES;

/** What a backend can declare; a case that needs what it does not is reported as unsupported. */
export const ALL_CAPABILITIES: ReadonlySet<Capability> = new Set(Object.keys(CAPABILITIES) as Capability[]);

/** All capabilities but those named. */
export function without(...missing: readonly Capability[]): ReadonlySet<Capability> {
  return new Set([...ALL_CAPABILITIES].filter((capability) => !missing.includes(capability)));
}
