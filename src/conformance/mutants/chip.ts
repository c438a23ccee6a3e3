/** Broken chips: the emulated chip with one line of its C sources changed, compiled where it is asked for. */
import { buildChip, type ChipChange, whyNoChip } from './chip-library.js';
import type { Mutant } from './mutant.js';

interface Defect extends ChipChange {
  readonly name: string;
  readonly doc: string;
  readonly promisedBy: readonly string[];
}

const DEFECTS: readonly Defect[] = [
  {
    name: 'bf16-truncated',
    doc: 'the SIMD engine cuts FP32 to BF16 instead of rounding to nearest even',
    promisedBy: ['numerics'],
    source: 'native/src/arithmetic/simd_engine_portable.c',
    from: 'write16(at, bf16_of_fp32(value));',
    to: 'write16(at, (uint16_t)(fp32_bits(value) >> 16));',
  },
  {
    name: 'one-chain-of-sums',
    doc: 'the dot-product engine adds in another order than documented',
    promisedBy: ['numerics'],
    source: 'native/src/arithmetic/matmul_portable.c',
    from: 'chain_step(odd, a[i + 1], b[i + 1]);',
    to: 'chain_step(even, a[i + 1], b[i + 1]);',
  },
  {
    name: 'denormals-kept',
    doc: 'the dot-product engine takes denormal BF16 for what they are',
    promisedBy: ['numerics'],
    source: 'native/src/arithmetic/matmul_portable.c',
    from: 'return fp32_flush(fp32_of_bf16(bits));',
    to: 'return fp32_of_bf16(bits);',
  },
  {
    name: 'int8-one-too-many',
    doc: 'the dot-product engine takes one product of INT8 for positive',
    promisedBy: ['numerics'],
    source: 'native/src/arithmetic/matmul_portable.c',
    from: 'const int32_t a = (int8_t)operands->a[row][k];',
    to: 'const int32_t a = k == 5 ? operands->a[row][k] & 0x7f : (int8_t)operands->a[row][k];',
  },
  {
    name: 'flipped-bits-pass',
    doc: 'two flipped bits of a word are read as if nothing were',
    promisedBy: ['fault injection'],
    source: 'native/src/memory/memory_errors.c',
    from: '      sound = false;',
    to: '      sound = true;',
  },
  {
    name: 'gzip-checksum-ignored',
    doc: 'the decompressor does not look at the checksum of a stream',
    promisedBy: ['DMA'],
    source: 'native/src/host-interface/gzip_decompressor.c',
    from: 'if (check != gzip->check || bytes != (uint32_t)gzip->member_bytes) return GZIP_DAMAGED;',
    to: 'if (bytes != (uint32_t)gzip->member_bytes) return GZIP_DAMAGED;',
  },
  {
    name: 'gzip-first-member-only',
    doc: 'the decompressor ends with the first member of a stream',
    promisedBy: ['DMA'],
    source: 'native/src/host-interface/gzip_decompressor.c',
    from: 'if (is_at_end(gzip)) return GZIP_DONE;',
    to: 'if (is_at_end(gzip) || gzip->state == NEXT_MEMBER) return GZIP_DONE;',
  },
  {
    name: 'mask-ignored',
    doc: 'interrupts are delivered though the function is masked',
    promisedBy: ['interrupts'],
    source: 'native/src/host-interface/msix.c',
    from: ' || atomic_load(&msix->masked) != 0) return;',
    to: ') return;',
  },
  {
    name: 'masked-interrupts-are-lost',
    doc: 'an interrupt that comes while the function is masked is never delivered',
    promisedBy: ['interrupts'],
    source: 'native/src/host-interface/msix.c',
    from: ' || atomic_load(&msix->masked) != 0) return;',
    to: ') return;\n  if (atomic_load(&msix->masked) != 0) {\n    atomic_store(&msix->pending, 0);\n    return;\n  }',
  },
  {
    name: 'copies-forwards-only',
    doc: 'a copy over itself reads what it has just written',
    promisedBy: ['DMA'],
    source: 'native/src/host-interface/dma_engine.c',
    from: 'if (has_source) memmove(destination.host, source.host, bytes);',
    to: 'if (has_source) for (uint64_t at = 0; at < bytes; at++) ((volatile uint8_t *)destination.host)[at] = ((volatile uint8_t *)source.host)[at];',
  },
  {
    name: 'shared-pages-are-writable',
    doc: 'copies and kernels may write the code that all contexts share',
    promisedBy: ['DMA'],
    source: 'native/src/memory/memory.c',
    from: '(owner == MTIA_OWNER_SHARED_READ_ONLY && right == MEMORY_READ)',
    to: '(owner == MTIA_OWNER_SHARED_READ_ONLY && (right == MEMORY_READ || right == MEMORY_WRITE))',
  },
  {
    name: 'doorbell-believed',
    doc: 'a doorbell with any position is believed',
    promisedBy: ['queues'],
    source: 'native/src/host-interface/queue_engine.c',
    from: 'if ((int32_t)(value - old) <= 0 || value - limit > most) return false;',
    to: '(void)limit, (void)most;\n    if (value == old) return false;',
  },
  {
    name: 'owners-survive-reset',
    doc: 'a function reset leaves the pages with their contexts',
    promisedBy: ['reset and recovery'],
    source: 'native/src/chip/chip.c',
    from: '  memory_unassign_all(chip->memory);\n',
    to: '',
  },
  {
    name: 'mappings-survive-reset',
    doc: 'a function reset leaves the mappings of the IOMMU',
    promisedBy: ['reset and recovery'],
    source: 'native/src/chip/chip.c',
    from: '  iommu_unmap_all(&chip->iommu);\n  memory_unassign_all',
    to: '  memory_unassign_all',
  },
  {
    name: 'local-memory-survives',
    doc: 'a processing element keeps its local memory when it is reset',
    promisedBy: ['failure propagation'],
    source: 'native/src/processing-element/pe.c',
    from: 'if (!pe->local_is_fresh) memset(pe->local_memory, 0, pe->local_bytes);',
    to: '',
  },
];

export const CHIP_MUTANTS: readonly Mutant[] = DEFECTS.map(({ name, doc, promisedBy, ...change }) => ({
  name,
  breaks: 'chip',
  doc,
  promisedBy,
  unavailable: whyNoChip,
  apply: (subject) => {
    process.env.MTIA_LIBRARY = buildChip(change);
    return subject;
  },
}));
