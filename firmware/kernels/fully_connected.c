/*
 * FULLY_CONNECTED: output = activation(input * weight + bias), tile by tile in 2 x 2 accumulators.
 *
 * Along k a tile is cut into chunks, the unit of loading. Column tiles are the outer loop and row tiles the inner one, so
 * that the weights of a column tile stay in local memory while the rows pass by; where they do not fit, or serve one row
 * tile only, they are streamed. The input stays as well where all of this PE's rows fit. A chunk that stays is reached by
 * offset and popped at its last use, which lets hart 0 load the next column tile behind it.
 */
#include "mtia_activation.h"

enum buffer { CB_INPUT, CB_WEIGHT, CB_BIAS, CB_OUTPUT, CB_TABLE };

/* Columns that share a block of the weights, and rows of an accumulator. */
#define BLOCK 32u
#define BIAS_BLOCK_BYTES (BLOCK * 4)
#define BIAS_SLOTS 2u
/* Longest chunk: what one MML of 2i covers. */
#define CHUNK_LIMIT (64 * MML_K_BYTES)
/* A chunk shorter than this costs more instructions than keeping an operand saves traffic. */
#define CHUNK_WORTH_KEEPING 256u

/* How this PE cuts its share of the job. */
struct plan {
  uint32_t row_tiles, column_tiles; /* of this PE */
  uint32_t rows, blocks;            /* of a full tile: rows, blocks of 32 columns */
  uint32_t chunks, chunk_bytes, last_chunk_bytes;
  uint32_t input_slot, weight_slot; /* bytes of a chunk in its buffer */
  uint32_t output_stride, output_slot;
  bool keep_input, keep_weight;
};

static bool arguments_are_good(const struct mtia_fully_connected_arguments *a, uint32_t generation) {
  if (!is_half_type(a->type) || !is_float_type(a->output_type) || !activation_is_known(a->activation)) return false;
  if (a->m == 0 || a->n == 0 || a->n % BLOCK != 0) return false;
  if (a->output_columns > a->n || a->output_columns + BLOCK <= a->n) return false;
  if (a->k_bytes == 0 || a->k_bytes % MML_K_BYTES != 0 || a->k_bytes > 1u << 20) return false;
  if ((a->row_tile != 32 && a->row_tile != 64) || (a->column_tile != 32 && a->column_tile != 64)) return false;
  if (a->input_stride % 64 != 0 || a->output_stride % 32 != 0) return false;
  return dma_address_fits(generation, a->input | a->weight | a->bias | a->output);
}

/* Bytes of local memory with the plan's chunk length. 64 bits: a k of 2^20 bytes times 64 rows and many tiles is a lot. */
static uint64_t operand_bytes(const struct plan *p) {
  const uint64_t input_slots = p->keep_input ? (uint64_t)p->row_tiles * p->chunks : 2;
  const uint64_t weight_slots = p->keep_weight ? p->chunks : 2;
  return input_slots * p->input_slot + weight_slots * p->weight_slot;
}

static void cut(struct plan *p, uint32_t k_bytes, uint32_t chunks) {
  p->chunk_bytes = round_up(divide_up(k_bytes, chunks), MML_K_BYTES);
  p->chunks = divide_up(k_bytes, p->chunk_bytes);
  p->last_chunk_bytes = k_bytes - (p->chunks - 1) * p->chunk_bytes;
  p->input_slot = p->rows * p->chunk_bytes;
  p->weight_slot = p->blocks * BLOCK * p->chunk_bytes;
}

/* Finds the longest chunk, at least `shortest`, with which the operands fit into `space`. */
static bool cut_to_fit(struct plan *p, uint32_t k_bytes, uint32_t space, uint32_t shortest) {
  for (uint32_t chunks = divide_up(k_bytes, CHUNK_LIMIT);; chunks++) {
    cut(p, k_bytes, chunks);
    if (operand_bytes(p) <= space) return true;
    if (p->chunk_bytes <= shortest) return false;
    /* Nothing below helps where what stays is too large by itself. */
    const uint64_t kept = (p->keep_input ? (uint64_t)p->row_tiles * p->rows * k_bytes : 0) +
                          (p->keep_weight ? (uint64_t)p->blocks * BLOCK * k_bytes : 0);
    if (kept >= space) return false;
  }
}

