/* Whole jobs: both harts run machine code, wait, fail, report; device time is the same on every run. */
#include "pe_test.h"

/* ---- A very small assembler ---- */

enum { ZERO = 0, T0 = 5, T1 = 6, A0 = 10, A1 = 11, S0 = 8 };

struct program {
  uint32_t *words;
  uint32_t count;
};

static void emit(struct program *p, uint32_t word) { p->words[p->count++] = word; }
static void op_lui(struct program *p, uint32_t rd, uint32_t upper) { emit(p, upper << 12 | rd << 7 | 0x37); }
static void op_addi(struct program *p, uint32_t rd, uint32_t rs, int32_t value) {
  emit(p, (uint32_t)value << 20 | rs << 15 | rd << 7 | 0x13);
}
static void op_load(struct program *p, uint32_t rd, uint32_t rs, uint32_t offset, uint32_t width_code) {
  emit(p, offset << 20 | rs << 15 | width_code << 12 | rd << 7 | 0x03);
}
static void op_store(struct program *p, uint32_t source, uint32_t rs, uint32_t offset, uint32_t width_code) {
  emit(p, offset >> 5 << 25 | source << 20 | rs << 15 | width_code << 12 | (offset & 31) << 7 | 0x23);
}
static void op_csrw(struct program *p, uint32_t csr, uint32_t rs) { emit(p, csr << 20 | rs << 15 | 1 << 12 | 0x73); }
static void op_csrr(struct program *p, uint32_t rd, uint32_t csr) { emit(p, csr << 20 | 2 << 12 | rd << 7 | 0x73); }
/* lui sign-extends, and SRAM lies at 0x80000000. */
static void op_zero_extend(struct program *p, uint32_t rd) {
  emit(p, 32u << 20 | rd << 15 | 1 << 12 | rd << 7 | 0x13); /* slli 32 */
  emit(p, 32u << 20 | rd << 15 | 5 << 12 | rd << 7 | 0x13); /* srli 32 */
}
static void op_wfi(struct program *p) { emit(p, 0x10500073); }
/* To a place already known. */
static void op_branch(struct program *p, uint32_t function, uint32_t rs1, uint32_t rs2, uint32_t target) {
  const uint32_t d = (target - p->count) * 4;
  emit(p, (d >> 12 & 1) << 31 | (d >> 5 & 63) << 25 | rs2 << 20 | rs1 << 15 | function << 12 | (d >> 1 & 15) << 8 |
              (d >> 11 & 1) << 7 | 0x63);
}
static void op_jump(struct program *p, uint32_t target) { op_branch(p, 0, ZERO, ZERO, target); }
static void op_launch(struct program *p, uint32_t code, uint32_t rd, uint32_t rs1, uint32_t rs2) {
  emit(p, code << 25 | rs2 << 20 | rs1 << 15 | rd << 7 | MTIA_OPCODE_LAUNCH);
}
static void op_set_register(struct program *p, uint32_t number, uint32_t rs) {
  emit(p, number << 20 | rs << 15 | MTIA_OPCODE_COMMAND_REGISTER);
}
/* Any 64-bit constant, from a table at the end of the code page: ld rd, index(S1 = table). */
#define TABLE_OFFSET 2048u
#define S1 9
struct constants { uint64_t *table; uint32_t count; };
static void op_constant(struct program *p, struct constants *c, uint32_t rd, uint64_t value) {
  c->table[c->count] = value;
  op_load(p, rd, S1, c->count++ * 8, 3);
}
static void op_command(struct program *p, struct constants *c, uint32_t code, uint64_t rs1, uint64_t rs2) {
  op_constant(p, c, A0, rs1);
  op_constant(p, c, A1, rs2);
  op_launch(p, code, A0, A0, A1);
}
static void op_command_register(struct program *p, struct constants *c, uint32_t number, uint64_t value) {
  op_constant(p, c, A0, value);
  op_set_register(p, number, A0);
}

/* ---- A monitor, and the jobs of both harts ---- */

#define VECTOR (MTIA_SRAM_BASE + 0x100)
#define CODE_STRIDE 0x2000u

typedef void body(struct program *p, struct constants *c);

static void op_finish(struct program *p, uint32_t result_register) { op_store(p, result_register, S0, MTIA_PE_JOB_DONE, 3); }

