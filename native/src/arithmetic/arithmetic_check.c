#include "arithmetic_check.h"
#include <stdio.h>
#include <string.h>
#include "numeric_format.h"
#include "simd_engine_range.h"

/* ---- Numbers ---- */

struct draws { uint64_t state; };

/* xorshift: the same numbers on every host. */
static uint64_t draw_bits(struct draws *draws) {
  uint64_t x = draws->state;
  x ^= x << 13;
  x ^= x >> 7;
  x ^= x << 17;
  return draws->state = x;
}

/* xorshift never leaves zero; the multiplication tells neighbouring seeds apart. */
static struct draws draws_of(uint64_t seed) {
  struct draws draws = {(seed + 1) * 0x9e3779b97f4a7c15u | 1};
  for (uint32_t i = 0; i < 8; i++) draw_bits(&draws);
  return draws;
}

static uint32_t draw_below(struct draws *draws, uint32_t limit) { return (uint32_t)(draw_bits(draws) >> 32) % limit; }

/* Which numbers the operands are drawn from. */
enum family {
  ANY_BITS,        /* NaNs and infinities everywhere */
  ORDINARY,        /* about the size of one: rounding differs with every change of order */
  CANCELLING,      /* few magnitudes, both signs: sums that vanish, zeros of both signs; INT8: the extremes */
  NEARLY_DENORMAL, /* products and sums around the smallest normal number */
  FEW_SPECIAL,     /* ordinary, with a rare NaN, infinity or denormal among them */
  FAMILIES
};

static uint16_t draw16(struct draws *draws, uint32_t type, enum family family) {
  const uint64_t bits = draw_bits(draws);
  const uint16_t any = (uint16_t)bits;
  const bool bf16 = type == MTIA_TYPE_BF16;
  const uint32_t fraction_bits = bf16 ? 7 : 10;
  const uint32_t fraction = any & ((1u << fraction_bits) - 1u);
  uint32_t exponent = bf16 ? 120 + (bits >> 20) % 14 : 10 + (bits >> 20) % 10;
  if (type == MTIA_TYPE_INT8)
    return family != CANCELLING ? any : (uint16_t)(((any & 0x100) != 0 ? 0x8000 : 0x7f00) | ((any & 1) != 0 ? 0x80 : 0x7f));
  if (family == ANY_BITS || (family == FEW_SPECIAL && (bits >> 32) % 300 == 0)) return any;
  if (family == CANCELLING)
    return (uint16_t)((any & 0x8000) | (bf16 ? 127 : 15) << fraction_bits | (fraction & 3) << (fraction_bits - 2));
  if (family == NEARLY_DENORMAL)
    exponent = bf16 ? ((bits >> 20) % 5 == 0 ? 0 : 50 + (bits >> 20) % 30) : (bits >> 20) % 3;
  return (uint16_t)((any & 0x8000) | exponent << fraction_bits | fraction);
}

/* An element of an accumulator. */
static uint32_t draw32(struct draws *draws, uint32_t type, enum family family) {
  const uint32_t bits = (uint32_t)(draw_bits(draws) >> 16);
  if (type == MTIA_TYPE_INT8 || family == ANY_BITS) return bits;
  if (family == NEARLY_DENORMAL) return bits & 0x81ffffff; /* exponents 0..3 */
  if (family == CANCELLING) return fp32_bits((float)((int32_t)bits % 8));
  return (bits & 0x80ffffff) | 0x3f000000;
}

/* Any bits, the limits of every conversion often among them. */
static float draw_value(struct draws *draws) {
  static const uint32_t specials[] = {0x00000000, 0x80000000, 0x7f800000, 0xff800000, 0x7fc00000, 0x7f800001, 0xffffffff,
                                      0x00000001, 0x807fffff, 0x00800000, 0x7f7fffff, 0x477ff000, 0x477fefff, 0x33000000,
                                      0x33000001, 0x387fffff, 0x38800000, 0x4f000000, 0xcf000000, 0xcf000001, 0x42ff0000,
                                      0xc3008000, 0x3f000000, 0x40200000, 0x3f808000, 0x3f818000, 0x4effffff, 0x4b000001};
  const uint64_t bits = draw_bits(draws);
  const uint32_t kind = bits >> 32 & 7;
  uint32_t value = (uint32_t)bits;
  if (kind == 0) value = specials[value % (sizeof specials / sizeof specials[0])];
  if (kind >= 3) value = (value & 0x807fffff) | (uint32_t)(100 + (bits >> 40) % 50) << 23; /* about the size of one */
  return fp32_of_bits(value);
}

