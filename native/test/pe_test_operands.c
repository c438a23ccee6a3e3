/* How operands may lie: elements apart, one a row, four bits each. The results are those of operands that lie side by side. */
#include "../include/mtia.h"
#include "pe_test.h"

#define SOURCE 0u
#define PACKED 65536u
#define DESTINATION 131072u
#define SECOND 196608u
#define SECOND_PACKED 262144u
#define BUFFER 65536u

static struct fixture *operand_fixture(uint32_t path) {
  struct fixture *const f = fixture_create(2, path);
  for (uint32_t cb = 0; cb < 5; cb++) cb_init(f, cb, cb * BUFFER, BUFFER);
  cb_push(f, 0, BUFFER);
  cb_push(f, 1, BUFFER);
  cb_push(f, 3, BUFFER);
  cb_push(f, 4, BUFFER);
  return f;
}

static void fill(uint8_t *at, uint32_t type, uint32_t bytes, struct random *random) {
  for (uint32_t i = 0; i < bytes; i += 4) {
    const float value = random_float(random);
    const uint64_t bits = random_next(random);
    if (type == MTIA_TYPE_FP32) memcpy(at + i, &value, 4);
    else memcpy(at + i, &bits, 4);
  }
}

struct layout { uint32_t rows, elements, step, stride; };

/* The elements of a layout side by side, row after row. */
static void pack(struct fixture *f, uint32_t from, uint32_t to, const struct layout *l, uint32_t bytes) {
  for (uint32_t row = 0; row < l->rows; row++)
    for (uint32_t i = 0; i < l->elements; i++)
      memcpy(local(f, to + (row * l->elements + i) * bytes), local(f, from + row * l->stride + i * l->step * bytes), bytes);
}

static void set_shape(struct fixture *f, const struct layout *first, const struct layout *second, uint32_t destination_stride) {
  set_register(f, 0, MTIA_COMMAND_REGISTER_SE_SHAPE,
               (uint64_t)(second->step - 1) << 40 | (uint64_t)(first->step - 1) << 32 | first->elements << 16 | first->rows);
  set_register(f, 0, MTIA_COMMAND_REGISTER_SE_SOURCE_STRIDE, (uint64_t)second->stride << 32 | first->stride);
  set_register(f, 0, MTIA_COMMAND_REGISTER_SE_DESTINATION_STRIDE, destination_stride);
}

#define WHERE(from, types) FIELD(MTIA_SE_UNARY_CB_SOURCE, from) | FIELD(MTIA_SE_UNARY_CB_DESTINATION, 2) | (types)

/* One command of the engine from buffer `from`, the second source of SE_BINARY from buffer `second`. */
static void compute(struct fixture *f, uint32_t which, uint32_t from, uint32_t second, uint32_t type) {
  const uint64_t in = FIELD(MTIA_SE_UNARY_TYPE_IN, type), out = FIELD(MTIA_SE_UNARY_TYPE_OUT, type);
  const uint64_t sum = FIELD(MTIA_SE_ROW_REDUCE_OPERATION, MTIA_SE_ROW_OPERATION_SUM);
  const struct { uint32_t code; uint64_t rs1, rs2; } commands[] = {
      {MTIA_COMMAND_SE_UNARY, WHERE(from, in | out | FIELD(MTIA_SE_UNARY_FUNCTION, MTIA_SE_RELU)), 0},
      {MTIA_COMMAND_SE_BINARY, WHERE(from, in | out), FIELD(MTIA_SE_BINARY_CB_SECOND, second)},
      {MTIA_COMMAND_SE_ROW_ACCUMULATE, WHERE(from, in | out), 0},
      {MTIA_COMMAND_SE_QUANTIZE, WHERE(from, in), FIELD(MTIA_SE_QUANTIZE_CB_SCALE, 3)},
      {MTIA_COMMAND_SE_DEQUANTIZE, WHERE(from, in | FIELD(MTIA_SE_UNARY_TYPE_OUT, MTIA_TYPE_FP32)), 0},
      {MTIA_COMMAND_SE_ROW_REDUCE, WHERE(from, in | sum), 0}};
  CHECK(issue(f, 0, commands[which].code, commands[which].rs1, commands[which].rs2) == HART_CUSTOM_DONE);
}

