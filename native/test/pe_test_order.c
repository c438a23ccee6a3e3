/* Element and space checks, program order, stalls, late faults, memory protection, wait reasons. */
#include "pe_test.h"

#define DMA(cb, keep, offset) FIELD(MTIA_DMA_IN_CB, cb) | FIELD(MTIA_DMA_IN_KEEP, keep) | FIELD(MTIA_DMA_IN_OFFSET, offset)

static void dma_shape(struct fixture *f, uint32_t hart, uint32_t rows, uint32_t bytes, uint64_t global, uint64_t local_stride) {
  set_register(f, hart, MTIA_COMMAND_REGISTER_DMA_SHAPE, (uint64_t)bytes << 16 | rows);
  set_register(f, hart, MTIA_COMMAND_REGISTER_DMA_GLOBAL_STRIDE, global);
  set_register(f, hart, MTIA_COMMAND_REGISTER_DMA_LOCAL_STRIDE, local_stride);
}

static uint32_t pending(const struct fixture *f, uint32_t hart) { return f->pe->cp.pending[hart].count; }

static bool reason_is(struct fixture *f, uint32_t hart, const char *expected) {
  char text[160];
  f->pe->standing[hart] = STANDING_STALLED;
  pe_wait_reason(f->pe, hart, text, sizeof text);
  if (strcmp(text, expected) == 0) return true;
  printf("  reason: %s\n", text);
  return false;
}

static void element_check_holds_a_command_until_data_come(void) {
  struct fixture *const f = fixture_create(2, 0);
  cb_init(f, 3, 1024, 256);
  dma_shape(f, 0, 2, 32, 32, 64);
  dma_shape(f, 1, 2, 32, 32, 64);
  for (uint32_t i = 0; i < 64; i++) f->memory->sram[i] = (uint8_t)(i + 1);
  CHECK(issue(f, 1, MTIA_COMMAND_DMA_OUT, MTIA_LPDDR_BASE, DMA(3, 0, 0)) == HART_CUSTOM_DONE);
  CHECK_EQUAL(pending(f, 1), 1);
  CHECK_EQUAL(f->memory->lpddr[0], 0);
  CHECK(issue(f, 1, MTIA_COMMAND_FENCE, 0, 0) == HART_CUSTOM_STALL);
  CHECK(reason_is(f, 1, "FENCE waits for 1 pending commands; first, DMA_OUT waits for 128 bytes of cb 3, which has 0"));
  CHECK(!command_processor_may_go_on(f->pe, 1));
  CHECK(issue(f, 0, MTIA_COMMAND_DMA_IN, MTIA_SRAM_BASE, DMA(3, 0, 0)) == HART_CUSTOM_DONE);
  CHECK_EQUAL(pending(f, 1), 0);
  CHECK(command_processor_may_go_on(f->pe, 1));
  CHECK(memcmp(f->memory->lpddr, f->memory->sram, 64) == 0);
  CHECK(issue(f, 1, MTIA_COMMAND_FENCE, 0, 0) == HART_CUSTOM_DONE);
  /* Rows lay 64 apart in the buffer, and both pointers have gone round 128 bytes. */
  CHECK(memcmp(local(f, 1024), f->memory->sram, 32) == 0);
  CHECK(memcmp(local(f, 1024 + 64), f->memory->sram + 32, 32) == 0);
  CHECK_EQUAL(f->pe->cp.buffers[3].read_at, 128);
  CHECK_EQUAL(f->pe->cp.buffers[3].write_at, 128);
  fixture_destroy(f);
}

