/*
 * Step mode: any code, with any registers, on any hart of a halted chip, a few instructions at a time, with memory and registers
 * changed in between. Each call is bounded, and what a hart does (to registers of the chip as well) harms nothing outside it.
 */
#include "fuzz_chip.h"
#include "fuzz_input.h"

enum { CODE_BYTES = 256, MOST_STEPS = 4096, MSTATUS = 0x1300, MTVEC = 0x1305, FLOATING_POINT_ON = 0x6000, PC = 32 };
#define CODE (MTIA_SRAM_BASE + 0x1000)
#define TRAP_CODE (MTIA_SRAM_BASE + 0x3000)

struct target { struct mtia_device *device; uint32_t core, hart; };

/* Where loads, stores and jumps of a program may go: memories of either kind of hart, their registers, and nowhere. */
static uint64_t address_of(struct fuzz_input *input) {
  static const uint64_t bases[] = {CODE, MTIA_LPDDR_BASE, MTIA_PE_LOCAL_BASE, MTIA_PE_REGISTERS_BASE, MTIA_CONTEXT_SRAM_BASE, MTIA_TIMER_BASE,
                                   MTIA_PE_WINDOW_BASE, MTIA_BOOT_ROM_BASE, MTIA_WORK_QUEUE_ENGINE_BASE, MTIA_DMA_ENGINE_BASE,
                                   MTIA_QUEUE_ENGINE_BASE, MTIA_SYSTEM_CONTROL_BASE};
  const uint8_t kind = fuzz_byte(input);
  if (kind >= 240) return fuzz_word(input);
  return bases[kind % (sizeof bases / sizeof bases[0])] + fuzz_byte(input) * (kind & 64 ? 1u : 8u);
}

static void write_code(const struct target *at, struct fuzz_input *input) {
  uint8_t code[CODE_BYTES];
  fuzz_take(input, code, sizeof code);
  CHECK_OK(mtia_debug_memory_write(at->device, at->core, CODE, code, sizeof code));
}

static void write_register(const struct target *at, struct fuzz_input *input) {
  const uint8_t number = fuzz_byte(input);
  const uint64_t value = number & 128 ? fuzz_word(input) : address_of(input);
  CHECK_OK(mtia_debug_register_write(at->device, at->core, at->hart, 1 + number % 31u, value));
}

static void step(const struct target *at, struct fuzz_input *input) {
  const uint8_t kind = fuzz_byte(input);
  const uint32_t instructions = kind < 128 ? 1 + kind % 32u : 1 + kind * 16u % MOST_STEPS;
  uint32_t executed = 0, stop = 0;
  CHECK_OK(mtia_debug_run(at->device, at->core, at->hart, instructions, &executed, &stop));
  /* A few more where a block ends, and a block is shorter than a page. */
  CHECK(executed <= instructions + 4096 && stop <= MTIA_DEBUG_STALLED);
  char text[64];
  CHECK_OK(mtia_debug_wait_reason(at->device, at->core, at->hart, text, sizeof text));
}

static void start(const struct target *at, struct fuzz_input *input) {
  const uint32_t jump_to_itself = 0x6f;
  CHECK_OK(mtia_debug_memory_write(at->device, at->core, TRAP_CODE, &jump_to_itself, sizeof jump_to_itself));
  for (uint32_t i = 0; i < 8; i++) write_register(at, input);
  CHECK_OK(mtia_debug_register_write(at->device, at->core, at->hart, MSTATUS, FLOATING_POINT_ON));
  CHECK_OK(mtia_debug_register_write(at->device, at->core, at->hart, MTVEC, fuzz_byte(input) & 1 ? CODE + 64 : TRAP_CODE));
  CHECK_OK(mtia_debug_register_write(at->device, at->core, at->hart, PC, CODE + (fuzz_byte(input) & 62u)));
  write_code(at, input);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
  struct fuzz_input input = {data, bytes};
  const uint8_t options = fuzz_byte(&input);
  const struct target at = {.device = fuzz_chip(1 + (options & 1)), .core = options & 2 ? CONTROL : options >> 3, .hart = options & 2 ? 0 : options >> 2 & 1};
  CHECK_OK(mtia_debug_halt(at.device));
  start(&at, &input);
  while (input.bytes > 0) {
    const uint8_t kind = fuzz_byte(&input);
    if (kind < 16) write_code(&at, &input);
    else if (kind < 96) write_register(&at, &input);
    else step(&at, &input);
  }
  return 0;
}
