/* MML beside its products (matmul_test.c): contexts, offsets that advance by themselves, a first operand that the MLU transposes. */
#include "../include/mtia.h"
#include "pe_test.h"

#define A 0u
#define B 65536u
#define TRANSPOSED 131072u
#define BUFFER 65536u
#define STRIDE 512u

struct product { uint32_t m, n, type, blocks; bool transpose_a; };

static struct fixture *multiply_fixture(uint32_t generation, uint32_t path) {
  struct fixture *const f = fixture_create(generation, path);
  const uint32_t bytes = generation == 1 ? 32768 : BUFFER;
  for (uint32_t cb = 0; cb < 3; cb++) {
    cb_init(f, cb, cb * bytes, bytes);
    cb_push(f, cb, bytes);
  }
  return f;
}

/* Finite numbers of about one, denormals and zeros; any bytes are fine as INT8. */
static void fill(uint8_t *at, uint32_t bytes, struct random *random) {
  for (uint32_t i = 0; i < bytes; i += 2) {
    const uint64_t bits = random_next(random);
    const uint16_t half = (bits >> 32) % 9 == 0 ? bits & 0x8003 : (bits & 0x83ff) | 0x3800;
    memcpy(at + i, &half, 2);
  }
}

static void set_context(struct fixture *f, uint32_t context, const struct product *p, uint64_t stride) {
  const uint32_t first = context * MTIA_MML_CONTEXT_REGISTERS;
  set_register(f, 0, first + MTIA_COMMAND_REGISTER_MML_SHAPE,
               FIELD(MTIA_MML_M, p->m) | FIELD(MTIA_MML_N, p->n) | FIELD(MTIA_MML_K_BYTES, 64) |
                   FIELD(MTIA_MML_TYPE, p->type) | FIELD(MTIA_MML_K_BLOCKS, p->blocks) |
                   FIELD(MTIA_MML_TRANSPOSE_A, p->transpose_a));
  set_register(f, 0, first + MTIA_COMMAND_REGISTER_MML_STRIDE, stride);
}

static void set_advance(struct fixture *f, uint32_t context, uint64_t increment, uint64_t offset) {
  set_register(f, 0, context * MTIA_MML_CONTEXT_REGISTERS + MTIA_COMMAND_REGISTER_MML_INCREMENT, increment);
  set_register(f, 0, context * MTIA_MML_CONTEXT_REGISTERS + MTIA_COMMAND_REGISTER_MML_OFFSET, offset);
}

static uint64_t offset_of(const struct fixture *f, uint32_t context) {
  return f->pe->cp.registers[0][context * MTIA_MML_CONTEXT_REGISTERS + MTIA_COMMAND_REGISTER_MML_OFFSET];
}

static bool multiply(struct fixture *f, uint32_t accumulator, uint64_t operands, uint64_t offset_b) {
  return issue(f, 0, MTIA_COMMAND_MML, operands | FIELD(MTIA_MML_ACCUMULATOR, accumulator) | FIELD(MTIA_MML_CB_B, 1),
               offset_b) == HART_CUSTOM_DONE;
}

static bool accumulators_equal(const struct fixture *f, uint32_t one, uint32_t other) {
  return memcmp(&f->pe->accumulators[one], &f->pe->accumulators[other], sizeof(union accumulator)) == 0;
}

static void contexts_keep_shapes_of_their_own(void) {
  static const struct product products[MTIA_MML_CONTEXTS] = {
      {32, 32, MTIA_TYPE_INT8, 1, false}, {7, 19, MTIA_TYPE_BF16, 3, false}, {32, 1, MTIA_TYPE_FP16, 2, false}, {1, 32, MTIA_TYPE_BF16, 1, false}};
  struct random random = {41};
  struct fixture *const f = multiply_fixture(2, MTIA_MATMUL_FASTEST), *const one = multiply_fixture(2, MTIA_MATMUL_FASTEST);
  fill(local(f, 0), 2 * BUFFER, &random);
  memcpy(local(one, 0), local(f, 0), 2 * BUFFER);
  for (uint32_t context = 0; context < MTIA_MML_CONTEXTS; context++) set_context(f, context, &products[context], STRIDE);
  for (uint32_t context = 0; context < MTIA_MML_CONTEXTS; context++) {
    CHECK(multiply(f, context, FIELD(MTIA_MML_CONTEXT, context), 64));
    set_context(one, 0, &products[context], STRIDE);
    CHECK(multiply(one, context, 0, 64));
    CHECK(memcmp(&f->pe->accumulators[context], &one->pe->accumulators[context], sizeof(union accumulator)) == 0);
  }
  /* A register that is illegal has the number that it has in its context. */
  set_register(f, 0, MTIA_COMMAND_REGISTER_MML_STRIDE + 2 * MTIA_MML_CONTEXT_REGISTERS, 62);
  CHECK(!multiply(f, 0, FIELD(MTIA_MML_CONTEXT, 2), 0));
  CHECK(was_illegal(f, HART_CUSTOM_TRAP, MTIA_COMMAND_MML,
                    FIELD_OF_REGISTER(MTIA_COMMAND_REGISTER_MML_STRIDE + 2 * MTIA_MML_CONTEXT_REGISTERS)));
  fixture_destroy(one);
  fixture_destroy(f);
}

