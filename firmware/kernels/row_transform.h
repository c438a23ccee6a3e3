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

#define TRANSFORM_ALIGNMENT 32u
/* Rows of a block at most: what the shape registers can say, with room. */
#define TRANSFORM_ROWS_LIMIT 4096u

/* The work of a kernel in the terms of this file. */
struct transform {
  uint64_t input, output, input_stride, output_stride;
  uint32_t rows, elements, last_elements; /* of a row; of the last row, which has a block to itself where it is shorter */
  uint32_t input_type, output_type, activation;
  bool pad;    /* zero the rest of an output row */
  bool copies; /* bytes pass unchanged: through the MLU instead of the SE */
};

enum leaving { LEAVES_IN_ONE_PIECE, LEAVES_IN_ROWS, LEAVES_BY_HART };

struct transform_plan {
  uint32_t generation;
  uint32_t block_rows, blocks; /* the unit in which work is dealt */
  uint32_t load_rows;          /* rows of one load */
  bool loads_span;             /* a load is one stretch of bytes around the rows, gaps and all; else a 2-D DMA */
  enum leaving leaving;
  uint32_t input_row, output_row;             /* bytes of the elements of a row */
  uint32_t source_stride, destination_stride; /* in local memory */
  uint32_t input_slot, output_slot, slots;
};

static inline uint32_t transform_rows_limit(const struct transform *t) {
  return t->last_elements == t->elements ? TRANSFORM_ROWS_LIMIT : 1;
}

static inline void choose_loading(struct transform_plan *p, const struct transform *t) {
  const bool gaps_are_small = t->input_stride <= 2 * (uint64_t)p->input_row;
  const bool rows_are_aligned = dma_address_fits(p->generation, t->input | t->input_stride);
  p->loads_span = gaps_are_small || !rows_are_aligned;
  p->source_stride = p->loads_span ? (uint32_t)t->input_stride : round_up(p->input_row, TRANSFORM_ALIGNMENT);
  /* Far apart and unaligned: a row at a time, each with its own distance from alignment. */
  p->load_rows = gaps_are_small || rows_are_aligned ? TRANSFORM_ROWS_LIMIT : 1;
}

/* Returns of how many rows a block must be a multiple. */
static inline uint32_t choose_leaving(struct transform_plan *p, const struct transform *t) {
  const bool dense = t->output_stride == p->output_row;
  const bool base_fits = dma_address_fits(p->generation, t->output);
  const bool rows_fit = dma_address_fits(p->generation, t->output | t->output_stride);
  p->destination_stride = dense || t->pad ? (uint32_t)t->output_stride : round_up(p->output_row, 4);
  p->leaving = dense && base_fits ? LEAVES_IN_ONE_PIECE : rows_fit ? LEAVES_IN_ROWS : LEAVES_BY_HART;
  uint32_t unit = 1;
  if (p->leaving == LEAVES_IN_ONE_PIECE)
    while (!dma_address_fits(p->generation, unit * t->output_stride)) unit *= 2;
  return unit;
}

static inline bool block_fits(struct transform_plan *p, const struct transform *t, uint32_t rows, uint32_t space) {
  const uint32_t load = minimum(p->load_rows, rows);
  const uint64_t bytes = p->loads_span ? (load - 1) * t->input_stride + p->input_row + TRANSFORM_ALIGNMENT
                                       : (uint64_t)load * p->source_stride;
  const uint64_t input_slot = (bytes + 31) & ~31ull;
  const uint64_t output_slot = ((uint64_t)rows * p->destination_stride + 31) & ~31ull;
  if (p->slots * (input_slot + output_slot) > space) return false;
  p->block_rows = rows;
  p->input_slot = (uint32_t)input_slot;
  p->output_slot = (uint32_t)output_slot;
  return true;
}

