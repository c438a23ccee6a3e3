/* The memory layout unit: copies and transposes inside local memory. */
#include <string.h>
#include "pe_internal.h"

/* Bytes that it reads and writes in a cycle, and its latency. Assumed: no figure is published. */
#define MLU_BYTES_PER_CYCLE 64
#define MLU_LATENCY 16

struct layout {
  uint64_t rows, elements, element_bits, source_stride, destination_stride;
  uint64_t step; /* from element to element of the source, in elements */
  uint64_t source_row_bytes, result_rows, result_row_bytes;
};

/* Elements of 4 bits: the first of a byte is its lower half, and each row begins at a byte. */
static uint64_t bytes_of(uint64_t elements, uint64_t element_bits) { return (elements * element_bits + 7) / 8; }

static struct layout layout_of(const struct command *command) {
  const bool transpose = command->code == MTIA_COMMAND_MLU_TRANSPOSE;
  const uint64_t rows = command->sticky[0] & 0xffff, elements = command->sticky[0] >> 16 & 0xffff;
  const uint64_t bits = command->sticky[0] >> 32 & 0xff, step = (command->sticky[0] >> 40 & 0xff) + 1;
  return (struct layout){.rows = rows,
                         .elements = elements,
                         .element_bits = bits,
                         .step = step,
                         .source_row_bytes = bytes_of((elements - 1) * step + 1, bits),
                         .source_stride = command->sticky[1],
                         .destination_stride = command->sticky[2],
                         .result_rows = transpose ? elements : rows,
                         .result_row_bytes = bytes_of(transpose ? rows : elements, bits)};
}

bool mlu_prepare(struct pe *pe, struct command *command) {
  const struct layout layout = layout_of(command);
  const uint64_t bits = layout.element_bits;
  if (layout.rows == 0 || layout.elements == 0 || (bits != 4 && bits != 8 && bits != 16 && bits != 32))
    return command_illegal_sticky(command, 0);
  return command_needs_block(pe, command, (uint32_t)command->field[MTIA_MLU_COPY_CB_SOURCE_FIELD], SIDE_DATA,
                             MTIA_MLU_COPY_SOURCE_OFFSET_FIELD, layout.rows, layout.source_row_bytes,
                             layout.source_stride) &&
         command_needs_block(pe, command, (uint32_t)command->field[MTIA_MLU_COPY_CB_DESTINATION_FIELD], SIDE_SPACE,
                             MTIA_MLU_COPY_DESTINATION_OFFSET_FIELD, layout.result_rows, layout.result_row_bytes,
                             layout.destination_stride);
}

static bool place(struct pe *pe, struct command *command, const struct layout *layout, struct block *source,
                  struct block *destination) {
  return command_place_block(pe, command, source, (uint32_t)command->field[MTIA_MLU_COPY_CB_SOURCE_FIELD], SIDE_DATA,
                             MTIA_MLU_COPY_SOURCE_OFFSET_FIELD, layout->rows, layout->source_row_bytes,
                             layout->source_stride) &&
         command_place_block(pe, command, destination, (uint32_t)command->field[MTIA_MLU_COPY_CB_DESTINATION_FIELD],
                             SIDE_SPACE, MTIA_MLU_COPY_DESTINATION_OFFSET_FIELD, layout->result_rows,
                             layout->result_row_bytes, layout->destination_stride);
}

static void take_time(struct pe *pe, const struct layout *layout, const struct command *command) {
  const uint64_t bytes = bytes_of(layout->rows * layout->elements, layout->element_bits);
  const uint64_t busy = later(divide_up(bytes, MLU_BYTES_PER_CYCLE), cycles_of(2 * bytes, pe->time.local_memory));
  const uint64_t start = time_line_take(pe, LINE_MLU, command_operands_time(pe, command), busy);
  command_finish(pe, command, start, start + busy, start + busy + MLU_LATENCY);
}

uint64_t mlu_stream(struct pe *pe, uint64_t ready, uint64_t bytes) {
  const uint64_t busy = later(divide_up(bytes, MLU_BYTES_PER_CYCLE), cycles_of(bytes, pe->time.local_memory));
  return time_line_take(pe, LINE_MLU, ready, busy) + busy + MLU_LATENCY;
}

/* The element size is a constant in each copy of this function. */
static inline __attribute__((always_inline)) void gather(uint8_t *to, const uint8_t *from, const struct layout *layout,
                                                         const uint32_t bytes) {
  for (uint64_t element = 0; element < layout->elements; element++, to += bytes, from += layout->step * bytes)
    memcpy(to, from, bytes);
}

/* 4 bits at a time; the other half of a byte stays what it is. */
static void move_halves(const struct layout *layout, const struct block *source, const struct block *destination, bool transpose) {
  for (uint64_t row = 0; row < layout->rows; row++) {
    const uint8_t *const from = block_row(source, row);
    for (uint64_t element = 0; element < layout->elements; element++) {
      const uint64_t at = element * layout->step, to_row = transpose ? element : row, place = transpose ? row : element;
      const uint32_t half = from[at / 2] >> (at % 2 * 4) & 15, shift = place % 2 * 4;
      uint8_t *const to = block_row(destination, to_row) + place / 2;
      *to = (uint8_t)((*to & ~(15u << shift)) | half << shift);
    }
  }
}

