/*
 * EMBEDDING_BAG: gathers rows of tables and adds up those of a bag; all tables of a model in one job.
 *
 * Hart 0 reads indices in chunks, one chunk ahead, checks them and issues one DMA a row; the rows stream through one buffer,
 * whatever table or bag they belong to. Hart 1 learns from a record in CB_WORK what the next rows of the stream are: bags to
 * add up, or (bags of one row) rows that go out as they are.
 */
#include "mtia_kernel.h"

enum buffer { CB_ROWS, CB_INDICES, CB_TABLES, CB_WORK, CB_SUM, CB_OUTPUT };

#define INDEX_BYTES 8ull
#define INDEX_CHUNK 512ull
/* A chunk begins anywhere, but DMA begins at a multiple of 32 (v1), so up to 31 bytes before it come along. */
#define INDEX_SLOT (INDEX_CHUNK * INDEX_BYTES + 32)
#define TABLE_BYTES sizeof(struct mtia_embedding_table)
/* Bytes of pooled rows that leave in one DMA. */
#define OUTPUT_BYTES 8192ull

/* What hart 1 does with the next rows. samples = 0: the job has ended. */
struct work {
  uint64_t output, samples, bag_length, reserved;
};
#define WORK_BYTES sizeof(struct work)
_Static_assert(sizeof(struct work) == 32, "a multiple of 32: buffers of records");

struct plan {
  uint64_t width;        /* bytes of a row in local memory */
  uint64_t output_width; /* bytes of an output row */
  uint64_t output_type;
  uint64_t elements;     /* of such a row */
  uint64_t row_capacity; /* rows that CB_ROWS holds */
  uint64_t output_rows;  /* rows of one DMA of pooled rows */
  uint64_t blocks;       /* blocks of samples of a table */
  uint64_t items;        /* pairs of table and block */
  uint64_t piece_limit;  /* rows that are added up at a time */
  uint64_t has_work;
};
_Static_assert(sizeof(struct plan) <= KERNEL_SHARED_BYTES, "hart 0 passes it to hart 1");

static bool arguments_are_good(const struct mtia_embedding_bag_arguments *a, uint64_t generation) {
  if ((!is_float_type(a->type) && a->type != MTIA_TYPE_INT8) || a->elements == 0 || a->elements > 32768 || a->sample_block == 0) return false;
  if (a->output_stride % 32 != 0) return false;
  return dma_address_fits(generation, a->descriptors | a->tables | a->output) && (a->inputs & 7) == 0;
}

static bool make_plan(struct plan *p, const struct mtia_embedding_bag_arguments *a, uint64_t generation) {
  const uint64_t element_bytes = type_bytes(a->type), local = pe_local_bytes();
  p->width = round_up(a->elements * element_bytes, 32);
  p->elements = p->width / element_bytes;
  /* The sum of 8-bit rows is no 8-bit number. */
  p->output_type = a->type == MTIA_TYPE_INT8 ? MTIA_TYPE_FP16 : a->type;
  p->output_width = p->elements * type_bytes(p->output_type);
  p->output_rows = maximum(1, OUTPUT_BYTES / p->output_width);
  p->blocks = divide_up(a->batch, a->sample_block);
  p->items = a->table_count * p->blocks;
  const uint64_t fixed = KERNEL_BUFFERS_OFFSET + 2 * INDEX_SLOT + 2 * TABLE_BYTES + 4 * WORK_BYTES +
                         round_up(p->elements * 4, 32) + 2 * p->output_rows * p->output_width;
  if (fixed + p->width > local) return false;
  p->row_capacity = (local - fixed) / p->width;
  /* A piece needs all of its rows at once; the other half of the buffer takes the next ones meanwhile. */
  p->piece_limit = minimum(se_rows_limit(generation), maximum(1, p->row_capacity / 2));
  return true;
}

