/* The commands of src/hw/unit-commands.ts as data: where the fields are, and what they may be. */
#include "command_processor_table.h"
#include <stddef.h>
#include "pe_internal.h"
#include "simd_engine_commands.h"

#define LAST_BUFFER (MTIA_LIMIT_CIRCULAR_BUFFERS - 1)
_Static_assert(MTIA_LIMIT_CIRCULAR_BUFFERS == 32, "the set of the initialised buffers has 32 bits");
#define ALL_TYPES 0x1fu
#define FUNCTIONS (1u << MTIA_SE_IDENTITY | 1u << MTIA_SE_RELU | 0xffu << MTIA_SE_TABLE_0)
_Static_assert(MTIA_LIMIT_SE_TABLES == 8, "FUNCTIONS names eight tables");

#define AT(operand, name) .source = FROM_##operand, .low = name##_LOW, .bits = name##_BITS
/* The command's own business, or none. */
#define ANY(operand, name) [name##_FIELD] = {AT(operand, name), .set = UINT32_MAX, .span = UINT64_MAX}
/* least..most, a multiple of unit (a power of two) */
#define RANGE(operand, name, least, most, unit) \
  [name##_FIELD] = {AT(operand, name), .set = UINT32_MAX, .minimum = least, .remainder = (unit)-1, .span = (most) - (least)}
#define ONE_OF(operand, name, values) [name##_FIELD] = {AT(operand, name), .set = values, .span = 31}
#define BUFFER(operand, name) [name##_FIELD] = {AT(operand, name), .is_buffer = 1, .span = LAST_BUFFER}

static const struct command_field cb_init_fields[] = {
    RANGE(RS1, MTIA_CB_INIT_CB, 0, LAST_BUFFER, 1),
    RANGE(RS1, MTIA_CB_INIT_BASE, 0, UINT32_MAX, 32),
    RANGE(RS2, MTIA_CB_INIT_BYTES, 32, UINT32_MAX, 32),
};
/* CB_PUSH, CB_POP and both CB_WAIT have the same fields. */
static const struct command_field cb_move_fields[] = {
    BUFFER(RS1, MTIA_CB_PUSH_CB),
    ANY(RS2, MTIA_CB_PUSH_BYTES),
};
/* SEMAPHORE_POST and SEMAPHORE_WAIT too. */
static const struct command_field semaphore_fields[] = {
    RANGE(RS1, MTIA_SEMAPHORE_POST_SEMAPHORE, 0, MTIA_LIMIT_SEMAPHORES - 1, 1),
    ANY(RS2, MTIA_SEMAPHORE_POST_VALUE),
};
/* And DMA_IN and DMA_OUT. */
static const struct command_field dma_fields[] = {
    ANY(RS1, MTIA_DMA_IN_ADDRESS),
    BUFFER(RS2, MTIA_DMA_IN_CB),
    ANY(RS2, MTIA_DMA_IN_KEEP),
    ANY(RS2, MTIA_DMA_IN_OFFSET),
};
static const struct command_field dma_indexed_fields[] = {
    ANY(RS1, MTIA_DMA_IN_INDEXED_ADDRESS),
    BUFFER(RS2, MTIA_DMA_IN_INDEXED_CB),
    ANY(RS2, MTIA_DMA_IN_INDEXED_KEEP),
    ANY(RS2, MTIA_DMA_IN_INDEXED_OFFSET),
    BUFFER(RS2, MTIA_DMA_IN_INDEXED_CB_INDEX),
    ANY(RS2, MTIA_DMA_IN_INDEXED_INDEX_OFFSET),
    ANY(RS2, MTIA_DMA_IN_INDEXED_INDEX_TYPE),
};
static const struct command_field dma_prefetch_fields[] = {
    ANY(RS1, MTIA_DMA_PREFETCH_ADDRESS),
};
static const struct command_field acc_init_fields[] = {
    RANGE(RS1, MTIA_ACC_INIT_ACCUMULATOR, 0, MTIA_LIMIT_ACCUMULATORS - 1, 1),
    ANY(RS1, MTIA_ACC_INIT_BIAS),
    ANY(RS1, MTIA_ACC_INIT_CB), /* the last three matter with a bias only */
    ANY(RS1, MTIA_ACC_INIT_OFFSET),
    ANY(RS2, MTIA_ACC_INIT_N),
};
/* And MML_SPARSE. */
static const struct command_field mml_fields[] = {
    RANGE(RS1, MTIA_MML_ACCUMULATOR, 0, MTIA_LIMIT_ACCUMULATORS - 1, 1),
    BUFFER(RS1, MTIA_MML_CB_A),
    BUFFER(RS1, MTIA_MML_CB_B),
    ANY(RS1, MTIA_MML_OFFSET_A),
    ANY(RS2, MTIA_MML_OFFSET_B),
    RANGE(STICKY, MTIA_MML_M, 1, MATMUL_ROWS, 1),
    RANGE(STICKY, MTIA_MML_N, 1, MATMUL_COLUMNS, 1),
    RANGE(STICKY, MTIA_MML_K_BYTES, 32, 64, 32),
    ONE_OF(STICKY, MTIA_MML_TYPE, 1u << MTIA_TYPE_INT8 | 1u << MTIA_TYPE_FP16 | 1u << MTIA_TYPE_BF16),
    RANGE(STICKY, MTIA_MML_K_BLOCKS, 1, MTIA_LIMIT_MML_BLOCKS, 1),
    ANY(STICKY, MTIA_MML_TRANSPOSE_A),
    ANY(RS1, MTIA_MML_CONTEXT),
    ANY(RS1, MTIA_MML_ADVANCE),
};
static const struct command_field reduce_fields[] = {
    RANGE(RS1, MTIA_REDUCE_ACCUMULATOR, 0, MTIA_LIMIT_ACCUMULATORS - 1, 1),
    BUFFER(RS1, MTIA_REDUCE_CB),
    ONE_OF(RS1, MTIA_REDUCE_FUNCTION, FUNCTIONS),
    ONE_OF(RS1, MTIA_REDUCE_TYPE,
           1u << MTIA_TYPE_FP16 | 1u << MTIA_TYPE_BF16 | 1u << MTIA_TYPE_FP32 | 1u << MTIA_TYPE_INT32),
    ANY(RS1, MTIA_REDUCE_OFFSET),
    RANGE(RS2, MTIA_REDUCE_ROWS, 1, MATMUL_ROWS, 1),
    RANGE(RS2, MTIA_REDUCE_COLUMNS, 1, MATMUL_COLUMNS, 1),
    ANY(RS2, MTIA_REDUCE_STRIDE), /* depends on columns and type */
};
static const struct command_field re_row_range_fields[] = {
    RANGE(RS1, MTIA_RE_ROW_RANGE_ACCUMULATOR, 0, MTIA_LIMIT_ACCUMULATORS - 1, 1),
    BUFFER(RS1, MTIA_RE_ROW_RANGE_CB),
    ANY(RS1, MTIA_RE_ROW_RANGE_MERGE),
    ANY(RS1, MTIA_RE_ROW_RANGE_OFFSET),
    RANGE(RS2, MTIA_RE_ROW_RANGE_ROWS, 1, MATMUL_ROWS, 1),
    RANGE(RS2, MTIA_RE_ROW_RANGE_COLUMNS, 1, MATMUL_COLUMNS, 1),
    RANGE(RS2, MTIA_RE_ROW_RANGE_STRIDE, 8, UINT32_MAX, 1),
};
#define SCALED_TYPES (1u << MTIA_TYPE_INT8 | 1u << MTIA_TYPE_FP16 | 1u << MTIA_TYPE_BF16 | 1u << MTIA_TYPE_FP32)
static const struct command_field reduce_dequantize_fields[] = {
    RANGE(RS1, MTIA_REDUCE_DEQUANTIZE_ACCUMULATOR, 0, MTIA_LIMIT_ACCUMULATORS - 1, 1),
    BUFFER(RS1, MTIA_REDUCE_DEQUANTIZE_CB),
    ONE_OF(RS1, MTIA_REDUCE_DEQUANTIZE_FUNCTION, FUNCTIONS),
    ONE_OF(RS1, MTIA_REDUCE_DEQUANTIZE_TYPE, SCALED_TYPES),
    ANY(RS1, MTIA_REDUCE_DEQUANTIZE_OFFSET),
    RANGE(RS2, MTIA_REDUCE_DEQUANTIZE_ROWS, 1, MATMUL_ROWS, 1),
    RANGE(RS2, MTIA_REDUCE_DEQUANTIZE_COLUMNS, 1, MATMUL_COLUMNS, 1),
    ANY(RS2, MTIA_REDUCE_DEQUANTIZE_STRIDE), /* depends on columns and type */
};
/* ATOMIC_ADD and ATOMIC_WAIT have the same fields. */
static const struct command_field atomic_fields[] = {
    RANGE(RS1, MTIA_ATOMIC_ADD_SEMAPHORE, 0, MTIA_LIMIT_KERNEL_SEMAPHORES - 1, 1),
    ANY(RS1, MTIA_ATOMIC_ADD_FLAG),
    ANY(RS1, MTIA_ATOMIC_ADD_COLUMN), /* depend on the job */
    ANY(RS1, MTIA_ATOMIC_ADD_ROW),
    ANY(RS2, MTIA_ATOMIC_ADD_VALUE),
};
static const struct command_field barrier_fields[] = {
    RANGE(RS1, MTIA_BARRIER_SCOPE, 0, MTIA_BARRIER_COLUMN, 1),
};
/* REDUCE_SEND and REDUCE_RECEIVE have the same fields. */
static const struct command_field reduce_link_fields[] = {
    RANGE(RS1, MTIA_REDUCE_SEND_ACCUMULATOR, 0, MTIA_LIMIT_ACCUMULATORS - 1, 1),
    RANGE(RS1, MTIA_REDUCE_SEND_LINK, 0, MTIA_LIMIT_REDUCTION_LINKS - 1, 1),
    ONE_OF(RS1, MTIA_REDUCE_SEND_TYPE, 1u << MTIA_TYPE_FP32 | 1u << MTIA_TYPE_INT32),
    RANGE(RS2, MTIA_REDUCE_SEND_ROWS, 1, MATMUL_ROWS, 1),
    RANGE(RS2, MTIA_REDUCE_SEND_COLUMNS, 1, MATMUL_COLUMNS, 1),
};
static const struct command_field se_load_table_fields[] = {
    RANGE(RS1, MTIA_SE_LOAD_TABLE_SLOT, 0, MTIA_LIMIT_SE_TABLES - 1, 1),
    RANGE(RS1, MTIA_SE_LOAD_TABLE_ADDRESS, 0, UINT32_MAX, 32),
    RANGE(RS2, MTIA_SE_LOAD_TABLE_BYTES, sizeof(struct mtia_se_table), MTIA_LIMIT_SE_TABLE_BYTES, 1),
};
static const struct command_field se_unary_fields[] = {
    BUFFER(RS1, MTIA_SE_UNARY_CB_SOURCE),
    BUFFER(RS1, MTIA_SE_UNARY_CB_DESTINATION),
    ONE_OF(RS1, MTIA_SE_UNARY_FUNCTION, FUNCTIONS),
    ONE_OF(RS1, MTIA_SE_UNARY_TYPE_IN, ALL_TYPES),
    ONE_OF(RS1, MTIA_SE_UNARY_TYPE_OUT, ALL_TYPES),
    ANY(RS1, MTIA_SE_UNARY_SOURCE_OFFSET),
    ANY(RS2, MTIA_SE_UNARY_DESTINATION_OFFSET),
};
static const struct command_field se_binary_fields[] = {
    BUFFER(RS1, MTIA_SE_BINARY_CB_FIRST),
    BUFFER(RS1, MTIA_SE_BINARY_CB_DESTINATION),
    RANGE(RS1, MTIA_SE_BINARY_OPERATION, 0, SE_OPERATIONS - 1, 1),
    ANY(RS1, MTIA_SE_BINARY_PER_ROW),
    ONE_OF(RS1, MTIA_SE_BINARY_TYPE_IN, ALL_TYPES),
    ONE_OF(RS1, MTIA_SE_BINARY_TYPE_OUT, ALL_TYPES),
    ANY(RS1, MTIA_SE_BINARY_FIRST_OFFSET),
    ANY(RS2, MTIA_SE_BINARY_DESTINATION_OFFSET),
    ANY(RS2, MTIA_SE_BINARY_SECOND_OFFSET),
    BUFFER(RS2, MTIA_SE_BINARY_CB_SECOND),
};
static const struct command_field se_row_accumulate_fields[] = {
    BUFFER(RS1, MTIA_SE_ROW_ACCUMULATE_CB_SOURCE),
    BUFFER(RS1, MTIA_SE_ROW_ACCUMULATE_CB_DESTINATION),
    ANY(RS1, MTIA_SE_ROW_ACCUMULATE_ACCUMULATE), /* depends on typeOut */
    ONE_OF(RS1, MTIA_SE_ROW_ACCUMULATE_TYPE_IN, ALL_TYPES),
    ONE_OF(RS1, MTIA_SE_ROW_ACCUMULATE_TYPE_OUT, ALL_TYPES),
    ANY(RS1, MTIA_SE_ROW_ACCUMULATE_SOURCE_OFFSET),
    ANY(RS2, MTIA_SE_ROW_ACCUMULATE_DESTINATION_OFFSET),
};
static const struct command_field se_quantize_fields[] = {
    BUFFER(RS1, MTIA_SE_QUANTIZE_CB_SOURCE),
    BUFFER(RS1, MTIA_SE_QUANTIZE_CB_DESTINATION),
    ANY(RS1, MTIA_SE_QUANTIZE_PER_ROW),
    ONE_OF(RS1, MTIA_SE_QUANTIZE_TYPE_IN, ALL_TYPES),
    ANY(RS1, MTIA_SE_QUANTIZE_SOURCE_OFFSET),
    ANY(RS2, MTIA_SE_QUANTIZE_DESTINATION_OFFSET),
    ANY(RS2, MTIA_SE_QUANTIZE_SCALE_OFFSET),
    BUFFER(RS2, MTIA_SE_QUANTIZE_CB_SCALE),
};
static const struct command_field se_dequantize_fields[] = {
    BUFFER(RS1, MTIA_SE_DEQUANTIZE_CB_SOURCE),
    BUFFER(RS1, MTIA_SE_DEQUANTIZE_CB_DESTINATION),
    ONE_OF(RS1, MTIA_SE_DEQUANTIZE_FUNCTION, FUNCTIONS),
    ONE_OF(RS1, MTIA_SE_DEQUANTIZE_TYPE_IN, ALL_TYPES),
    ONE_OF(RS1, MTIA_SE_DEQUANTIZE_TYPE_OUT, SCALED_TYPES),
    ANY(RS1, MTIA_SE_DEQUANTIZE_SOURCE_OFFSET),
    ANY(RS2, MTIA_SE_DEQUANTIZE_DESTINATION_OFFSET),
};
static const struct command_field se_row_reduce_fields[] = {
    BUFFER(RS1, MTIA_SE_ROW_REDUCE_CB_SOURCE),
    BUFFER(RS1, MTIA_SE_ROW_REDUCE_CB_DESTINATION),
    RANGE(RS1, MTIA_SE_ROW_REDUCE_OPERATION, 0, MTIA_SE_ROW_OPERATION_SUM, 1),
    ANY(RS1, MTIA_SE_ROW_REDUCE_MERGE),
    ONE_OF(RS1, MTIA_SE_ROW_REDUCE_TYPE_IN, ALL_TYPES),
    ANY(RS1, MTIA_SE_ROW_REDUCE_SOURCE_OFFSET),
    ANY(RS2, MTIA_SE_ROW_REDUCE_DESTINATION_OFFSET),
};
/* MLU_TRANSPOSE and MLU_COPY have the same fields. */
static const struct command_field mlu_fields[] = {
    BUFFER(RS1, MTIA_MLU_COPY_CB_SOURCE),
    BUFFER(RS1, MTIA_MLU_COPY_CB_DESTINATION),
    ANY(RS1, MTIA_MLU_COPY_SOURCE_OFFSET),
    ANY(RS2, MTIA_MLU_COPY_DESTINATION_OFFSET),
};

#define FIELDS(table) .fields = table, .field_count = sizeof(table) / sizeof(table[0])
#define REGISTERS(first, count) .first_register = MTIA_COMMAND_REGISTER_##first, .register_count = count
#define MORE_REGISTERS(first, count) .second_register = MTIA_COMMAND_REGISTER_##first, .second_count = count

static const struct command_description descriptions[] = {
    [MTIA_COMMAND_CB_INIT] = {.name = "CB_INIT", FIELDS(cb_init_fields), .prepare = cb_init_prepare,
                              .execute = cb_init_execute, .may_go_on = cb_init_may_go_on},
    [MTIA_COMMAND_CB_PUSH] = {.name = "CB_PUSH", FIELDS(cb_move_fields), .moves_pointer = 1, .prepare = cb_push_prepare,
                              .execute = cb_push_execute},
    [MTIA_COMMAND_CB_POP] = {.name = "CB_POP", FIELDS(cb_move_fields), .moves_pointer = 1, .prepare = cb_pop_prepare,
                             .execute = cb_pop_execute},
    [MTIA_COMMAND_CB_WAIT_DATA] = {.name = "CB_WAIT_DATA", FIELDS(cb_move_fields), .prepare = cb_wait_data_prepare,
                                   .execute = cb_wait_execute, .may_go_on = cb_wait_may_go_on},
    [MTIA_COMMAND_CB_WAIT_SPACE] = {.name = "CB_WAIT_SPACE", FIELDS(cb_move_fields), .prepare = cb_wait_space_prepare,
                                    .execute = cb_wait_execute, .may_go_on = cb_wait_may_go_on},
    [MTIA_COMMAND_FENCE] = {.name = "FENCE", .execute = fence_execute, .may_go_on = fence_may_go_on},
    [MTIA_COMMAND_SEMAPHORE_POST] = {.name = "SEMAPHORE_POST", FIELDS(semaphore_fields),
                                     .execute = semaphore_post_execute},
    [MTIA_COMMAND_SEMAPHORE_WAIT] = {.name = "SEMAPHORE_WAIT", FIELDS(semaphore_fields),
                                     .execute = semaphore_wait_execute, .may_go_on = semaphore_wait_may_go_on},
    [MTIA_COMMAND_ATOMIC_ADD] = {.name = "ATOMIC_ADD", FIELDS(atomic_fields), .prepare = atomic_prepare,
                                 .execute = atomic_execute, .may_go_on = atomic_may_go_on},
    [MTIA_COMMAND_ATOMIC_WAIT] = {.name = "ATOMIC_WAIT", FIELDS(atomic_fields), .prepare = atomic_prepare,
                                  .execute = atomic_execute, .may_go_on = atomic_may_go_on},
    [MTIA_COMMAND_BARRIER] = {.name = "BARRIER", FIELDS(barrier_fields), .prepare = barrier_prepare,
                              .execute = atomic_execute, .may_go_on = atomic_may_go_on},
    [MTIA_COMMAND_DMA_IN] = {.name = "DMA_IN", FIELDS(dma_fields), REGISTERS(DMA_SHAPE, 3),
                             MORE_REGISTERS(DMA_MULTICAST, 3), .moves_pointer = 1, .prepare = dma_prepare,
                             .execute = dma_execute},
    [MTIA_COMMAND_DMA_OUT] = {.name = "DMA_OUT", FIELDS(dma_fields), REGISTERS(DMA_SHAPE, 3), .moves_pointer = 1,
                              .prepare = dma_prepare, .execute = dma_execute},
    [MTIA_COMMAND_DMA_IN_INDEXED] = {.name = "DMA_IN_INDEXED", FIELDS(dma_indexed_fields), REGISTERS(DMA_SHAPE, 3),
                                     MORE_REGISTERS(DMA_INDEX_ROWS, 2), .moves_pointer = 1,
                                     .prepare = dma_indexed_prepare, .execute = dma_indexed_execute},
    [MTIA_COMMAND_DMA_PREFETCH] = {.name = "DMA_PREFETCH", FIELDS(dma_prefetch_fields), REGISTERS(DMA_SHAPE, 2),
                                   .prepare = dma_prefetch_prepare,
                                   .execute = dma_prefetch_execute},
    [MTIA_COMMAND_ACC_INIT] = {.name = "ACC_INIT", FIELDS(acc_init_fields), .prepare = acc_init_prepare,
                               .execute = acc_init_execute},
    [MTIA_COMMAND_MML] = {.name = "MML", FIELDS(mml_fields), REGISTERS(MML_SHAPE, MTIA_MML_CONTEXT_REGISTERS),
                          .has_contexts = 1, .prepare = mml_prepare,
                          .execute = mml_execute, .accepted = mml_accepted},
    [MTIA_COMMAND_REDUCE] = {.name = "REDUCE", FIELDS(reduce_fields), .prepare = reduce_prepare, .execute = reduce_execute},
    [MTIA_COMMAND_RE_ROW_RANGE] = {.name = "RE_ROW_RANGE", FIELDS(re_row_range_fields),
                                   .prepare = re_row_range_prepare, .execute = re_row_range_execute},
    [MTIA_COMMAND_REDUCE_DEQUANTIZE] = {.name = "REDUCE_DEQUANTIZE", FIELDS(reduce_dequantize_fields),
                                        MORE_REGISTERS(ROW_SCALE, SE_VECTORS), .prepare = reduce_prepare,
                                        .execute = reduce_execute},
    [MTIA_COMMAND_REDUCE_SEND] = {.name = "REDUCE_SEND", FIELDS(reduce_link_fields), .prepare = reduce_send_prepare,
                                  .execute = reduce_send_execute},
    [MTIA_COMMAND_REDUCE_RECEIVE] = {.name = "REDUCE_RECEIVE", FIELDS(reduce_link_fields),
                                     .prepare = reduce_receive_prepare, .execute = reduce_receive_execute},
    [MTIA_COMMAND_MML_SPARSE] = {.name = "MML_SPARSE", FIELDS(mml_fields),
                                 REGISTERS(MML_SHAPE, MTIA_MML_CONTEXT_REGISTERS), .has_contexts = 1,
                                 .prepare = mml_sparse_prepare, .execute = mml_sparse_execute, .accepted = mml_accepted},
    [MTIA_COMMAND_SE_LOAD_TABLE] = {.name = "SE_LOAD_TABLE", FIELDS(se_load_table_fields),
                                    .prepare = se_load_table_prepare, .execute = se_load_table_execute},
    [MTIA_COMMAND_SE_UNARY] = {.name = "SE_UNARY", FIELDS(se_unary_fields), REGISTERS(SE_SHAPE, 3),
                               .prepare = se_unary_prepare, .execute = se_unary_execute},
    [MTIA_COMMAND_SE_BINARY] = {.name = "SE_BINARY", FIELDS(se_binary_fields), REGISTERS(SE_SHAPE, 3),
                                .prepare = se_binary_prepare, .execute = se_binary_execute},
    [MTIA_COMMAND_SE_ROW_ACCUMULATE] = {.name = "SE_ROW_ACCUMULATE", FIELDS(se_row_accumulate_fields),
                                        REGISTERS(SE_SHAPE, 3), .prepare = se_row_accumulate_prepare,
                                        .execute = se_row_accumulate_execute},
    [MTIA_COMMAND_SE_QUANTIZE] = {.name = "SE_QUANTIZE", FIELDS(se_quantize_fields), REGISTERS(SE_SHAPE, 3),
                                  .prepare = se_quantize_prepare, .execute = se_quantize_execute},
    [MTIA_COMMAND_SE_DEQUANTIZE] = {.name = "SE_DEQUANTIZE", FIELDS(se_dequantize_fields), REGISTERS(SE_SHAPE, 3),
                                    MORE_REGISTERS(ROW_SCALE, SE_VECTORS), .prepare = se_unary_prepare,
                                    .execute = se_unary_execute},
    [MTIA_COMMAND_SE_ROW_REDUCE] = {.name = "SE_ROW_REDUCE", FIELDS(se_row_reduce_fields), REGISTERS(SE_SHAPE, 3),
                                    .prepare = se_row_reduce_prepare, .execute = se_row_reduce_execute},
    [MTIA_COMMAND_MLU_TRANSPOSE] = {.name = "MLU_TRANSPOSE", FIELDS(mlu_fields), REGISTERS(MLU_SHAPE, 3),
                                    .prepare = mlu_prepare, .execute = mlu_transpose_execute},
    [MTIA_COMMAND_MLU_COPY] = {.name = "MLU_COPY", FIELDS(mlu_fields), REGISTERS(MLU_SHAPE, 3), .prepare = mlu_prepare,
                               .execute = mlu_copy_execute},
};

const struct command_description *command_description_of(uint32_t code) {
  if (code >= sizeof descriptions / sizeof descriptions[0] || descriptions[code].name == NULL) return NULL;
  return &descriptions[code];
}
