/** What is published of the chip and not emulated, and why. Rendered into docs/hardware.md. */

/** A published feature, where it is published, and why the emulator does without it. */
export interface NotModelled {
  readonly feature: string;
  readonly source: string;
  readonly why: string;
}

/** Every such feature, in the order of docs/hardware.md. */
export const NOT_MODELLED: readonly NotModelled[] = [
  {
    feature: 'RISC-V vectors of one hart (v1: RVV 0.8.1) or of both',
    source: 'I23, I25',
    why: 'Version 0.8.1 differs from the ratified 1.0 in its encodings, and no compiler at hand emits it; of 2i no version is published. Kernels use the SIMD engine; a hart traps at a vector instruction.',
  },
  {
    feature: 'Pipeline of the harts (five stages, in order)',
    source: 'I23',
    why: 'Its hazards are not published: an instruction takes a cycle, loads that miss the data cache the latency of the memory.',
  },
  {
    feature: 'Stale data in the caches of the harts (no hardware coherence)',
    source: 'I23',
    why: 'The data caches keep device time only: data come from the memory, so a kernel that forgets to flush is not caught here. Code is fetched anew only after fence.i, as on the chip.',
  },
  {
    feature: 'Machine timer and platform-level interrupt controller of a PE',
    source: 'I23',
    why: 'Their registers are not published. A hart of a PE has its software interrupt and one external source, the job; it reads the time, and deadlines are kept by the control core, which has a timer and a controller.',
  },
  {
    feature: 'Arbitration for the banks of local memory',
    source: 'I23',
    why: 'Neither their number nor the rule is published. No command beats the bandwidth of local memory; units do not slow each other down there.',
  },
  {
    feature: 'Operand caches of the dot-product engine',
    source: 'I23, I25',
    why: 'They spare reads of local memory, which never hold an MML back: both operands take 64 bytes a cycle of some 500 (v1).',
  },
  {
    feature: 'Commands on disjoint regions of one circular buffer in any order',
    source: 'I23',
    why: 'A command that waits keeps later ones of its hart on the same buffer waiting too. Once their data are there, commands of different units overlap in device time whatever their buffers.',
  },
  {
    feature: "Access to another PE's local memory and registers",
    source: 'I23',
    why: 'No addresses or ordering rules are published. PEs exchange data through SRAM, LPDDR and the reduction network, and synchronise by semaphores of each other; the control core sees the local memory of every PE.',
  },
  {
    feature: 'DMA to and from system registers',
    source: 'I23',
    why: 'Harts read and write registers themselves; a DMA command to them raises COMMAND_BUS_FAULT.',
  },
  {
    feature: 'Layouts of the memory layout unit for depth-wise convolution',
    source: 'I23',
    why: 'Not published. The unit transposes for the DPE on the way (MML, transposeA); other layouts go through local memory (MLU_COPY).',
  },
  {
    feature: 'Decompression of weights (ANS)',
    source: 'I25',
    why: 'The format is not published. GZIP on the host path is emulated.',
  },
  {
    feature: 'Slices of SRAM and channels of LPDDR at their places on the network, and how addresses interleave',
    source: 'I23, I25',
    why: 'The rule is not published. Every address is equally far from every PE, and the bandwidth of all slices and channels is one; only the reduction network and semaphores count hops.',
  },
  {
    feature: 'Network of its own for registers',
    source: 'I23',
    why: 'Nobody has published what it costs: an access to a register takes the instruction that makes it.',
  },
  {
    feature: 'Work queue engine in each PE, which fetches its requests by DMA',
    source: 'I25',
    why: 'Format and registers are not published. One engine at the control core writes the descriptors to the PEs; start and replacement of a job take the published times.',
  },
  {
    feature: 'Leaky-bucket shaping and fragmentation of packets',
    source: 'I25',
    why: 'No parameters are published: the bandwidth of SRAM and LPDDR is shared evenly by the PEs of a job.',
  },
  {
    feature: 'Arm control core (v1), L2 cache of the control cores (2i)',
    source: 'I25, HC24',
    why: 'v1 has one RISC-V hart, so that one firmware serves both; control harts take a cycle an instruction.',
  },
  {
    feature: 'Processor for secure boot',
    source: 'I23, I25',
    why: 'The boot ROM of the control core checks the bundle; the host checks its signature.',
  },
  {
    feature: 'Voltage, power and temperature',
    source: 'I23, I25',
    why: 'In the data sheet above, without effect.',
  },
];