/* The largest block that this PE's share and local memory allow, twice if possible so that loads and stores overlap. */
static inline bool choose_block(struct transform_plan *p, const struct transform *t, uint32_t share, uint32_t unit) {
  const uint32_t wanted = minimum(share, transform_rows_limit(t));
  const uint32_t space = pe_local_bytes() - KERNEL_BUFFERS_OFFSET - activation_buffer_bytes(t->activation);
  for (p->slots = 2; p->slots != 0; p->slots--)
    for (uint32_t units = divide_up(wanted, unit); units != 0; units /= 2)
      if (block_fits(p, t, units * unit, space)) return true;
  return false;
}

static inline bool plan_transform(struct transform_plan *p, const struct transform *t, uint32_t pes,
                                  uint32_t generation) {
  const uint32_t share = divide_up(t->rows, pes);
  p->generation = generation;
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
  return true;
}

static inline void place_transform_buffers(const struct transform_plan *p, const struct transform *t) {
  uint32_t end = KERNEL_BUFFERS_OFFSET;
  place_buffer(0, TRANSFORM_INPUT, &end, p->slots * p->input_slot);
  place_buffer(0, TRANSFORM_TABLE, &end, activation_buffer_bytes(t->activation));
  place_buffer(0, TRANSFORM_OUTPUT, &end, p->slots * p->output_slot);
  /* What follows the elements of a row is zero for good: no block writes there. output_slot has no gaps where rows are padded. */
  if (t->pad)
    local_zero(end - p->slots * p->output_slot, p->slots * p->block_rows, p->destination_stride, p->output_row,
               p->destination_stride);
}

/* ---- Hart 0 ---- */

static inline void load_rows(const struct transform_plan *p, const struct transform *t, uint32_t row, uint32_t count) {
  const uint64_t address = t->input + row * t->input_stride;
  if (p->loads_span) {
    const uint32_t skip = (uint32_t)address % TRANSFORM_ALIGNMENT;
    const uint32_t elements = row + count == t->rows ? t->last_elements : t->elements;
    const uint64_t span = (count - 1) * t->input_stride + elements * type_bytes(t->input_type);
    dma_shape(1, skip + (uint32_t)span);
    dma_in_keep(address - skip, TRANSFORM_INPUT, 0);
  } else {
    dma_shape(count, p->input_row);
    dma_in_keep(address, TRANSFORM_INPUT, 0);
  }
  cb_push(TRANSFORM_INPUT, p->input_slot);
}

static inline void load_blocks(const struct transform_plan *p, const struct transform *t,
                               const struct pe_place *place) {
  if (p->loads_span)
    dma_strides(p->input_slot, p->input_slot);
  else
    dma_strides(t->input_stride, p->source_stride);
  for (uint32_t block = place->index; block < p->blocks; block += place->count) {
    const uint32_t first = block * p->block_rows, end = minimum(first + p->block_rows, t->rows);
    for (uint32_t row = first; row < end; row += p->load_rows)
      load_rows(p, t, row, minimum(p->load_rows, end - row));
  }
}

/* ---- Hart 1 ---- */