static void offsets_advance_by_themselves(void) {
  const struct product p = {32, 32, MTIA_TYPE_BF16, 1, false};
  const uint64_t advance = FIELD(MTIA_MML_CONTEXT, 3) | FIELD(MTIA_MML_ADVANCE, 1);
  struct random random = {42};
  struct fixture *const f = multiply_fixture(2, MTIA_MATMUL_FASTEST);
  fill(local(f, 0), 2 * BUFFER, &random);
  for (uint32_t context = 0; context < 4; context += 3) set_context(f, context, &p, STRIDE);
  set_advance(f, 3, 2048ull << 32 | 64, 0);
  for (uint32_t block = 0; block < 8; block++) {
    CHECK(multiply(f, 0, advance | FIELD(MTIA_MML_OFFSET_A, 4), 8));
    CHECK(multiply(f, 1, FIELD(MTIA_MML_OFFSET_A, 4 + block * 64), 8 + block * 2048));
  }
  CHECK(accumulators_equal(f, 0, 1));
  CHECK_EQUAL(offset_of(f, 3), 8ull * 2048 << 32 | 8 * 64);
  /* Without the flag the offset takes no part and stays. */
  CHECK(multiply(f, 2, FIELD(MTIA_MML_CONTEXT, 3), 0) && multiply(f, 3, 0, 0));
  CHECK(accumulators_equal(f, 2, 3));
  CHECK_EQUAL(offset_of(f, 3), 8ull * 2048 << 32 | 8 * 64);
  /* Backwards, each half for itself. */
  set_advance(f, 3, (uint64_t)(uint32_t)-2048 << 32 | (uint32_t)-64, 2048ull << 32 | 64);
  for (uint32_t block = 0; block < 3; block++)
    CHECK(multiply(f, 0, advance | FIELD(MTIA_MML_OFFSET_A, 128), 4096) && multiply(f, 1, FIELD(MTIA_MML_OFFSET_A, 192 - block * 64), 6144 - block * 2048));
  CHECK(accumulators_equal(f, 0, 1));
  fixture_destroy(f);
}

static void a_refused_command_advances_nothing(void) {
  const struct product p = {32, 32, MTIA_TYPE_BF16, 1, false};
  const uint64_t advance = FIELD(MTIA_MML_ADVANCE, 1);
  struct fixture *const f = multiply_fixture(2, MTIA_MATMUL_PORTABLE);
  set_context(f, 0, &p, STRIDE);
  set_advance(f, 0, 2048ull << 32 | 64, 0);
  CHECK(!multiply(f, 0, advance | FIELD(MTIA_MML_OFFSET_A, BUFFER), 0)); /* the table refuses it */
  CHECK_EQUAL(offset_of(f, 0), 0);
  set_advance(f, 0, 2048ull << 32 | 64, BUFFER - 64);
  CHECK(!multiply(f, 0, advance, 0)); /* the offset is illegal because of what is added */
  CHECK(was_illegal(f, HART_CUSTOM_TRAP, MTIA_COMMAND_MML, MTIA_MML_OFFSET_A_FIELD));
  CHECK_EQUAL(offset_of(f, 0), BUFFER - 64);
  /* One that waits has advanced once; one that stands before a full list has not. */
  set_advance(f, 0, 64, 0);
  CHECK(issue(f, 0, MTIA_COMMAND_CB_POP, 0, BUFFER) == HART_CUSTOM_DONE);
  for (uint32_t i = 0; i < MTIA_LIMIT_PENDING_COMMANDS; i++) CHECK(multiply(f, 0, advance, 0));
  CHECK_EQUAL(offset_of(f, 0), MTIA_LIMIT_PENDING_COMMANDS * 64);
  CHECK(issue(f, 0, MTIA_COMMAND_MML, advance | FIELD(MTIA_MML_CB_B, 1), 0) == HART_CUSTOM_STALL);
  CHECK_EQUAL(offset_of(f, 0), MTIA_LIMIT_PENDING_COMMANDS * 64);
  fixture_destroy(f);
}

