/* A hart's life, and its registers as a debugger sees them. */
#include "hart_internal.h"
#include "mtia.h"
#include "generated/mtia_hw.h"
#include <stdlib.h>
#include <string.h>

int hart_create(struct hart *hart, uint64_t id, const struct hart_environment *environment, struct code_cache *code) {
  memset(hart, 0, sizeof *hart);
  struct decoder *d = calloc(1, sizeof *d);
  if (d == NULL) return MTIA_ERROR_CHIP_NO_MEMORY;
  for (uint32_t i = 0; i < HART_PRIVATE_PAGES; i++) d->pages[i].pc = 1;
  d->single_pc = 1;
#if defined(__x86_64__)
  d->host_fma = __builtin_cpu_supports("fma") != 0;
#endif
  hart->decoder = d;
  hart->id = id;
  hart->environment = environment;
  hart->code = code;
  hart_reset(hart, 0);
  return 0;
}

void hart_destroy(struct hart *hart) {
  if (hart->decoder == NULL) return;
  hart_drop_code(hart);
  free(hart->decoder);
  hart->decoder = NULL;
}

void hart_reset(struct hart *hart, uint64_t pc) {
  struct decoder *d = hart_decoder(hart);
  memset(hart->x, 0, sizeof hart->x);
  memset(hart->f, 0, sizeof hart->f);
  hart->pc = pc & ~1ull;
  hart->fcsr = 0;
  hart->mstatus = HART_MSTATUS_MPP;
  hart->mie = hart->mtvec = hart->mscratch = hart->mepc = hart->mcause = hart->mtval = 0;
  hart->reservation = ~0ull;
  d->waiting = false;
  d->cycle_offset = 0 - hart->cycles;
  d->instruction_offset = 0 - hart->instructions;
  atomic_store(&hart->fence_request, true);
}

void hart_raise(struct hart *hart, uint64_t cause, uint64_t value) { hart_trap(hart, cause, value); }

/* Notes why an instruction cannot be done. Returns false, for the callers' sake. */
bool hart_fail(struct hart *hart, uint64_t cause, uint64_t value) {
  hart_decoder(hart)->cause = cause;
  hart_decoder(hart)->value = value;
  return false;
}

/* Makes pc, instructions and cycles true for the operation where the loop stands (not yet retired). */
void hart_settle(struct hart *hart) {
  struct decoder *d = hart_decoder(hart);
  uint64_t i = (uint64_t)(d->at - d->page->operations), retired = d->count - d->page->remaining[i];
  hart->pc = d->page_pc + d->page->offsets[i];
  hart->cycles += retired - hart->instructions;
  hart->instructions = retired;
}

enum { REGISTER_PC = 32, REGISTER_F0 = 33, REGISTER_F31 = 64, REGISTER_CSR = 0x1000, REGISTER_LAST_CSR = 0x1fff };

bool hart_register_read(const struct hart *hart, uint32_t number, uint64_t *value) {
  if (number < 32) *value = hart->x[number];
  else if (number == REGISTER_PC) *value = hart->pc;
  else if (number >= REGISTER_F0 && number <= REGISTER_F31) *value = hart->f[number - REGISTER_F0];
  else if (number >= REGISTER_CSR && number <= REGISTER_LAST_CSR) return hart_csr_read(hart, number - REGISTER_CSR, value);
  else return false;
  return true;
}

bool hart_register_write(struct hart *hart, uint32_t number, uint64_t value) {
  if (number < 32) {
    if (number != 0) hart->x[number] = value;
  } else if (number == REGISTER_PC) {
    hart->pc = value & ~1ull;
    hart_decoder(hart)->waiting = false;
  } else if (number >= REGISTER_F0 && number <= REGISTER_F31) {
    hart->f[number - REGISTER_F0] = value;
  } else if (number >= REGISTER_CSR && number <= REGISTER_LAST_CSR) {
    return hart_csr_write(hart, number - REGISTER_CSR, value);
  } else {
    return false;
  }
  return true;
}