static void place_buffers(const struct plan *p) {
  uint64_t end = place_buffer(CB_INDICES, KERNEL_BUFFERS_OFFSET, 2 * INDEX_SLOT);
  end = place_buffer(CB_TABLES, end, 2 * TABLE_BYTES);
  end = place_buffer(CB_WORK, end, 4 * WORK_BYTES);
  end = place_buffer(CB_SUM, end, p->elements * 4);
  end = place_buffer(CB_OUTPUT, end, 2 * p->output_rows * p->output_width);
  place_buffer(CB_ROWS, end, p->row_capacity * p->width);
}

/* Rows that nothing has to be done to: they leave in one DMA a chunk. */
static inline bool leaves_as_it_is(const struct plan *p, uint64_t bag_length) {
  return bag_length == 1 && p->output_width == p->width;
}

/* ---- Hart 0: indices and rows ---- */

/* Where hart 0 stands in its share of the job: the bags of the work item, as one sequence of indices. */
struct cursor {
  uint64_t item, step;         /* next work item, and how many PEs share the items */
  uint64_t table, rows, row_bytes;
  uint64_t indices, output;    /* of the next index or sample */
  uint64_t left;               /* indices of the item that no chunk holds yet */
  uint64_t samples, bag_length;
};

/* A chunk of indices on its way to, or in, local memory. */
struct chunk {
  uint64_t table, rows, row_bytes, output;
  uint64_t count, skip; /* indices; bytes in front of the first */
  uint64_t samples;     /* of the work item that begins here; of the chunk where a bag has one row; 0: item goes on */
  uint64_t bag_length;
};

static void request_table(const struct plan *p, const struct mtia_embedding_bag_arguments *a, uint64_t item) {
  if (item >= p->items) return;
  dma_shape(1, TABLE_BYTES);
  dma_in_keep(a->descriptors + (item / p->blocks) * TABLE_BYTES, CB_TABLES, 0);
  cb_push(CB_TABLES, TABLE_BYTES);
}

/* Enters the next work item; its descriptor was requested one item ago. False: the descriptor cannot be served. */
static bool enter_item(const struct plan *p, const struct mtia_embedding_bag_arguments *a, struct cursor *c) {
  const struct mtia_embedding_table *const table = cb_wait_data(CB_TABLES, TABLE_BYTES);
  const uint64_t first = c->item % p->blocks * a->sample_block;
  c->samples = minimum(a->sample_block, a->batch - first);
  c->bag_length = table->bag_length;
  c->left = c->samples * c->bag_length;
  c->table = a->tables + table->table_offset;
  c->rows = table->rows;
  c->row_bytes = table->row_bytes;
  c->indices = a->inputs + table->indices_offset + first * c->bag_length * INDEX_BYTES;
  c->output = a->output + table->output_offset + first * a->output_stride;
  cb_pop(CB_TABLES, TABLE_BYTES);
  c->item += c->step;
  request_table(p, a, c->item);
  return c->row_bytes >= p->width && c->row_bytes % 32 == 0 && (c->indices & 7) == 0;
}

static void request_indices(const struct cursor *c, struct chunk *chunk) {
  chunk->skip = c->indices & 31;
  if (chunk->count == 0) return;
  dma_shape(1, chunk->skip + chunk->count * INDEX_BYTES);
  dma_in_keep(c->indices - chunk->skip, CB_INDICES, 0);
  cb_push(CB_INDICES, INDEX_SLOT);
}

enum progress { NO_CHUNK, CHUNK, BAD_TABLE };

