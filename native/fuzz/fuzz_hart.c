/* Random code pages on one hart: it decodes and executes any bytes, traps where it must, and stays inside its memory. */
#include <stdlib.h>
#include "fuzz_input.h"
#include "hart.h"

enum { PAGE_BYTES = 4096, RAM_BYTES = 4 * PAGE_BYTES, ROUNDS = 8, ROUND_BUDGET = 200, FLOATING_POINT_ON = 0x6000 };
#define RAM 0x80000000ull
#define TRAP_PAGE 0x1000ull

static enum hart_access read_device(void *context, struct hart *hart, uint64_t address, uint32_t width, uint64_t *value) {
  (void)context, (void)hart;
  *value = address * width;
  return address < 2 * PAGE_BYTES ? HART_ACCESS_OK : (enum hart_access)(1 + (address >> 12 & 1));
}
static enum hart_access write_device(void *context, struct hart *hart, uint64_t address, uint32_t width, uint64_t value) {
  (void)context, (void)hart, (void)width, (void)value;
  return address < 2 * PAGE_BYTES ? HART_ACCESS_OK : HART_ACCESS_FAULT;
}
static enum hart_access atomic_memory(void *context, struct hart *hart, uint64_t address, uint32_t width, bool writes, uint8_t **memory) {
  (void)hart, (void)width;
  if (address < TRAP_PAGE || address >= TRAP_PAGE + PAGE_BYTES || writes) return HART_ACCESS_FAULT;
  *memory = (uint8_t *)context + (address - TRAP_PAGE);
  return HART_ACCESS_OK;
}
static const uint8_t *code_page(void *context, struct hart *hart, uint64_t address) {
  (void)hart;
  return address == TRAP_PAGE ? context : NULL;
}
static enum hart_custom custom(void *context, struct hart *hart, uint32_t instruction, uint64_t rs1, uint64_t rs2, uint64_t *result, uint64_t *cause) {
  (void)context, (void)hart;
  *result = rs1 ^ rs2;
  *cause = 24;
  return (enum hart_custom)(instruction >> 25 & 3);
}
static uint64_t no_time(void *context) { return (void)context, 0; }

/* Registers that point into memory, and numbers, so that loads, stores and jumps hit as often as they miss. */
static void set_registers(struct hart *hart, struct fuzz_input *input) {
  for (uint32_t i = 1; i < 32; i++) {
    const uint8_t at = fuzz_byte(input);
    hart->x[i] = i % 4 == 3 ? fuzz_word(input) : RAM + (uint64_t)at * (RAM_BYTES / 256);
    hart->f[i] = i % 2 == 0 ? hart->x[i] * 0x9e3779b97f4a7c15ull : ~0ull << 32 | at << 23;
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
  struct fuzz_input input = {data, bytes};
  /* On the heap, each at its own size: an access beside it is seen. */
  uint8_t *const ram = malloc(RAM_BYTES), *const trap_page = malloc(PAGE_BYTES);
  const struct hart_environment environment = {trap_page, read_device, write_device, atomic_memory, code_page, custom, no_time};
  struct code_cache *const cache = code_cache_create();
  struct hart *const hart = calloc(1, sizeof *hart);
  if (hart_create(hart, 0, &environment, cache) != 0) abort();
  hart->regions[0] = (struct hart_region){RAM, RAM_BYTES, ram, 1, 1, 1};
  hart_reset(hart, RAM + (fuzz_byte(&input) & 0xfeu) * 8);
  hart_register_write(hart, 0x1300, FLOATING_POINT_ON);
  hart->mtvec = fuzz_byte(&input) & 1 ? TRAP_PAGE : RAM + PAGE_BYTES;
  const uint64_t budget = fuzz_byte(&input);
  set_registers(hart, &input);
  fuzz_take(&input, trap_page, 64);
  for (size_t at = 64; at < PAGE_BYTES; at += 64) memcpy(trap_page + at, trap_page, 64);
  for (size_t at = 0; at < RAM_BYTES; at += PAGE_BYTES / 2) {
    const struct fuzz_input again = {data, bytes};
    if (input.bytes == 0) input = again;
    fuzz_take(&input, ram + at, PAGE_BYTES / 2);
  }
  for (uint32_t round = 0; round < ROUNDS; round++) {
    hart_run(hart, budget < 16 ? budget + 1 : ROUND_BUDGET);
    atomic_store(&hart->mip, round & 1 ? 8 : 0);
    if (round == 3) atomic_store(&hart->fence_request, true);
  }
  hart_destroy(hart);
  code_cache_destroy(cache);
  free(hart);
  free(ram);
  free(trap_page);
  return 0;
}
