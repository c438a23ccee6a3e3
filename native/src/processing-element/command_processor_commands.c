/* The command processor's own commands: circular buffers, fences, semaphores. */
#include <stddef.h>
#include "command_processor_table.h"
#include "pe_internal.h"

/* A hart that waited takes over the time of what it waited for. */
static void hart_waits_until(struct pe *pe, const struct command *command, uint64_t time) {
  struct hart *const hart = &pe->hart[command->hart];
  hart->cycles = later(hart->cycles, time);
}

/* ---- Circular buffers ---- */

bool cb_init_prepare(struct pe *pe, struct command *command) {
  const uint64_t base = command->field[MTIA_CB_INIT_BASE_FIELD], bytes = command->field[MTIA_CB_INIT_BYTES_FIELD];
  if (base >= pe->local_bytes) return command_illegal(command, MTIA_CB_INIT_BASE_FIELD);
  if (base + bytes > pe->local_bytes) return command_illegal(command, MTIA_CB_INIT_BYTES_FIELD);
  command->resources = 1ull << command->field[MTIA_CB_INIT_CB_FIELD];
  return true;
}

/* Commands that wait on the buffer were checked against its present size: it cannot change under them. */
bool cb_init_may_go_on(const struct pe *pe, const struct command *command) {
  return (command->resources & (pe->cp.pending[0].resources | pe->cp.pending[1].resources)) == 0;
}

bool cb_init_execute(struct pe *pe, struct command *command) {
  const uint64_t number = command->field[MTIA_CB_INIT_CB_FIELD];
  hart_waits_until(pe, command, pe->cp.buffer_done[command->hart][number]);
  circular_buffer_init(&pe->cp.buffers[number], (uint32_t)command->field[MTIA_CB_INIT_BASE_FIELD],
                       (uint32_t)command->field[MTIA_CB_INIT_BYTES_FIELD]);
  pe->cp.initialised |= 1u << number;
  return true;
}

static bool prepare_move(struct pe *pe, struct command *command, enum buffer_side side) {
  const uint32_t number = (uint32_t)command->field[MTIA_CB_PUSH_CB_FIELD];
  const uint64_t bytes = command->field[MTIA_CB_PUSH_BYTES_FIELD];
  if (bytes > pe->cp.buffers[number].bytes) return command_illegal(command, MTIA_CB_PUSH_BYTES_FIELD);
  command_needs_bytes(command, number, side, (uint32_t)bytes);
  return true;
}

bool cb_push_prepare(struct pe *pe, struct command *command) { return prepare_move(pe, command, SIDE_SPACE); }
bool cb_pop_prepare(struct pe *pe, struct command *command) { return prepare_move(pe, command, SIDE_DATA); }
bool cb_wait_data_prepare(struct pe *pe, struct command *command) { return prepare_move(pe, command, SIDE_DATA); }
bool cb_wait_space_prepare(struct pe *pe, struct command *command) { return prepare_move(pe, command, SIDE_SPACE); }

/* What was written before a push is there when the pointer moves; what was read before a pop has been read. */
bool cb_push_execute(struct pe *pe, struct command *command) {
  struct circular_buffer *const cb = &pe->cp.buffers[command->field[MTIA_CB_PUSH_CB_FIELD]];
  const uint64_t time = later(command_operands_time(pe, command), cb->write_done);
  circular_buffer_produce(cb, (uint32_t)command->field[MTIA_CB_PUSH_BYTES_FIELD], time);
  command_finish(pe, command, time, time, time);
  return true;
}

bool cb_pop_execute(struct pe *pe, struct command *command) {
  struct circular_buffer *const cb = &pe->cp.buffers[command->field[MTIA_CB_POP_CB_FIELD]];
  const uint64_t time = later(command_operands_time(pe, command), cb->read_done);
  circular_buffer_consume(cb, (uint32_t)command->field[MTIA_CB_POP_BYTES_FIELD], time);
  command_finish(pe, command, time, time, time);
  return true;
}

bool cb_wait_may_go_on(const struct pe *pe, const struct command *command) {
  return (command->resources & pe->cp.pending[command->hart].resources) == 0 && command_unmet_need(pe, command) == NULL;
}

bool cb_wait_execute(struct pe *pe, struct command *command) {
  const uint64_t number = command->field[MTIA_CB_WAIT_DATA_CB_FIELD];
  const struct circular_buffer *const cb = &pe->cp.buffers[number];
  hart_waits_until(pe, command, later(command_operands_time(pe, command), pe->cp.buffer_done[command->hart][number]));
  command->result = MTIA_PE_LOCAL_BASE + cb->base + (command->needs[0].side == SIDE_DATA ? cb->read_at : cb->write_at);
  return true;
}

/* ---- Fences and semaphores ---- */

bool fence_may_go_on(const struct pe *pe, const struct command *command) {
  return pe->cp.pending[command->hart].count == 0;
}

bool fence_execute(struct pe *pe, struct command *command) {
  hart_waits_until(pe, command, pe->cp.done[command->hart]);
  return true;
}

bool semaphore_post_execute(struct pe *pe, struct command *command) {
  const uint64_t number = command->field[MTIA_SEMAPHORE_POST_SEMAPHORE_FIELD];
  pe->cp.semaphores[number] += command->field[MTIA_SEMAPHORE_POST_VALUE_FIELD];
  pe->cp.semaphore_times[number] = later(pe->cp.semaphore_times[number], command->issue);
  return true;
}

bool semaphore_wait_may_go_on(const struct pe *pe, const struct command *command) {
  return pe->cp.semaphores[command->field[MTIA_SEMAPHORE_WAIT_SEMAPHORE_FIELD]] >=
         command->field[MTIA_SEMAPHORE_WAIT_VALUE_FIELD];
}

bool semaphore_wait_execute(struct pe *pe, struct command *command) {
  const uint64_t number = command->field[MTIA_SEMAPHORE_WAIT_SEMAPHORE_FIELD];
  pe->cp.semaphores[number] -= command->field[MTIA_SEMAPHORE_WAIT_VALUE_FIELD];
  hart_waits_until(pe, command, pe->cp.semaphore_times[number]);
  return true;
}
