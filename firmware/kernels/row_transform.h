/*
 * What CONVERT, UNARY and COPY share: rows come in, pass through a unit, go out. Hart 0 loads, hart 1 transforms and stores.
 *
 * The difficulty is MTIA v1, whose DMA begins at multiples of 32 bytes. Input: an aligned superset of the rows is loaded
 * and the unit reads from where they begin. Output: rows without gaps leave as one piece, cut so that the next one begins
 * aligned; what no DMA may write, hart 1 stores itself.
 */
#ifndef MTIA_ROW_TRANSFORM_H
#define MTIA_ROW_TRANSFORM_H
#include "mtia_activation.h"

enum transform_buffer { TRANSFORM_INPUT, TRANSFORM_OUTPUT, TRANSFORM_TABLE };

#define TRANSFORM_ALIGNMENT 32ull
/* Rows of a block at most: what the shape registers can say, with room. */
#define TRANSFORM_ROWS_LIMIT 4096ull

/* The work of a kernel in the terms of this file. */
struct transform {
  uint64_t input, output, input_stride, output_stride;
  uint64_t rows, elements, last_elements; /* of a row; of the last row, which has a block to itself where it is shorter */
  uint64_t input_type, output_type, activation;
  bool pad; /* zero the rest of an output row */
};

/* Which unit the rows pass through. A constant of the kernel, so that COPY carries no lookup tables. */
enum transform_unit { THROUGH_SE, THROUGH_MLU };

enum leaving { LEAVES_IN_ONE_PIECE, LEAVES_IN_ROWS, LEAVES_BY_HART };

struct transform_plan {
  uint64_t generation;
  uint64_t block_rows, blocks; /* the unit in which work is dealt */
  uint64_t first_block, block_step;
  uint64_t load_rows;          /* rows of one load */
  bool loads_span;             /* a load is one stretch of bytes around the rows, gaps and all; else a 2-D DMA */
  enum leaving leaving;
  uint64_t input_row, output_row;             /* bytes of the elements of a row */
  uint64_t source_stride, destination_stride; /* in local memory */
  uint64_t input_slot, output_slot, slots;
};

static inline uint64_t transform_rows_limit(const struct transform *t) {
  return t->last_elements == t->elements ? TRANSFORM_ROWS_LIMIT : 1;
}

static inline void choose_loading(struct transform_plan *p, const struct transform *t) {
  const bool gaps_are_small = t->input_stride <= 2 * p->input_row;
  const bool rows_are_aligned = dma_address_fits(p->generation, t->input | t->input_stride);
  p->loads_span = gaps_are_small || !rows_are_aligned;
  p->source_stride = p->loads_span ? t->input_stride : round_up(p->input_row, TRANSFORM_ALIGNMENT);
  /* Far apart and unaligned: a row at a time, each with its own distance from alignment. */
  p->load_rows = gaps_are_small || rows_are_aligned ? TRANSFORM_ROWS_LIMIT : 1;
}

/* Returns of how many rows a block must be a multiple. */
static inline uint64_t choose_leaving(struct transform_plan *p, const struct transform *t) {
  const bool dense = t->output_stride == p->output_row;
  const bool base_fits = dma_address_fits(p->generation, t->output);
  const bool rows_fit = dma_address_fits(p->generation, t->output | t->output_stride);
  p->destination_stride = dense || t->pad ? t->output_stride : round_up(p->output_row, 4);
  p->leaving = dense && base_fits ? LEAVES_IN_ONE_PIECE : rows_fit ? LEAVES_IN_ROWS : LEAVES_BY_HART;
  uint64_t unit = 1;
  if (p->leaving == LEAVES_IN_ONE_PIECE)
    while (!dma_address_fits(p->generation, unit * t->output_stride)) unit *= 2;
  return unit;
}

static inline bool block_fits(struct transform_plan *p, const struct transform *t, uint64_t rows, uint64_t space) {
  const uint64_t load = minimum(p->load_rows, rows);
  const uint64_t bytes = p->loads_span ? (load - 1) * t->input_stride + p->input_row + TRANSFORM_ALIGNMENT
                                       : load * p->source_stride;
  p->block_rows = rows;
  p->input_slot = round_up(bytes, 32);
  p->output_slot = round_up(rows * p->destination_stride, 32);
  return p->slots * (p->input_slot + p->output_slot) <= space;
}

/* The largest block that this PE's share and local memory allow, twice if possible so that loads and stores overlap. */
static inline bool choose_block(struct transform_plan *p, const struct transform *t, uint64_t share, uint64_t unit) {
  const uint64_t wanted = minimum(share, transform_rows_limit(t));
  const uint64_t space = pe_local_bytes() - KERNEL_BUFFERS_OFFSET - activation_buffer_bytes(t->activation);
  for (p->slots = 2; p->slots != 0; p->slots--)
    for (uint64_t units = divide_up(wanted, unit); units != 0; units /= 2)
      if (block_fits(p, t, units * unit, space)) return true;
  return false;
}

