/* The memory layout unit: copies and transposes inside local memory. */
#include <string.h>
#include "pe_internal.h"

/* Bytes that it reads and writes in a cycle, and its latency. Assumed: no figure is published. */
#define MLU_BYTES_PER_CYCLE 64
#define MLU_LATENCY 16

struct layout {
  uint64_t rows, elements, element_bytes, source_stride, destination_stride;
  uint64_t result_rows, result_elements;
};

static struct layout layout_of(const struct command *command) {
  const bool transpose = command->code == MTIA_COMMAND_MLU_TRANSPOSE;
  const uint64_t rows = command->sticky[0] & 0xffff, elements = command->sticky[0] >> 16 & 0xffff;
  return (struct layout){.rows = rows,
                         .elements = elements,
                         .element_bytes = command->sticky[0] >> 32 & 0xff,
                         .source_stride = command->sticky[1],
                         .destination_stride = command->sticky[2],
                         .result_rows = transpose ? elements : rows,
                         .result_elements = transpose ? rows : elements};
}

bool mlu_prepare(struct pe *pe, struct command *command) {
  const struct layout layout = layout_of(command);
  const uint64_t bytes = layout.element_bytes;
  if (layout.rows == 0 || layout.elements == 0 || (bytes != 1 && bytes != 2 && bytes != 4))
    return command_illegal_sticky(command, 0);
  return command_needs_block(pe, command, (uint32_t)command->field[MTIA_MLU_COPY_CB_SOURCE_FIELD], SIDE_DATA,
                             MTIA_MLU_COPY_SOURCE_OFFSET_FIELD, layout.rows, layout.elements * bytes,
                             layout.source_stride) &&
         command_needs_block(pe, command, (uint32_t)command->field[MTIA_MLU_COPY_CB_DESTINATION_FIELD], SIDE_SPACE,
                             MTIA_MLU_COPY_DESTINATION_OFFSET_FIELD, layout.result_rows, layout.result_elements * bytes,
                             layout.destination_stride);
}

static bool place(struct pe *pe, struct command *command, const struct layout *layout, struct block *source,
                  struct block *destination) {
  return command_place_block(pe, command, source, (uint32_t)command->field[MTIA_MLU_COPY_CB_SOURCE_FIELD], SIDE_DATA,
                             MTIA_MLU_COPY_SOURCE_OFFSET_FIELD, layout->rows, layout->elements * layout->element_bytes,
                             layout->source_stride) &&
         command_place_block(pe, command, destination, (uint32_t)command->field[MTIA_MLU_COPY_CB_DESTINATION_FIELD],
                             SIDE_SPACE, MTIA_MLU_COPY_DESTINATION_OFFSET_FIELD, layout->result_rows,
                             layout->result_elements * layout->element_bytes, layout->destination_stride);
}

static void take_time(struct pe *pe, const struct layout *layout, const struct command *command) {
  const uint64_t bytes = layout->rows * layout->elements * layout->element_bytes;
  const uint64_t busy = later(divide_up(bytes, MLU_BYTES_PER_CYCLE), cycles_of(2 * bytes, pe->time.local_memory));
  const uint64_t start = time_line_take(pe, LINE_MLU, command_operands_time(pe, command), busy);
  command_finish(pe, command, start, start + busy, start + busy + MLU_LATENCY);
}

bool mlu_copy_execute(struct pe *pe, struct command *command) {
  const struct layout layout = layout_of(command);
  struct block source, destination;
  if (!place(pe, command, &layout, &source, &destination)) return false;
  /* Two buffers may lie over each other. */
  for (uint64_t row = 0; row < layout.rows; row++)
    memmove(block_row(&destination, row), block_row(&source, row), layout.elements * layout.element_bytes);
  take_time(pe, &layout, command);
  return true;
}

/* One source row into one column of the result. The element size is a constant in each copy of this function. */
static inline __attribute__((always_inline)) void scatter(const uint8_t *from, const struct block *destination,
                                                          uint64_t column, uint64_t elements, const uint32_t bytes) {
  if (destination->contiguous) {
    uint8_t *to = block_row(destination, 0) + column * bytes;
    for (uint64_t element = 0; element < elements; element++, to += destination->stride)
      memcpy(to, from + element * bytes, bytes);
    return;
  }
  for (uint64_t element = 0; element < elements; element++)
    memcpy(block_row(destination, element) + column * bytes, from + element * bytes, bytes);
}

bool mlu_transpose_execute(struct pe *pe, struct command *command) {
  const struct layout layout = layout_of(command);
  struct block source, destination;
  if (!place(pe, command, &layout, &source, &destination)) return false;
  for (uint64_t row = 0; row < layout.rows; row++) {
    const uint8_t *const from = block_row(&source, row);
    switch (layout.element_bytes) {
      case 1: scatter(from, &destination, row, layout.elements, 1); break;
      case 2: scatter(from, &destination, row, layout.elements, 2); break;
      default: scatter(from, &destination, row, layout.elements, 4); break;
    }
  }
  take_time(pe, &layout, command);
  return true;
}
