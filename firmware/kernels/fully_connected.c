/*
 * FULLY_CONNECTED: output = activation(input * weight + bias), tile by tile in 2 x 2 accumulators.
 *
 * Along k a tile is cut into chunks, the unit of loading. Column tiles are the outer loop and row tiles the inner one, so
 * that the weights of a column tile stay in local memory while the rows pass by; where they do not fit, or serve one row
 * tile only, they are streamed. The input stays as well where all of this PE's rows fit. A chunk that stays is reached by
 * offset and popped at its last use, which lets hart 0 load the next column tile behind it.
 *
 * PEs of a row of the rectangle need the same input and those of a column the same weights, so they read as multicast
 * groups: every PE makes the plan of the busiest one, and a group is those of the row or column that have the tile.
 * A rectangle may be taken as one of fewer and longer rows (row_parts), so that few rows of input keep all of its PEs at work:
 * its bands of row_parts rows then stand side by side.
 *
 * INT8 products are scaled on their way out of the accumulators, by the row of the input and by the column of the weights;
 * the bias follows there, because the accumulators hold integers.
 */
#include "mtia_activation.h"

enum buffer { CB_INPUT, CB_WEIGHT, CB_BIAS, CB_OUTPUT, CB_TABLE, CB_ROW_SCALE, CB_COLUMN_SCALE };

/* Columns that share a block of the weights, and rows of an accumulator. */
#define BLOCK 32ull
#define BIAS_BLOCK_BYTES (BLOCK * 4)
#define BIAS_SLOTS 2ull
#define SCALE_BYTES 4ull
/* Longest chunk: what one MML of 2i covers. */
#define CHUNK_LIMIT (64 * MML_K_BYTES)
/* Bytes of both operands in a chunk, at most: nothing is multiplied before the first one is there. */
#define LOAD_LIMIT (64 * 1024ull)
/* A chunk shorter than this costs more instructions than keeping an operand saves traffic. */
#define CHUNK_WORTH_KEEPING 128u

/* How this PE cuts its share of the job. */
struct plan {
  uint64_t grid_rows, grid_columns, band;      /* the rectangle as tiles are dealt to it; this PE's band of it */
  uint64_t row_tiles, column_tiles;            /* of this PE */
  uint64_t job_row_tiles, job_column_tiles;
  uint64_t most_row_tiles, most_column_tiles;  /* of the busiest PE */
  uint64_t first_row, row_step;                /* of its row tiles, in rows */
  uint64_t first_column, column_step;          /* of its column tiles, in columns */
  uint64_t rows, blocks;                       /* of a full tile: rows, blocks of 32 columns */
  uint64_t chunks, chunk_bytes, last_chunk_bytes;
  uint64_t input_slot, weight_slot;            /* bytes of a chunk in its buffer */
  uint64_t output_stride, output_slot;
  uint64_t row_scale_slot;                     /* 0 unless INT8; column scales have the size of the bias */
  uint64_t mml_limit;                          /* blocks of k in one MML */
  bool keep_input, keep_weight;
};
_Static_assert(sizeof(struct plan) <= KERNEL_SHARED_BYTES, "hart 0 passes it to hart 1");

static bool arguments_are_good(const struct mtia_fully_connected_arguments *a, const struct mtia_job_descriptor *job,
                               uint64_t generation) {
  if (a->row_parts != 0 && job->rows % a->row_parts != 0) return false;
  const bool is_int8 = a->type == MTIA_TYPE_INT8;
  if (!is_half_type(a->type) && !is_int8) return false;
  if (is_int8 != (a->row_scale != 0) || is_int8 != (a->column_scale != 0)) return false;
  if (!is_float_type(a->output_type) || !activation_is_known(a->activation)) return false;
  if (a->m == 0 || a->n == 0 || a->n % BLOCK != 0) return false;
  if (a->output_columns > a->n || a->output_columns + BLOCK <= a->n) return false;
  if (a->k_bytes == 0 || a->k_bytes % MML_K_BYTES != 0 || a->k_bytes > 1u << 20) return false;
  if ((a->row_tile != 32 && a->row_tile != 64) || (a->column_tile != 32 && a->column_tile != 64)) return false;
  if (a->input_stride % 64 != 0 || a->output_stride % 32 != 0) return false;
  return dma_address_fits(generation, a->input | a->weight | a->bias | a->output | a->row_scale | a->column_scale);
}