/* Chooses what stays in local memory. Keeping the weights comes first: the more row tiles, the more it saves. */
static bool choose_plan(struct plan *p, uint32_t k_bytes, uint32_t space) {
  const bool weight_is_reused = p->row_tiles > 1, input_is_reused = p->column_tiles > 1;
  for (uint32_t choice = 0; choice < 3; choice++) {
    p->keep_weight = weight_is_reused && choice != 2;
    p->keep_input = input_is_reused && choice != 1;
    if (cut_to_fit(p, k_bytes, space, CHUNK_WORTH_KEEPING)) return true;
  }
  p->keep_weight = p->keep_input = false;
  return cut_to_fit(p, k_bytes, space, MML_K_BYTES);
}

static bool make_plan(struct plan *p, const struct mtia_fully_connected_arguments *a,
                      const struct mtia_job_descriptor *job, const struct pe_place *place) {
  p->row_tiles = dealt_items(divide_up(a->m, a->row_tile), place->row, job->rows);
  p->column_tiles = dealt_items(divide_up(a->n, a->column_tile), place->column, job->columns);
  p->rows = minimum(a->row_tile, a->m);
  p->blocks = minimum(a->column_tile, a->n) / BLOCK;
  p->output_stride = p->blocks * BLOCK * type_bytes(a->output_type);
  p->output_slot = p->rows * p->output_stride;
  const uint32_t fixed = KERNEL_BUFFERS_OFFSET + 2 * p->output_slot + BIAS_SLOTS * p->blocks * BIAS_BLOCK_BYTES +
                         activation_buffer_bytes(a->activation);
  return choose_plan(p, a->k_bytes, pe_local_bytes() - fixed);
}

static void place_buffers(const struct plan *p, uint32_t activation) {
  const uint32_t input_slots = p->keep_input ? p->row_tiles * p->chunks : 2;
  const uint32_t weight_slots = p->keep_weight ? p->chunks : 2;
  uint32_t end = KERNEL_BUFFERS_OFFSET;
  place_buffer(0, CB_INPUT, &end, input_slots * p->input_slot);
  place_buffer(0, CB_WEIGHT, &end, weight_slots * p->weight_slot);
  place_buffer(0, CB_OUTPUT, &end, 2 * p->output_slot);
  place_buffer(0, CB_BIAS, &end, BIAS_SLOTS * p->blocks * BIAS_BLOCK_BYTES);
  place_buffer(0, CB_TABLE, &end, activation_buffer_bytes(activation));
}

/* ---- Hart 0: loads ---- */

/* One row tile of the input, or the weights of a column tile, or both in step, chunk by chunk. */
struct tile_source {
  uint64_t input, weight;    /* first byte of the tile */
  uint64_t weight_stride;    /* bytes from block to block of columns */
  uint32_t input_stride;
  uint32_t rows, blocks;
  bool load_input, load_weight;
};

static void load_tile(const struct plan *p, const struct tile_source *t) {
  uint64_t input = t->input, weight = t->weight;
  uint32_t bytes = p->chunk_bytes;
  for (uint32_t left = p->chunks; left != 0; left--) {
    if (left == 1) bytes = p->last_chunk_bytes;
    if (t->load_weight) {
      dma_shape(t->blocks, bytes * BLOCK);
      dma_strides(t->weight_stride, p->chunk_bytes * BLOCK);
      dma_in_slot(weight, CB_WEIGHT, t->blocks * p->chunk_bytes * BLOCK, p->weight_slot);
      weight += (uint64_t)bytes * BLOCK;
    }
    if (t->load_input) {
      dma_shape(t->rows, bytes);
      dma_strides(t->input_stride, p->chunk_bytes);
      dma_in_slot(input, CB_INPUT, t->rows * p->chunk_bytes, p->input_slot);
      input += bytes;
    }
  }
}