static void space_check_holds_a_command_until_data_leave(void) {
  struct fixture *const f = fixture_create(2, 0);
  cb_init(f, 0, 0, 128);
  dma_shape(f, 0, 1, 128, 128, 128);
  CHECK(issue(f, 0, MTIA_COMMAND_DMA_IN, MTIA_SRAM_BASE, DMA(0, 0, 0)) == HART_CUSTOM_DONE);
  memset(f->memory->sram, 7, 128);
  CHECK(issue(f, 0, MTIA_COMMAND_DMA_IN, MTIA_SRAM_BASE, DMA(0, 0, 0)) == HART_CUSTOM_DONE);
  CHECK_EQUAL(pending(f, 0), 1);
  CHECK(issue(f, 0, MTIA_COMMAND_CB_WAIT_SPACE, 0, 128) == HART_CUSTOM_STALL);
  CHECK_EQUAL(*local(f, 0), 0);
  CHECK(issue(f, 1, MTIA_COMMAND_CB_POP, 0, 128) == HART_CUSTOM_DONE);
  CHECK_EQUAL(pending(f, 0), 0);
  CHECK_EQUAL(*local(f, 0), 7);
  fixture_destroy(f);
}

static void keep_leaves_the_pointer(void) {
  struct fixture *const f = fixture_create(2, 0);
  cb_init(f, 0, 0, 256);
  dma_shape(f, 0, 1, 32, 0, 32);
  memset(f->memory->sram, 9, 32);
  issue(f, 0, MTIA_COMMAND_DMA_IN, MTIA_SRAM_BASE, DMA(0, 1, 64));
  CHECK_EQUAL(*local(f, 64), 9);
  CHECK_EQUAL(f->pe->cp.buffers[0].write_at, 0);
  issue(f, 0, MTIA_COMMAND_DMA_IN, MTIA_SRAM_BASE, DMA(0, 0, 96));
  CHECK_EQUAL(f->pe->cp.buffers[0].write_at, 128);
  CHECK(issue(f, 0, MTIA_COMMAND_CB_WAIT_DATA, 0, 128) == HART_CUSTOM_DONE);
  CHECK_EQUAL(f->result, MTIA_PE_LOCAL_BASE);
  fixture_destroy(f);
}

static void order_holds_per_buffer_and_not_between_buffers(void) {
  struct fixture *const f = fixture_create(2, 0);
  cb_init(f, 0, 0, 64);
  cb_init(f, 1, 64, 64);
  /* Hart 0: a push that must wait for space, a pop behind it on the same buffer, one on another buffer. */
  cb_push(f, 0, 64);
  cb_push(f, 1, 64);
  cb_push(f, 0, 32);
  CHECK_EQUAL(pending(f, 0), 1);
  CHECK(issue(f, 0, MTIA_COMMAND_CB_POP, 0, 32) == HART_CUSTOM_DONE);
  CHECK_EQUAL(pending(f, 0), 2); /* there are data, but the push comes first */
  CHECK(issue(f, 0, MTIA_COMMAND_CB_POP, 1, 32) == HART_CUSTOM_DONE);
  CHECK_EQUAL(pending(f, 0), 2);
  CHECK_EQUAL(circular_buffer_data(&f->pe->cp.buffers[1]), 32);
  /* Another hart's order is its own. */
  CHECK(issue(f, 1, MTIA_COMMAND_CB_POP, 0, 32) == HART_CUSTOM_DONE);
  CHECK_EQUAL(pending(f, 0), 0);
  CHECK_EQUAL(circular_buffer_data(&f->pe->cp.buffers[0]), 32);
  fixture_destroy(f);
}

static void accumulators_are_ordered_too(void) {
  struct fixture *const f = fixture_create(2, 0);
  cb_init(f, 0, 0, 128);
  cb_init(f, 1, 4096, 4096);
  const uint64_t bias = FIELD(MTIA_ACC_INIT_BIAS, 1) | FIELD(MTIA_ACC_INIT_CB, 0);
  const uint64_t reduce = FIELD(MTIA_REDUCE_CB, 1) | FIELD(MTIA_REDUCE_TYPE, MTIA_TYPE_INT32);
  const uint64_t shape = FIELD(MTIA_REDUCE_ROWS, 1) | FIELD(MTIA_REDUCE_COLUMNS, 4) | FIELD(MTIA_REDUCE_STRIDE, 16);
  issue(f, 0, MTIA_COMMAND_ACC_INIT, bias | 2, 4);
  issue(f, 0, MTIA_COMMAND_REDUCE, reduce | 2, shape);
  CHECK_EQUAL(pending(f, 0), 2);
  memset(local(f, 0), 1, 16);
  issue(f, 1, MTIA_COMMAND_CB_PUSH, 0, 128);
  CHECK_EQUAL(pending(f, 0), 0);
  CHECK_EQUAL(*local(f, 4096 + 15), 1);
  fixture_destroy(f);
}

