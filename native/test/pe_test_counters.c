/* Counters of units and harts, as a hart reads them, against a program whose work is known. */
#include "pe_test.h"

static uint64_t counter(struct fixture *f, uint64_t offset) {
  struct hart *const hart = pe_hart(f->pe, 0);
  uint64_t value = 0;
  CHECK(hart->environment->read(hart->environment->context, hart, MTIA_PE_REGISTERS_BASE + offset, 8, &value) ==
        HART_ACCESS_OK);
  return value;
}
static uint64_t busy(struct fixture *f, uint32_t unit) { return counter(f, MTIA_PE_UNIT_BUSY_CYCLES + unit * 8); }
static uint64_t commands(struct fixture *f, uint32_t unit) { return counter(f, MTIA_PE_UNIT_COMMANDS + unit * 8); }

static void units_count_what_they_did(void) {
  struct fixture *const f = fixture_create(2, 0);
  for (uint32_t cb = 0; cb < 3; cb++) cb_init(f, cb, cb * 65536, 65536);
  cb_push(f, 0, 65536);
  f->pe->time.local_memory = 0; /* leaves what the units themselves take */
  f->pe->time.noc = f->pe->time.sram = 0;
  set_register(f, 0, MTIA_COMMAND_REGISTER_MML_STRIDE, 64);
  set_register(f, 0, MTIA_COMMAND_REGISTER_MML_SHAPE,
               FIELD(MTIA_MML_M, 32) | FIELD(MTIA_MML_N, 32) | FIELD(MTIA_MML_K_BYTES, 64) |
                   FIELD(MTIA_MML_TYPE, MTIA_TYPE_BF16) | FIELD(MTIA_MML_K_BLOCKS, 1));
  for (uint32_t i = 0; i < 3; i++) CHECK(issue(f, 0, MTIA_COMMAND_MML, 0, 4096) == HART_CUSTOM_DONE);
  CHECK(issue(f, 0, MTIA_COMMAND_REDUCE, FIELD(MTIA_REDUCE_CB, 2) | FIELD(MTIA_REDUCE_TYPE, MTIA_TYPE_BF16),
              FIELD(MTIA_REDUCE_ROWS, 32) | FIELD(MTIA_REDUCE_COLUMNS, 32) | FIELD(MTIA_REDUCE_STRIDE, 64)) ==
        HART_CUSTOM_DONE);
  set_register(f, 0, MTIA_COMMAND_REGISTER_SE_SHAPE, 64ull << 16 | 16);
  set_register(f, 0, MTIA_COMMAND_REGISTER_SE_SOURCE_STRIDE, 256);
  set_register(f, 0, MTIA_COMMAND_REGISTER_SE_DESTINATION_STRIDE, 256);
  CHECK(issue(f, 0, MTIA_COMMAND_SE_UNARY,
              FIELD(MTIA_SE_UNARY_CB_DESTINATION, 2) | FIELD(MTIA_SE_UNARY_TYPE_IN, MTIA_TYPE_FP32) |
                  FIELD(MTIA_SE_UNARY_TYPE_OUT, MTIA_TYPE_FP32), 0) == HART_CUSTOM_DONE);
  set_register(f, 0, MTIA_COMMAND_REGISTER_MLU_SHAPE, 32ull << 32 | 64ull << 16 | 16);
  set_register(f, 0, MTIA_COMMAND_REGISTER_MLU_SOURCE_STRIDE, 256);
  set_register(f, 0, MTIA_COMMAND_REGISTER_MLU_DESTINATION_STRIDE, 256);
  CHECK(issue(f, 0, MTIA_COMMAND_MLU_COPY, FIELD(MTIA_MLU_COPY_CB_DESTINATION, 2), 0) == HART_CUSTOM_DONE);
  /* One that traps counts nowhere. */
  CHECK(issue(f, 0, MTIA_COMMAND_MLU_COPY, FIELD(MTIA_MLU_COPY_CB_DESTINATION, 9), 0) == HART_CUSTOM_TRAP);
  CHECK_EQUAL(busy(f, MTIA_UNIT_DPE), 3 * 32);
  CHECK_EQUAL(commands(f, MTIA_UNIT_DPE), 3);
  CHECK_EQUAL(busy(f, MTIA_UNIT_RE), 32);
  CHECK_EQUAL(commands(f, MTIA_UNIT_RE), 1);
  CHECK_EQUAL(busy(f, MTIA_UNIT_SE), 32 + 16 * 64 / 32); /* REDUCE passes through */
  CHECK_EQUAL(commands(f, MTIA_UNIT_SE), 1);
  CHECK_EQUAL(busy(f, MTIA_UNIT_MLU), 16 * 64 * 4 / 64);
  CHECK_EQUAL(commands(f, MTIA_UNIT_MLU), 1);
  CHECK_EQUAL(busy(f, MTIA_UNIT_FI), 0);
  CHECK_EQUAL(commands(f, MTIA_UNIT_CP), 4);
  fixture_destroy(f);
}

/*
 * With the memories' own time: I23 has a block of the DPE in 32 cycles for 32 bytes of k, I25 twice the k and twice the bytes between
 * PE and network. FI: get and put have a channel each and count together.
 */