static void load_bias(const struct plan *p, uint64_t bias, uint32_t blocks) {
  const uint32_t slot = p->blocks * BIAS_BLOCK_BYTES;
  dma_shape(1, blocks * BIAS_BLOCK_BYTES);
  dma_strides(slot, slot);
  dma_in(bias, CB_BIAS);
}

static void load(const struct plan *p, const struct mtia_fully_connected_arguments *a,
                 const struct mtia_job_descriptor *job, const struct pe_place *place) {
  struct tile_source t = {.weight_stride = (uint64_t)a->k_bytes * BLOCK, .input_stride = a->input_stride};
  for (uint32_t column_tile = 0; column_tile < p->column_tiles; column_tile++) {
    const uint32_t column = (place->column + column_tile * job->columns) * a->column_tile;
    t.blocks = minimum(p->blocks, (a->n - column) / BLOCK);
    t.weight = a->weight + (uint64_t)column * a->k_bytes;
    if (a->bias != 0) load_bias(p, a->bias + (uint64_t)column * 4, t.blocks);
    t.load_input = column_tile == 0 || !p->keep_input;
    for (uint32_t row_tile = 0; row_tile < p->row_tiles; row_tile++) {
      const uint32_t row = (place->row + row_tile * job->rows) * a->row_tile;
      t.rows = minimum(p->rows, a->m - row);
      t.input = a->input + (uint64_t)row * a->input_stride;
      t.load_weight = row_tile == 0 || !p->keep_weight;
      if (t.load_input || t.load_weight) load_tile(p, &t);
    }
  }
}

/* ---- Hart 1: computes ---- */

/* What hart 1 computes at a time, and where its operands lie. */
struct tile {
  uint32_t rows, blocks;          /* of this tile */
  uint32_t input, weight;         /* offsets of the first chunk in the buffers */
  bool pop_input, pop_weight;     /* this is the last use */
  uint32_t type, mml_limit;
};

static void start_accumulators(const struct tile *t, bool has_bias) {
#ifdef MTIA_TEST_DROP_BIAS
  /* The variant that a test runs to see the device's answers change with the device's code. */
  has_bias = false;
#endif
  for (uint32_t part = 0; part * BLOCK < t->rows; part++)
    for (uint32_t block = 0; block < t->blocks; block++) {
      if (has_bias)
        accumulator_bias(part * 2 + block, CB_BIAS, block * BIAS_BLOCK_BYTES, BLOCK);
      else
        accumulator_clear(part * 2 + block);
    }
}

/* All products of a chunk: for each half of the rows as few MML as the generation allows. */
static inline void multiply_chunk(const struct plan *p, const struct tile *t, uint32_t bytes, uint32_t input,
                                  uint32_t weight) {
  const uint32_t blocks_of_k = bytes / MML_K_BYTES;
  const uint32_t step = blocks_of_k <= t->mml_limit ? blocks_of_k : 1;
  const uint32_t second = p->chunk_bytes * BLOCK;
  for (uint32_t row = 0; row < t->rows; row += BLOCK) {
    const uint32_t accumulator = row / BLOCK * 2;
    uint32_t a = input + row * p->chunk_bytes, b = weight;
    mml_shape(minimum(BLOCK, t->rows - row), BLOCK, t->type, step);
    for (uint32_t left = blocks_of_k; left != 0; left -= step) {
      mml(accumulator, CB_INPUT, a, CB_WEIGHT, b);
      if (t->blocks == 2) mml(accumulator + 1, CB_INPUT, a, CB_WEIGHT, b + second);
      a += step * MML_K_BYTES;
      b += step * MML_BLOCK_BYTES;
    }
  }
}

