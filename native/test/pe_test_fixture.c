#include "arithmetic_path.h"
#include "pe_test.h"
#include "mtia.h"
#include <stdlib.h>

uint32_t test_failures;
uint64_t test_seed = 1;

/* ---- Fake memory ---- */

uint8_t *memory_at(struct memory *memory, uint32_t context, uint64_t address, uint64_t bytes, enum memory_right right) {
  const bool sram = address >= MTIA_SRAM_BASE && address < MTIA_SRAM_BASE + FAKE_BYTES;
  const uint64_t offset = address - (sram ? MTIA_SRAM_BASE : MTIA_LPDDR_BASE);
  if (offset >= FAKE_BYTES || bytes > FAKE_BYTES - offset) return NULL;
  const uint32_t first_owner = offset < FAKE_HALF ? 1 : 2, last_owner = offset + bytes <= FAKE_HALF ? 1 : 2;
  const bool shared_code = sram && last_owner == 1 && right == MEMORY_READ;
  if (context != 0 && !shared_code && (first_owner != context || last_owner != context)) return NULL;
  return (sram ? memory->sram : memory->lpddr) + offset;
}

enum memory_kind memory_kind_of(const struct memory *memory, uint64_t address) {
  (void)memory;
  if (address - MTIA_SRAM_BASE < FAKE_BYTES) return MEMORY_SRAM;
  return address - MTIA_LPDDR_BASE < FAKE_BYTES ? MEMORY_LPDDR : MEMORY_NONE;
}

bool memory_is_sound(struct memory *memory, uint64_t address, uint64_t bytes, enum memory_right right, uint64_t *bad) {
  const uint64_t lost = memory->lost;
  if (lost == 0 || right != MEMORY_READ || lost - address >= bytes) return true;
  *bad = lost;
  return false;
}
bool memory_has_errors(const struct memory *memory) { return memory->lost != 0; }
uint32_t memory_setup(const struct memory *memory) { return memory->setup; }

/* ---- Fixture ---- */

static uint64_t no_time(void *context) { return (void)context, 0; }

static void note_report(void *context, struct pe *pe, const struct pe_report *report) {
  struct fixture *const fixture = context;
  (void)pe;
  fixture->report = *report;
  fixture->reports++;
}

/* Once for each number: the path is compared with the portable one at length. */
static const struct arithmetic_path *path_of(uint32_t number) {
  static const struct arithmetic_path *chosen[MTIA_MATMUL_NEON + 1];
  if (chosen[number] == NULL) chosen[number] = arithmetic_path_select(number);
  return chosen[number];
}

struct fixture *fixture_create(uint32_t generation, uint32_t matmul_path) {
  static const struct mtia_specification specifications[] = MTIA_SPECIFICATIONS;
  struct fixture *const fixture = calloc(1, sizeof *fixture);
  fixture->memory = calloc(1, sizeof *fixture->memory);
  fixture->memory->setup = MTIA_MEMORY_ECC;
  fixture->code = code_cache_create();
  const struct pe_environment environment = {.context = fixture, .memory = fixture->memory, .time = no_time,
                                             .specification = &specifications[generation - 1], .job_done = note_report};
  const size_t bytes = pe_bytes(environment.specification);
  fixture->pe_pages = aligned_alloc(4096, bytes);
  memset(fixture->pe_pages, 0, bytes);
  fixture->pe = pe_create(fixture->pe_pages, 5, &environment, fixture->code, path_of(matmul_path));
  return fixture;
}

void fixture_destroy(struct fixture *fixture) {
  pe_destroy(fixture->pe);
  free(fixture->pe_pages);
  code_cache_destroy(fixture->code);
  free(fixture->memory);
  free(fixture);
}

enum hart_custom issue(struct fixture *fixture, uint32_t hart, uint32_t code, uint64_t rs1, uint64_t rs2) {
  struct hart *const from = pe_hart(fixture->pe, hart);
  const enum hart_custom outcome = from->environment->custom(from->environment->context, from, code << 25 | MTIA_OPCODE_LAUNCH,
                                                             rs1, rs2, &fixture->result, &fixture->cause);
  if (outcome == HART_CUSTOM_DONE) from->cycles++;
  return outcome;
}

void set_register(struct fixture *fixture, uint32_t hart, uint32_t number, uint64_t value) {
  struct hart *const from = pe_hart(fixture->pe, hart);
  from->environment->custom(from->environment->context, from, number << 20 | MTIA_OPCODE_COMMAND_REGISTER, value, 0,
                            &fixture->result, &fixture->cause);
}

void cb_init(struct fixture *fixture, uint32_t cb, uint32_t base, uint32_t bytes) {
  CHECK(issue(fixture, 0, MTIA_COMMAND_CB_INIT, FIELD(MTIA_CB_INIT_CB, cb) | FIELD(MTIA_CB_INIT_BASE, base), bytes) ==
        HART_CUSTOM_DONE);
}

void cb_push(struct fixture *fixture, uint32_t cb, uint32_t bytes) {
  CHECK(issue(fixture, 0, MTIA_COMMAND_CB_PUSH, cb, bytes) == HART_CUSTOM_DONE);
}

bool was_illegal(const struct fixture *fixture, enum hart_custom outcome, uint32_t code, uint32_t field) {
  return outcome == HART_CUSTOM_TRAP && fixture->cause == MTIA_EXCEPTION_ILLEGAL_COMMAND &&
         fixture->result == (code | (uint64_t)field << 8);
}

/* ---- Numbers ---- */

uint64_t random_next(struct random *random) {
  uint64_t x = random->state;
  x ^= x << 13;
  x ^= x >> 7;
  x ^= x << 17;
  return random->state = x;
}

float random_float(struct random *random) {
  static const uint32_t specials[] = {0x00000000, 0x80000000, 0x7f800000, 0xff800000, 0x7fc00000, 0x7f800001, 0xffffffff,
                                      0x00000001, 0x807fffff, 0x00800000, 0x7f7fffff, 0x477ff000, 0x477fefff, 0x33000000,
                                      0x33000001, 0x387fffff, 0x38800000, 0x4f000000, 0xcf000000, 0xcf000001, 0x42ff0000,
                                      0xc3008000, 0x3f000000, 0x40200000, 0x3f808000, 0x3f818000};
  const uint64_t bits = random_next(random);
  const uint32_t kind = bits >> 32 & 7;
  uint32_t value = (uint32_t)bits;
  if (kind == 0) value = specials[value % (sizeof specials / sizeof specials[0])];
  if (kind >= 3) value = (value & 0x807fffff) | (uint32_t)(100 + (bits >> 40) % 50) << 23; /* about the size of one */
  float result;
  memcpy(&result, &value, sizeof result);
  return result;
}
