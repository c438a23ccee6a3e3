/*
 * MML_SPARSE: the second operand has at most two values that are not zero in every four elements along k (2:4). A block of it is
 * first the kept values, then where they belong:
 *
 *   k/8 rows of 32 groups of 4 bytes: group n of row r holds bytes 4r..4r+3 of the kept values of column n
 *   32 runs of (elements of k)/8 bytes: column n's positions, four bits for every four elements of k, low bits first:
 *   bits 1:0 where the first kept value belongs, bits 3:2 the second, which lies behind it
 */
#include <string.h>
#include "dot_product_engine.h"

#define SAME_FIELD(name) \
  _Static_assert((int)MTIA_MML_##name##_FIELD == (int)MTIA_MML_SPARSE_##name##_FIELD, "mml_of reads both")
SAME_FIELD(ACCUMULATOR);
SAME_FIELD(CB_A);
SAME_FIELD(CB_B);
SAME_FIELD(OFFSET_A);
SAME_FIELD(OFFSET_B);
SAME_FIELD(M);
SAME_FIELD(N);
SAME_FIELD(K_BYTES);
SAME_FIELD(TYPE);
SAME_FIELD(K_BLOCKS);
SAME_FIELD(TRANSPOSE_A);
SAME_FIELD(CONTEXT);
SAME_FIELD(ADVANCE);

#define GROUP 4 /* elements of k, of which two are kept */

/* A block of k in its packed form. */
struct packed {
  uint32_t element_bytes, groups; /* along k */
  uint32_t value_bytes, position_bytes_a_column;
};

static struct packed packed_of(const struct mml *mml) {
  const uint32_t element_bytes = data_type_bytes(mml->type), groups = mml->k_bytes / element_bytes / GROUP;
  return (struct packed){.element_bytes = element_bytes,
                         .groups = groups,
                         .value_bytes = mml->k_bytes / 8 * MATMUL_B_ROW_BYTES,
                         .position_bytes_a_column = groups / 2};
}

static uint32_t packed_bytes(const struct packed *packed) {
  return packed->value_bytes + packed->position_bytes_a_column * MATMUL_COLUMNS;
}

bool mml_sparse_prepare(struct pe *pe, struct command *command) {
  const struct mml mml = mml_of(command);
  const struct packed packed = packed_of(&mml);
  return mml_prepare_first(pe, command, &mml) &&
         command_needs_block(pe, command, (uint32_t)command->field[MTIA_MML_SPARSE_CB_B_FIELD], SIDE_DATA,
                             MTIA_MML_SPARSE_OFFSET_B_FIELD, mml.k_blocks, packed_bytes(&packed), packed_bytes(&packed));
}

static uint32_t positions_at(const struct packed *packed, const uint8_t *block, uint32_t column, uint32_t group) {
  const uint8_t byte = block[packed->value_bytes + column * packed->position_bytes_a_column + group / 2];
  return byte >> (group % 2 * 4) & 15;
}

static bool positions_ascend(const struct packed *packed, const uint8_t *block, uint32_t columns) {
  for (uint32_t column = 0; column < columns; column++)
    for (uint32_t group = 0; group < packed->groups; group++) {
      const uint32_t positions = positions_at(packed, block, column, group);
      if ((positions & 3) >= positions >> 2) return false;
    }
  return true;
}

/* Byte `at` along k of a column, in an operand of MML. */
static uint64_t byte_of(uint32_t column, uint32_t at) {
  return (uint64_t)(at / 4) * MATMUL_B_ROW_BYTES + column * 4 + at % 4;
}

static void unpack(const struct packed *packed, const uint8_t *block, uint32_t columns, uint8_t *dense) {
  const uint32_t bytes = packed->element_bytes;
  memset(dense, 0, WIDEST_K_BYTES / 4 * MATMUL_B_ROW_BYTES);
  for (uint32_t column = 0; column < columns; column++)
    for (uint32_t group = 0; group < packed->groups; group++) {
      const uint32_t positions = positions_at(packed, block, column, group);
      for (uint32_t kept = 0; kept < 2; kept++) {
        const uint32_t to = group * GROUP + (positions >> (kept * 2) & 3);
        memcpy(dense + byte_of(column, to * bytes), block + byte_of(column, (group * 2 + kept) * bytes), bytes);
      }
    }
}

/* ---- Infinities and NaNs of A, which a place left out of B does not meet ---- */

static uint16_t load16(const uint8_t *at) {
  uint16_t bits;
  memcpy(&bits, at, sizeof bits);
  return bits;
}

static uint16_t exponent_of(uint32_t type) { return type == MTIA_TYPE_FP16 ? 0x7c00 : 0x7f80; }

static bool all_finite(const struct mml *mml, const uint8_t *const *a) {
  if (mml->type == MTIA_TYPE_INT8) return true;
  const uint16_t exponent = exponent_of(mml->type);
  for (uint32_t row = 0; row < mml->m; row++)
    for (uint32_t at = 0; at < mml->k_bytes; at += 2)
      if ((load16(a[row] + at) & exponent) == exponent) return false;
  return true;
}

/* Column by column, with a small number of the same sign for what is not finite in A where B has nothing. */
static void multiply_not_finite(matmul_function *function, const struct mml *mml, const struct packed *packed,
                                const uint8_t *block, union accumulator *accumulator, const struct matmul_operands *operands) {
  const uint16_t exponent = exponent_of(mml->type);
  uint8_t rows[MATMUL_ROWS][WIDEST_K_BYTES];
  struct matmul_operands one = *operands;
  for (uint32_t row = 0; row < mml->m; row++) one.a[row] = rows[row];
  for (uint32_t column = 0; column < mml->n; column++) {
    uint64_t kept = 0; /* bit per element of k */
    for (uint32_t group = 0; group < packed->groups; group++) {
      const uint32_t positions = positions_at(packed, block, column, group);
      kept |= (1ull << (positions & 3) | 1ull << (positions >> 2)) << (group * GROUP);
    }
    for (uint32_t row = 0; row < mml->m; row++) {
      memcpy(rows[row], operands->a[row], mml->k_bytes);
      for (uint32_t i = 0; i < mml->k_bytes / 2; i++) {
        uint16_t bits = load16(rows[row] + i * 2);
        if ((bits & exponent) != exponent || (kept >> i & 1) != 0) continue;
        bits = (uint16_t)((bits & 0x8000) | 0x3c00);
        memcpy(rows[row] + i * 2, &bits, sizeof bits);
      }
    }
    union accumulator sums = *accumulator;
    function(&sums, &one);
    for (uint32_t row = 0; row < mml->m; row++) accumulator->fp32[row][column] = sums.fp32[row][column];
  }
}

bool mml_sparse_execute(struct pe *pe, struct command *command) {
  const struct mml mml = mml_of(command);
  const struct packed packed = packed_of(&mml);
  const uint64_t k_bytes = (uint64_t)mml.k_bytes * mml.k_blocks;
  struct block a, b;
  if (!mml_place_first(pe, command, &mml, &a) ||
      !command_place_block(pe, command, &b, (uint32_t)command->field[MTIA_MML_SPARSE_CB_B_FIELD], SIDE_DATA,
                           MTIA_MML_SPARSE_OFFSET_B_FIELD, mml.k_blocks, packed_bytes(&packed), packed_bytes(&packed)))
    return false;
  for (uint32_t block = 0; block < mml.k_blocks; block++)
    if (!positions_ascend(&packed, block_row(&b, block), mml.n))
      return command_illegal(command, MTIA_MML_SPARSE_OFFSET_B_FIELD);

  uint8_t a_rows[MATMUL_ROWS][WIDEST_K_BYTES] __attribute__((aligned(64)));
  uint8_t dense[WIDEST_K_BYTES / 4 * MATMUL_B_ROW_BYTES] __attribute__((aligned(64)));
  struct matmul_operands operands = {.b = dense, .m = mml.m, .n = mml.n, .k_bytes = mml.k_bytes, .blocks = 1};
  matmul_function *const function = mml_function_of(pe, mml.type);
  for (uint32_t block = 0; block < mml.k_blocks; block++) {
    mml_first_rows(&mml, &a, block, a_rows, operands.a);
    unpack(&packed, block_row(&b, block), mml.n, dense);
    if (all_finite(&mml, operands.a))
      function(&pe->accumulators[mml.accumulator], &operands);
    else
      multiply_not_finite(function, &mml, &packed, block_row(&b, block), &pe->accumulators[mml.accumulator], &operands);
  }
  mml_added(pe, &mml, k_bytes / 2);
  /* Twice the k a pass (I25 section 3.3); chained blocks fill passes together. */
  mml_take_time(pe, &mml, command, divide_up(k_bytes, 2 * pe->time.dpe_k_bytes), mml.m * k_bytes,
                (uint64_t)packed_bytes(&packed) * mml.k_blocks * mml.n / MATMUL_COLUMNS);
  return true;
}
