/* Control and status registers, traps, interrupts. */
#include "hart_internal.h"
#include "hart_host_float.h"

enum {
  CSR_FFLAGS = 0x001, CSR_FRM = 0x002, CSR_FCSR = 0x003,
  CSR_MSTATUS = 0x300, CSR_MISA = 0x301, CSR_MIE = 0x304, CSR_MTVEC = 0x305, CSR_MCOUNTINHIBIT = 0x320,
  CSR_MHPMEVENT3 = 0x323, CSR_MHPMEVENT31 = 0x33f,
  CSR_MSCRATCH = 0x340, CSR_MEPC = 0x341, CSR_MCAUSE = 0x342, CSR_MTVAL = 0x343, CSR_MIP = 0x344,
  CSR_TSELECT = 0x7a0, CSR_TDATA1 = 0x7a1, CSR_TDATA2 = 0x7a2, CSR_TDATA3 = 0x7a3,
  CSR_PMPCFG0 = 0x3a0, CSR_PMPCFG14 = 0x3ae, CSR_PMPADDR0 = 0x3b0, CSR_PMPADDR63 = 0x3ef,
  CSR_MCYCLE = 0xb00, CSR_MINSTRET = 0xb02, CSR_MHPMCOUNTER3 = 0xb03, CSR_MHPMCOUNTER31 = 0xb1f,
  CSR_CYCLE = 0xc00, CSR_TIME = 0xc01, CSR_INSTRET = 0xc02, CSR_HPMCOUNTER3 = 0xc03, CSR_HPMCOUNTER31 = 0xc1f,
  CSR_MVENDORID = 0xf11, CSR_MARCHID = 0xf12, CSR_MIMPID = 0xf13, CSR_MHARTID = 0xf14, CSR_MCONFIGPTR = 0xf15
};

#define MSTATUS_SD 0x8000000000000000ull
#define MCAUSE_INTERRUPT 0x8000000000000000ull
#define MTVEC_VECTORED 1ull
/* MXL = 64 bits; A, C, D, F, I, M */
#define MISA (2ull << 62 | 1 << 0 | 1 << 2 | 1 << 3 | 1 << 5 | 1 << 8 | 1 << 12)

/*
 * Registers that this hart has without a use for them: they read as zero and ignore writes. So there are no counters of
 * events, no entries of physical memory protection, and no debug triggers (tdata1 of type 0).
 */
static bool reads_as_zero(uint32_t number) {
  return (number >= CSR_MHPMCOUNTER3 && number <= CSR_MHPMCOUNTER31) || (number >= CSR_HPMCOUNTER3 && number <= CSR_HPMCOUNTER31) ||
         (number >= CSR_MHPMEVENT3 && number <= CSR_MHPMEVENT31) || (number >= CSR_PMPADDR0 && number <= CSR_PMPADDR63) ||
         (number >= CSR_PMPCFG0 && number <= CSR_PMPCFG14 && number % 2 == 0) || number == CSR_MCOUNTINHIBIT ||
         (number >= CSR_TSELECT && number <= CSR_TDATA3) ||
         number == CSR_MVENDORID || number == CSR_MARCHID || number == CSR_MIMPID || number == CSR_MCONFIGPTR;
}

bool hart_csr_read(const struct hart *hart, uint32_t number, uint64_t *value) {
  const struct decoder *d = hart_decoder(hart);
  switch (number) {
    case CSR_FFLAGS: *value = hart->fcsr & 0x1f; return true;
    case CSR_FRM: *value = hart->fcsr >> 5 & 7; return true;
    case CSR_FCSR: *value = hart->fcsr & 0xff; return true;
    case CSR_MSTATUS: *value = hart->mstatus | ((hart->mstatus & HART_MSTATUS_FS) ? MSTATUS_SD : 0); return true;
    case CSR_MISA: *value = MISA; return true;
    case CSR_MIE: *value = hart->mie; return true;
    case CSR_MTVEC: *value = hart->mtvec; return true;
    case CSR_MSCRATCH: *value = hart->mscratch; return true;
    case CSR_MEPC: *value = hart->mepc; return true;
    case CSR_MCAUSE: *value = hart->mcause; return true;
    case CSR_MTVAL: *value = hart->mtval; return true;
    case CSR_MIP: *value = atomic_load(&hart->mip) & HART_INTERRUPTS; return true;
    case CSR_MCYCLE: case CSR_CYCLE: *value = hart->cycles + d->cycle_offset; return true;
    case CSR_MINSTRET: case CSR_INSTRET: *value = hart->instructions + d->instruction_offset; return true;
    case CSR_TIME: *value = hart->environment->time(hart->environment->context); return true;
    case CSR_MHARTID: *value = hart->id; return true;
    default: *value = 0; return reads_as_zero(number);
  }
}