/* Reports KERNEL_FAULT with cause, pc and value of the trap, and parks. */
static void trap_handler(struct program *p) {
  op_lui(p, S0, MTIA_PE_REGISTERS_BASE >> 12);
  op_csrr(p, T0, 0xf14);
  op_store(p, T0, S0, MTIA_PE_FAULT_HART, 2);
  op_csrr(p, T0, 0x342);
  op_store(p, T0, S0, MTIA_PE_FAULT_CAUSE, 3);
  op_csrr(p, T0, 0x341);
  op_store(p, T0, S0, MTIA_PE_FAULT_PC, 3);
  op_csrr(p, T0, 0x343);
  op_store(p, T0, S0, MTIA_PE_FAULT_VALUE, 3);
  op_addi(p, T0, ZERO, MTIA_ERROR_KERNEL_FAULT);
  op_finish(p, T0);
  const uint32_t park = p->count;
  op_csrw(p, 0x304, ZERO);
  op_wfi(p);
  op_jump(p, park);
}

/* Hart n: mtvec, then waits for its interrupt, does its body, hart 0 reports; for ever. */
static void monitor(struct fixture *f, uint32_t hart, body *work) {
  uint8_t *const page = f->memory->sram + CODE_STRIDE * (hart + 1);
  const uint64_t address = MTIA_SRAM_BASE + CODE_STRIDE * (hart + 1);
  struct program p = {(uint32_t *)(void *)page, 0};
  struct constants c = {(uint64_t *)(void *)(page + 4096 - TABLE_OFFSET), 0};
  trap_handler(&p);
  const uint32_t start = p.count;
  op_lui(&p, T0, (uint32_t)(address >> 12));
  op_zero_extend(&p, T0);
  op_addi(&p, T1, T0, 2047);
  op_addi(&p, S1, T1, 1); /* the table: 2048 bytes in */
  op_csrw(&p, 0x305, T0);
  op_lui(&p, S0, MTIA_PE_REGISTERS_BASE >> 12);
  op_lui(&p, T0, 1);
  op_addi(&p, T0, T0, hart == 0 ? -2048 : -4088); /* MEIE = 0x800, MSIE = 8 */
  op_csrw(&p, 0x304, T0);
  const uint32_t loop = p.count;
  op_load(&p, T0, S0, hart == 0 ? MTIA_PE_WORK_PENDING : MTIA_PE_MSIP + 4, 2);
  op_branch(&p, 1, T0, ZERO, p.count + 3);
  op_wfi(&p);
  op_jump(&p, loop);
  if (hart == 0) op_addi(&p, T0, ZERO, 1);
  op_store(&p, hart == 0 ? T0 : ZERO, S0, MTIA_PE_MSIP + 4, 2);
  work(&p, &c);
  if (hart == 0) {
    op_command(&p, &c, MTIA_COMMAND_SEMAPHORE_WAIT, 15, 1);
    op_finish(&p, ZERO);
  } else {
    op_command(&p, &c, MTIA_COMMAND_SEMAPHORE_POST, 15, 1);
  }
  op_jump(&p, loop);
  CHECK(p.count * 4 <= TABLE_OFFSET && c.count * 8 <= TABLE_OFFSET);
  /* The common vector: to the hart's own start. */
  struct program entry = {(uint32_t *)(void *)(f->memory->sram + 0x100), 0};
  if (hart == 0) {
    op_csrr(&entry, T0, 0xf14);
    op_lui(&entry, T1, (uint32_t)(MTIA_SRAM_BASE >> 12) + CODE_STRIDE / 4096);
    op_branch(&entry, 0, T0, ZERO, entry.count + 2);
    op_lui(&entry, T1, (uint32_t)(MTIA_SRAM_BASE >> 12) + 2 * CODE_STRIDE / 4096);
    op_zero_extend(&entry, T1);
    emit(&entry, start * 4 << 20 | T1 << 15 | 0x67);
  }
}

static struct fixture *with_jobs(uint32_t generation, body *first, body *second) {
  struct fixture *const f = fixture_create(generation, 0);
  monitor(f, 0, first);
  monitor(f, 1, second);
  pe_reset(f->pe, VECTOR);
  return f;
}

static enum pe_state run_job(struct fixture *f, uint32_t context) {
  const struct mtia_job_descriptor job = {.context = context, .columns = 4, .rows = 2};
  pe_start_job(f->pe, &job, ++f->jobs);
  enum pe_state state = PE_RUNNABLE;
  for (uint32_t i = 0; i < 1000 && state == PE_RUNNABLE; i++) state = pe_run(f->pe, 10000);
  return state;
}

