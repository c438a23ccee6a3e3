/*
 * Every command of the table, every field of it: the smallest value that is illegal, and the first one above those that are legal,
 * raises the exception with the number of the field, and nothing has moved. A command or field without an expectation fails.
 * test/native/pe.test.ts takes checks out of the chip, one at a time: each must show here.
 */
#include <stdlib.h>
#include "command_processor_table.h"
#include "pe_test.h"

#define ALL UINT64_MAX /* no value of this field is illegal by itself */
#define TWO FIELD(MTIA_SE_UNARY_CB_DESTINATION, 2)
#define OF32 FIELD(MTIA_SE_UNARY_TYPE_IN, MTIA_TYPE_FP32) | FIELD(MTIA_SE_UNARY_TYPE_OUT, MTIA_TYPE_FP32)
#define REDUCE_RS1 FIELD(MTIA_REDUCE_CB, 2) | FIELD(MTIA_REDUCE_TYPE, MTIA_TYPE_FP32)
#define REDUCE_RS2 FIELD(MTIA_REDUCE_ROWS, 32) | FIELD(MTIA_REDUCE_COLUMNS, 32) | FIELD(MTIA_REDUCE_STRIDE, 128)
#define LINK_RS1 FIELD(MTIA_REDUCE_SEND_TYPE, MTIA_TYPE_FP32)
#define LINK_RS2 FIELD(MTIA_REDUCE_SEND_ROWS, 32) | FIELD(MTIA_REDUCE_SEND_COLUMNS, 32)
#define TABLE_AT 65536u

/* Operands in which the command is legal, or would be if the PE had a job; and the smallest illegal value of each field. */
struct expectation {
  uint32_t code;
  uint64_t rs1, rs2;
  uint32_t fields;
  uint64_t smallest[COMMAND_FIELDS];
};