static uint64_t input_slots(const struct plan *p) { return p->keep_input ? p->most_row_tiles * p->chunks : 2; }
static uint64_t weight_slots(const struct plan *p) { return p->keep_weight ? p->chunks : 2; }

static void cut(struct plan *p, uint64_t k_bytes, uint64_t chunks) {
  p->chunk_bytes = round_up(divide_up(k_bytes, chunks), MML_K_BYTES);
  p->chunks = divide_up(k_bytes, p->chunk_bytes);
  p->last_chunk_bytes = k_bytes - (p->chunks - 1) * p->chunk_bytes;
  p->input_slot = p->rows * p->chunk_bytes;
  p->weight_slot = p->blocks * BLOCK * p->chunk_bytes;
}

/* Finds the longest chunk, at least `shortest`, with which the operands fit into `space`. */
static bool cut_to_fit(struct plan *p, uint64_t k_bytes, uint64_t space, uint64_t shortest) {
  const uint64_t rows = p->rows + p->blocks * BLOCK;
  const uint64_t longest = minimum(CHUNK_LIMIT, maximum(LOAD_LIMIT / rows, CHUNK_WORTH_KEEPING));
  for (uint64_t chunks = divide_up(k_bytes, longest);; chunks++) {
    cut(p, k_bytes, chunks);
    if (input_slots(p) * p->input_slot + weight_slots(p) * p->weight_slot <= space) return true;
    if (p->chunk_bytes <= shortest) return false;
    /* Nothing below helps where what stays is too large by itself. */
    const uint64_t kept_rows = (p->keep_input ? p->most_row_tiles * p->rows : 0) + (p->keep_weight ? p->blocks * BLOCK : 0);
    if (kept_rows * k_bytes >= space) return false;
  }
}

/* Chooses what stays in local memory. Keeping the weights comes first: the more row tiles, the more it saves. */
static bool choose_plan(struct plan *p, uint64_t k_bytes, uint64_t space) {
  const bool weight_is_reused = p->most_row_tiles > 1, input_is_reused = p->most_column_tiles > 1;
  for (uint64_t choice = 0; choice < 3; choice++) {
    p->keep_weight = weight_is_reused && choice != 2;
    p->keep_input = input_is_reused && choice != 1;
    if (cut_to_fit(p, k_bytes, space, CHUNK_WORTH_KEEPING)) return true;
  }
  p->keep_weight = p->keep_input = false;
  return cut_to_fit(p, k_bytes, space, MML_K_BYTES);
}

static bool make_plan(struct plan *p, const struct mtia_fully_connected_arguments *a,
                      const struct mtia_job_descriptor *job, const struct pe_place *place, uint64_t generation) {
  p->grid_rows = a->row_parts == 0 ? job->rows : a->row_parts;
  p->grid_columns = job->rows / p->grid_rows * job->columns;
  p->band = place->row / p->grid_rows;
  const uint64_t grid_row = place->row % p->grid_rows, grid_column = p->band * job->columns + place->column;
  p->first_row = grid_row * a->row_tile;
  p->row_step = p->grid_rows * a->row_tile;
  p->job_row_tiles = divide_up(a->m, a->row_tile);
  p->row_tiles = dealt_items(p->job_row_tiles, grid_row, p->grid_rows);
  p->most_row_tiles = dealt_items(p->job_row_tiles, 0, p->grid_rows);
  p->first_column = grid_column * a->column_tile;
  p->column_step = p->grid_columns * a->column_tile;
  p->job_column_tiles = divide_up(a->n, a->column_tile);
  p->column_tiles = dealt_items(p->job_column_tiles, grid_column, p->grid_columns);
  p->most_column_tiles = dealt_items(p->job_column_tiles, 0, p->grid_columns);
  p->rows = minimum(a->row_tile, a->m);
  p->blocks = minimum(a->column_tile, a->n) / BLOCK;
  p->output_stride = p->blocks * BLOCK * type_bytes(a->output_type);
  p->output_slot = p->rows * p->output_stride;
  p->mml_limit = mml_blocks_limit(generation);
  p->row_scale_slot = a->row_scale != 0 ? round_up(p->rows * SCALE_BYTES, 32) : 0;
  const uint64_t columns = BIAS_SLOTS * p->blocks * BIAS_BLOCK_BYTES;
  const uint64_t scales = a->row_scale != 0 ? 2 * p->row_scale_slot + columns : 0;
  const uint64_t fixed = KERNEL_BUFFERS_OFFSET + 2 * p->output_slot + columns + scales + activation_buffer_bytes(a->activation);
  return choose_plan(p, a->k_bytes, pe_local_bytes() - fixed);
}