static void a_full_list_stalls_the_hart(void) {
  struct fixture *const f = fixture_create(2, 0);
  cb_init(f, 0, 0, 64);
  for (uint32_t i = 0; i < MTIA_LIMIT_PENDING_COMMANDS; i++)
    CHECK(issue(f, 0, MTIA_COMMAND_CB_POP, 0, 32) == HART_CUSTOM_DONE);
  CHECK(issue(f, 0, MTIA_COMMAND_CB_POP, 0, 32) == HART_CUSTOM_STALL);
  CHECK(reason_is(f, 0, "CB_POP waits for 32 pending commands; first, CB_POP waits for 32 bytes of cb 0, which has 0"));
  CHECK(!command_processor_may_go_on(f->pe, 0));
  issue(f, 1, MTIA_COMMAND_CB_PUSH, 0, 64);
  CHECK_EQUAL(pending(f, 0), MTIA_LIMIT_PENDING_COMMANDS - 2);
  CHECK(command_processor_may_go_on(f->pe, 0));
  CHECK(issue(f, 0, MTIA_COMMAND_CB_POP, 0, 32) == HART_CUSTOM_DONE);
  fixture_destroy(f);
}

static void cb_init_waits_for_the_commands_on_the_buffer(void) {
  struct fixture *const f = fixture_create(2, 0);
  cb_init(f, 0, 0, 64);
  issue(f, 1, MTIA_COMMAND_CB_POP, 0, 32);
  CHECK(issue(f, 0, MTIA_COMMAND_CB_INIT, 0, 32) == HART_CUSTOM_STALL);
  issue(f, 0, MTIA_COMMAND_CB_PUSH, 0, 64);
  CHECK(issue(f, 0, MTIA_COMMAND_CB_INIT, 0, 32) == HART_CUSTOM_DONE);
  CHECK_EQUAL(circular_buffer_data(&f->pe->cp.buffers[0]), 0);
  fixture_destroy(f);
}

static void semaphores_stall_and_count(void) {
  struct fixture *const f = fixture_create(2, 0);
  CHECK(issue(f, 0, MTIA_COMMAND_SEMAPHORE_WAIT, 15, 2) == HART_CUSTOM_STALL);
  issue(f, 1, MTIA_COMMAND_SEMAPHORE_POST, 15, 1);
  CHECK(!command_processor_may_go_on(f->pe, 0));
  CHECK(reason_is(f, 0, "SEMAPHORE_WAIT waits for 2 in semaphore 15, which has 1"));
  pe_hart(f->pe, 1)->cycles = 500;
  issue(f, 1, MTIA_COMMAND_SEMAPHORE_POST, 15, 2);
  CHECK(issue(f, 0, MTIA_COMMAND_SEMAPHORE_WAIT, 15, 2) == HART_CUSTOM_DONE);
  CHECK_EQUAL(f->pe->cp.semaphores[15], 1);
  CHECK_EQUAL(pe_hart(f->pe, 0)->cycles, 501); /* took over the time of the post */
  fixture_destroy(f);
}