static bool same_fp32(uint32_t a, uint32_t b) { return a == b || (fp32_bits_are_nan(a) && fp32_bits_are_nan(b)); }

/* ---- Dot-product engine ---- */

#define MOST_BLOCKS 9
#define MOST_K_BYTES 64

struct product {
  uint32_t type;
  enum family family;
  struct matmul_operands operands;
  union accumulator start;
  /* Of odd size, so that operands may begin at any address. */
  uint16_t a[MATMUL_ROWS][MOST_BLOCKS * MOST_K_BYTES / 2 + 1];
  uint16_t b[MOST_BLOCKS * MOST_K_BYTES / 4 * MATMUL_B_ROW_BYTES / 2 + 1];
};

/* Types and families take turns, so that few rounds meet each of them. */
static void draw_product(struct product *product, struct draws *draws, uint32_t round) {
  static const uint32_t types[] = {MTIA_TYPE_INT8, MTIA_TYPE_FP16, MTIA_TYPE_BF16};
  const uint32_t type = product->type = types[round % 3];
  const enum family family = product->family = (enum family)(round / 3 % FAMILIES);
  struct matmul_operands *const operands = &product->operands;
  /* Short sums and single rows are as likely as long ones: paths treat them apart. */
  operands->m = draw_below(draws, 4) == 0 ? 1 : 1 + draw_below(draws, MATMUL_ROWS);
  operands->n = draw_below(draws, 3) == 0 ? MATMUL_COLUMNS : 1 + draw_below(draws, MATMUL_COLUMNS);
  operands->k_bytes = draw_below(draws, 4) == 0 ? 32 : 64;
  operands->blocks = draw_below(draws, 2) == 0 ? 1 : 1 + draw_below(draws, MOST_BLOCKS);
  const uint32_t bytes = operands->k_bytes * operands->blocks, ragged = draw_below(draws, 2);
  for (uint32_t row = 0; row < operands->m; row++) {
    const uint32_t skip = ragged != 0 && family == ANY_BITS ? row & 1 : 0;
    for (uint32_t i = 0; i < bytes / 2 + skip; i++) product->a[row][i] = draw16(draws, type, family);
    /* Rows of A that lie at no constant distance: a circular buffer went around between them. */
    operands->a[row] = (const uint8_t *)product->a[row] + skip;
  }
  for (uint32_t i = 0; i < bytes * MATMUL_COLUMNS / 2; i++) product->b[i] = draw16(draws, type, family);
  operands->b = (const uint8_t *)product->b;
  for (uint32_t row = 0; row < MATMUL_ROWS; row++)
    for (uint32_t n = 0; n < MATMUL_COLUMNS; n++) product->start.int32[row][n] = (int32_t)draw32(draws, type, family);
}

static matmul_function *function_of(const struct matmul_path *path, uint32_t type) {
  return type == MTIA_TYPE_INT8 ? path->int8 : type == MTIA_TYPE_FP16 ? path->fp16 : path->bf16;
}

