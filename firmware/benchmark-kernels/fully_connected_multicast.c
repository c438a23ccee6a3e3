/*
 * FULLY_CONNECTED_MULTICAST: a fully connected layer mapped as I23 section 4 maps it, for `mtia bench fidelity`: tiles of
 * 64 x 64 outputs in 2 x 2 accumulators, both operands streamed along k, one hart moving and one computing, PEs that need
 * the same block reading it as a multicast group. Every PE of the grid gets work also where m is small: the grid is taken
 * as row_parts x (PEs / row_parts), whatever its own shape. The library's kernel takes any shape; this one takes m and n in
 * multiples of 32, and INT8 sums leave as FP16 without scales.
 */
#include "mtia_kernel.h"

enum buffer { CB_INPUT, CB_WEIGHT, CB_OUTPUT };

#define BLOCK 32ull
#define SLOTS 5ull
#define OUTPUT_BYTES 2ull

struct arguments {
  uint64_t input, weight, output, m, n, k_bytes, type;
  uint64_t tile_rows;   /* 32 or 64 */
  uint64_t row_parts;   /* divides the rows of the rectangle */
  uint64_t chunk_bytes; /* of k that is loaded at a time: divides k_bytes, a multiple of 64 */
};

struct plan {
  uint64_t row, column, column_parts; /* this PE's place among the parts */
  uint64_t row_tiles, column_tiles;   /* of the whole layer */
  uint64_t weight_block;              /* bytes of a chunk for 32 columns */
};

static struct plan make_plan(const struct arguments *a, const struct pe_place *place) {
  const uint64_t column_parts = place->count / a->row_parts;
  return (struct plan){.row = place->index / column_parts,
                       .column = place->index % column_parts,
                       .column_parts = column_parts,
                       .row_tiles = divide_up(a->m, a->tile_rows),
                       .column_tiles = divide_up(a->n, 2 * BLOCK),
                       .weight_block = a->chunk_bytes * BLOCK};
}

static bool arguments_are_good(const struct arguments *a, const struct mtia_job_descriptor *job) {
  if (a->m == 0 || a->n == 0 || (a->m | a->n) % BLOCK != 0 || (a->tile_rows != 32 && a->tile_rows != 64)) return false;
  if (a->row_parts == 0 || job->rows % a->row_parts != 0) return false;
  return a->chunk_bytes != 0 && a->chunk_bytes % MML_K_BYTES == 0 && a->k_bytes % a->chunk_bytes == 0;
}

static void place_buffers(const struct arguments *a, const struct plan *p) {
  uint64_t end = place_buffer(CB_INPUT, KERNEL_BUFFERS_OFFSET, SLOTS * a->tile_rows * a->chunk_bytes);
  end = place_buffer(CB_WEIGHT, end, SLOTS * 2 * p->weight_block);
  place_buffer(CB_OUTPUT, end, 2 * a->tile_rows * 2 * BLOCK * OUTPUT_BYTES);
}

/* ---- Hart 0: moves ---- */

/* Those PEs of this row of the rectangle that have a column tile in this round: they need the same input. */
static uint64_t sharers_of_input(const struct plan *p, const struct mtia_job_descriptor *job, const struct pe_place *place,
                                 uint64_t round) {
  uint64_t members = 0;
  for (uint64_t at = 0; at < job->columns; at++) {
    const uint64_t column = (place->index - place->column + at) % p->column_parts;
    if (round * p->column_parts + column < p->column_tiles) members |= 1ull << at;
  }
  return members;
}

/* Those PEs of this column that stand at the same place in their row part and have a row tile: the same weights. */
static uint64_t sharers_of_weight(const struct arguments *a, const struct plan *p, const struct mtia_job_descriptor *job,
                                  const struct pe_place *place, uint64_t round) {
  const uint64_t rows_a_part = job->rows / a->row_parts;
  uint64_t members = 0;
  for (uint64_t part = 0; part < a->row_parts; part++)
    if (round * a->row_parts + part < p->row_tiles) members |= 1ull << (part * rows_a_part + place->row % rows_a_part);
  return members;
}