bool mlu_copy_execute(struct pe *pe, struct command *command) {
  const struct layout layout = layout_of(command);
  struct block source, destination;
  if (!place(pe, command, &layout, &source, &destination)) return false;
  if (layout.element_bits == 4) move_halves(&layout, &source, &destination, false);
  for (uint64_t row = 0; row < layout.rows && layout.element_bits != 4; row++) {
    const uint8_t *const from = block_row(&source, row);
    uint8_t *const to = block_row(&destination, row);
    if (layout.step == 1) memmove(to, from, layout.source_row_bytes); /* buffers may lie over each other */
    else if (layout.element_bits == 8) gather(to, from, &layout, 1);
    else if (layout.element_bits == 16) gather(to, from, &layout, 2);
    else gather(to, from, &layout, 4);
  }
  take_time(pe, &layout, command);
  return true;
}

/* ---- MLU_TRANSPOSE ---- */

/* One source row into one column of the result, the definition of what the unit does. */
static inline __attribute__((always_inline)) void scatter(const uint8_t *from, const struct block *destination, uint64_t column,
                                                          const struct layout *layout, const uint32_t bytes) {
  if (destination->contiguous) {
    uint8_t *to = block_row(destination, 0) + column * bytes;
    for (uint64_t element = 0; element < layout->elements; element++, to += destination->stride, from += layout->step * bytes)
      memcpy(to, from, bytes);
    return;
  }
  for (uint64_t element = 0; element < layout->elements; element++, from += layout->step * bytes)
    memcpy(block_row(destination, element) + column * bytes, from, bytes);
}

static void scatter_rows(const struct layout *layout, const struct block *source, const struct block *destination,
                         uint64_t first) {
  for (uint64_t row = first; row < layout->rows; row++) {
    const uint8_t *const from = block_row(source, row);
    switch (layout->element_bits) {
      case 8: scatter(from, destination, row, layout, 1); break;
      case 16: scatter(from, destination, row, layout, 2); break;
      default: scatter(from, destination, row, layout, 4); break;
    }
  }
}

#define TILE 4
typedef uint32_t tile_row __attribute__((vector_size(TILE * sizeof(uint32_t))));

/* 4 x 4 elements of 4 bytes, a row a vector. */
static inline void transpose_tile(const uint8_t *from, uint64_t from_stride, uint8_t *to, uint64_t to_stride) {
  tile_row in[TILE];
  for (uint32_t row = 0; row < TILE; row++) memcpy(&in[row], from + row * from_stride, sizeof in[row]);
  const tile_row low01 = __builtin_shufflevector(in[0], in[1], 0, 4, 1, 5), low23 = __builtin_shufflevector(in[2], in[3], 0, 4, 1, 5);
  const tile_row high01 = __builtin_shufflevector(in[0], in[1], 2, 6, 3, 7), high23 = __builtin_shufflevector(in[2], in[3], 2, 6, 3, 7);
  const tile_row out[TILE] = {__builtin_shufflevector(low01, low23, 0, 1, 4, 5), __builtin_shufflevector(low01, low23, 2, 3, 6, 7),
                              __builtin_shufflevector(high01, high23, 0, 1, 4, 5), __builtin_shufflevector(high01, high23, 2, 3, 6, 7)};
  for (uint32_t row = 0; row < TILE; row++) memcpy(to + row * to_stride, &out[row], sizeof out[row]);
}

/* Four rows at a time, where both blocks lie in one piece and apart. Rows done; the rest is for scatter_rows. */
static uint64_t transpose_tiles(const struct layout *layout, const struct block *source, const struct block *destination) {
  if (layout->element_bits != 32 || layout->step != 1 || !source->contiguous || !destination->contiguous) return 0;
  const uint8_t *const from = block_row(source, 0);
  uint8_t *const to = block_row(destination, 0);
  const uint64_t whole_rows = layout->rows - layout->rows % TILE, whole_elements = layout->elements - layout->elements % TILE;
  const uint8_t *const from_end = from + (layout->rows - 1) * source->stride + layout->source_row_bytes;
  const uint8_t *const to_end = to + (layout->elements - 1) * destination->stride + layout->rows * 4;
  /* Rows of a result that lie over each other are written in the order of the definition. */
  if ((from < to_end && to < from_end) || destination->stride < layout->rows * 4) return 0;
  for (uint64_t row = 0; row < whole_rows; row += TILE) {
    for (uint64_t element = 0; element < whole_elements; element += TILE)
      transpose_tile(from + row * source->stride + element * 4, source->stride, to + element * destination->stride + row * 4,
                     destination->stride);
    for (uint64_t element = whole_elements; element < layout->elements; element++)
      for (uint64_t in_tile = row; in_tile < row + TILE; in_tile++)
        memcpy(to + element * destination->stride + in_tile * 4, from + in_tile * source->stride + element * 4, 4);
  }
  return whole_rows;
}

bool mlu_transpose_execute(struct pe *pe, struct command *command) {
  const struct layout layout = layout_of(command);
  struct block source, destination;
  if (!place(pe, command, &layout, &source, &destination)) return false;
  if (layout.element_bits == 4) move_halves(&layout, &source, &destination, true);
  else scatter_rows(&layout, &source, &destination, transpose_tiles(&layout, &source, &destination));
  take_time(pe, &layout, command);
  return true;
}
