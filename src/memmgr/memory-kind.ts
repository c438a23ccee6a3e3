/** The memories of a device that programs allocate from. */
export const MEMORY_KINDS = ['lpddr', 'sram'] as const;
/** Memory of the card: LPDDR ("dram" of torch.mtia) or the on-chip SRAM. */
export type MemoryKind = (typeof MEMORY_KINDS)[number];