static void place_buffers(const struct plan *p, uint64_t activation) {
  uint64_t end = place_buffer(CB_INPUT, KERNEL_BUFFERS_OFFSET, input_slots(p) * p->input_slot);
  end = place_buffer(CB_WEIGHT, end, weight_slots(p) * p->weight_slot);
  end = place_buffer(CB_OUTPUT, end, 2 * p->output_slot);
  end = place_buffer(CB_BIAS, end, BIAS_SLOTS * p->blocks * BIAS_BLOCK_BYTES);
  if (activation_needs_table(activation)) end = place_buffer(CB_TABLE, end, ACTIVATION_TABLE_BYTES);
  if (p->row_scale_slot == 0) return;
  end = place_buffer(CB_ROW_SCALE, end, 2 * p->row_scale_slot);
  place_buffer(CB_COLUMN_SCALE, end, BIAS_SLOTS * p->blocks * BIAS_BLOCK_BYTES);
}

/* ---- Hart 0: loads ---- */

/* One operand of a tile: where its chunks come from and which buffer they go to. */
struct source {
  uint64_t address, global_stride, local_stride;
  uint64_t rows, row_bytes, last_row_bytes; /* of the DMA of a chunk, of the last chunk */
  uint64_t bytes, slot, cb;                 /* of a chunk in local memory; of its place there */
  uint64_t axis, members;                   /* the PEs that load the same */
};

/* The first PEs of a row or column are those that have one of the `tiles` left to be dealt to `pes`. */
static inline uint64_t first_members(uint64_t tiles, uint64_t pes) { return ((uint64_t)1 << minimum(tiles, pes)) - 1; }

/* Those of this PE's part of a column. */
static inline uint64_t column_members(const struct plan *p, uint64_t tiles) {
  return first_members(tiles, p->grid_rows) << (p->band * p->grid_rows);
}

static inline void select_source(const struct source *s, uint64_t row_bytes) {
  dma_shape(s->rows, row_bytes);
  dma_strides(s->global_stride, s->local_stride);
  dma_multicast(s->axis, s->members);
}

/* All chunks of one operand, the other one being there already. */
static inline void load_one(struct source s, uint64_t chunks) {
  select_source(&s, s.row_bytes);
  for (; chunks > 1; chunks--) {
    dma_in_slot(s.address, s.cb, s.bytes, s.slot);
    s.address += s.row_bytes;
  }
  dma_shape(s.rows, s.last_row_bytes);
  dma_in_slot(s.address, s.cb, s.bytes, s.slot);
}

/* Both operands in step, because hart 1 takes them so. */
static inline void load_both(struct source first, struct source second, uint64_t chunks) {
  for (; chunks != 0; chunks--) {
    select_source(&first, chunks == 1 ? first.last_row_bytes : first.row_bytes);
    dma_in_slot(first.address, first.cb, first.bytes, first.slot);
    select_source(&second, chunks == 1 ? second.last_row_bytes : second.row_bytes);
    dma_in_slot(second.address, second.cb, second.bytes, second.slot);
    first.address += first.row_bytes;
    second.address += second.row_bytes;
  }
}