static void elements_apart_give_the_bits_of_elements_side_by_side(void) {
  struct random random = {51};
  for (uint32_t trial = 0; trial < 180; trial++) {
    const uint32_t type = trial % 5, bytes = data_type_bytes(type), which = trial / 5 % 6;
    struct fixture *const f = operand_fixture(trial & 1 ? MTIA_MATMUL_FASTEST : MTIA_MATMUL_PORTABLE);
    struct layout first = {1 + (uint32_t)random_next(&random) % 9, 1 + (uint32_t)random_next(&random) % 600, 1 + trial % 4, 0};
    struct layout second = first;
    second.step = 1 + trial % 3;
    first.stride = first.elements * first.step * bytes + trial % 7;
    second.stride = second.elements * second.step * bytes + trial % 5;
    const struct layout packed = {first.rows, first.elements, 1, first.elements * bytes};
    fill(local(f, SOURCE), type, BUFFER, &random);
    fill(local(f, SECOND), type, BUFFER, &random);
    pack(f, SOURCE, PACKED, &first, bytes);
    pack(f, SECOND, SECOND_PACKED, &second, bytes);
    const uint32_t used = first.rows * first.elements * 4;
    set_shape(f, &first, &second, first.elements * 4);
    compute(f, which, 0, 3, type);
    uint8_t found[BUFFER];
    memcpy(found, local(f, DESTINATION), used);
    memset(local(f, DESTINATION), 0, BUFFER);
    set_shape(f, &packed, &packed, first.elements * 4);
    compute(f, which, 1, 4, type);
    CHECK(memcmp(found, local(f, DESTINATION), used) == 0);
    fixture_destroy(f);
  }
}

/* The last element may be the last of the buffer; what lies between two elements need not be there. */
static void elements_apart_end_with_the_last_one(void) {
  struct fixture *const f = operand_fixture(0);
  const struct layout l = {1, BUFFER / 4 / 4, 4, 0};
  set_shape(f, &l, &l, 0);
  const uint64_t types = FIELD(MTIA_SE_UNARY_TYPE_IN, MTIA_TYPE_FP32) | FIELD(MTIA_SE_UNARY_TYPE_OUT, MTIA_TYPE_INT8);
  const uint64_t offset = FIELD(MTIA_SE_UNARY_SOURCE_OFFSET, 12);
  CHECK(issue(f, 0, MTIA_COMMAND_SE_UNARY, WHERE(0, types | offset), 0) == HART_CUSTOM_DONE);
  const uint64_t too_far = FIELD(MTIA_SE_UNARY_SOURCE_OFFSET, 13);
  CHECK(was_illegal(f, issue(f, 0, MTIA_COMMAND_SE_UNARY, WHERE(0, types | too_far), 0), MTIA_COMMAND_SE_UNARY,
                    MTIA_SE_UNARY_SOURCE_OFFSET_FIELD));
  fixture_destroy(f);
}