static void a_row_may_not_straddle_the_end(void) {
  struct fixture *const f = fixture_create(2, 0);
  cb_init(f, 0, 0, 128);
  dma_shape(f, 0, 2, 48, 48, 48);
  CHECK(issue(f, 0, MTIA_COMMAND_DMA_IN, MTIA_SRAM_BASE, DMA(0, 0, 0)) == HART_CUSTOM_DONE);
  CHECK(issue(f, 1, MTIA_COMMAND_CB_POP, 0, 96) == HART_CUSTOM_DONE);
  const enum hart_custom outcome = issue(f, 0, MTIA_COMMAND_DMA_IN, MTIA_SRAM_BASE, DMA(0, 0, 0));
  CHECK(was_illegal(f, outcome, MTIA_COMMAND_DMA_IN, MTIA_DMA_IN_OFFSET_FIELD));
  CHECK_EQUAL(f->pe->cp.buffers[0].write_at, 96);
  /* Between rows it may go round. */
  dma_shape(f, 0, 2, 32, 32, 32);
  memset(f->memory->sram, 5, 64);
  CHECK(issue(f, 0, MTIA_COMMAND_DMA_IN, MTIA_SRAM_BASE, DMA(0, 0, 0)) == HART_CUSTOM_DONE);
  CHECK(*local(f, 127) == 5 && *local(f, 0) == 5 && *local(f, 31) == 5 && *local(f, 32) == 0);
  CHECK_EQUAL(f->pe->cp.buffers[0].write_at, 32);
  fixture_destroy(f);
}

/* Rows that overlap start before the end, all of them, and the last one reaches over it: at the end of local memory, out of it. */
static void overlapping_rows_may_not_either(void) {
  struct fixture *const f = fixture_create(2, 0);
  cb_init(f, 0, (uint32_t)f->pe->local_bytes - 256, 256);
  cb_push(f, 0, 128);
  CHECK(issue(f, 0, MTIA_COMMAND_CB_POP, 0, 128) == HART_CUSTOM_DONE);
  memset(f->memory->sram, 5, 256);
  for (uint32_t rows = 2; rows <= 3; rows++) {
    dma_shape(f, 0, rows, 120, 120, 4);
    CHECK(issue(f, 0, MTIA_COMMAND_DMA_IN, MTIA_SRAM_BASE, DMA(0, 1, 0)) == HART_CUSTOM_DONE); /* up to the last byte */
    dma_shape(f, 0, rows, 128, 128, 32);
    const enum hart_custom outcome = issue(f, 0, MTIA_COMMAND_DMA_IN, MTIA_SRAM_BASE, DMA(0, 0, 0));
    CHECK(was_illegal(f, outcome, MTIA_COMMAND_DMA_IN, MTIA_DMA_IN_OFFSET_FIELD));
    CHECK_EQUAL(f->pe->cp.buffers[0].write_at, 128);
  }
  fixture_destroy(f);
}

/* ---- Memory protection ---- */

static void dma_obeys_the_protection_of_the_job(void) {
  struct fixture *const f = fixture_create(2, 0);
  f->pe->context = 1;
  cb_init(f, 0, 0, 4096);
  dma_shape(f, 0, 4, 64, FAKE_HALF / 2, 64);
  const enum hart_custom outcome = issue(f, 0, MTIA_COMMAND_DMA_IN, MTIA_LPDDR_BASE + 64, DMA(0, 0, 0));
  CHECK(outcome == HART_CUSTOM_TRAP);
  CHECK_EQUAL(f->cause, MTIA_EXCEPTION_COMMAND_BUS_FAULT);
  CHECK_EQUAL(f->result, MTIA_LPDDR_BASE + 64 + FAKE_HALF); /* the first row that is refused */
  CHECK_EQUAL(circular_buffer_data(&f->pe->cp.buffers[0]), 0);
  dma_shape(f, 0, 2, 64, FAKE_HALF / 2, 64);
  CHECK(issue(f, 0, MTIA_COMMAND_DMA_IN, MTIA_LPDDR_BASE + 64, DMA(0, 0, 0)) == HART_CUSTOM_DONE);
  /* A gap between rows may belong to somebody else. */
  dma_shape(f, 0, 2, 64, 0 - (uint64_t)FAKE_HALF / 2, 64);
  CHECK(issue(f, 0, MTIA_COMMAND_DMA_IN, MTIA_LPDDR_BASE + FAKE_HALF / 2, DMA(0, 0, 0)) == HART_CUSTOM_DONE);
  static const uint64_t nowhere[] = {0, MTIA_PE_LOCAL_BASE, MTIA_LPDDR_BASE + FAKE_BYTES - 32, ~63ull};
  for (uint32_t i = 0; i < 4; i++) {
    dma_shape(f, 0, 1, 64, 64, 64);
    CHECK(issue(f, 0, MTIA_COMMAND_DMA_OUT, nowhere[i], DMA(0, 1, 0)) == HART_CUSTOM_TRAP);
    CHECK_EQUAL(f->cause, MTIA_EXCEPTION_COMMAND_BUS_FAULT);
    CHECK_EQUAL(f->result, nowhere[i]);
  }
  CHECK(issue(f, 0, MTIA_COMMAND_DMA_OUT, MTIA_SRAM_BASE + FAKE_HALF, DMA(0, 1, 0)) == HART_CUSTOM_TRAP);
  fixture_destroy(f);
}

