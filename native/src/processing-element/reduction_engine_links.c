/* The reduction engine's part of the reduction network: partial sums to a neighbour, and from a neighbour into a bank. */
#include <string.h>
#include "pe_internal.h"

/* Cycles from the addition of a row to the sum in the accumulator; a row of 32 sums passes in a cycle. Assumed. */
#define ADD_LATENCY 16

#define FIELD_OF(name) MTIA_REDUCE_SEND_##name##_FIELD /* both commands have the same fields */
_Static_assert(FIELD_OF(COLUMNS) == MTIA_REDUCE_RECEIVE_COLUMNS_FIELD, "the fields of REDUCE_SEND and REDUCE_RECEIVE");

bool reduce_send_prepare(struct pe *pe, struct command *command) {
  const uint32_t link = (uint32_t)command->field[FIELD_OF(LINK)];
  if (pe_link_destination(pe, link) == NULL) return command_illegal(command, FIELD_OF(LINK));
  command_uses_accumulator(command, command->field[FIELD_OF(ACCUMULATOR)]);
  command_awaits(command, AWAITS_ROOM(link));
  return true;
}

bool reduce_receive_prepare(struct pe *pe, struct command *command) {
  const uint32_t link = (uint32_t)command->field[FIELD_OF(LINK)];
  if (pe_link_source(pe, link) == NULL) return command_illegal(command, FIELD_OF(LINK));
  command_uses_accumulator(command, command->field[FIELD_OF(ACCUMULATOR)]);
  command_awaits(command, AWAITS_BLOCK(link));
  return true;
}

/* What can be said only when the command runs: what the accumulator holds. */
static bool content_fits(const struct pe *pe, const struct command *command) {
  const enum accumulator_content content = pe->accumulator_states[command->field[FIELD_OF(ACCUMULATOR)]].content;
  return content == CONTENT_ANY || (content == CONTENT_INT32) == (command->field[FIELD_OF(TYPE)] == MTIA_TYPE_INT32);
}

bool reduce_send_execute(struct pe *pe, struct command *command) {
  const uint64_t number = command->field[FIELD_OF(ACCUMULATOR)], rows = command->field[FIELD_OF(ROWS)];
  const uint32_t link = (uint32_t)command->field[FIELD_OF(LINK)];
  struct accumulator_state *const state = &pe->accumulator_states[number];
  if (!content_fits(pe, command)) return command_illegal(command, FIELD_OF(TYPE));
  struct reduction_block block = {.rows = (uint32_t)rows,
                                  .columns = (uint32_t)command->field[FIELD_OF(COLUMNS)],
                                  .type = (uint32_t)command->field[FIELD_OF(TYPE)]};
  for (uint64_t row = 0; row < rows; row++)
    memcpy(block.values[row], pe->accumulators[number].int32[row], block.columns * sizeof block.values[0][0]);
  const uint64_t ready = later(later(command->issue, pe_link_room_time(pe, link)), later(state->ready, state->sum_done));
  const uint64_t start = time_line_take(pe, LINE_RE, ready, rows);
  state->ready = start + rows;
  pe_link_send(pe, link, &block, start + rows);
  command_finish(pe, command, start, start + rows, start + rows);
  return true;
}

static void add_int32(union accumulator *accumulator, const struct reduction_block *block) {
  for (uint32_t row = 0; row < block->rows; row++)
    for (uint32_t n = 0; n < block->columns; n++) {
      const uint32_t sum = (uint32_t)accumulator->int32[row][n] + block->values[row][n]; /* wraps around */
      memcpy(&accumulator->int32[row][n], &sum, sizeof sum);
    }
}

static void add_fp32(union accumulator *accumulator, const struct reduction_block *block) {
  for (uint32_t row = 0; row < block->rows; row++) {
    float values[MATMUL_COLUMNS];
    memcpy(values, block->values[row], sizeof values);
    for (uint32_t n = 0; n < block->columns; n++) accumulator->fp32[row][n] = accumulator->fp32[row][n] + values[n];
  }
}

bool reduce_receive_execute(struct pe *pe, struct command *command) {
  const uint64_t number = command->field[FIELD_OF(ACCUMULATOR)];
  const uint32_t link = (uint32_t)command->field[FIELD_OF(LINK)];
  struct accumulator_state *const state = &pe->accumulator_states[number];
  uint64_t arrival;
  const struct reduction_block *const block = pe_link_next(pe, link, &arrival);
  if (!content_fits(pe, command) || block->type != command->field[FIELD_OF(TYPE)])
    return command_illegal(command, FIELD_OF(TYPE));
  if (block->rows != command->field[FIELD_OF(ROWS)]) return command_illegal(command, FIELD_OF(ROWS));
  if (block->columns != command->field[FIELD_OF(COLUMNS)]) return command_illegal(command, FIELD_OF(COLUMNS));
  const bool integers = block->type == MTIA_TYPE_INT32;
  const uint64_t rows = block->rows;
  (integers ? add_int32 : add_fp32)(&pe->accumulators[number], block);
  state->content = integers ? CONTENT_INT32 : CONTENT_FP32;
  const uint64_t ready = later(later(command->issue, arrival), later(state->ready, state->sum_done));
  const uint64_t start = time_line_take(pe, LINE_RE, ready, rows);
  state->ready = start + rows;
  state->sum_done = later(state->sum_done, start + rows + ADD_LATENCY);
  pe_link_release(pe, link, start + rows);
  command_finish(pe, command, start, start + rows, start + rows + ADD_LATENCY);
  return true;
}