static inline bool plan_transform(struct transform_plan *p, const struct transform *t, const struct pe_place *place,
                                  uint64_t generation) {
  const uint64_t share = divide_up(t->rows, place->count);
  p->generation = generation;
  p->first_block = place->index;
  p->block_step = place->count;
  p->input_row = t->elements * type_bytes(t->input_type);
  p->output_row = t->elements * type_bytes(t->output_type);
  choose_loading(p, t);
  if (!choose_block(p, t, share, choose_leaving(p, t))) {
    /* Rows so long that no whole number of them both begins aligned and fits. */
    p->leaving = LEAVES_BY_HART;
    if (!choose_block(p, t, share, 1)) return false;
  }
  p->load_rows = minimum(p->load_rows, p->block_rows);
  p->blocks = divide_up(t->rows, p->block_rows);
  if (p->blocks <= place->count) p->slots = 1;
  return true;
}

static inline void place_transform_buffers(const struct transform_plan *p, const struct transform *t) {
  uint64_t end = place_buffer(TRANSFORM_INPUT, KERNEL_BUFFERS_OFFSET, p->slots * p->input_slot);
  end = place_buffer(TRANSFORM_TABLE, end, activation_buffer_bytes(t->activation));
  place_buffer(TRANSFORM_OUTPUT, end, p->slots * p->output_slot);
  /* What follows the elements of a row is zero for good: no block writes there. Padded rows leave no gap between slots. */
  if (t->pad) local_zero(end, p->slots * p->block_rows, p->destination_stride, p->output_row, p->destination_stride);
}

/* ---- Hart 0 ---- */

static inline void load_rows(const struct transform_plan *p, const struct transform *t, uint64_t row, uint64_t count) {
  const uint64_t address = t->input + row * t->input_stride;
  if (p->loads_span) {
    const uint64_t skip = address % TRANSFORM_ALIGNMENT;
    const uint64_t elements = row + count == t->rows ? t->last_elements : t->elements;
    const uint64_t span = (count - 1) * t->input_stride + elements * type_bytes(t->input_type);
    dma_shape(1, skip + span);
    dma_in_keep(address - skip, TRANSFORM_INPUT, 0);
  } else {
    dma_shape(count, p->input_row);
    dma_in_keep(address, TRANSFORM_INPUT, 0);
  }
  cb_push(TRANSFORM_INPUT, p->input_slot);
}

static inline void load_blocks(const struct transform_plan *p, const struct transform *t) {
  if (p->loads_span)
    dma_strides(p->input_slot, p->input_slot);
  else
    dma_strides(t->input_stride, p->source_stride);
  for (uint64_t block = p->first_block; block < p->blocks; block += p->block_step) {
    const uint64_t first = block * p->block_rows, end = minimum(first + p->block_rows, t->rows);
    for (uint64_t row = first; row < end; row += p->load_rows)
      load_rows(p, t, row, minimum(p->load_rows, end - row));
  }
}

/* ---- Hart 1 ---- */

/* One load of `count` rows to `destination` in the slot of the output. */
static inline void transform_rows(const struct transform_plan *p, const struct transform *t, enum transform_unit unit,
                                  uint64_t row, uint64_t count, uint64_t destination) {
  const uint64_t skip = p->loads_span ? (t->input + row * t->input_stride) % TRANSFORM_ALIGNMENT : 0;
  const uint64_t elements = row + count == t->rows ? t->last_elements : t->elements;
  if (unit == THROUGH_MLU) {
    mlu_shape(count, elements, 1);
    mlu_copy(TRANSFORM_INPUT, skip, TRANSFORM_OUTPUT, destination);
  } else {
    const uint64_t limit = se_rows_limit(p->generation), function = activation_function(t->activation);
    struct se_operand from = {TRANSFORM_INPUT, skip, t->input_type};
    struct se_operand to = {TRANSFORM_OUTPUT, destination, t->output_type};
    for (uint64_t left = count; left != 0;) {
      const uint64_t rows = minimum(left, limit);
      se_shape(rows, elements);
      se_unary(function, from, to);
      from.offset += rows * p->source_stride;
      to.offset += rows * p->destination_stride;
      left -= rows;
    }
  }
  cb_pop(TRANSFORM_INPUT, p->input_slot);
}