static void a_late_fault_reaches_the_hart_that_issued(void) {
  struct fixture *const f = fixture_create(2, 0);
  f->pe->context = 1;
  cb_init(f, 0, 0, 64);
  dma_shape(f, 1, 1, 64, 64, 64);
  CHECK(issue(f, 1, MTIA_COMMAND_DMA_OUT, MTIA_SRAM_BASE + FAKE_HALF, DMA(0, 0, 0)) == HART_CUSTOM_DONE);
  cb_push(f, 0, 64);
  CHECK(command_processor_may_go_on(f->pe, 1));
  CHECK(issue(f, 1, MTIA_COMMAND_FENCE, 0, 0) == HART_CUSTOM_TRAP);
  CHECK_EQUAL(f->cause, MTIA_EXCEPTION_COMMAND_BUS_FAULT);
  CHECK_EQUAL(f->result, MTIA_SRAM_BASE + FAKE_HALF);
  CHECK_EQUAL(circular_buffer_data(&f->pe->cp.buffers[0]), 64);
  CHECK(issue(f, 1, MTIA_COMMAND_FENCE, 0, 0) == HART_CUSTOM_DONE);
  fixture_destroy(f);
}

static void loads_and_stores_obey_it_too(void) {
  struct fixture *const f = fixture_create(2, 0);
  struct hart *const hart = pe_hart(f->pe, 0);
  const struct hart_environment *const e = hart->environment;
  uint64_t value = 0;
  f->pe->context = 2;
  CHECK(e->write(e->context, hart, MTIA_LPDDR_BASE, 8, 1) == HART_ACCESS_FAULT);
  CHECK(e->read(e->context, hart, MTIA_LPDDR_BASE, 8, &value) == HART_ACCESS_FAULT);
  CHECK(e->write(e->context, hart, MTIA_LPDDR_BASE + FAKE_HALF, 4, 0x11223344aabbccddull) == HART_ACCESS_OK);
  CHECK(e->read(e->context, hart, MTIA_LPDDR_BASE + FAKE_HALF, 8, &value) == HART_ACCESS_OK);
  CHECK_EQUAL(value, 0xaabbccdd);
  CHECK(e->code_page(e->context, hart, MTIA_SRAM_BASE) == f->memory->sram);
  CHECK(e->code_page(e->context, hart, MTIA_LPDDR_BASE + FAKE_HALF) == NULL);
  CHECK(e->read(e->context, hart, MTIA_PE_REGISTERS_BASE + MTIA_PE_PE_INDEX, 4, &value) == HART_ACCESS_OK);
  CHECK_EQUAL(value, 5);
  CHECK(e->read(e->context, hart, MTIA_PE_REGISTERS_BASE + MTIA_PE_LOCAL_BYTES, 4, &value) == HART_ACCESS_OK);
  CHECK_EQUAL(value, 384 * 1024);
  CHECK(e->read(e->context, hart, MTIA_PE_REGISTERS_BASE + MTIA_PE_PE_INDEX, 1, &value) == HART_ACCESS_FAULT);
  CHECK(e->read(e->context, hart, MTIA_PE_REGISTERS_BASE + 0x800, 4, &value) == HART_ACCESS_FAULT);
  CHECK(e->read(e->context, hart, MTIA_PE_REGISTERS_BASE + MTIA_PE_JOB_CONTEXT, 4, &value) == HART_ACCESS_OK);
  CHECK_EQUAL(value, 2);
  fixture_destroy(f);
}

