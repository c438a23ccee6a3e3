/* MML_SPARSE against MML on the dense form of the same weights. */
#include "../include/mtia.h"
#include "pe_test.h"

#define A 0u
#define SPARSE 65536u
#define DENSE 131072u
#define BUFFER 65536u
#define STRIDE 1024u

static const uint32_t types[] = {MTIA_TYPE_INT8, MTIA_TYPE_FP16, MTIA_TYPE_BF16};

static struct fixture *sparse_fixture(uint32_t path) {
  struct fixture *const f = fixture_create(2, path);
  for (uint32_t cb = 0; cb < 3; cb++) {
    cb_init(f, cb, cb * BUFFER, BUFFER);
    cb_push(f, cb, BUFFER);
  }
  return f;
}

struct product { uint32_t m, n, k_bytes, blocks, type; };

static uint32_t sparse_block_bytes(const struct product *p) {
  return p->k_bytes * 16 + p->k_bytes / data_type_bytes(p->type) / 8 * 32;
}

/* Random kept values at random places, in both forms. */
static void make_weights(struct fixture *f, const struct product *p, struct random *random) {
  const uint32_t bytes = data_type_bytes(p->type), groups = p->k_bytes / bytes / 4;
  memset(local(f, DENSE), 0, BUFFER);
  memset(local(f, SPARSE), 0, BUFFER);
  for (uint32_t block = 0; block < p->blocks; block++)
    for (uint32_t n = 0; n < 32; n++)
      for (uint32_t group = 0; group < groups; group++) {
        static const uint8_t pairs[] = {0x4, 0x8, 0xc, 0x9, 0xd, 0xe}; /* 0 1, 0 2, 0 3, 1 2, 1 3, 2 3 */
        const uint32_t pair = pairs[random_next(random) % 6];
        uint8_t *const sparse = local(f, SPARSE + block * sparse_block_bytes(p));
        uint8_t *const dense = local(f, DENSE + block * p->k_bytes * 32);
        sparse[p->k_bytes * 16 + n * (groups / 2) + group / 2] |= (uint8_t)(pair << (group % 2 * 4));
        for (uint32_t kept = 0; kept < 2; kept++)
          for (uint32_t byte = 0; byte < bytes; byte++) {
            const uint32_t from = (group * 2 + kept) * bytes + byte, to = (group * 4 + (pair >> (kept * 2) & 3)) * bytes + byte;
            const uint8_t value = byte == bytes - 1 && bytes == 2 ? 0x3b + (uint8_t)(random_next(random) % 5) : (uint8_t)random_next(random);
            sparse[from / 4 * 128 + n * 4 + from % 4] = dense[to / 4 * 128 + n * 4 + to % 4] = value;
          }
      }
}

static void fill_a(struct fixture *f, const struct product *p, struct random *random) {
  for (uint32_t i = 0; i < BUFFER; i += 2) {
    const uint64_t bits = random_next(random);
    uint16_t half = (uint16_t)bits;
    if (p->type != MTIA_TYPE_INT8) half = (uint16_t)((bits & 0x83ff) | 0x3800); /* finite, of both signs, about one */
    if (p->type != MTIA_TYPE_INT8 && (bits >> 32) % 9 == 0) half &= 0x8003;     /* denormals and zeros */
    memcpy(local(f, A + i), &half, 2);
  }
}

static void set_shape(struct fixture *f, const struct product *p) {
  set_register(f, 0, MTIA_COMMAND_REGISTER_MML_STRIDE, STRIDE);
  set_register(f, 0, MTIA_COMMAND_REGISTER_MML_SHAPE,
               FIELD(MTIA_MML_M, p->m) | FIELD(MTIA_MML_N, p->n) | FIELD(MTIA_MML_K_BYTES, p->k_bytes) |
                   FIELD(MTIA_MML_TYPE, p->type) | FIELD(MTIA_MML_K_BLOCKS, p->blocks));
}

/* Accumulator 0 by MML_SPARSE, accumulator 1 by MML. */
static void multiply_both_ways(struct fixture *f, const struct product *p) {
  set_shape(f, p);
  for (uint32_t i = 0; i < 2; i++) issue(f, 0, MTIA_COMMAND_ACC_INIT, i, 0);
  CHECK(issue(f, 0, MTIA_COMMAND_MML_SPARSE, FIELD(MTIA_MML_CB_B, 1), 0) == HART_CUSTOM_DONE);
  CHECK(issue(f, 0, MTIA_COMMAND_MML, 1 | FIELD(MTIA_MML_CB_B, 2), 0) == HART_CUSTOM_DONE);
}