/* A of one fixture is that of the other, element by element, with rows and columns exchanged. */
static void transpose(struct fixture *f, const struct product *p) {
  const uint32_t bytes = data_type_bytes(p->type), elements = p->blocks * 64 / bytes;
  for (uint32_t row = 0; row < p->m; row++)
    for (uint32_t k = 0; k < elements; k++)
      memcpy(local(f, TRANSPOSED + k * 128 + row * bytes), local(f, A + row * STRIDE + k * bytes), bytes);
}

static void a_transposed_operand_gives_the_bits_of_a_plain_one(void) {
  static const uint32_t types[] = {MTIA_TYPE_INT8, MTIA_TYPE_FP16, MTIA_TYPE_BF16};
  struct random random = {43};
  for (uint32_t trial = 0; trial < 48; trial++) {
    struct fixture *const f = multiply_fixture(2, trial & 1 ? MTIA_MATMUL_FASTEST : MTIA_MATMUL_PORTABLE);
    struct product p = {1 + (uint32_t)random_next(&random) % 32, 1 + (uint32_t)random_next(&random) % 32, types[trial % 3],
                        1 + trial % 5, false};
    fill(local(f, 0), 2 * BUFFER, &random);
    memset(local(f, B + 20480), 0x44, BUFFER - 20480); /* positions of MML_SPARSE that ascend */
    transpose(f, &p);
    const uint64_t sparse_at = 24576 - 1024;
    const uint32_t code = trial % 4 == 3 ? MTIA_COMMAND_MML_SPARSE : MTIA_COMMAND_MML;
    const uint64_t offset_b = code == MTIA_COMMAND_MML ? 0 : sparse_at;
    for (uint32_t way = 0; way < 2; way++) {
      p.transpose_a = way == 1;
      set_context(f, 0, &p, way == 1 ? 128 : STRIDE);
      CHECK(issue(f, 0, code, FIELD(MTIA_MML_ACCUMULATOR, way) | FIELD(MTIA_MML_CB_A, way == 1 ? 2 : 0) | FIELD(MTIA_MML_CB_B, 1),
                  offset_b) == HART_CUSTOM_DONE);
    }
    CHECK(accumulators_equal(f, 0, 1));
    fixture_destroy(f);
  }
}

static void a_transposed_operand_keeps_the_mlu_busy(void) {
  struct product p = {32, 32, MTIA_TYPE_INT8, 1, false};
  uint64_t done[2];
  for (uint32_t way = 0; way < 2; way++) {
    struct fixture *const f = multiply_fixture(1, 0);
    f->pe->time.local_memory = 0; /* leaves what the units themselves take */
    p.transpose_a = way == 1;
    set_context(f, 0, &p, 64);
    for (uint32_t i = 0; i < 4; i++) CHECK(multiply(f, 0, 0, 0));
    CHECK_EQUAL(f->pe->time.busy[LINE_MLU], way == 1 ? 4 * 32 * 64 / 64 : 0);
    CHECK_EQUAL(f->pe->time.busy[LINE_DPE], 4 * 2 * 32);
    done[way] = f->pe->cp.done[0];
    fixture_destroy(f);
  }
  /* Only the first waits: the others are transposed while the one before is multiplied. */
  CHECK_EQUAL(done[1] - done[0], 32 + 16);
}

static void v1_has_one_context_and_no_advance(void) {
  const struct product p = {4, 4, MTIA_TYPE_INT8, 1, true};
  struct fixture *const f = multiply_fixture(1, 0);
  set_context(f, 0, &p, 64);
  set_advance(f, 0, 64, 64);
  CHECK(multiply(f, 0, 0, 0));
  CHECK(!multiply(f, 0, FIELD(MTIA_MML_CONTEXT, 1), 0));
  CHECK(was_illegal(f, HART_CUSTOM_TRAP, MTIA_COMMAND_MML, MTIA_MML_CONTEXT_FIELD));
  CHECK(!multiply(f, 0, FIELD(MTIA_MML_ADVANCE, 1), 0));
  CHECK(was_illegal(f, HART_CUSTOM_TRAP, MTIA_COMMAND_MML, MTIA_MML_ADVANCE_FIELD));
  CHECK_EQUAL(offset_of(f, 0), 64);
  fixture_destroy(f);
}

void test_multiply(void) {
  RUN(contexts_keep_shapes_of_their_own);
  RUN(offsets_advance_by_themselves);
  RUN(a_refused_command_advances_nothing);
  RUN(a_transposed_operand_gives_the_bits_of_a_plain_one);
  RUN(a_transposed_operand_keeps_the_mlu_busy);
  RUN(v1_has_one_context_and_no_advance);
}