static void nothing(struct program *p, struct constants *c) { (void)p, (void)c; }

/* ---- Tests ---- */

static void a_null_job_reports(void) {
  struct fixture *const f = with_jobs(2, nothing, nothing);
  CHECK_EQUAL(pe_run(f->pe, 100000), PE_IDLE);
  CHECK_EQUAL(f->reports, 0);
  CHECK_EQUAL(run_job(f, 1), PE_IDLE);
  CHECK_EQUAL(f->reports, 1);
  CHECK_EQUAL(f->report.result, 0);
  CHECK(f->report.cycles > 150 && f->report.cycles < 250); /* the monitor loads its constants: one line of SRAM */
  char text[80];
  pe_wait_reason(f->pe, 0, text, sizeof text);
  CHECK(strcmp(text, "wfi") == 0);
  fixture_destroy(f);
}

/* Hart 0 loads, hart 1 multiplies and stores: the pattern of every kernel. */
#define ROUNDS 20u
static void producer(struct program *p, struct constants *c) {
  for (uint32_t cb = 0; cb < 3; cb++)
    op_command(p, c, MTIA_COMMAND_CB_INIT, cb | FIELD(MTIA_CB_INIT_BASE, 16384 + cb * 8192), 8192);
  op_command(p, c, MTIA_COMMAND_SEMAPHORE_POST, 0, 1);
  op_command_register(p, c, MTIA_COMMAND_REGISTER_DMA_SHAPE, 2048ull << 16 | 1);
  op_command_register(p, c, MTIA_COMMAND_REGISTER_DMA_LOCAL_STRIDE, 2048);
  op_addi(p, T1, ZERO, ROUNDS);
  const uint32_t loop = p->count;
  op_command(p, c, MTIA_COMMAND_DMA_IN, MTIA_LPDDR_BASE, 0);
  op_command(p, c, MTIA_COMMAND_DMA_IN, MTIA_SRAM_BASE + 65536, 1);
  op_addi(p, T1, T1, -1);
  op_branch(p, 1, T1, ZERO, loop);
}

static void consumer(struct program *p, struct constants *c) {
  op_command(p, c, MTIA_COMMAND_SEMAPHORE_WAIT, 0, 1);
  op_command_register(p, c, MTIA_COMMAND_REGISTER_MML_STRIDE, 64);
  op_command_register(p, c, MTIA_COMMAND_REGISTER_MML_SHAPE,
                      FIELD(MTIA_MML_M, 32) | FIELD(MTIA_MML_N, 32) | FIELD(MTIA_MML_K_BYTES, 64) | FIELD(MTIA_MML_K_BLOCKS, 1));
  op_command(p, c, MTIA_COMMAND_ACC_INIT, 1, 0);
  op_addi(p, T1, ZERO, ROUNDS);
  const uint32_t loop = p->count;
  op_command(p, c, MTIA_COMMAND_MML, 1 | FIELD(MTIA_MML_CB_B, 1), 0);
  op_command(p, c, MTIA_COMMAND_CB_POP, 0, 2048);
  op_command(p, c, MTIA_COMMAND_CB_POP, 1, 2048);
  op_addi(p, T1, T1, -1);
  op_branch(p, 1, T1, ZERO, loop);
  op_command(p, c, MTIA_COMMAND_REDUCE, 1 | FIELD(MTIA_REDUCE_CB, 2) | FIELD(MTIA_REDUCE_TYPE, MTIA_TYPE_INT32),
             FIELD(MTIA_REDUCE_ROWS, 32) | FIELD(MTIA_REDUCE_COLUMNS, 32) | FIELD(MTIA_REDUCE_STRIDE, 128));
  op_command(p, c, MTIA_COMMAND_CB_PUSH, 2, 4096);
  op_command_register(p, c, MTIA_COMMAND_REGISTER_DMA_SHAPE, 4096ull << 16 | 1);
  op_command_register(p, c, MTIA_COMMAND_REGISTER_DMA_LOCAL_STRIDE, 4096);
  op_command(p, c, MTIA_COMMAND_DMA_OUT, MTIA_LPDDR_BASE + 65536, 2);
  op_command(p, c, MTIA_COMMAND_FENCE, 0, 0);
}

static void fill_operands(struct fixture *f) {
  memset(f->memory->lpddr, 3, 2048);
  memset(f->memory->sram + 65536, 0xfe, 2048); /* -2 */
}