static void load_tile(const struct arguments *a, const struct plan *p, uint64_t row_tile, uint64_t column_tile,
                      uint64_t input_members, uint64_t weight_members) {
  const uint64_t chunk = a->chunk_bytes, weight_stride = a->k_bytes * BLOCK;
  const uint64_t rows = minimum(a->tile_rows, a->m - row_tile * a->tile_rows);
  const uint64_t blocks = minimum(2, a->n / BLOCK - column_tile * 2);
  uint64_t input = a->input + row_tile * a->tile_rows * a->k_bytes, weight = a->weight + column_tile * 2 * weight_stride;
  for (uint64_t k = 0; k < a->k_bytes; k += chunk, input += chunk, weight += p->weight_block) {
    dma_shape(rows, chunk);
    dma_strides(a->k_bytes, chunk);
    dma_multicast(MTIA_MULTICAST_ROW, input_members);
    dma_in_slot(input, CB_INPUT, rows * chunk, a->tile_rows * chunk);
    dma_shape(blocks, p->weight_block);
    dma_strides(weight_stride, p->weight_block);
    dma_multicast(MTIA_MULTICAST_COLUMN, weight_members);
    dma_in_slot(weight, CB_WEIGHT, blocks * p->weight_block, 2 * p->weight_block);
  }
}

/* ---- Hart 1: computes ---- */

static void multiply_chunk(const struct arguments *a, const struct plan *p, uint64_t rows, uint64_t blocks, uint64_t step) {
  for (uint64_t k = 0; k < a->chunk_bytes; k += step * MML_K_BYTES)
    for (uint64_t half = 0; half < rows / BLOCK; half++)
      for (uint64_t block = 0; block < blocks; block++)
        mml(half * 2 + block, CB_INPUT, half * BLOCK * a->chunk_bytes + k, CB_WEIGHT, block * p->weight_block + k * BLOCK);
  cb_pop(CB_INPUT, a->tile_rows * a->chunk_bytes);
  cb_pop(CB_WEIGHT, 2 * p->weight_block);
}

static void compute_tile(const struct arguments *a, const struct plan *p, uint64_t row_tile, uint64_t column_tile,
                         uint64_t step) {
  const struct reduction how = {MTIA_SE_IDENTITY, MTIA_TYPE_FP16, 2 * BLOCK * OUTPUT_BYTES};
  const uint64_t rows = minimum(a->tile_rows, a->m - row_tile * a->tile_rows);
  const uint64_t blocks = minimum(2, a->n / BLOCK - column_tile * 2), slot = a->tile_rows * how.stride;
  for (uint64_t half = 0; half < rows / BLOCK; half++)
    for (uint64_t block = 0; block < blocks; block++) accumulator_clear(half * 2 + block);
  for (uint64_t k = 0; k < a->k_bytes; k += a->chunk_bytes) multiply_chunk(a, p, rows, blocks, step);
  for (uint64_t half = 0; half < rows / BLOCK; half++)
    for (uint64_t block = 0; block < blocks; block++)
      reduce(half * 2 + block, CB_OUTPUT, half * BLOCK * how.stride + block * BLOCK * OUTPUT_BYTES, BLOCK, BLOCK, how);
  cb_push(CB_OUTPUT, slot);
  dma_shape(rows, blocks * BLOCK * OUTPUT_BYTES);
  dma_strides(a->n * OUTPUT_BYTES, how.stride);
  dma_out_slot(a->output + (row_tile * a->tile_rows * a->n + column_tile * 2 * BLOCK) * OUTPUT_BYTES, CB_OUTPUT,
               rows * how.stride, slot);
}

static void walk_tiles(const struct mtia_job_descriptor *job, const struct arguments *a, const struct plan *p,
                       const struct pe_place *place, uint64_t hart) {
  const uint64_t step = minimum(mml_blocks_limit(pe_generation()), a->chunk_bytes / MML_K_BYTES);
  mml_shape(BLOCK, BLOCK, a->type, step);
  mml_stride(a->chunk_bytes);
  for (uint64_t column = p->column, across = 0; column < p->column_tiles; column += p->column_parts, across++)
    for (uint64_t row = p->row, down = 0; row < p->row_tiles; row += a->row_parts, down++) {
      if (hart == 0)
        load_tile(a, p, row, column, sharers_of_input(p, job, place, across), sharers_of_weight(a, p, job, place, down));
      else
        compute_tile(a, p, row, column, step);
    }
}

uint32_t kernel_main(const struct mtia_job_descriptor *job, uint32_t hart) {
  const struct arguments *const a = (const struct arguments *)(const void *)job->arguments;
  struct pe_place place;
  if (!find_place(job, &place)) return MTIA_RESULT_BAD_GRID;
  if (!arguments_are_good(a, job)) return MTIA_RESULT_BAD_ARGUMENT;
  const struct plan plan = make_plan(a, &place);
  if (hart == 0) place_buffers(a, &plan);
  buffers_ready(hart);
  walk_tiles(job, a, &plan, &place, hart);
  return MTIA_RESULT_OK;
}