static void generations_count_what_each_takes(void) {
  static const struct { uint64_t dpe, fi, re; } cycles[] = {{2 * 32, 2 * 16 * 256 / 32, 32 * 32 / 16}, {32, 2 * 16 * 256 / 64, 32 * 32 / 32}};
  for (uint32_t generation = 1; generation <= 2; generation++) {
    struct fixture *const f = fixture_create(generation, 0);
    for (uint32_t cb = 0; cb < 3; cb++) cb_init(f, cb, cb * 32768, 32768);
    cb_push(f, 0, 16384);
    cb_push(f, 1, 16384);
    set_register(f, 0, MTIA_COMMAND_REGISTER_DMA_SHAPE, 256ull << 16 | 16);
    set_register(f, 0, MTIA_COMMAND_REGISTER_DMA_GLOBAL_STRIDE, 256);
    set_register(f, 0, MTIA_COMMAND_REGISTER_DMA_LOCAL_STRIDE, 256);
    CHECK(issue(f, 0, MTIA_COMMAND_DMA_IN, MTIA_SRAM_BASE, 2) == HART_CUSTOM_DONE);
    CHECK(issue(f, 0, MTIA_COMMAND_DMA_OUT, MTIA_LPDDR_BASE, 2) == HART_CUSTOM_DONE);
    set_register(f, 0, MTIA_COMMAND_REGISTER_MML_STRIDE, 64);
    set_register(f, 0, MTIA_COMMAND_REGISTER_MML_SHAPE,
                 FIELD(MTIA_MML_M, 32) | FIELD(MTIA_MML_N, 32) | FIELD(MTIA_MML_K_BYTES, 64) |
                     FIELD(MTIA_MML_TYPE, MTIA_TYPE_FP16) | FIELD(MTIA_MML_K_BLOCKS, 1));
    CHECK(issue(f, 0, MTIA_COMMAND_MML, FIELD(MTIA_MML_CB_B, 1), 0) == HART_CUSTOM_DONE);
    CHECK(issue(f, 0, MTIA_COMMAND_REDUCE, FIELD(MTIA_REDUCE_CB, 2) | FIELD(MTIA_REDUCE_TYPE, MTIA_TYPE_FP16),
                FIELD(MTIA_REDUCE_ROWS, 32) | FIELD(MTIA_REDUCE_COLUMNS, 32) | FIELD(MTIA_REDUCE_STRIDE, 64)) ==
          HART_CUSTOM_DONE);
    CHECK_EQUAL(busy(f, MTIA_UNIT_FI), cycles[generation - 1].fi);
    CHECK_EQUAL(commands(f, MTIA_UNIT_FI), 2);
    CHECK_EQUAL(busy(f, MTIA_UNIT_DPE), cycles[generation - 1].dpe);
    CHECK_EQUAL(busy(f, MTIA_UNIT_RE), cycles[generation - 1].re);
    CHECK_EQUAL(busy(f, MTIA_UNIT_MLU), 0);
    CHECK_EQUAL(busy(f, MTIA_UNIT_CP), 0);
    fixture_destroy(f);
  }
}

/* A fence stands until the last byte is there. */
static void a_hart_counts_the_cycles_of_a_fence(void) {
  struct fixture *const f = fixture_create(2, 0);
  cb_init(f, 0, 0, 4096);
  set_register(f, 0, MTIA_COMMAND_REGISTER_DMA_SHAPE, 64ull << 16 | 1);
  CHECK(issue(f, 0, MTIA_COMMAND_DMA_IN, MTIA_SRAM_BASE, 1u << 8) == HART_CUSTOM_DONE);
  const uint64_t issued = pe_hart(f->pe, 0)->cycles;
  CHECK(issue(f, 0, MTIA_COMMAND_FENCE, 0, 0) == HART_CUSTOM_DONE);
  const uint64_t stood = pe_hart(f->pe, 0)->cycles - 1 - issued;
  CHECK_EQUAL(counter(f, MTIA_PE_HART_STALL_CYCLES), stood);
  CHECK_EQUAL(stood, 150); /* latency of SRAM; the cycle of transfer is that in which the hart went on */
  fixture_destroy(f);
}

static void harts_count_the_cycles_in_which_they_stood(void) {
  struct fixture *const f = fixture_create(2, 0);
  pe_hart(f->pe, 1)->cycles = 500;
  CHECK(issue(f, 0, MTIA_COMMAND_SEMAPHORE_WAIT, 3, 1) == HART_CUSTOM_STALL);
  CHECK(issue(f, 1, MTIA_COMMAND_SEMAPHORE_POST, 3, 1) == HART_CUSTOM_DONE);
  const uint64_t before = pe_hart(f->pe, 0)->cycles;
  CHECK(issue(f, 0, MTIA_COMMAND_SEMAPHORE_WAIT, 3, 1) == HART_CUSTOM_DONE);
  const uint64_t waited = pe_hart(f->pe, 0)->cycles - 1 - before; /* a command itself costs a cycle */
  CHECK(waited >= 500);
  CHECK_EQUAL(counter(f, MTIA_PE_HART_STALL_CYCLES), waited);
  CHECK_EQUAL(counter(f, MTIA_PE_HART_STALL_CYCLES + 8), 0);
  CHECK_EQUAL(commands(f, MTIA_UNIT_CP), 2);
  fixture_destroy(f);
}

void test_counters(void) {
  RUN(units_count_what_they_did);
  RUN(generations_count_what_each_takes);
  RUN(a_hart_counts_the_cycles_of_a_fence);
  RUN(harts_count_the_cycles_in_which_they_stood);
}