static bool product_agrees(const struct matmul_path *path, const struct product *product,
                           struct arithmetic_difference *difference) {
  const struct matmul_operands *const operands = &product->operands;
  union accumulator expected = product->start, found = product->start;
  function_of(&matmul_portable, product->type)(&expected, operands);
  function_of(path, product->type)(&found, operands);
  for (uint32_t row = 0; row < MATMUL_ROWS; row++)
    for (uint32_t n = 0; n < MATMUL_COLUMNS; n++) {
      const uint32_t a = (uint32_t)expected.int32[row][n], b = (uint32_t)found.int32[row][n];
      if (a == b || (product->type != MTIA_TYPE_INT8 && same_fp32(a, b))) continue;
      snprintf(difference->text, sizeof difference->text,
               "%s: type %u, numbers %u, m %u n %u k %u blocks %u: [%u][%u] is %08x, not %08x", path->name, product->type,
               (uint32_t)product->family, operands->m, operands->n, operands->k_bytes, operands->blocks, row, n, b, a);
      return false;
    }
  return true;
}

bool arithmetic_matmul_agrees(const struct matmul_path *path, uint64_t seed, uint32_t rounds,
                              struct arithmetic_difference *difference) {
  struct draws draws = draws_of(seed);
  struct product product;
  for (uint32_t i = 0; i < rounds; i++) {
    draw_product(&product, &draws, i);
    if (!product_agrees(path, &product, difference)) return false;
  }
  return true;
}

/* ---- SIMD engine ---- */

#define MOST_VALUES 100u

struct row { float values[MOST_VALUES]; };

static bool rows_agree(const struct se_path *path, const char *what, uint32_t which, const struct row *found,
                       const struct row *expected, uint32_t count, struct arithmetic_difference *difference) {
  for (uint32_t i = 0; i < count; i++) {
    const uint32_t a = fp32_bits(expected->values[i]), b = fp32_bits(found->values[i]);
    if (same_fp32(a, b)) continue;
    snprintf(difference->text, sizeof difference->text, "%s: %s %u, value %u of %u is %08x, not %08x", path->name, what, which,
             i, count, b, a);
    return false;
  }
  return true;
}

static void draw_row(struct row *row, struct draws *draws) {
  for (uint32_t i = 0; i < MOST_VALUES; i++) row->values[i] = draw_value(draws);
}

static bool type_agrees(const struct se_path *path, uint32_t type, uint32_t count, struct draws *draws,
                        struct arithmetic_difference *difference) {
  struct row values, expected, found;
  uint8_t source[MOST_VALUES * 4 + 1], expected_bytes[MOST_VALUES * 4 + 1], found_bytes[MOST_VALUES * 4 + 1];
  for (uint32_t i = 0; i < sizeof source; i++) source[i] = (uint8_t)(draw_bits(draws) >> 24);
  draw_row(&values, draws);
  /* Half of the trials read what the engine may itself have written: fewer NaNs than any bits hold. */
  if (draw_below(draws, 2) == 0) se_portable.store[type](source + 1, values.values, MOST_VALUES);
  se_portable.load[type](expected.values, source + 1, count);
  path->load[type](found.values, source + 1, count);
  if (!rows_agree(path, "load of type", type, &found, &expected, count, difference)) return false;

  memset(expected_bytes, 0x55, sizeof expected_bytes);
  memset(found_bytes, 0x55, sizeof found_bytes);
  se_portable.store[type](expected_bytes + 1, values.values, count);
  path->store[type](found_bytes + 1, values.values, count);
  for (uint32_t i = 0; i < sizeof found_bytes; i++) { /* to the last: a path must not write beyond its row */
    if (expected_bytes[i] == found_bytes[i]) continue;
    snprintf(difference->text, sizeof difference->text, "%s: store of type %u, %u values: byte %u is %02x, not %02x", path->name,
             type, count, i - 1, found_bytes[i], expected_bytes[i]);
    return false;
  }

  expected = found = values;
  se_portable.accumulate[type](expected.values, source + 1, count);
  path->accumulate[type](found.values, source + 1, count);
  return rows_agree(path, "accumulation of type", type, &found, &expected, count, difference);
}

static bool ranges_agree(const struct se_path *path, const struct row *row, uint32_t count,
                         struct arithmetic_difference *difference) {
  struct se_range expected = SE_RANGE_OF_NOTHING, found = SE_RANGE_OF_NOTHING;
  se_portable.range(&expected, row->values, count);
  path->range(&found, row->values, count);
  if (expected.minimum == found.minimum && expected.maximum == found.maximum && expected.magnitude == found.magnitude) return true;
  snprintf(difference->text, sizeof difference->text, "%s: range of %u values", path->name, count);
  return false;
}