bool hart_csr_write(struct hart *hart, uint32_t number, uint64_t value) {
  struct decoder *d = hart_decoder(hart);
  switch (number) {
    case CSR_FFLAGS: hart->fcsr = (hart->fcsr & 0xe0) | (value & 0x1f); return true;
    case CSR_FRM: hart->fcsr = (hart->fcsr & 0x1f) | (value & 7) << 5; return true;
    case CSR_FCSR: hart->fcsr = value & 0xff; return true;
    case CSR_MSTATUS:
      /* FS is Off or Dirty: a state nearer to Dirty than the true one may always be reported. */
      hart->mstatus = (value & (HART_MSTATUS_MIE | HART_MSTATUS_MPIE)) | HART_MSTATUS_MPP | ((value & HART_MSTATUS_FS) ? HART_MSTATUS_FS : 0);
      return true;
    case CSR_MIE: hart->mie = value & HART_INTERRUPTS; return true;
    case CSR_MTVEC: hart->mtvec = value & ~2ull; return true;
    case CSR_MSCRATCH: hart->mscratch = value; return true;
    case CSR_MEPC: hart->mepc = value & ~1ull; return true;
    case CSR_MCAUSE: hart->mcause = value; return true;
    case CSR_MTVAL: hart->mtval = value; return true;
    case CSR_MCYCLE: d->cycle_offset = value - hart->cycles; return true;
    case CSR_MINSTRET: d->instruction_offset = value - hart->instructions; return true;
    case CSR_MISA: case CSR_MIP: return true;
    default: return (number >> 10 & 3) != 3 && reads_as_zero(number);
  }
}

/* csrrw, csrrs, csrrc and their immediate forms. False: illegal instruction. */
bool hart_csr_instruction(struct hart *hart, uint32_t word) {
  uint32_t number = word >> 20, form = word >> 12 & 3, source = word >> 15 & 31, rd = word >> 7 & 31;
  uint64_t operand = (word >> 14 & 1) ? source : hart->x[source], old = 0;
  bool writes = form == 1 || source != 0, reads = form != 1 || rd != 0;
  if (number <= CSR_FCSR && (hart->mstatus & HART_MSTATUS_FS) == 0) return false;
  if (writes && (number >> 10 & 3) == 3) return false;
  hart_host_flags_collect(hart);
  /* A register that exists is read even where rd is x0: reading here has no side effect. */
  if (!hart_csr_read(hart, number, &old)) return false;
  if (writes) hart_csr_write(hart, number, form == 1 ? operand : form == 2 ? old | operand : old & ~operand);
  /* The instruction that writes a counter does not count in what is read next. */
  if (writes && number == CSR_MCYCLE) hart_decoder(hart)->cycle_offset--;
  if (writes && number == CSR_MINSTRET) hart_decoder(hart)->instruction_offset--;
  if (reads && rd != 0) hart->x[rd] = old;
  return true;
}

void hart_trap(struct hart *hart, uint64_t cause, uint64_t value) {
  bool interrupt = (cause & MCAUSE_INTERRUPT) != 0;
  hart->mepc = hart->pc & ~1ull;
  hart->mcause = cause;
  hart->mtval = value;
  hart->mstatus = (hart->mstatus & ~(HART_MSTATUS_MIE | HART_MSTATUS_MPIE)) | (hart->mstatus & HART_MSTATUS_MIE) << 4;
  hart->pc = (hart->mtvec & ~3ull) + (interrupt && (hart->mtvec & MTVEC_VECTORED) ? 4 * (cause & 63) : 0);
  hart_decoder(hart)->waiting = false;
}

/* Takes the pending interrupt of the highest priority: external, software, timer. */
bool hart_take_interrupt(struct hart *hart) {
  static const uint8_t priority[3] = {11, 3, 7};
  uint64_t pending = atomic_load_explicit(&hart->mip, memory_order_acquire) & hart->mie & HART_INTERRUPTS;
  if (pending == 0 || (hart->mstatus & HART_MSTATUS_MIE) == 0) return false;
  for (uint32_t i = 0; i < 3; i++) {
    if ((pending >> priority[i] & 1) == 0) continue;
    hart_trap(hart, MCAUSE_INTERRUPT | priority[i], 0);
    return true;
  }
  return false;
}

/* mret: machine mode is the only mode, so MPP stays. */
void hart_return(struct hart *hart) {
  hart->pc = hart->mepc;
  hart->mstatus = (hart->mstatus & ~HART_MSTATUS_MIE) | (hart->mstatus & HART_MSTATUS_MPIE) >> 4 | HART_MSTATUS_MPIE;
}