/* Cuts the next chunk and requests its indices. */
static enum progress next_chunk(const struct plan *p, const struct mtia_embedding_bag_arguments *a, struct cursor *c,
                                struct chunk *chunk) {
  const bool enters = c->left == 0;
  if (enters && c->item >= p->items) return NO_CHUNK;
  if (enters && !enter_item(p, a, c)) return BAD_TABLE;
  const bool single = leaves_as_it_is(p, c->bag_length);
  /* Single rows leave in one DMA a chunk; half of the buffer lets the next chunk arrive meanwhile. */
  const uint64_t limit = single ? minimum(INDEX_CHUNK, maximum(1, p->row_capacity / 2)) : INDEX_CHUNK;
  chunk->count = c->left < limit ? c->left : limit;
  chunk->table = c->table;
  chunk->rows = c->rows;
  chunk->row_bytes = c->row_bytes;
  chunk->output = c->output;
  chunk->bag_length = c->bag_length;
  chunk->samples = single ? chunk->count : enters ? c->samples : 0;
  request_indices(c, chunk);
  c->indices += chunk->count * INDEX_BYTES;
  c->left -= chunk->count;
  if (single) c->output += chunk->count * a->output_stride;
  return CHUNK;
}

static void hand_over(uint64_t output, uint64_t samples, uint64_t bag_length) {
  struct work *const work = cb_wait_space(CB_WORK, WORK_BYTES);
  work->output = output;
  work->samples = samples;
  work->bag_length = bag_length;
  cb_push(CB_WORK, WORK_BYTES);
}

/* One row a turn: the loop that decides how fast a table is read. False: an index is out of range. */
static bool gather_rows(const struct chunk *chunk, uint64_t width) {
  const uint64_t *index = (const uint64_t *)((const uint8_t *)cb_wait_data(CB_INDICES, INDEX_SLOT) + chunk->skip);
  const uint64_t *const end = index + chunk->count;
  const uint64_t table = chunk->table, rows = chunk->rows, row_bytes = chunk->row_bytes;
  dma_shape(1, width);
  for (; index != end; index++) {
    if (*index >= rows) return false;
    dma_in(table + *index * row_bytes, CB_ROWS);
  }
  cb_pop(CB_INDICES, INDEX_SLOT);
  return true;
}

/* An error ends the job at once: the reset that follows frees hart 1 from waiting for what will not come. */
static uint32_t load(const struct plan *p, const struct mtia_embedding_bag_arguments *a, const struct pe_place *place) {
  struct cursor cursor = {.item = place->index, .step = place->count};
  struct chunk chunks[2];
  dma_strides(p->width, p->width);
  request_table(p, a, cursor.item);
  enum progress progress = next_chunk(p, a, &cursor, &chunks[0]);
  for (uint64_t turn = 0; progress == CHUNK; turn ^= 1) {
    const struct chunk *const chunk = &chunks[turn];
    progress = next_chunk(p, a, &cursor, &chunks[turn ^ 1]);
    const bool single = leaves_as_it_is(p, chunk->bag_length);
    if (!single && chunk->samples != 0) hand_over(chunk->output, chunk->samples, chunk->bag_length);
    if (chunk->count != 0 && !gather_rows(chunk, p->width)) return MTIA_RESULT_INDEX_OUT_OF_RANGE;
    if (single) hand_over(chunk->output, chunk->samples, 1);
  }
  if (progress == BAD_TABLE) return MTIA_RESULT_BAD_ARGUMENT;
  hand_over(0, 0, 0);
  return MTIA_RESULT_OK;
}

/* ---- Hart 1: sums ---- */

/* One bag to `pooled`. A long bag is added up in FP32 piece by piece, in the order of one piece. */
static void add_long_bag(const struct plan *p, uint64_t bag_length, uint64_t type, struct se_operand pooled) {
  const uint64_t sum_bytes = round_up(p->elements * 4, 32);
  const struct se_operand rows = {CB_ROWS, 0, type}, sum = {CB_SUM, 0, MTIA_TYPE_FP32};
  for (uint64_t done = 0; done < bag_length;) {
    const uint64_t count = minimum(p->piece_limit, bag_length - done);
    se_shape(count, p->elements);
    se_row_accumulate(done != 0, rows, sum);
    cb_pop(CB_ROWS, count * p->width);
    done += count;
  }
  cb_push(CB_SUM, sum_bytes);
  se_shape(1, p->elements);
  se_unary(MTIA_SE_IDENTITY, sum, pooled);
  cb_pop(CB_SUM, sum_bytes);
}