#define EXPECT(name, rs1, rs2, ...)                                                                             \
  {MTIA_COMMAND_##name, rs1, rs2, sizeof((uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t), {__VA_ARGS__}}
/* The buffers have 16384 bytes: a block of so many bytes goes no further than this. */
#define BEYOND(bytes) (16384 - (bytes) + 1)

static const struct expectation expectations[] = {
    EXPECT(CB_INIT, 7, 32, 32, 1, 0),
    EXPECT(CB_PUSH, 2, 32, 3, 16385),
    EXPECT(CB_POP, 0, 32, 3, 16385),
    EXPECT(CB_WAIT_DATA, 0, 32, 3, 16385),
    EXPECT(CB_WAIT_SPACE, 2, 32, 3, 16385),
    {MTIA_COMMAND_FENCE, 0, 0, 0, {0}},
    EXPECT(SEMAPHORE_POST, 0, 1, 16, ALL),
    EXPECT(SEMAPHORE_WAIT, 0, 1, 16, ALL),
    EXPECT(ATOMIC_ADD, 0, 1, 14, ALL, ALL, 0, ALL), /* without a job no row has a PE */
    EXPECT(ATOMIC_WAIT, 0, 1, 14, ALL, ALL, 0, ALL),
    EXPECT(BARRIER, 0, 0, 0),
    EXPECT(DMA_IN, MTIA_SRAM_BASE, 0, ALL, 3, ALL, BEYOND(128)),
    EXPECT(DMA_OUT, MTIA_SRAM_BASE, 0, ALL, 3, ALL, BEYOND(128)),
    EXPECT(DMA_IN_INDEXED, MTIA_SRAM_BASE, 0, ALL, 3, ALL, BEYOND(128), 3, BEYOND(8), ALL),
    EXPECT(DMA_PREFETCH, MTIA_LPDDR_BASE, 0, ALL),
    EXPECT(ACC_INIT, FIELD(MTIA_ACC_INIT_BIAS, 1), 8, 4, ALL, 3, BEYOND(32), 0),
    EXPECT(MML, FIELD(MTIA_MML_CB_B, 1), 0, 4, 3, 3, BEYOND(2048), BEYOND(2048), 0, 0, 0, 3, 0, ALL, ALL, ALL),
    EXPECT(REDUCE, REDUCE_RS1, REDUCE_RS2, 4, 3, 2, 0, BEYOND(4096), 0, 0, 0),
    EXPECT(RE_ROW_RANGE, FIELD(MTIA_RE_ROW_RANGE_CB, 2),
           FIELD(MTIA_RE_ROW_RANGE_ROWS, 32) | FIELD(MTIA_RE_ROW_RANGE_COLUMNS, 32) | FIELD(MTIA_RE_ROW_RANGE_STRIDE, 8), 4, 3,
           ALL, BEYOND(256), 0, 0, 0),
    EXPECT(REDUCE_DEQUANTIZE, REDUCE_RS1, REDUCE_RS2, 4, 3, 2, 4, BEYOND(4096), 0, 0, 0),
    EXPECT(REDUCE_SEND, LINK_RS1, LINK_RS2, 4, 0, 0, 0, 0), /* and no link a neighbour */
    EXPECT(REDUCE_RECEIVE, LINK_RS1, LINK_RS2, 4, 0, 0, 0, 0),
    EXPECT(MML_SPARSE, FIELD(MTIA_MML_CB_B, 1), 0, 4, 3, 3, BEYOND(2048), BEYOND(1152), 0, 0, 0, 3, 0, ALL, ALL, ALL),
    EXPECT(SE_LOAD_TABLE, FIELD(MTIA_SE_LOAD_TABLE_ADDRESS, TABLE_AT), 64, 8, 1, 0),
    EXPECT(SE_UNARY, TWO | OF32, 0, 3, 3, 2, 5, 5, BEYOND(256), BEYOND(256)),
    EXPECT(SE_BINARY, TWO | OF32, FIELD(MTIA_SE_BINARY_CB_SECOND, 1), 3, 3, 5, ALL, 5, 5, BEYOND(256), BEYOND(256), BEYOND(256), 3),
    EXPECT(SE_ROW_ACCUMULATE, TWO | OF32, 0, 3, 3, ALL, 5, 5, BEYOND(256), BEYOND(64)),
    EXPECT(SE_QUANTIZE, TWO | OF32, FIELD(MTIA_SE_QUANTIZE_CB_SCALE, 1), 3, 3, ALL, 5, BEYOND(256), BEYOND(208), BEYOND(4), 3),
    EXPECT(SE_DEQUANTIZE, TWO | OF32, 0, 3, 3, 2, 5, 4, BEYOND(256), BEYOND(256)),
    EXPECT(SE_ROW_REDUCE, TWO | FIELD(MTIA_SE_ROW_REDUCE_TYPE_IN, MTIA_TYPE_FP32), 0, 3, 3, 4, ALL, 5, BEYOND(256), BEYOND(196)),
    EXPECT(MLU_TRANSPOSE, TWO, 0, 3, 3, BEYOND(256), BEYOND(976)),
    EXPECT(MLU_COPY, TWO, 0, 3, 3, BEYOND(256), BEYOND(256)),
};
enum { EXPECTATIONS = sizeof expectations / sizeof expectations[0] };

/* Where zero is illegal already: the first value above the legal ones. */
static const struct { uint32_t code, field; uint64_t value; } above[] = {
    {MTIA_COMMAND_CB_INIT, MTIA_CB_INIT_BASE_FIELD, 384 * 1024},
    {MTIA_COMMAND_CB_INIT, MTIA_CB_INIT_BYTES_FIELD, 384 * 1024 + 32},
    {MTIA_COMMAND_ACC_INIT, MTIA_ACC_INIT_N_FIELD, 33},
    {MTIA_COMMAND_MML, MTIA_MML_M_FIELD, 33},
    {MTIA_COMMAND_MML, MTIA_MML_N_FIELD, 33},
    {MTIA_COMMAND_MML, MTIA_MML_K_BYTES_FIELD, 33},
    {MTIA_COMMAND_MML, MTIA_MML_K_BYTES_FIELD, 96},
    {MTIA_COMMAND_MML, MTIA_MML_K_BLOCKS_FIELD, 65},
    {MTIA_COMMAND_MML_SPARSE, MTIA_MML_M_FIELD, 33},
    {MTIA_COMMAND_MML_SPARSE, MTIA_MML_N_FIELD, 33},
    {MTIA_COMMAND_MML_SPARSE, MTIA_MML_K_BYTES_FIELD, 96},
    {MTIA_COMMAND_MML_SPARSE, MTIA_MML_K_BLOCKS_FIELD, 65},
    {MTIA_COMMAND_REDUCE, MTIA_REDUCE_ROWS_FIELD, 33},
    {MTIA_COMMAND_REDUCE, MTIA_REDUCE_COLUMNS_FIELD, 33},
    {MTIA_COMMAND_REDUCE_DEQUANTIZE, MTIA_REDUCE_DEQUANTIZE_ROWS_FIELD, 33},
    {MTIA_COMMAND_REDUCE_DEQUANTIZE, MTIA_REDUCE_DEQUANTIZE_COLUMNS_FIELD, 33},
    {MTIA_COMMAND_RE_ROW_RANGE, MTIA_RE_ROW_RANGE_ROWS_FIELD, 33},
    {MTIA_COMMAND_RE_ROW_RANGE, MTIA_RE_ROW_RANGE_COLUMNS_FIELD, 33},
    {MTIA_COMMAND_REDUCE_SEND, MTIA_REDUCE_SEND_ROWS_FIELD, 33},
    {MTIA_COMMAND_REDUCE_SEND, MTIA_REDUCE_SEND_COLUMNS_FIELD, 33},
    {MTIA_COMMAND_REDUCE_RECEIVE, MTIA_REDUCE_RECEIVE_ROWS_FIELD, 33},
    {MTIA_COMMAND_REDUCE_RECEIVE, MTIA_REDUCE_RECEIVE_COLUMNS_FIELD, 33},
    {MTIA_COMMAND_SE_LOAD_TABLE, MTIA_SE_LOAD_TABLE_BYTES_FIELD, MTIA_LIMIT_SE_TABLE_BYTES + 1},
};

static const struct expectation *expectation_of(uint32_t code) {
  for (uint32_t i = 0; i < EXPECTATIONS; i++)
    if (expectations[i].code == code) return &expectations[i];
  return NULL;
}

/* ---- What must not move ---- */

struct snapshot {
  struct pe pe;
  struct memory memory;
  uint8_t *local;
};

static struct fixture *snapshot_fixture(uint32_t generation, struct snapshot **snapshot) {
  struct fixture *const f = legal_fixture(generation);
  const struct mtia_se_table table = {.segments = 1, .degree = 1};
  struct random random = {61};
  for (uint32_t i = 0; i < 16384; i++) *local(f, i) = (uint8_t)(random_next(&random) % 2); /* indices, if need be */
  memset(local(f, 16384), 0x44, 16384);                                                   /* positions that ascend */
  memcpy(local(f, TABLE_AT), &table, sizeof table);
  memset(local(f, 0), 0, 64);
  for (uint32_t i = 0; i < MTIA_LIMIT_ACCUMULATORS; i++) memset(&f->pe->accumulators[i], (int)i + 1, sizeof(union accumulator));
  for (uint32_t i = 0; i < FAKE_BYTES; i++) f->memory->sram[i] = f->memory->lpddr[i] = (uint8_t)(i * 7);
  set_register(f, 0, MTIA_COMMAND_REGISTER_DMA_INDEX_ROWS, 4);
  set_register(f, 0, MTIA_COMMAND_REGISTER_MML_INCREMENT, 1ull << 32 | 1);
  struct snapshot *const s = aligned_alloc(_Alignof(struct snapshot), sizeof *s);
  s->pe = *f->pe;
  s->memory = *f->memory;
  s->local = malloc(f->pe->local_bytes);
  memcpy(s->local, f->pe->local_memory, f->pe->local_bytes);
  *snapshot = s;
  return f;
}

static void snapshot_destroy(struct fixture *f, struct snapshot *s) {
  free(s->local);
  free(s);
  fixture_destroy(f);
}

static void restore(struct fixture *f, const struct snapshot *s) {
  *f->pe = s->pe;
  *f->memory = s->memory;
  memcpy(f->pe->local_memory, s->local, f->pe->local_bytes);
}

#define UNMOVED(member) (memcmp(&f->pe->member, &s->pe.member, sizeof s->pe.member) == 0)
static bool nothing_moved(const struct fixture *f, const struct snapshot *s) {
  return UNMOVED(cp.buffers) && UNMOVED(cp.initialised) && UNMOVED(cp.semaphores) && UNMOVED(cp.semaphore_times) &&
         UNMOVED(cp.registers) && UNMOVED(cp.pending[0].count) && UNMOVED(cp.stalled) && UNMOVED(cp.done) &&
         UNMOVED(cp.buffer_done) && UNMOVED(accumulators) && UNMOVED(accumulator_states) && UNMOVED(tables) && UNMOVED(time) &&
         UNMOVED(links) && UNMOVED(counters) && UNMOVED(cache) &&
         memcmp(f->pe->local_memory, s->local, f->pe->local_bytes) == 0 &&
         memcmp(f->memory, &s->memory, sizeof s->memory) == 0;
}

/* ---- The experiment ---- */

/* The command with another value in one field. */
static enum hart_custom issue_with(struct fixture *f, const struct expectation *e, const struct command_field *field, uint64_t value) {
  const uint64_t mask = (UINT64_MAX >> (64 - field->bits)) << field->low, bits = value << field->low & mask;
  const uint32_t sticky = command_description_of(e->code)->first_register;
  uint64_t words[2] = {e->rs1, e->rs2};
  if (field->source == FROM_STICKY) set_register(f, 0, sticky, (f->pe->cp.registers[0][sticky] & ~mask) | bits);
  else words[field->source == FROM_RS2] = (words[field->source == FROM_RS2] & ~mask) | bits;
  return issue(f, 0, e->code, words[0], words[1]);
}

static void check_refused(struct fixture *f, struct snapshot *s, const struct expectation *e, uint32_t number, uint64_t value) {
  const struct command_field *const field = &command_description_of(e->code)->fields[number];
  const uint32_t sticky = command_description_of(e->code)->first_register;
  const enum hart_custom outcome = issue_with(f, e, field, value);
  const bool refused = was_illegal(f, outcome, e->code, number);
  if (field->source == FROM_STICKY) f->pe->cp.registers[0][sticky] = s->pe.cp.registers[0][sticky]; /* the test's own doing */
  const bool unmoved = nothing_moved(f, s);
  CHECK(refused && unmoved);
  if (!refused || !unmoved)
    printf("  command %#x, field %u, value %llu: %s\n", e->code, number, (unsigned long long)value, refused ? "something moved" : "not refused");
  restore(f, s);
}

/* The command may be refused for want of a job, or fault, but not because of this field. */
static void check_allowed(struct fixture *f, struct snapshot *s, const struct expectation *e, uint32_t number, uint64_t value) {
  const enum hart_custom outcome = issue_with(f, e, &command_description_of(e->code)->fields[number], value);
  const bool refused = was_illegal(f, outcome, e->code, number);
  CHECK(!refused);
  if (refused) printf("  command %#x, field %u, value %llu: refused\n", e->code, number, (unsigned long long)value);
  restore(f, s);
}

static void check_field(struct fixture *f, struct snapshot *s, const struct expectation *e, uint32_t number) {
  const uint32_t bits = command_description_of(e->code)->fields[number].bits;
  const uint64_t smallest = e->smallest[number];
  if (smallest != ALL) check_refused(f, s, e, number, smallest);
  if (smallest != ALL && smallest > 0) check_allowed(f, s, e, number, smallest - 1);
  for (uint32_t bit = 0; bit < bits; bit++)
    if (1ull << bit < smallest) check_allowed(f, s, e, number, 1ull << bit);
  if (smallest > 0) check_allowed(f, s, e, number, 0);
  if (smallest == ALL) check_allowed(f, s, e, number, UINT64_MAX);
}

static void the_smallest_illegal_value_of_every_field_moves_nothing(void) {
  struct snapshot *s;
  struct fixture *const f = snapshot_fixture(2, &s);
  for (uint32_t code = 0; code < 128; code++) {
    const struct command_description *const description = command_description_of(code);
    const struct expectation *const e = expectation_of(code);
    CHECK((description == NULL) == (e == NULL));
    if (description == NULL || e == NULL) continue;
    CHECK_EQUAL(e->fields, description->field_count);
    for (uint32_t number = 0; number < description->field_count; number++) check_field(f, s, e, number);
  }
  snapshot_destroy(f, s);
}

static void the_first_value_above_the_legal_ones_moves_nothing(void) {
  struct snapshot *s;
  struct fixture *const f = snapshot_fixture(2, &s);
  for (uint32_t i = 0; i < sizeof above / sizeof above[0]; i++) {
    struct expectation e = *expectation_of(above[i].code);
    if (e.code == MTIA_COMMAND_ACC_INIT) e.rs1 |= FIELD(MTIA_ACC_INIT_BIAS, 1);
    check_refused(f, s, &e, above[i].field, above[i].value);
  }
  snapshot_destroy(f, s);
}

/* The block fits, but not what the pointer would move by. */
static void a_dma_that_moves_a_pointer_further_than_its_buffer_moves_nothing(void) {
  static const uint32_t codes[] = {MTIA_COMMAND_DMA_IN, MTIA_COMMAND_DMA_OUT, MTIA_COMMAND_DMA_IN_INDEXED};
  struct snapshot *s;
  struct fixture *const f = snapshot_fixture(2, &s);
  set_register(f, 0, MTIA_COMMAND_REGISTER_DMA_SHAPE, 64 << 16 | 1);
  set_register(f, 0, MTIA_COMMAND_REGISTER_DMA_LOCAL_STRIDE, 16384 - 64 + 4);
  s->pe = *f->pe;
  for (uint32_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
    const struct expectation *const e = expectation_of(codes[i]);
    check_allowed(f, s, e, MTIA_DMA_IN_OFFSET_FIELD, 60);
    check_refused(f, s, e, MTIA_DMA_IN_OFFSET_FIELD, 64);
  }
  snapshot_destroy(f, s);
}

static struct pe *any_neighbour(void *context, uint32_t index) { return (void)index, ((struct fixture *)context)->pe; }
static void nobody_wakes(void *context, struct pe *pe) { (void)context, (void)pe; }

/* What is refused without a job, whatever it names, is refused in one for what it names. */
static void in_a_job_what_is_no_scope_and_no_link_moves_nothing(void) {
  static const struct { uint32_t code, field; uint64_t value; } cases[] = {
      {MTIA_COMMAND_BARRIER, MTIA_BARRIER_SCOPE_FIELD, 3},
      {MTIA_COMMAND_REDUCE_SEND, MTIA_REDUCE_SEND_LINK_FIELD, 2},
      {MTIA_COMMAND_REDUCE_RECEIVE, MTIA_REDUCE_RECEIVE_LINK_FIELD, 2},
      {MTIA_COMMAND_ATOMIC_ADD, MTIA_ATOMIC_ADD_COLUMN_FIELD, 8},
      {MTIA_COMMAND_ATOMIC_ADD, MTIA_ATOMIC_ADD_ROW_FIELD, 8},
      {MTIA_COMMAND_ATOMIC_WAIT, MTIA_ATOMIC_WAIT_COLUMN_FIELD, 8},
      {MTIA_COMMAND_ATOMIC_WAIT, MTIA_ATOMIC_WAIT_ROW_FIELD, 8},
  };
  struct snapshot *s;
  struct fixture *const f = snapshot_fixture(2, &s);
  f->pe->environment.peer = any_neighbour;
  f->pe->environment.wake_peer = nobody_wakes;
  f->pe->index = 9; /* has a neighbour on every side */
  f->pe->rectangle = (struct pe_rectangle){0, 0, 8, 8};
  f->pe->links.job = 1;
  s->pe = *f->pe;
  for (uint32_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    const struct expectation *const e = expectation_of(cases[i].code);
    check_refused(f, s, e, cases[i].field, cases[i].value);
    for (uint64_t value = 0; value < cases[i].value; value++) check_allowed(f, s, e, cases[i].field, value);
  }
  snapshot_destroy(f, s);
}

/* The memory of this PE ends early, so that a chip that looks further looks at memory, too: at a table that is one. */
static void a_table_that_reaches_past_the_end_of_local_memory_moves_nothing(void) {
  const struct mtia_se_table table = {.segments = 1, .degree = 1};
  const struct expectation *const e = expectation_of(MTIA_COMMAND_SE_LOAD_TABLE);
  struct snapshot *s;
  struct fixture *const f = snapshot_fixture(2, &s);
  f->pe->local_bytes -= 4096;
  const uint64_t last = f->pe->local_bytes - 64;
  for (uint32_t at = 0; at < 128; at += 32) memcpy(local(f, (uint32_t)last + at), &table, sizeof table);
  s->pe = *f->pe;
  memcpy(s->local, f->pe->local_memory, f->pe->local_bytes);
  struct expectation at_the_end = *e;
  at_the_end.rs1 = FIELD(MTIA_SE_LOAD_TABLE_ADDRESS, last);
  check_allowed(f, s, &at_the_end, MTIA_SE_LOAD_TABLE_BYTES_FIELD, 64);
  check_refused(f, s, &at_the_end, MTIA_SE_LOAD_TABLE_BYTES_FIELD, 65);
  check_refused(f, s, e, MTIA_SE_LOAD_TABLE_ADDRESS_FIELD, f->pe->local_bytes);
  f->pe->local_bytes += 4096;
  snapshot_destroy(f, s);
}

/* ---- What MTIA v1 does not allow (src/hw/v1-limits.ts) ---- */

static const uint32_t lacking_on_v1[] = {MTIA_COMMAND_DMA_IN_INDEXED, MTIA_COMMAND_DMA_PREFETCH, MTIA_COMMAND_RE_ROW_RANGE,
                                         MTIA_COMMAND_MML_SPARSE};

#define REGISTER(name) FIELD_OF_REGISTER(MTIA_COMMAND_REGISTER_##name)
#define SE_ROWS_ON_V1(command) {MTIA_COMMAND_##command, REGISTER(SE_SHAPE), 33 | 16 << 16, 128 | 16 << 16, 32 | 16 << 16}
#define DMA_ON_V1(command)                                                                                       \
  {MTIA_COMMAND_##command, MTIA_DMA_IN_ADDRESS_FIELD, MTIA_SRAM_BASE + 1, MTIA_SRAM_BASE + 16, MTIA_SRAM_BASE + 32}, \
  {MTIA_COMMAND_##command, REGISTER(DMA_GLOBAL_STRIDE), 1, 80, 96}

/* The operand that mtval names: the first value above those that are legal, another one, and the last that is legal. */
static const struct narrower { uint32_t code, number; uint64_t illegal, also_illegal, legal; } narrower_on_v1[] = {
    DMA_ON_V1(DMA_IN),
    DMA_ON_V1(DMA_OUT),
    {MTIA_COMMAND_DMA_IN, REGISTER(DMA_CACHE_HINT), 1, UINT64_MAX, 0},
    {MTIA_COMMAND_MML, MTIA_MML_CONTEXT_FIELD, 1, MTIA_MML_CONTEXTS - 1, 0},
    {MTIA_COMMAND_MML, MTIA_MML_ADVANCE_FIELD, 1, 1, 0},
    {MTIA_COMMAND_MML, MTIA_MML_K_BLOCKS_FIELD, 2, 64, 1},
    SE_ROWS_ON_V1(SE_UNARY),
    SE_ROWS_ON_V1(SE_BINARY),
    SE_ROWS_ON_V1(SE_ROW_ACCUMULATE),
    SE_ROWS_ON_V1(SE_QUANTIZE),
    SE_ROWS_ON_V1(SE_DEQUANTIZE),
    SE_ROWS_ON_V1(SE_ROW_REDUCE),
};
enum { NARROWER = sizeof narrower_on_v1 / sizeof narrower_on_v1[0] };

/* Whether the command, with this value in the operand, is refused because of it; nothing must have moved then. */
static bool is_refused(struct fixture *f, struct snapshot *s, const struct narrower *n, uint64_t value) {
  const struct expectation *const e = expectation_of(n->code);
  const uint32_t index = n->number - FIELD_OF_REGISTER(0);
  const bool of_register = n->number >= FIELD_OF_REGISTER(0);
  if (of_register) set_register(f, 0, index, value);
  const enum hart_custom outcome = of_register ? issue(f, 0, e->code, e->rs1, e->rs2)
                                               : issue_with(f, e, &command_description_of(e->code)->fields[n->number], value);
  const bool refused = was_illegal(f, outcome, e->code, n->number);
  memcpy(f->pe->cp.registers, s->pe.cp.registers, sizeof s->pe.cp.registers); /* the test's own doing */
  if (refused) CHECK(nothing_moved(f, s));
  restore(f, s);
  return refused;
}

static void check_narrower(struct fixture *f, struct snapshot *s, const struct narrower *n, bool v1) {
  const bool good = is_refused(f, s, n, n->illegal) == v1 && is_refused(f, s, n, n->also_illegal) == v1 &&
                    !is_refused(f, s, n, n->legal);
  CHECK(good);
  if (!good) printf("  command %#x, field %u on %s: not refused, or refused too soon\n", n->code, n->number, v1 ? "v1" : "2i");
}

/* Each refused on v1 for its own sake, and on 2i not at all: what is legal on v1 is legal there. */
static void v1_refuses_what_only_2i_has_and_moves_nothing(void) {
  for (uint32_t generation = 1; generation <= 2; generation++) {
    struct snapshot *s;
    struct fixture *const f = snapshot_fixture(generation, &s);
    for (uint32_t i = 0; i < NARROWER; i++) check_narrower(f, s, &narrower_on_v1[i], generation == 1);
    for (uint32_t i = 0; i < EXPECTATIONS; i++) {
      const struct expectation *const e = &expectations[i];
      const enum hart_custom outcome = issue(f, 0, e->code, e->rs1, e->rs2);
      bool lacks = false;
      for (uint32_t j = 0; j < sizeof lacking_on_v1 / sizeof lacking_on_v1[0]; j++)
        lacks = lacks || (generation == 1 && lacking_on_v1[j] == e->code);
      CHECK(was_illegal(f, outcome, e->code, FIELD_OF_COMMAND) == lacks);
      if (lacks) CHECK(nothing_moved(f, s));
      restore(f, s);
    }
    snapshot_destroy(f, s);
  }
}

/* The stride of one row leads nowhere. */
static void v1_aligns_no_stride_of_a_single_row(void) {
  static const struct narrower in = {MTIA_COMMAND_DMA_IN, REGISTER(DMA_GLOBAL_STRIDE), 1, 80, 96};
  struct snapshot *s;
  struct fixture *const f = snapshot_fixture(1, &s);
  set_register(f, 0, MTIA_COMMAND_REGISTER_DMA_SHAPE, 64 << 16 | 1);
  s->pe = *f->pe;
  CHECK(!is_refused(f, s, &in, in.illegal));
  snapshot_destroy(f, s);
}

static void every_limit_of_v1_has_an_expectation(void) {
  static const struct mtia_v1_limit limits[] = MTIA_V1_LIMITS;
  static const struct { uint8_t first, count; } limits_of[128] = MTIA_V1_LIMITS_OF;
  uint32_t expected = 0, whole = 0;
  for (uint32_t code = 0; code < 128; code++)
    for (uint32_t i = 0; i < limits_of[code].count; i++) {
      const uint32_t number = limits[limits_of[code].first + i].number;
      if (number == FIELD_OF_COMMAND) whole++;
      for (uint32_t j = 0; j < NARROWER; j++) expected += narrower_on_v1[j].code == code && narrower_on_v1[j].number == number;
    }
  CHECK_EQUAL(whole, sizeof lacking_on_v1 / sizeof lacking_on_v1[0]);
  CHECK_EQUAL(expected, NARROWER);
  CHECK_EQUAL(expected + whole, sizeof limits / sizeof limits[0]);
}

/* Rows that straddle the end of a buffer are found only where the pointers stand: the command is refused as it runs. */
static void rows_that_straddle_the_end_move_nothing(void) {
  struct snapshot *s;
  struct fixture *const f = snapshot_fixture(2, &s);
  uint32_t found = 0;
  for (uint32_t cb = 0; cb < 3; cb++) { /* every pointer stands 20 bytes before the end of its buffer */
    issue(f, 0, MTIA_COMMAND_CB_PUSH, cb, cb < 2 ? 8192 - 20 : 16384 - 20);
    issue(f, 0, MTIA_COMMAND_CB_POP, cb, 16384 - 20);
    if (cb < 2) issue(f, 0, MTIA_COMMAND_CB_PUSH, cb, 16384);
  }
  s->pe = *f->pe;
  memcpy(s->local, f->pe->local_memory, f->pe->local_bytes);
  for (uint32_t i = 0; i < EXPECTATIONS; i++) {
    const struct expectation *const e = &expectations[i];
    const enum hart_custom outcome = issue(f, 0, e->code, e->rs1, e->rs2);
    const bool illegal = outcome == HART_CUSTOM_TRAP && f->cause == MTIA_EXCEPTION_ILLEGAL_COMMAND;
    if (illegal) CHECK(nothing_moved(f, s));
    found += illegal && e->code >= MTIA_COMMAND_DMA_IN;
    restore(f, s);
  }
  CHECK(found >= 14);
  snapshot_destroy(f, s);
}

void test_legality(void) {
  RUN(the_smallest_illegal_value_of_every_field_moves_nothing);
  RUN(the_first_value_above_the_legal_ones_moves_nothing);
  RUN(a_dma_that_moves_a_pointer_further_than_its_buffer_moves_nothing);
  RUN(a_table_that_reaches_past_the_end_of_local_memory_moves_nothing);
  RUN(in_a_job_what_is_no_scope_and_no_link_moves_nothing);
  RUN(v1_refuses_what_only_2i_has_and_moves_nothing);
  RUN(v1_aligns_no_stride_of_a_single_row);
  RUN(every_limit_of_v1_has_an_expectation);
  RUN(rows_that_straddle_the_end_move_nothing);
}