/*
 * A hart that fails reports while the other one still runs the kernel, until the control firmware resets the PE: what that one does
 * meanwhile must meet no memory of anybody.
 */
static void after_the_report_nothing_is_allowed(void) {
  struct fixture *const f = fixture_create(2, 0);
  struct hart *const hart = pe_hart(f->pe, 1);
  const struct hart_environment *const e = hart->environment;
  const struct mtia_job_descriptor job = {.context = 1, .columns = 1, .rows = 1};
  uint64_t value = 0;
  uint8_t *at;
  pe_start_job(f->pe, &job, ++f->jobs);
  f->pe->work_pending = true;
  CHECK(e->write(e->context, hart, MTIA_LPDDR_BASE, 8, 1) == HART_ACCESS_OK);
  CHECK(e->write(e->context, pe_hart(f->pe, 0), MTIA_PE_REGISTERS_BASE + MTIA_PE_JOB_DONE, 8, MTIA_ERROR_KERNEL_ERROR) == HART_ACCESS_OK);
  CHECK_EQUAL(f->reports, 1);
  static const uint64_t places[] = {MTIA_LPDDR_BASE, MTIA_LPDDR_BASE + FAKE_HALF, MTIA_SRAM_BASE + FAKE_HALF};
  for (uint32_t i = 0; i < 3; i++) {
    CHECK(e->write(e->context, hart, places[i], 8, 2) == HART_ACCESS_FAULT);
    CHECK(e->read(e->context, hart, places[i], 8, &value) == HART_ACCESS_FAULT);
    CHECK(e->atomic(e->context, hart, places[i], 8, true, &at) == HART_ACCESS_FAULT);
  }
  CHECK(e->write(e->context, hart, MTIA_SRAM_BASE, 8, 2) == HART_ACCESS_FAULT); /* the code, */
  CHECK(e->read(e->context, hart, MTIA_SRAM_BASE, 8, &value) == HART_ACCESS_OK); /* which it goes on with */
  CHECK(e->code_page(e->context, hart, MTIA_SRAM_BASE) == f->memory->sram);
  CHECK(e->read(e->context, hart, MTIA_PE_REGISTERS_BASE + MTIA_PE_JOB_CONTEXT, 4, &value) == HART_ACCESS_OK && value == 0);
  fixture_destroy(f);
}

static void atomics_obey_it_too(void) {
  struct fixture *const f = fixture_create(2, 0);
  struct hart *const hart = pe_hart(f->pe, 0);
  const struct hart_environment *const e = hart->environment;
  uint8_t *at = NULL;
  f->pe->context = 2;
  CHECK(e->atomic(e->context, hart, MTIA_LPDDR_BASE + FAKE_HALF, 8, true, &at) == HART_ACCESS_OK && at == f->memory->lpddr + FAKE_HALF);
  CHECK(e->atomic(e->context, hart, MTIA_SRAM_BASE, 4, false, &at) == HART_ACCESS_OK && at == f->memory->sram); /* shared for reading */
  CHECK(e->atomic(e->context, hart, MTIA_SRAM_BASE, 4, true, &at) == HART_ACCESS_FAULT);
  CHECK(e->atomic(e->context, hart, MTIA_LPDDR_BASE, 4, false, &at) == HART_ACCESS_FAULT);
  CHECK(e->atomic(e->context, hart, MTIA_PE_REGISTERS_BASE + MTIA_PE_PE_INDEX, 4, true, &at) == HART_ACCESS_FAULT);
  fixture_destroy(f);
}