static void one_element_a_row_meets_the_whole_row(void) {
  struct random random = {52};
  for (uint32_t trial = 0; trial < 100; trial++) {
    const uint32_t type = trial % 5, bytes = data_type_bytes(type), operation = trial / 5 % 5;
    struct fixture *const f = operand_fixture(trial & 1 ? MTIA_MATMUL_FASTEST : MTIA_MATMUL_PORTABLE);
    const uint32_t rows = 1 + (uint32_t)random_next(&random) % 128, elements = 1 + (uint32_t)random_next(&random) % 400;
    const uint32_t row_bytes = rows * elements * bytes > BUFFER ? 0 : elements * bytes; /* of large ones, the same row again */
    const struct layout first = {rows, elements, 1, row_bytes}, apart = {rows, elements, 1 + trial % 3, 4 + trial % 6};
    fill(local(f, SOURCE), type, BUFFER, &random);
    fill(local(f, SECOND), type, BUFFER, &random);
    const uint64_t rs1 = WHERE(0, FIELD(MTIA_SE_BINARY_TYPE_IN, type) | FIELD(MTIA_SE_BINARY_TYPE_OUT, MTIA_TYPE_INT8) |
                                      FIELD(MTIA_SE_BINARY_OPERATION, operation));
    set_shape(f, &first, &apart, elements);
    CHECK(issue(f, 0, MTIA_COMMAND_SE_BINARY, rs1 | FIELD(MTIA_SE_BINARY_PER_ROW, 1), FIELD(MTIA_SE_BINARY_CB_SECOND, 3)) ==
          HART_CUSTOM_DONE);
    for (uint32_t row = 0; row < rows; row++) {
      const struct layout one_row = {1, elements, 1, 0};
      uint8_t found[400];
      memcpy(found, local(f, DESTINATION + row * elements), elements);
      for (uint32_t i = 0; i < elements; i++)
        memcpy(local(f, SECOND_PACKED + i * bytes), local(f, SECOND + row * apart.stride), bytes);
      set_shape(f, &one_row, &one_row, elements);
      issue(f, 0, MTIA_COMMAND_SE_BINARY, rs1 | FIELD(MTIA_SE_BINARY_FIRST_OFFSET, row * row_bytes),
            row * elements | FIELD(MTIA_SE_BINARY_CB_SECOND, 4));
      CHECK(memcmp(found, local(f, DESTINATION + row * elements), elements) == 0);
    }
    fixture_destroy(f);
  }
}

static uint32_t half_at(struct fixture *f, uint32_t row_at, uint32_t element) {
  return *local(f, row_at + element / 2) >> (element % 2 * 4) & 15;
}

static void mlu_moves_halves_of_bytes(void) {
  struct random random = {53};
  for (uint32_t trial = 0; trial < 80; trial++) {
    struct fixture *const f = operand_fixture(0);
    const bool turned = trial % 2 == 1;
    const uint32_t rows = 1 + (uint32_t)random_next(&random) % 40, elements = 1 + (uint32_t)random_next(&random) % 40;
    const uint32_t step = 1 + trial % 3, result_elements = turned ? rows : elements, result_rows = turned ? elements : rows;
    const uint32_t from = (elements * step + 1) / 2 + trial % 4, to = (result_elements + 1) / 2 + trial % 3;
    fill(local(f, SOURCE), MTIA_TYPE_INT8, BUFFER, &random);
    memset(local(f, DESTINATION), 0xa5, BUFFER);
    set_register(f, 0, MTIA_COMMAND_REGISTER_MLU_SHAPE, (uint64_t)(step - 1) << 40 | 4ull << 32 | elements << 16 | rows);
    set_register(f, 0, MTIA_COMMAND_REGISTER_MLU_SOURCE_STRIDE, from);
    set_register(f, 0, MTIA_COMMAND_REGISTER_MLU_DESTINATION_STRIDE, to);
    CHECK(issue(f, 0, turned ? MTIA_COMMAND_MLU_TRANSPOSE : MTIA_COMMAND_MLU_COPY,
                FIELD(MTIA_MLU_COPY_CB_DESTINATION, 2) | FIELD(MTIA_MLU_COPY_SOURCE_OFFSET, 3), 7) == HART_CUSTOM_DONE);
    bool same = true;
    for (uint32_t row = 0; row < rows; row++)
      for (uint32_t i = 0; i < elements; i++)
        same = same && half_at(f, SOURCE + 3 + row * from, i * step) ==
                           half_at(f, DESTINATION + 7 + (turned ? i : row) * to, turned ? row : i);
    for (uint32_t row = 0; row < result_rows; row++) /* the half behind an odd number of elements, and the gap between rows */
      for (uint32_t i = result_elements; i < to * 2; i++)
        same = same && half_at(f, DESTINATION + 7 + row * to, i) == (i % 2 == 0 ? 0x5 : 0xa);
    CHECK(same);
    CHECK_EQUAL(f->pe->time.busy[LINE_MLU] >= (rows * elements / 2 + 63) / 64, 1);
    fixture_destroy(f);
  }
}

void test_operands(void) {
  RUN(elements_apart_give_the_bits_of_elements_side_by_side);
  RUN(elements_apart_end_with_the_last_one);
  RUN(one_element_a_row_meets_the_whole_row);
  RUN(mlu_moves_halves_of_bytes);
}