static void multiply_tile(const struct plan *p, const struct tile *t) {
  uint32_t input = t->input, weight = t->weight, bytes = p->chunk_bytes;
  for (uint32_t left = p->chunks; left != 0; left--) {
    if (left == 1) bytes = p->last_chunk_bytes;
    multiply_chunk(p, t, bytes, input, weight);
    if (t->pop_input)
      cb_pop(CB_INPUT, p->input_slot);
    else
      input += p->input_slot;
    if (t->pop_weight)
      cb_pop(CB_WEIGHT, p->weight_slot);
    else
      weight += p->weight_slot;
  }
}

static void store_tile(const struct plan *p, const struct tile *t, const struct reduction *how, uint64_t output,
                       uint32_t row_bytes) {
  for (uint32_t row = 0; row < t->rows; row += BLOCK)
    for (uint32_t block = 0; block < t->blocks; block++)
      reduce(row / BLOCK * 2 + block, CB_OUTPUT, row * p->output_stride + block * BLOCK * type_bytes(how->type),
             minimum(BLOCK, t->rows - row), BLOCK, *how);
  cb_push(CB_OUTPUT, p->output_slot);
  dma_shape(t->rows, row_bytes);
  dma_out_slot(output, CB_OUTPUT, t->rows * p->output_stride, p->output_slot);
}

static void compute(const struct plan *p, const struct mtia_fully_connected_arguments *a,
                    const struct mtia_job_descriptor *job, const struct pe_place *place, uint32_t generation) {
  const struct reduction how = {activation_function(a->activation), a->output_type, p->output_stride};
  const uint32_t output_bytes = type_bytes(a->output_type);
  struct tile t = {.type = a->type, .mml_limit = mml_blocks_limit(generation), .pop_input = !p->keep_input};
  activation_load(a->activation, CB_TABLE);
  mml_stride(p->chunk_bytes);
  dma_strides(a->output_stride, p->output_stride);
  for (uint32_t column_tile = 0; column_tile < p->column_tiles; column_tile++) {
    const uint32_t column = (place->column + column_tile * job->columns) * a->column_tile;
    const uint32_t columns = minimum(p->blocks * BLOCK, a->n - column);
    const uint32_t row_bytes = minimum(columns, a->output_columns - column) * output_bytes;
    t.blocks = columns / BLOCK;
    for (uint32_t row_tile = 0; row_tile < p->row_tiles; row_tile++) {
      const uint32_t row = (place->row + row_tile * job->rows) * a->row_tile;
      t.rows = minimum(p->rows, a->m - row);
      t.input = p->keep_input ? row_tile * p->chunks * p->input_slot : 0;
      t.weight = 0;
      t.pop_weight = !p->keep_weight || row_tile + 1 == p->row_tiles;
      start_accumulators(&t, a->bias != 0);
      multiply_tile(p, &t);
      store_tile(p, &t, &how, a->output + (uint64_t)row * a->output_stride + (uint64_t)column * output_bytes, row_bytes);
    }
    if (a->bias != 0) cb_pop(CB_BIAS, p->blocks * BIAS_BLOCK_BYTES);
  }
  fence();
}

uint32_t kernel_main(const struct mtia_job_descriptor *job, uint32_t hart) {
  KERNEL_ARGUMENTS(mtia_fully_connected_arguments, words, job);
  const struct mtia_fully_connected_arguments arguments = *words;
  const uint32_t generation = pe_generation();
  struct pe_place place;
  struct plan plan;
  if (!find_place(job, &place)) return MTIA_RESULT_BAD_GRID;
  if (!arguments_are_good(&arguments, generation)) return MTIA_RESULT_BAD_ARGUMENT;
  if (!make_plan(&plan, &arguments, job, &place)) return MTIA_RESULT_LOCAL_MEMORY;
  if (plan.row_tiles == 0 || plan.column_tiles == 0) return MTIA_RESULT_OK;
  if (hart == 0) place_buffers(&plan, arguments.activation);
  buffers_ready(hart);
  if (hart == 0)
    load(&plan, &arguments, job, &place);
  else
    compute(&plan, &arguments, job, &place, generation);
  return MTIA_RESULT_OK;
}