/* Memory takes any address, even across the border of two pages of one owner; registers do not. */
static void misaligned_accesses_outside_work_on_memory_only(void) {
  struct fixture *const f = fixture_create(2, 0);
  struct hart *const hart = pe_hart(f->pe, 0);
  const struct hart_environment *const e = hart->environment;
  uint64_t value = 0;
  f->pe->context = 1;
  CHECK(e->write(e->context, hart, MTIA_LPDDR_BASE + 4093, 8, 0x1122334455667788) == HART_ACCESS_OK);
  CHECK(e->read(e->context, hart, MTIA_LPDDR_BASE + 4095, 4, &value) == HART_ACCESS_OK);
  CHECK_EQUAL(value, 0x33445566);
  CHECK(e->read(e->context, hart, MTIA_LPDDR_BASE + FAKE_HALF - 1, 2, &value) == HART_ACCESS_FAULT);
  CHECK(e->read(e->context, hart, MTIA_PE_REGISTERS_BASE + MTIA_PE_PE_INDEX + 1, 2, &value) == HART_ACCESS_MISALIGNED);
  CHECK(e->write(e->context, hart, MTIA_PE_REGISTERS_BASE + MTIA_PE_JOB_DONE + 4, 8, 0) == HART_ACCESS_MISALIGNED);
  fixture_destroy(f);
}

/* ---- Time ---- */

/* Cycles of one access of hart 0. */
static uint64_t read_cycles(struct fixture *f, uint64_t address, uint32_t width) {
  struct hart *const hart = pe_hart(f->pe, 0);
  const struct hart_environment *const e = hart->environment;
  const uint64_t before = hart->cycles;
  uint64_t value;
  CHECK(e->read(e->context, hart, address, width, &value) == HART_ACCESS_OK);
  return hart->cycles - before;
}

static void loads_wait_for_the_memory_once_a_line(void) {
  struct fixture *const f = fixture_create(2, 0);
  struct hart *const hart = pe_hart(f->pe, 0);
  const struct hart_environment *const e = hart->environment;
  f->pe->context = 1;
  CHECK_EQUAL(read_cycles(f, MTIA_SRAM_BASE + 64, 8), 150);
  CHECK_EQUAL(read_cycles(f, MTIA_SRAM_BASE + 64 + 56, 8), 0);
  CHECK_EQUAL(read_cycles(f, MTIA_SRAM_BASE + 64 + 60, 8), 150); /* half of it in the next line */
  CHECK_EQUAL(read_cycles(f, MTIA_LPDDR_BASE + 64 + 60, 8), 2 * 239);
  CHECK_EQUAL(read_cycles(f, MTIA_SRAM_BASE + 64 + 32768, 8), 150); /* the place of the first line */
  CHECK_EQUAL(read_cycles(f, MTIA_SRAM_BASE + 64, 8), 150);
  const uint64_t before = hart->cycles;
  uint8_t *at = NULL;
  CHECK(e->write(e->context, hart, MTIA_LPDDR_BASE + 4096, 8, 1) == HART_ACCESS_OK);
  CHECK_EQUAL(hart->cycles, before); /* posted */
  CHECK(e->atomic(e->context, hart, MTIA_LPDDR_BASE + 64, 8, true, &at) == HART_ACCESS_OK);
  CHECK_EQUAL(hart->cycles, before + 239); /* cached or not */
  pe_drop_cached_lines(f->pe);
  CHECK_EQUAL(read_cycles(f, MTIA_SRAM_BASE + 64, 8), 150);
  fixture_destroy(f);
}