/* Row by row, because a block of rows may wrap around the end of the buffer. */
static void push_zero_rows(uint64_t count, uint64_t width) {
  for (; count != 0; count--) {
    const uint64_t place = (uint64_t)(uintptr_t)cb_wait_space(CB_OUTPUT, width);
    local_zero(place - MTIA_PE_LOCAL_BASE, 1, 0, 0, width);
    cb_push(CB_OUTPUT, width);
  }
}

/* `count` pooled rows into CB_OUTPUT. */
static void push_bags(const struct plan *p, uint64_t count, uint64_t bag_length, uint64_t type) {
  const uint64_t width = p->output_width, bag_bytes = bag_length * p->width;
  const struct se_operand rows = {CB_ROWS, 0, type};
  struct se_operand pooled = {CB_OUTPUT, 0, p->output_type};
  if (bag_length == 0) return push_zero_rows(count, width);
  if (bag_length > p->piece_limit) {
    for (uint64_t left = count; left != 0; left--, pooled.offset += width) add_long_bag(p, bag_length, type, pooled);
  } else {
    se_shape(bag_length, p->elements);
    for (uint64_t left = count; left != 0; left--, pooled.offset += width) {
      se_row_accumulate(false, rows, pooled);
      cb_pop(CB_ROWS, bag_bytes);
    }
  }
  cb_push(CB_OUTPUT, count * width);
}

static void pool(const struct plan *p, const struct mtia_embedding_bag_arguments *a) {
  const uint64_t width = p->output_width, output_stride = a->output_stride;
  se_strides(p->width, 0, width);
  dma_strides(output_stride, width);
  for (;;) {
    const struct work *const work = cb_wait_data(CB_WORK, WORK_BYTES);
    uint64_t output = work->output, samples = work->samples;
    const uint64_t bag_length = work->bag_length;
    cb_pop(CB_WORK, WORK_BYTES);
    if (samples == 0) break;
    if (leaves_as_it_is(p, bag_length)) {
      dma_shape(samples, width);
      dma_out(output, CB_ROWS);
      continue;
    }
    while (samples != 0) {
      const uint64_t count = minimum(p->output_rows, samples);
      push_bags(p, count, bag_length, a->type);
      dma_shape(count, width);
      dma_out(output, CB_OUTPUT);
      output += count * output_stride;
      samples -= count;
    }
  }
  fence();
}

static uint32_t plan_and_load(const struct mtia_job_descriptor *job, const struct mtia_embedding_bag_arguments *a) {
  const uint64_t generation = pe_generation();
  struct pe_place place;
  struct plan plan;
  if (!find_place(job, &place)) return MTIA_RESULT_BAD_GRID;
  if (!arguments_are_good(a, generation)) return MTIA_RESULT_BAD_ARGUMENT;
  if (!make_plan(&plan, a, generation)) return MTIA_RESULT_LOCAL_MEMORY;
  plan.has_work = place.index < plan.items;
  *KERNEL_SHARED(struct plan) = plan;
  if (plan.has_work) place_buffers(&plan);
  buffers_ready(0);
  return plan.has_work ? load(&plan, a, &place) : MTIA_RESULT_OK;
}

uint32_t kernel_main(const struct mtia_job_descriptor *job, uint32_t hart) {
  KERNEL_ARGUMENTS(mtia_embedding_bag_arguments, arguments, job);
  if (hart == 0) return plan_and_load(job, arguments);
  buffers_ready(1);
  const struct plan *const plan = KERNEL_SHARED(struct plan);
  if (plan->has_work) pool(plan, arguments);
  return MTIA_RESULT_OK;
}