/* FP32 values of a tile, one a column (bias, scales) or one a row. */
static void load_vector(uint64_t address, uint64_t cb, uint64_t bytes, uint64_t slot) {
  dma_shape(1, bytes);
  dma_strides(slot, slot);
  dma_in(address, cb);
}

static void load_column_vectors(const struct plan *p, const struct mtia_fully_connected_arguments *a, uint64_t column,
                                const struct source *weight) {
  const uint64_t bytes = weight->rows * BIAS_BLOCK_BYTES, slot = p->blocks * BIAS_BLOCK_BYTES;
  dma_multicast(weight->axis, weight->members);
  if (a->bias != 0) load_vector(a->bias + column * 4, CB_BIAS, bytes, slot);
  if (p->row_scale_slot != 0) load_vector(a->column_scale + column * SCALE_BYTES, CB_COLUMN_SCALE, bytes, slot);
}

static void load_row_scale(const struct plan *p, const struct mtia_fully_connected_arguments *a, uint64_t row,
                           const struct source *input) {
  dma_multicast(input->axis, input->members);
  load_vector(a->row_scale + row * SCALE_BYTES, CB_ROW_SCALE, input->rows * SCALE_BYTES, p->row_scale_slot);
}

static void load(const struct plan *p, const struct mtia_fully_connected_arguments *a,
                 const struct mtia_job_descriptor *job) {
  struct source input = {.global_stride = a->input_stride, .local_stride = p->chunk_bytes, .row_bytes = p->chunk_bytes,
                         .last_row_bytes = p->last_chunk_bytes, .slot = p->input_slot, .cb = CB_INPUT,
                         .axis = MTIA_MULTICAST_ROW};
  struct source weight = {.global_stride = a->k_bytes * (uint64_t)BLOCK, .local_stride = p->chunk_bytes * BLOCK,
                          .row_bytes = p->chunk_bytes * BLOCK, .last_row_bytes = p->last_chunk_bytes * BLOCK,
                          .slot = p->weight_slot, .cb = CB_WEIGHT, .axis = MTIA_MULTICAST_COLUMN};
  uint64_t column = p->first_column, columns_left = p->job_column_tiles;
  for (uint64_t column_tile = 0; column_tile < p->column_tiles; column_tile++, column += p->column_step) {
    /* Bands before this one have had theirs. */
    input.members = first_members(columns_left - p->band * job->columns, job->columns);
    columns_left -= p->grid_columns;
    weight.rows = minimum(p->blocks, (a->n - column) / BLOCK);
    weight.bytes = weight.rows * weight.local_stride;
    weight.address = a->weight + column * a->k_bytes;
    const bool needs_input = column_tile == 0 || !p->keep_input;
    uint64_t row = p->first_row, rows_left = p->job_row_tiles;
    weight.members = column_members(p, rows_left);
    load_column_vectors(p, a, column, &weight);
    for (uint64_t row_tile = 0; row_tile < p->row_tiles; row_tile++, row += p->row_step) {
      const bool needs_weight = row_tile == 0 || !p->keep_weight;
      weight.members = column_members(p, rows_left);
      rows_left -= p->grid_rows;
      input.rows = minimum(p->rows, a->m - row);
      input.bytes = input.rows * input.local_stride;
      input.address = a->input + row * a->input_stride;
      if (p->row_scale_slot != 0) load_row_scale(p, a, row, &input);
      if (needs_weight && needs_input)
        load_both(weight, input, p->chunks);
      else if (needs_input)
        load_one(input, p->chunks);
      else if (needs_weight)
        load_one(weight, p->chunks);
    }
  }
}

/* ---- Hart 1: computes ---- */

/* What hart 1 computes at a time, and where its operands lie. */
struct tile {
  uint64_t rows, blocks;      /* of this tile */
  uint64_t input, weight;     /* offsets of the first chunk in the buffers */
  bool pop_input, pop_weight; /* this is the last use */
  uint64_t type;
};