static void units_work_in_parallel_and_fences_take_over_time(void) {
  struct fixture *const f = fixture_create(2, 0);
  cb_init(f, 0, 0, 65536);
  cb_init(f, 1, 65536, 65536);
  dma_shape(f, 0, 1, 32768, 0, 32768);
  issue(f, 0, MTIA_COMMAND_DMA_IN, MTIA_LPDDR_BASE, DMA(0, 0, 0));
  issue(f, 0, MTIA_COMMAND_DMA_IN, MTIA_SRAM_BASE, DMA(1, 0, 0));
  const uint64_t issued = pe_hart(f->pe, 0)->cycles;
  CHECK(issued < 10); /* nothing waits for the data yet */
  issue(f, 0, MTIA_COMMAND_CB_WAIT_DATA, 1, 32768);
  const uint64_t sram = pe_hart(f->pe, 0)->cycles;
  issue(f, 0, MTIA_COMMAND_FENCE, 0, 0);
  const uint64_t both = pe_hart(f->pe, 0)->cycles;
  /* 32 KiB at 64 bytes a cycle each, one channel; LPDDR at 204.8 GB/s and 1.35 GHz would take 216 cycles by itself. */
  CHECK(sram >= 1024 + 150 && sram < 1024 + 200);
  CHECK(both >= sram);
  pe_hart(f->pe, 1)->cycles = 1;
  issue(f, 1, MTIA_COMMAND_FENCE, 0, 0);
  CHECK_EQUAL(pe_hart(f->pe, 1)->cycles, 2); /* the other hart has no commands */
  fixture_destroy(f);
}

static void a_block_of_the_dpe_takes_32_cycles(void) {
  for (uint32_t generation = 1; generation <= 2; generation++) {
    struct fixture *const f = fixture_create(generation, 0);
    cb_init(f, 0, 0, 32768);
    cb_push(f, 0, 32768);
    set_register(f, 0, MTIA_COMMAND_REGISTER_MML_STRIDE, 64);
    set_register(f, 0, MTIA_COMMAND_REGISTER_MML_SHAPE,
                 FIELD(MTIA_MML_M, 32) | FIELD(MTIA_MML_N, 32) | FIELD(MTIA_MML_K_BYTES, 64) | FIELD(MTIA_MML_K_BLOCKS, 1));
    const uint64_t start = pe_hart(f->pe, 0)->cycles;
    for (uint32_t i = 0; i < 100; i++) issue(f, 0, MTIA_COMMAND_MML, i & 3, 0);
    issue(f, 0, MTIA_COMMAND_FENCE, 0, 0);
    CHECK_EQUAL(pe_hart(f->pe, 0)->cycles - start, (generation == 1 ? 6400 : 3200) + 16 + 1);
    CHECK_EQUAL(f->pe->counters.matmul_multiplies, 100 * 32 * 32 * 64);
    fixture_destroy(f);
  }
}

void test_order(void) {
  RUN(element_check_holds_a_command_until_data_come);
  RUN(space_check_holds_a_command_until_data_leave);
  RUN(keep_leaves_the_pointer);
  RUN(order_holds_per_buffer_and_not_between_buffers);
  RUN(accumulators_are_ordered_too);
  RUN(a_full_list_stalls_the_hart);
  RUN(cb_init_waits_for_the_commands_on_the_buffer);
  RUN(semaphores_stall_and_count);
  RUN(a_row_may_not_straddle_the_end);
  RUN(overlapping_rows_may_not_either);
  RUN(dma_obeys_the_protection_of_the_job);
  RUN(a_late_fault_reaches_the_hart_that_issued);
  RUN(loads_and_stores_obey_it_too);
  RUN(atomics_obey_it_too);
  RUN(after_the_report_nothing_is_allowed);
  RUN(misaligned_accesses_outside_work_on_memory_only);
  RUN(loads_wait_for_the_memory_once_a_line);
  RUN(units_work_in_parallel_and_fences_take_over_time);
  RUN(a_block_of_the_dpe_takes_32_cycles);
}