static void two_harts_stream_a_product(void) {
  struct fixture *const f = with_jobs(2, producer, consumer);
  fill_operands(f);
  CHECK_EQUAL(run_job(f, 1), PE_IDLE);
  CHECK_EQUAL(f->report.result, 0);
  int32_t values[1024];
  memcpy(values, f->memory->lpddr + 65536, sizeof values);
  CHECK_EQUAL((uint32_t)values[0], (uint32_t)(3 * -2 * 64 * (int32_t)ROUNDS));
  CHECK_EQUAL((uint32_t)values[1023], (uint32_t)values[0]);
  struct pe_counters counters;
  pe_read_counters(f->pe, &counters);
  CHECK_EQUAL(counters.dma_bytes, ROUNDS * 4096 + 4096);
  CHECK_EQUAL(counters.matmul_multiplies, ROUNDS * 65536);
  /* 20 loads of 2 KiB over an eighth of LPDDR (16.59 bytes a cycle under ECC) take 2469 cycles, the result 247, latency twice 300; before
     and behind them the harts load up to four lines of constants from SRAM. */
  CHECK(f->report.cycles >= 2469 + 247 + 600 && f->report.cycles < 2469 + 247 + 600 + 250 + 4 * 150);
  fixture_destroy(f);
}

/* The job's cycles depend neither on the budgets of pe_run nor on how far the harts came before it. */
static void device_time_is_the_same_on_every_run(void) {
  uint64_t expected = 0;
  for (uint32_t trial = 0; trial < 6; trial++) {
    static const uint64_t budgets[] = {1000000, 1, 7, 100, 1024, 333};
    struct fixture *const f = with_jobs(2, producer, consumer);
    fill_operands(f);
    for (uint32_t job = 0; job < 3; job++) {
      if (trial != 2) pe_run(f->pe, trial * 3); /* the harts may not have come to rest */
      const struct mtia_job_descriptor descriptor = {.context = 1, .columns = 4, .rows = 2};
      pe_start_job(f->pe, &descriptor, ++f->jobs);
      for (uint32_t i = 0; i < 1000000 && f->reports == job; i++) pe_run(f->pe, budgets[trial]);
      CHECK_EQUAL(f->reports, job + 1);
      if (expected == 0) expected = f->report.cycles;
      CHECK_EQUAL(f->report.cycles, expected);
    }
    fixture_destroy(f);
  }
}

static void bad_address(struct program *p, struct constants *c) {
  op_command(p, c, MTIA_COMMAND_CB_INIT, FIELD(MTIA_CB_INIT_BASE, 16384), 64);
  op_command_register(p, c, MTIA_COMMAND_REGISTER_DMA_SHAPE, 64ull << 16 | 1);
  op_command_register(p, c, MTIA_COMMAND_REGISTER_DMA_LOCAL_STRIDE, 64);
  op_command(p, c, MTIA_COMMAND_DMA_IN, MTIA_LPDDR_BASE + FAKE_HALF, 0);
}

static void a_bus_fault_becomes_a_report(void) {
  struct fixture *const f = with_jobs(2, bad_address, nothing);
  run_job(f, 1);
  CHECK_EQUAL(f->reports, 1);
  CHECK_EQUAL(f->report.result, MTIA_ERROR_KERNEL_FAULT);
  CHECK_EQUAL(f->report.cause, MTIA_EXCEPTION_COMMAND_BUS_FAULT);
  CHECK_EQUAL(f->report.value, MTIA_LPDDR_BASE + FAKE_HALF);
  CHECK_EQUAL(f->report.hart, 0);
  uint32_t word;
  memcpy(&word, f->memory->sram + (f->report.pc - MTIA_SRAM_BASE), 4);
  CHECK_EQUAL(word >> 25, MTIA_COMMAND_DMA_IN); /* the pc is that of the command */
  /* Clean afterwards: after a reset the PE takes the next job. */
  pe_reset(f->pe, VECTOR);
  run_job(f, 2);
  CHECK_EQUAL(f->reports, 2);
  CHECK_EQUAL(f->report.result, 0);
  fixture_destroy(f);
}