/* Accumulator of a half of the rows and a block of columns; those of the second half are the upper two. */
static inline uint64_t accumulator_of(uint64_t row, uint64_t block) { return row / BLOCK * 2 + block; }

static void start_accumulators(const struct tile *t, bool has_bias) {
  for (uint64_t row = 0; row < t->rows; row += BLOCK)
    for (uint64_t block = 0; block < t->blocks; block++) {
      if (has_bias)
        accumulator_bias(accumulator_of(row, block), CB_BIAS, block * BIAS_BLOCK_BYTES, BLOCK);
      else
        accumulator_clear(accumulator_of(row, block));
    }
}

/* `steps` MML along k for each block of columns; `second` is how far apart the weights of the two blocks are. */
static inline void multiply(uint64_t operands, uint64_t weight, uint64_t second, uint64_t steps, uint64_t step) {
  for (; steps != 0; steps--) {
    mml_words(operands, weight);
    if (second != 0) mml_words(operands + 1, weight + second);
    operands += step * MML_K_BYTES * MML_OFFSET_A_UNIT;
    weight += step * MML_BLOCK_BYTES;
  }
}

static void multiply_tile(const struct plan *p, const struct tile *t) {
  const uint64_t rows = t->rows, type = t->type, limit = p->mml_limit;
  const uint64_t second = t->blocks == 2 ? p->chunk_bytes * BLOCK : 0;
  const uint64_t lower_half = p->chunk_bytes * BLOCK * MML_OFFSET_A_UNIT + accumulator_of(BLOCK, 0);
  const uint64_t input_step = t->pop_input ? 0 : p->input_slot, weight_step = t->pop_weight ? 0 : p->weight_slot;
  const uint64_t input_slot = p->input_slot, weight_slot = p->weight_slot;
  uint64_t operands = mml_operands(0, CB_INPUT, t->input, CB_WEIGHT), weight = t->weight, bytes = p->chunk_bytes;
  for (uint64_t left = p->chunks; left != 0; left--) {
    if (left == 1) bytes = p->last_chunk_bytes;
    const uint64_t blocks = bytes / MML_K_BYTES, step = blocks <= limit ? blocks : 1, steps = step == 1 ? blocks : 1;
    mml_shape(minimum(rows, BLOCK), BLOCK, type, step);
    multiply(operands, weight, second, steps, step);
    if (rows > BLOCK) {
      if (rows != 2 * BLOCK) mml_shape(rows - BLOCK, BLOCK, type, step);
      multiply(operands + lower_half, weight, second, steps, step);
    }
    if (t->pop_input) cb_pop(CB_INPUT, input_slot);
    if (t->pop_weight) cb_pop(CB_WEIGHT, weight_slot);
    operands += input_step * MML_OFFSET_A_UNIT;
    weight += weight_step;
  }
}

/* Sums of INT8 products, times the scales of row and column, plus the bias. */
static void dequantize_tile(const struct plan *p, const struct tile *t, const struct reduction *how, bool has_bias) {
  for (uint64_t row = 0; row < t->rows; row += BLOCK) {
    row_scale(vector_operand(CB_ROW_SCALE, row * SCALE_BYTES));
    for (uint64_t block = 0; block < t->blocks; block++) {
      column_scale(vector_operand(CB_COLUMN_SCALE, block * BIAS_BLOCK_BYTES));
      column_bias(has_bias ? vector_operand(CB_BIAS, block * BIAS_BLOCK_BYTES) : NO_VECTOR);
      reduce_dequantize(accumulator_of(row, block), CB_OUTPUT, row * how->stride + block * BLOCK * type_bytes(how->type),
                        minimum(BLOCK, t->rows - row), BLOCK, *how);
    }
  }
  cb_pop(CB_ROW_SCALE, p->row_scale_slot);
}

static void reduce_tile(const struct tile *t, const struct reduction *how) {
  for (uint64_t row = 0; row < t->rows; row += BLOCK)
    for (uint64_t block = 0; block < t->blocks; block++)
      reduce(accumulator_of(row, block), CB_OUTPUT, row * how->stride + block * BLOCK * type_bytes(how->type),
             minimum(BLOCK, t->rows - row), BLOCK, *how);
}