static void sparse_blocks_give_the_bits_of_dense_ones(void) {
  struct random random = {31};
  for (uint32_t trial = 0; trial < 60; trial++) {
    struct fixture *const f = sparse_fixture(trial & 1 ? MTIA_MATMUL_FASTEST : MTIA_MATMUL_PORTABLE);
    const struct product p = {.m = 1 + (uint32_t)random_next(&random) % 32, .n = 1 + (uint32_t)random_next(&random) % 32,
                              .k_bytes = trial % 5 == 0 ? 32 : 64, .blocks = 1 + trial % 6, .type = types[trial % 3]};
    make_weights(f, &p, &random);
    fill_a(f, &p, &random);
    multiply_both_ways(f, &p);
    CHECK(memcmp(&f->pe->accumulators[0], &f->pe->accumulators[1], sizeof(union accumulator)) == 0);
    fixture_destroy(f);
  }
}

/* Column 0 keeps elements 0 and 1 of every four, column 1 elements 2 and 3. */
static void infinities_meet_kept_places_only(void) {
  for (uint32_t which = 1; which < 3; which++) {
    struct fixture *const f = sparse_fixture(0);
    const struct product p = {.m = 1, .n = 2, .k_bytes = 64, .blocks = 1, .type = types[which]};
    const uint16_t one = which == 1 ? 0x3c00 : 0x3f80, infinity = which == 1 ? 0x7c00 : 0x7f80;
    memset(local(f, A), 0, 64);
    memset(local(f, SPARSE), 0, 2048);
    memcpy(local(f, A + 2 * 2), &infinity, 2);
    for (uint32_t n = 0; n < 2; n++) {
      memset(local(f, SPARSE + 1024 + n * 4), n == 0 ? 0x44 : 0xee, 4);
      memcpy(local(f, SPARSE + n * 4), &one, 2);
    }
    set_shape(f, &p);
    issue(f, 0, MTIA_COMMAND_ACC_INIT, 0, 0);
    CHECK(issue(f, 0, MTIA_COMMAND_MML_SPARSE, FIELD(MTIA_MML_CB_B, 1), 0) == HART_CUSTOM_DONE);
    CHECK(f->pe->accumulators[0].int32[0][0] == 0);
    CHECK(f->pe->accumulators[0].int32[0][1] == 0x7f800000);
    fixture_destroy(f);
  }
}

static void positions_that_do_not_ascend_change_nothing(void) {
  struct fixture *const f = sparse_fixture(0);
  struct random random = {32};
  const struct product p = {.m = 32, .n = 32, .k_bytes = 64, .blocks = 3, .type = MTIA_TYPE_INT8};
  make_weights(f, &p, &random);
  fill_a(f, &p, &random);
  set_shape(f, &p);
  *local(f, SPARSE + 2 * 1280 + 1024 + 255) = 0x48; /* the last group: 0 behind 2 is fine, 0 1 ... */
  *local(f, SPARSE + 2 * 1280 + 1024 + 254) = 0x41; /* ... but 1 before 0 is not */
  CHECK(was_illegal(f, issue(f, 0, MTIA_COMMAND_MML_SPARSE, FIELD(MTIA_MML_CB_B, 1), 0), MTIA_COMMAND_MML_SPARSE,
                    MTIA_MML_SPARSE_OFFSET_B_FIELD));
  const union accumulator untouched = {.int32 = {{0}}};
  CHECK(memcmp(&f->pe->accumulators[0], &untouched, sizeof untouched) == 0);
  fixture_destroy(f);
}

static void sparse_blocks_take_half_the_time(void) {
  struct fixture *const f = sparse_fixture(0);
  struct random random = {33};
  const struct product p = {.m = 32, .n = 32, .k_bytes = 64, .blocks = 8, .type = MTIA_TYPE_BF16};
  make_weights(f, &p, &random);
  fill_a(f, &p, &random);
  set_shape(f, &p);
  uint64_t busy[2];
  for (uint32_t i = 0; i < 2; i++) {
    const uint32_t code = i == 0 ? MTIA_COMMAND_MML : MTIA_COMMAND_MML_SPARSE;
    issue(f, 0, code, i | FIELD(MTIA_MML_CB_B, 2 - i), 0);
    const uint64_t before = f->pe->time.free[LINE_DPE]; /* the engine is behind the hart from here on */
    issue(f, 0, code, i | FIELD(MTIA_MML_CB_B, 2 - i), 0);
    busy[i] = f->pe->time.free[LINE_DPE] - before;
  }
  CHECK_EQUAL(busy[0], 8 * 32);
  CHECK_EQUAL(busy[1], 4 * 32);
  fixture_destroy(f);
}

void test_sparse(void) {
  RUN(sparse_blocks_give_the_bits_of_dense_ones);
  RUN(infinities_meet_kept_places_only);
  RUN(positions_that_do_not_ascend_change_nothing);
  RUN(sparse_blocks_take_half_the_time);
}
