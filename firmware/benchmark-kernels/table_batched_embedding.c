/*
 * TABLE_BATCHED_EMBEDDING: EMBEDDING_BAG as the software of I23 had it when its charts were measured, for `mtia bench fidelity`.
 * It takes the arguments of EMBEDDING_BAG, with INT8 rows only, and all tables have bags of one length.
 *
 * A bag at a time: the buffer of rows holds one bag, so the rows of the next are requested when it has been added up, and each
 * sum leaves by itself. I23 says that this kernel got 10 to 20 % of the memory's bandwidth, that latency shows where bags are small, that
 * cores have to unroll and software-pipeline to hide it, and that hand-written kernels got more than 60 %; those have rows of
 * many bags under way, like the library's EMBEDDING_BAG.
 */
#include "mtia_kernel.h"

enum buffer { CB_ROWS, CB_INDICES, CB_SUM, CB_OUTPUT };

#define INDEX_BYTES 8ull
#define INDEX_CHUNK 512ull
/* A chunk begins anywhere, DMA at a multiple of 32. */
#define INDEX_SLOT (INDEX_CHUNK * INDEX_BYTES + 32)
#define SUM_BYTES 4ull
#define OUTPUT_BYTES 2ull
/* Rows that every generation's SIMD engine adds up at a time. */
#define SE_ROWS 32ull

static const struct mtia_embedding_table *table_at(const struct mtia_embedding_bag_arguments *a, uint64_t index) {
  return (const struct mtia_embedding_table *)(uintptr_t)a->descriptors + index;
}

static bool arguments_are_good(const struct mtia_embedding_bag_arguments *a, uint64_t bag_length) {
  const uint64_t width = a->elements;
  const uint64_t bytes = bag_length * width + 2 * INDEX_SLOT + width * SUM_BYTES + 2 * width * OUTPUT_BYTES;
  return a->type == MTIA_TYPE_INT8 && width != 0 && width % 32 == 0 && a->output_stride % 32 == 0 && bag_length != 0 &&
         bag_length <= INDEX_CHUNK && KERNEL_BUFFERS_OFFSET + bytes <= pe_local_bytes();
}

static void place_buffers(const struct mtia_embedding_bag_arguments *a, uint64_t bag_length) {
  uint64_t end = place_buffer(CB_INDICES, KERNEL_BUFFERS_OFFSET, 2 * INDEX_SLOT);
  end = place_buffer(CB_SUM, end, a->elements * SUM_BYTES);
  end = place_buffer(CB_OUTPUT, end, 2 * a->elements * OUTPUT_BYTES);
  place_buffer(CB_ROWS, end, bag_length * a->elements);
}

/* ---- Hart 0: indices and rows ---- */

/* A chunk of whole bags of one table. */
struct chunk {
  uint64_t address, skip, count;
};

static struct chunk request_indices(uint64_t address, uint64_t left, uint64_t bag_length) {
  const uint64_t most = INDEX_CHUNK / bag_length * bag_length;
  struct chunk chunk = {.address = address, .skip = address & 31, .count = minimum(left, most)};
  if (chunk.count == 0) return chunk;
  dma_shape(1, chunk.skip + chunk.count * INDEX_BYTES);
  dma_in_keep(address - chunk.skip, CB_INDICES, 0);
  cb_push(CB_INDICES, INDEX_SLOT);
  return chunk;
}

static bool gather_rows(const struct mtia_embedding_table *table, uint64_t rows, const struct chunk *chunk, uint64_t width) {
  const uint64_t *index = (const uint64_t *)((const uint8_t *)cb_wait_data(CB_INDICES, INDEX_SLOT) + chunk->skip);
  const uint64_t *const end = index + chunk->count;
  const uint64_t count = table->rows, row_bytes = table->row_bytes;
  dma_shape(1, width);
  for (; index != end; index++) {
    if (*index >= count) return false;
    dma_in(rows + *index * row_bytes, CB_ROWS);
  }
  cb_pop(CB_INDICES, INDEX_SLOT);
  return true;
}

static uint32_t load_table(const struct mtia_embedding_bag_arguments *a, uint64_t index, uint64_t bag_length) {
  const struct mtia_embedding_table *const table = table_at(a, index);
  if (table->bag_length != bag_length) return MTIA_RESULT_BAD_ARGUMENT;
  uint64_t left = a->batch * bag_length;
  struct chunk chunk = request_indices(a->inputs + table->indices_offset, left, bag_length);
  while (chunk.count != 0) {
    const struct chunk next = request_indices(chunk.address + chunk.count * INDEX_BYTES, left - chunk.count, bag_length);
    if (!gather_rows(table, a->tables + table->table_offset, &chunk, a->elements)) return MTIA_RESULT_INDEX_OUT_OF_RANGE;
    left -= chunk.count;
    chunk = next;
  }
  return MTIA_RESULT_OK;
}

/* ---- Hart 1: sums ---- */

/* In FP32 piece by piece where the SIMD engine does not take the bag at once. */
static void add_up(uint64_t bag_length, uint64_t width) {
  struct se_operand rows = {CB_ROWS, 0, MTIA_TYPE_INT8};
  const struct se_operand pooled = {CB_OUTPUT, 0, MTIA_TYPE_FP16}, sum = {CB_SUM, 0, MTIA_TYPE_FP32};
  if (bag_length <= SE_ROWS) {
    se_row_accumulate(false, rows, pooled);
    return;
  }
  for (uint64_t done = 0; done < bag_length; done += SE_ROWS, rows.offset += SE_ROWS * width) {
    se_shape(minimum(SE_ROWS, bag_length - done), width);
    se_row_accumulate(done != 0, rows, sum);
  }
  cb_push(CB_SUM, width * SUM_BYTES);
  se_shape(1, width);
  se_unary(MTIA_SE_IDENTITY, sum, pooled);
  cb_pop(CB_SUM, width * SUM_BYTES);
}

static void pool_table(const struct mtia_embedding_bag_arguments *a, uint64_t index, uint64_t bag_length) {
  const uint64_t width = a->elements, output_width = width * OUTPUT_BYTES;
  uint64_t output = a->output + table_at(a, index)->output_offset;
  se_shape(bag_length, width);
  dma_shape(1, output_width);
  for (uint64_t left = a->batch; left != 0; left--, output += a->output_stride) {
    add_up(bag_length, width);
    cb_pop(CB_ROWS, bag_length * width);
    cb_push(CB_OUTPUT, output_width);
    dma_out(output, CB_OUTPUT);
  }
}

uint32_t kernel_main(const struct mtia_job_descriptor *job, uint32_t hart) {
  KERNEL_ARGUMENTS(mtia_embedding_bag_arguments, a, job);
  struct pe_place place;
  if (!find_place(job, &place)) return MTIA_RESULT_BAD_GRID;
  const uint64_t bag_length = table_at(a, 0)->bag_length, width = a->elements;
  if (!arguments_are_good(a, bag_length)) return MTIA_RESULT_BAD_ARGUMENT;
  if (hart == 0) place_buffers(a, bag_length);
  buffers_ready(hart);
  se_strides(width, 0, width * OUTPUT_BYTES);
  dma_strides(width, hart == 0 ? width : width * OUTPUT_BYTES);
  for (uint64_t index = place.index; index < a->table_count; index += place.count) {
    if (hart == 1) {
      pool_table(a, index, bag_length);
      continue;
    }
    const uint32_t result = load_table(a, index, bag_length);
    if (result != MTIA_RESULT_OK) return result;
  }
  if (hart == 1) fence();
  return MTIA_RESULT_OK;
}