static void waits_with_a_late_fault(struct program *p, struct constants *c) {
  op_command(p, c, MTIA_COMMAND_CB_INIT, FIELD(MTIA_CB_INIT_BASE, 16384), 64);
  op_command_register(p, c, MTIA_COMMAND_REGISTER_DMA_SHAPE, 64ull << 16 | 1);
  op_command_register(p, c, MTIA_COMMAND_REGISTER_DMA_LOCAL_STRIDE, 64);
  op_command(p, c, MTIA_COMMAND_DMA_OUT, MTIA_LPDDR_BASE + FAKE_HALF, 0);
  op_command(p, c, MTIA_COMMAND_SEMAPHORE_POST, 0, 1);
  op_command(p, c, MTIA_COMMAND_FENCE, 0, 0);
}
static void pushes(struct program *p, struct constants *c) {
  op_command(p, c, MTIA_COMMAND_SEMAPHORE_WAIT, 0, 1);
  op_command(p, c, MTIA_COMMAND_CB_PUSH, 0, 64);
}

static void a_late_bus_fault_becomes_a_report(void) {
  struct fixture *const f = with_jobs(2, waits_with_a_late_fault, pushes);
  run_job(f, 1);
  CHECK_EQUAL(f->report.result, MTIA_ERROR_KERNEL_FAULT);
  CHECK_EQUAL(f->report.cause, MTIA_EXCEPTION_COMMAND_BUS_FAULT);
  CHECK_EQUAL(f->report.value, MTIA_LPDDR_BASE + FAKE_HALF);
  CHECK_EQUAL(f->report.hart, 0);
  fixture_destroy(f);
}

static void illegal(struct program *p, struct constants *c) { op_command(p, c, MTIA_COMMAND_CB_PUSH, 3, 64); }

static void an_illegal_command_becomes_a_report(void) {
  struct fixture *const f = with_jobs(2, nothing, illegal);
  run_job(f, 1);
  CHECK_EQUAL(f->report.result, MTIA_ERROR_KERNEL_FAULT);
  CHECK_EQUAL(f->report.cause, MTIA_EXCEPTION_ILLEGAL_COMMAND);
  CHECK_EQUAL(f->report.value, MTIA_COMMAND_CB_PUSH | MTIA_CB_PUSH_CB_FIELD << 8);
  CHECK_EQUAL(f->report.hart, 1);
  fixture_destroy(f);
}

static void waits_for_ever(struct program *p, struct constants *c) {
  op_command(p, c, MTIA_COMMAND_CB_INIT, 3 | FIELD(MTIA_CB_INIT_BASE, 16384), 4096);
  op_command(p, c, MTIA_COMMAND_CB_WAIT_DATA, 3, 2048);
}

static void a_deadlock_is_seen_and_explained(void) {
  struct fixture *const f = with_jobs(2, waits_for_ever, nothing);
  CHECK_EQUAL(run_job(f, 1), PE_BLOCKED);
  CHECK_EQUAL(f->reports, 0);
  char text[120];
  pe_wait_reason(f->pe, 0, text, sizeof text);
  CHECK(strcmp(text, "CB_WAIT_DATA waits for 2048 bytes of cb 3, which has 0") == 0);
  pe_wait_reason(f->pe, 1, text, sizeof text);
  CHECK(strcmp(text, "wfi") == 0);
  pe_reset(f->pe, VECTOR);
  CHECK_EQUAL(pe_run(f->pe, 100000), PE_IDLE);
  fixture_destroy(f);
}

static void spins(struct program *p, struct constants *c) { (void)c, op_jump(p, p->count); }

static void an_endless_loop_stays_runnable_and_can_be_stopped(void) {
  struct fixture *const f = with_jobs(2, spins, nothing);
  CHECK_EQUAL(run_job(f, 1), PE_RUNNABLE);
  pe_interrupt(f->pe);
  struct pe_counters before, after;
  pe_read_counters(f->pe, &before);
  CHECK_EQUAL(pe_run(f->pe, ~0ull), PE_RUNNABLE);
  pe_read_counters(f->pe, &after);
  CHECK_EQUAL(after.instructions, before.instructions);
  atomic_store(&pe_hart(f->pe, 0)->halt_request, true);
  CHECK_EQUAL(pe_run(f->pe, ~0ull), PE_RUNNABLE);
  fixture_destroy(f);
}

void test_programs(void) {
  RUN(a_null_job_reports);
  RUN(two_harts_stream_a_product);
  RUN(device_time_is_the_same_on_every_run);
  RUN(a_bus_fault_becomes_a_report);
  RUN(a_late_bus_fault_becomes_a_report);
  RUN(an_illegal_command_becomes_a_report);
  RUN(a_deadlock_is_seen_and_explained);
  RUN(an_endless_loop_stays_runnable_and_can_be_stopped);
}