/* One load of `count` rows to `destination` in the slot of the output. */
static inline void transform_rows(const struct transform_plan *p, const struct transform *t, uint32_t row,
                                  uint32_t count, uint32_t destination) {
  const uint32_t skip = p->loads_span ? (uint32_t)(t->input + row * t->input_stride) % TRANSFORM_ALIGNMENT : 0;
  const uint32_t elements = row + count == t->rows ? t->last_elements : t->elements;
  if (t->copies) {
    mlu_shape(count, elements, 1);
    mlu_copy(TRANSFORM_INPUT, skip, TRANSFORM_OUTPUT, destination);
  } else {
    const uint32_t limit = se_rows_limit(p->generation), function = activation_function(t->activation);
    struct se_operand from = {TRANSFORM_INPUT, skip, t->input_type};
    struct se_operand to = {TRANSFORM_OUTPUT, destination, t->output_type};
    for (uint32_t left = count; left != 0;) {
      const uint32_t rows = minimum(left, limit);
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
static inline void store_row(volatile uint8_t *to, const uint8_t *from, uint32_t bytes) {
  if ((((uintptr_t)to | (uintptr_t)from | bytes) & 3) == 0) {
    for (uint32_t at = 0; at < bytes; at += 4)
      *(volatile uint32_t *)(uintptr_t)(to + at) = *(const uint32_t *)(const void *)(from + at);
    return;
  }
  for (uint32_t at = 0; at < bytes; at++) to[at] = from[at];
}

/* Sends `count` rows from the front of the output buffer to where row `row` belongs. */
static inline void leave(const struct transform_plan *p, const struct transform *t, uint32_t row, uint32_t count) {
  const uint64_t address = t->output + row * t->output_stride;
  const uint32_t last = row + count == t->rows ? t->last_elements : t->elements;
  const uint32_t last_row = t->pad ? p->destination_stride : last * type_bytes(t->output_type);
  if (p->leaving == LEAVES_IN_ONE_PIECE) {
    dma_shape(1, (count - 1) * p->destination_stride + last_row);
    dma_out_keep(address, TRANSFORM_OUTPUT, 0);
  } else if (p->leaving == LEAVES_IN_ROWS) {
    dma_shape(count, last_row);
    dma_out_keep(address, TRANSFORM_OUTPUT, 0);
  } else {
    const uint8_t *const rows = cb_wait_data(TRANSFORM_OUTPUT, p->output_slot);
    for (uint32_t at = 0; at < count; at++)
      store_row((volatile uint8_t *)(uintptr_t)(address + at * t->output_stride), rows + at * p->destination_stride,
                last_row);
  }
  cb_pop(TRANSFORM_OUTPUT, p->output_slot);
}

static inline void transform_blocks(const struct transform_plan *p, const struct transform *t,
                                    const struct pe_place *place) {
  activation_load(t->activation, TRANSFORM_TABLE);
  if (p->leaving == LEAVES_IN_ONE_PIECE)
    dma_strides(p->output_slot, p->output_slot);
  else
    dma_strides(t->output_stride, p->destination_stride);
  se_strides(p->source_stride, 0, p->destination_stride);
  mlu_strides(p->source_stride, p->destination_stride);
  for (uint32_t block = place->index; block < p->blocks; block += place->count) {
    const uint32_t first = block * p->block_rows, end = minimum(first + p->block_rows, t->rows);
    for (uint32_t row = first; row < end; row += p->load_rows)
      transform_rows(p, t, row, minimum(p->load_rows, end - row), (row - first) * p->destination_stride);
    cb_push(TRANSFORM_OUTPUT, p->output_slot);
    leave(p, t, first, end - first);
  }
  fence();
}

/* The whole of a kernel once its arguments have been checked. */
static inline uint32_t run_transform(const struct transform *t, const struct pe_place *place, uint32_t hart,
                                     uint32_t generation) {
  struct transform_plan plan;
  if (t->rows == 0 || t->elements == 0) return MTIA_RESULT_OK;
  if (!plan_transform(&plan, t, place->count, generation)) return MTIA_RESULT_LOCAL_MEMORY;
  if (place->index >= plan.blocks) return MTIA_RESULT_OK;
  if (hart == 0) place_transform_buffers(&plan, t);
  buffers_ready(hart);
  if (hart == 0)
    load_blocks(&plan, t, place);
  else
    transform_blocks(&plan, t, place);
  return MTIA_RESULT_OK;
}

/*
 * A matrix without gaps on either side is a line of elements: cut into rows of which every PE gets one or more. Lengths
 * are multiples of 32 elements, so every row begins aligned if the first one does.
 */
static inline void cut_line(struct transform *t, uint32_t pes, uint32_t shortest, uint32_t longest) {
  const uint64_t total = (uint64_t)t->rows * t->elements, share = (total + pes - 1) / pes;
  if (total == 0) return;
  t->elements = share > longest ? longest : maximum(shortest, round_up((uint32_t)share, 32));
  if (t->elements > total) t->elements = (uint32_t)total;
  t->rows = (uint32_t)((total + t->elements - 1) / t->elements);
  t->last_elements = (uint32_t)(total - (uint64_t)(t->rows - 1) * t->elements);
  t->input_stride = (uint64_t)t->elements * type_bytes(t->input_type);
  t->output_stride = (uint64_t)t->elements * type_bytes(t->output_type);
}

#endif
