/** The memories of a device that programs allocate from. */
export const MEMORY_KINDS = ['lpddr', 'sram'] as const;
export type MemoryKind = (typeof MEMORY_KINDS)[number];