/* Rows of `columns` values with gaps between them, which stay as they are. */
static bool scales_agree(const struct se_path *path, const struct row *row, const struct row *second, uint32_t columns,
                         struct draws *draws, struct arithmetic_difference *difference) {
  const uint32_t pitch = columns + draw_below(draws, 4), rows = pitch == 0 ? 0 : MOST_VALUES / pitch, used = draw_below(draws, 8);
  uint8_t row_scale[sizeof second->values + 1];
  memcpy(row_scale + 1, second->values, sizeof second->values);
  const struct se_factors factors = {.row_scale = used & 1 ? row_scale + 1 : NULL,
                                     .column_scale = used & 2 ? second->values : NULL,
                                     .column_bias = used & 4 ? second->values : NULL};
  struct row expected = *row, found = *row;
  se_portable.scale(&factors, expected.values, rows, columns, pitch);
  path->scale(&factors, found.values, rows, columns, pitch);
  return rows_agree(path, "scales", used, &found, &expected, MOST_VALUES, difference);
}

static void draw_table(struct se_table *table, struct draws *draws) {
  const uint32_t segments = draw_below(draws, 4) == 0 ? 240 : 1 + draw_below(draws, 240);
  const float low = -6, high = 6;
  *table = (struct se_table){.low = low, .high = high, .scale = (float)segments / (high - low), .below = -1,
                             .above = fp32_of_bits(0x7fc12345), .segments = (int32_t)segments,
                             .degree = draw_below(draws, 2) == 0 ? 1 : 3};
  /* Fields that contradict each other push u past the end. */
  if (draw_below(draws, 8) == 0) table->scale = draw_value(draws);
  for (uint32_t i = 0; i < segments * ((uint32_t)table->degree + 1); i++) table->coefficients[i] = draw_value(draws);
}

static bool functions_agree(const struct se_path *path, uint32_t count, struct draws *draws,
                            struct arithmetic_difference *difference) {
  struct row values, second, expected, found;
  struct se_table table;
  draw_table(&table, draws);
  draw_row(&values, draws);
  draw_row(&second, draws);
  for (uint32_t i = 0; i < MOST_VALUES; i += 5) second.values[i] = draw_below(draws, 2) == 0 ? values.values[i] : -values.values[i];

  if (!ranges_agree(path, &values, count, difference)) return false;
  if (!scales_agree(path, &values, &second, count, draws, difference)) return false;
  expected = found = values;
  se_portable.relu(expected.values, count);
  path->relu(found.values, count);
  if (!rows_agree(path, "relu", 0, &found, &expected, count, difference)) return false;
  expected = found = values;
  se_portable.table(expected.values, count, &table);
  path->table(found.values, count, &table);
  if (!rows_agree(path, "table of degree", (uint32_t)table.degree, &found, &expected, count, difference)) return false;
  for (uint32_t operation = 0; operation < SE_OPERATIONS; operation++) {
    expected = found = values;
    se_portable.operation[operation](expected.values, second.values, count);
    path->operation[operation](found.values, second.values, count);
    if (!rows_agree(path, "operation", operation, &found, &expected, count, difference)) return false;
  }
  return true;
}

bool arithmetic_se_agrees(const struct se_path *path, uint64_t seed, uint32_t rounds, struct arithmetic_difference *difference) {
  struct draws draws = draws_of(seed);
  for (uint32_t i = 0; i < rounds; i++) {
    const uint32_t count = draw_below(&draws, 2) == 0 ? draw_below(&draws, 36) : 1 + draw_below(&draws, MOST_VALUES);
    for (uint32_t type = 0; type < SE_DATA_TYPES; type++)
      if (!type_agrees(path, type, count, &draws, difference)) return false;
    if (!functions_agree(path, count, &draws, difference)) return false;
  }
  return true;
}