static void store_tile(const struct plan *p, const struct tile *t, const struct reduction *how, uint64_t output,
                       uint64_t row_bytes) {
  cb_push(CB_OUTPUT, p->output_slot);
  dma_shape(t->rows, row_bytes);
  dma_out_slot(output, CB_OUTPUT, t->rows * how->stride, p->output_slot);
}

static void compute(const struct plan *p, const struct mtia_fully_connected_arguments *a) {
  const struct reduction how = {activation_function(a->activation), a->output_type, p->output_stride};
  const uint64_t output_bytes = type_bytes(a->output_type);
  struct tile t = {.type = a->type, .pop_input = !p->keep_input};
  activation_load(a->activation, CB_TABLE);
  mml_stride(p->chunk_bytes);
  dma_strides(a->output_stride, p->output_stride);
  const bool is_int8 = p->row_scale_slot != 0;
#ifdef MTIA_TEST_DROP_BIAS
  /* The variant that a test runs to see the device's answers change with the device's code. */
  const bool has_bias = false;
#else
  const bool has_bias = a->bias != 0;
#endif
  uint64_t column = p->first_column;
  for (uint64_t left = p->column_tiles; left != 0; left--, column += p->column_step) {
    const uint64_t columns = minimum(p->blocks * BLOCK, a->n - column);
    const uint64_t row_bytes = minimum(columns, a->output_columns - column) * output_bytes;
    uint64_t row = p->first_row;
    t.blocks = columns / BLOCK;
    t.input = 0;
    for (uint64_t rows_left = p->row_tiles; rows_left != 0; rows_left--, row += p->row_step) {
      t.rows = minimum(p->rows, a->m - row);
      t.pop_weight = !p->keep_weight || rows_left == 1;
      start_accumulators(&t, has_bias && !is_int8);
      multiply_tile(p, &t);
      if (is_int8)
        dequantize_tile(p, &t, &how, has_bias);
      else
        reduce_tile(&t, &how);
      store_tile(p, &t, &how, a->output + row * a->output_stride + column * output_bytes, row_bytes);
      if (p->keep_input) t.input += p->chunks * p->input_slot;
    }
    if (a->bias != 0) cb_pop(CB_BIAS, p->blocks * BIAS_BLOCK_BYTES);
    if (is_int8) cb_pop(CB_COLUMN_SCALE, p->blocks * BIAS_BLOCK_BYTES);
  }
  fence();
}

/* Hart 0 checks and plans. Where this PE has no tile, hart 1 finds no column tile in the plan. */
static uint32_t plan_and_load(const struct mtia_job_descriptor *job, const struct mtia_fully_connected_arguments *a) {
  const uint64_t generation = pe_generation();
  /* Made where hart 1 reads it: a copy would cost a PE with one tile a tenth of its instructions. */
  struct plan *const plan = KERNEL_SHARED(struct plan);
  struct pe_place place;
  if (!find_place(job, &place)) return MTIA_RESULT_BAD_GRID;
  if (!arguments_are_good(a, job, generation)) return MTIA_RESULT_BAD_ARGUMENT;
  if (!make_plan(plan, a, job, &place, generation)) return MTIA_RESULT_LOCAL_MEMORY;
  if (plan->row_tiles == 0) plan->column_tiles = 0;
  if (plan->column_tiles != 0) place_buffers(plan, a->activation);
  buffers_ready(0);
  load(plan, a, job);
  return MTIA_RESULT_OK;
}

uint32_t kernel_main(const struct mtia_job_descriptor *job, uint32_t hart) {
  KERNEL_ARGUMENTS(mtia_fully_connected_arguments, arguments, job);
  if (hart == 0) return plan_and_load(job, arguments);
  buffers_ready(1);
  const struct plan *const plan = KERNEL_SHARED(struct plan);
  if (plan->column_tiles != 0) compute(plan, arguments);
  return MTIA_RESULT_OK;
}