/* Where no DMA may write (v1): the hart's own stores, which go out through the fabric interface one by one. */
static inline void store_row(volatile uint8_t *to, const uint8_t *from, uint64_t bytes) {
  if ((((uintptr_t)to | (uintptr_t)from | bytes) & 3) == 0) {
    for (uint64_t at = 0; at < bytes; at += 4)
      *(volatile uint32_t *)(uintptr_t)(to + at) = *(const uint32_t *)(const void *)(from + at);
    return;
  }
  for (uint64_t at = 0; at < bytes; at++) to[at] = from[at];
}

/* Sends `count` rows from the front of the output buffer to where row `row` belongs. */
static inline void leave(const struct transform_plan *p, const struct transform *t, uint64_t row, uint64_t count) {
  const uint64_t address = t->output + row * t->output_stride;
  const uint64_t last = row + count == t->rows ? t->last_elements : t->elements;
  const uint64_t last_row = t->pad ? p->destination_stride : last * type_bytes(t->output_type);
  if (p->leaving == LEAVES_IN_ONE_PIECE) {
    dma_shape(1, (count - 1) * p->destination_stride + last_row);
    dma_out_keep(address, TRANSFORM_OUTPUT, 0);
  } else if (p->leaving == LEAVES_IN_ROWS) {
    dma_shape(count, last_row);
    dma_out_keep(address, TRANSFORM_OUTPUT, 0);
  } else {
    const uint8_t *const rows = cb_wait_data(TRANSFORM_OUTPUT, p->output_slot);
    for (uint64_t at = 0; at < count; at++)
      store_row((volatile uint8_t *)(uintptr_t)(address + at * t->output_stride), rows + at * p->destination_stride,
                last_row);
  }
  cb_pop(TRANSFORM_OUTPUT, p->output_slot);
}

static inline void transform_blocks(const struct transform_plan *p, const struct transform *t, enum transform_unit unit) {
  if (unit == THROUGH_SE) activation_load(t->activation, TRANSFORM_TABLE);
  if (p->leaving == LEAVES_IN_ONE_PIECE)
    dma_strides(p->output_slot, p->output_slot);
  else
    dma_strides(t->output_stride, p->destination_stride);
  se_strides(p->source_stride, 0, p->destination_stride);
  mlu_strides(p->source_stride, p->destination_stride);
  for (uint64_t block = p->first_block; block < p->blocks; block += p->block_step) {
    const uint64_t first = block * p->block_rows, end = minimum(first + p->block_rows, t->rows);
    for (uint64_t row = first; row < end; row += p->load_rows)
      transform_rows(p, t, unit, row, minimum(p->load_rows, end - row), (row - first) * p->destination_stride);
    cb_push(TRANSFORM_OUTPUT, p->output_slot);
    leave(p, t, first, end - first);
  }
  fence();
}

/*
 * A matrix without gaps on either side is a line of elements: cut into rows of which every PE gets one or more. Lengths
 * are multiples of 32 elements, so every row begins aligned if the first one does.
 */
static inline void cut_line(struct transform *t, uint64_t pes, uint64_t shortest, uint64_t longest) {
  const uint64_t total = t->rows * t->elements, share = divide_up(total, pes);
  if (total == 0) return;
  t->elements = minimum(total, minimum(longest, maximum(shortest, round_up(share, 32))));
  t->rows = divide_up(total, t->elements);
  t->last_elements = total - (t->rows - 1) * t->elements;
  t->input_stride = t->elements * type_bytes(t->input_type);
  t->output_stride = t->elements * type_bytes(t->output_type);
}

/* What hart 0 hands to hart 1. */
struct transform_job {
  struct transform transform;
  struct transform_plan plan;
};
_Static_assert(sizeof(struct transform_job) <= KERNEL_SHARED_BYTES, "hart 0 passes it to hart 1");

/* The whole of hart 0 once the arguments have been checked. */
static inline uint32_t load_transform(const struct transform *t, const struct pe_place *place, uint64_t generation) {
  struct transform_job *const job = KERNEL_SHARED(struct transform_job);
  struct transform_plan plan = {.blocks = 0};
  const bool is_empty = t->rows == 0 || t->elements == 0;
  if (!is_empty && !plan_transform(&plan, t, place, generation)) return MTIA_RESULT_LOCAL_MEMORY;
  job->transform = *t;
  job->plan = plan;
  const bool has_work = plan.first_block < plan.blocks;
  if (has_work) place_transform_buffers(&plan, t);
  buffers_ready(0);
  if (has_work) load_blocks(&plan, t);
  return MTIA_RESULT_OK;
}

/* The whole of hart 1 after buffers_ready. */
static inline uint32_t finish_transform(enum transform_unit unit) {
  const struct transform_job *const job = KERNEL_SHARED(struct transform_job);
  if (job->plan.first_block < job->plan.blocks) transform_blocks(&job->plan, &job->transform, unit);
  return MTIA_RESULT_OK;
}

#endif
