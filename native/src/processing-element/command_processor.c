#include "command_processor.h"
#include <stdio.h>
#include <string.h>
#include "command_processor_table.h"
#include "pe_internal.h"

/* ---- Legality ---- */

bool command_illegal(struct command *command, uint32_t field) {
  command->fault = (struct command_fault){MTIA_EXCEPTION_ILLEGAL_COMMAND, command->code | (uint64_t)field << 8};
  return false;
}

bool command_illegal_sticky(struct command *command, uint32_t number) {
  const struct command_description *const description = command->description;
  const uint32_t first = description->register_count;
  return command_illegal(command, FIELD_OF_REGISTER(number < first ? description->first_register + number
                                                                   : description->second_register + number - first));
}

static inline bool field_is_legal(const struct pe *pe, const struct command_field *field, uint64_t value) {
  const uint32_t set = field->is_buffer ? pe->cp.initialised : field->set;
  return (value - field->minimum <= field->span) & ((value & field->remainder) == 0) & (set >> (value & 31) & 1);
}

static uint32_t first_register_of(const struct command_description *description, uint64_t rs1) {
  const uint32_t first = description->first_register;
  if (!description->has_contexts) return first;
  return first + (uint32_t)(rs1 >> MTIA_MML_CONTEXT_LOW & (MTIA_MML_CONTEXTS - 1)) * MTIA_MML_CONTEXT_REGISTERS;
}

static uint64_t operand_at(struct mtia_operand_place place, const uint64_t *registers, uint64_t rs1, uint64_t rs2) {
  const uint64_t word = place.source == 0 ? rs1 : place.source == 1 ? rs2 : registers[place.source - 2];
  return word >> place.low & (UINT64_MAX >> (64 - place.bits));
}

/* What the first generation allows is a table of its own (src/hw/v1-limits.ts): of any command, the first set of registers. */
static bool v1_allows(const struct pe *pe, struct command *command, uint64_t rs1, uint64_t rs2) {
  static const struct mtia_v1_limit limits[] = MTIA_V1_LIMITS;
  static const struct { uint8_t first, count; } limits_of[128] = MTIA_V1_LIMITS_OF;
  const struct mtia_v1_limit *limit = &limits[limits_of[command->code].first];
  const uint64_t *const registers = pe->cp.registers[command->hart];
  for (uint32_t left = limits_of[command->code].count; left != 0; left--, limit++) {
    if (limit->where.bits != 0 && operand_at(limit->where, registers, rs1, rs2) < limit->at_least) continue;
    const uint64_t value = operand_at(limit->at, registers, rs1, rs2);
    if (value > limit->most || (value & limit->remainder) != 0 || (limit->set >> (value & 31) & 1) == 0)
      return command_illegal(command, limit->number);
  }
  return true;
}

static bool decode(struct pe *pe, struct command *command, uint64_t rs1, uint64_t rs2) {
  const struct command_description *const description = command->description;
  if (pe->generation < 2 && !v1_allows(pe, command, rs1, rs2)) return false;
  const uint64_t *const registers = &pe->cp.registers[command->hart][first_register_of(description, rs1)];
  const uint64_t *const more = &pe->cp.registers[command->hart][description->second_register];
  for (uint32_t i = 0; i < description->register_count; i++) command->sticky[i] = registers[i];
  for (uint32_t i = 0; i < description->second_count; i++) command->sticky[description->register_count + i] = more[i];
  const uint64_t sources[] = {[FROM_RS1] = rs1, [FROM_RS2] = rs2, [FROM_STICKY] = registers[0]};
  for (uint32_t i = 0; i < description->field_count; i++) {
    const struct command_field *const field = &description->fields[i];
    const uint64_t value = sources[field->source] >> field->low & (UINT64_MAX >> (64 - field->bits));
    if (!field_is_legal(pe, field, value)) return command_illegal(command, i);
    command->field[i] = value;
  }
  return description->prepare == NULL || description->prepare(pe, command);
}

void command_needs_bytes(struct command *command, uint32_t cb, enum buffer_side side, uint32_t bytes) {
  command->needs[command->need_count++] = (struct command_need){bytes, (uint8_t)cb, (uint8_t)side};
  command->resources |= 1ull << cb;
}

bool command_needs_block(struct pe *pe, struct command *command, uint32_t cb, enum buffer_side side, uint32_t offset_field,
                         uint64_t rows, uint64_t row_bytes, uint64_t stride) {
  const uint64_t extent = block_extent(command->field[offset_field], rows, row_bytes, stride);
  if (extent > pe->cp.buffers[cb].bytes) return command_illegal(command, offset_field);
  command_needs_bytes(command, cb, side, (uint32_t)extent);
  return true;
}

/* ---- Execution ---- */

bool command_place_block(struct pe *pe, struct command *command, struct block *block, uint32_t cb, enum buffer_side side,
                         uint32_t offset_field, uint64_t rows, uint64_t row_bytes, uint64_t stride) {
  return block_place(block, &pe->cp.buffers[cb], pe->local_memory, side, command->field[offset_field], rows, row_bytes,
                     stride) ||
         command_illegal(command, offset_field);
}

uint64_t command_operands_time(const struct pe *pe, const struct command *command) {
  uint64_t time = command->issue;
  for (uint32_t i = 0; i < command->need_count; i++) {
    const struct command_need *const need = &command->needs[i];
    time = later(time, circular_buffer_ready_time(&pe->cp.buffers[need->cb], need->side, need->bytes));
  }
  return time;
}

void command_finish(struct pe *pe, const struct command *command, uint64_t start, uint64_t operands_read, uint64_t done) {
  struct command_processor *const cp = &pe->cp;
  const uint32_t hart = command->hart;
  for (uint32_t i = 0; i < command->need_count; i++) {
    const uint32_t number = command->needs[i].cb;
    struct circular_buffer *const cb = &cp->buffers[number];
    if (command->needs[i].side == SIDE_DATA)
      cb->read_done = later(cb->read_done, operands_read);
    else
      cb->write_done = later(cb->write_done, done);
    cp->buffer_done[hart][number] = later(cp->buffer_done[hart][number], done);
  }
  cp->done[hart] = later(cp->done[hart], done);
  uint64_t *const slot = &cp->started[hart][command->sequence % MTIA_LIMIT_PENDING_COMMANDS];
  *slot = later(*slot, start);
}

const struct command_need *command_unmet_need(const struct pe *pe, const struct command *command) {
  for (uint32_t i = 0; i < command->need_count; i++) {
    const struct command_need *const need = &command->needs[i];
    if (circular_buffer_available(&pe->cp.buffers[need->cb], need->side) < need->bytes) return need;
  }
  return NULL;
}

static inline bool can_start(const struct pe *pe, const struct command *command) {
  return command_unmet_need(pe, command) == NULL && (command->awaits == 0 || pe_links_ready(pe, command->awaits));
}

static bool execute(struct pe *pe, struct command *command) {
  static const uint8_t unit_of[128] = MTIA_COMMAND_UNITS;
  if (!command->description->execute(pe, command)) return false;
  pe->cp.executed++;
  pe->counters.commands[unit_of[command->code]]++;
  return true;
}

/* Runs what can run of one hart's list, in program order per resource. True: a pointer has moved. */
static bool drain_list(struct pe *pe, uint32_t hart) {
  struct pending_commands *const pending = &pe->cp.pending[hart];
  uint64_t held = 0;
  uint32_t kept = 0;
  bool moved = false;
  for (uint32_t i = 0; i < pending->count; i++) {
    struct command *const command = &pending->list[i];
    if ((command->resources & held) == 0 && can_start(pe, command)) {
      if (!execute(pe, command) && pe->cp.late[hart].cause == 0) pe->cp.late[hart] = command->fault;
      moved = moved || command->description->moves_pointer;
      pending->slot_time =
          later(pending->slot_time, pe->cp.started[hart][command->sequence % MTIA_LIMIT_PENDING_COMMANDS]);
      continue;
    }
    held |= command->resources;
    if (kept != i) pending->list[kept] = *command;
    kept++;
  }
  pending->count = kept;
  pending->resources = held;
  return moved;
}

/* A pointer has moved: commands that wait may go on, and move pointers in turn. */
static void drain(struct pe *pe) {
  for (bool moved = true; moved && (pe->cp.pending[0].count | pe->cp.pending[1].count) != 0;) {
    moved = drain_list(pe, 0);
    moved = drain_list(pe, 1) || moved;
  }
}

void command_processor_resume(struct pe *pe) {
  const bool first = drain_list(pe, 0), second = drain_list(pe, 1);
  if (first || second) drain(pe);
}

/* Only what keeps a command from starting: not one that stands behind others, or lacks data as well. */
static uint32_t list_awaits(const struct pe *pe, const struct pending_commands *pending) {
  uint32_t awaits = 0;
  uint64_t held = 0;
  for (uint32_t i = 0; i < pending->count; i++) {
    const struct command *const command = &pending->list[i];
    if ((command->resources & held) == 0 && command_unmet_need(pe, command) == NULL) awaits |= command->awaits;
    held |= command->resources;
  }
  return awaits;
}

uint32_t command_processor_awaits(const struct pe *pe) {
  const bool any_pe = atomic_awaits(pe, 0) || atomic_awaits(pe, 1);
  return list_awaits(pe, &pe->cp.pending[0]) | list_awaits(pe, &pe->cp.pending[1]) | (any_pe ? AWAITS_ANY_PE : 0);
}

/* ---- Issue ---- */

static enum hart_custom trap(const struct command_fault *fault, uint64_t *result, uint64_t *cause) {
  *cause = fault->cause;
  *result = fault->value;
  return HART_CUSTOM_TRAP;
}

static enum hart_custom stall(struct pe *pe, const struct command *command) {
  pe->cp.stalled[command->hart] = *command;
  return HART_CUSTOM_STALL;
}

/* Commands that the hart itself waits for. */
static enum hart_custom issue_now(struct pe *pe, struct command *command, uint64_t *result, uint64_t *cause) {
  if (!command->description->may_go_on(pe, command)) return stall(pe, command);
  if (!execute(pe, command)) return trap(&command->fault, result, cause);
  *result = command->result;
  return HART_CUSTOM_DONE;
}

/*
 * The list has MTIA_LIMIT_PENDING_COMMANDS places in device time as well: a hart that is that far ahead of the units waits
 * until the oldest of its commands has started.
 */
static void wait_for_place(struct pe *pe, struct command *command) {
  struct command_processor *const cp = &pe->cp;
  struct hart *const hart = &pe->hart[command->hart];
  command->sequence = cp->sequence[command->hart]++;
  uint64_t *const slot = &cp->started[command->hart][command->sequence % MTIA_LIMIT_PENDING_COMMANDS];
  hart->cycles = later(hart->cycles, *slot);
  command->issue = hart->cycles;
  *slot = 0;
}

static enum hart_custom issue_to_unit(struct pe *pe, struct command *command, uint64_t *result, uint64_t *cause) {
  struct pending_commands *const pending = &pe->cp.pending[command->hart];
  const bool in_order = (command->resources & pending->resources) == 0;
  const bool runs_now = in_order && can_start(pe, command);
  if (!runs_now && pending->count == MTIA_LIMIT_PENDING_COMMANDS) return stall(pe, command);
  wait_for_place(pe, command);
  *result = 0;
  if (!runs_now) {
    pending->resources |= command->resources;
    pending->list[pending->count++] = *command;
  } else if (!execute(pe, command)) {
    return trap(&command->fault, result, cause);
  }
  if (command->description->accepted != NULL) command->description->accepted(pe, command);
  if (!runs_now) return HART_CUSTOM_DONE;
  if (command->description->moves_pointer) drain(pe);
  return HART_CUSTOM_DONE;
}

static enum hart_custom access_command_register(struct pe *pe, uint32_t hart, uint32_t instruction, uint64_t rs1,
                                                uint64_t *result) {
  const uint32_t number = instruction >> 20, function = instruction >> 12 & 7;
  if (number >= MTIA_LIMIT_COMMAND_REGISTERS || function > 1) return HART_CUSTOM_ILLEGAL;
  uint64_t *const place = &pe->cp.registers[hart][number];
  *result = function == 1 ? *place : 0;
  if (function == 0) *place = rs1;
  return HART_CUSTOM_DONE;
}

enum hart_custom command_processor_custom(void *context, struct hart *hart, uint32_t instruction, uint64_t rs1, uint64_t rs2,
                                          uint64_t *result, uint64_t *cause) {
  struct pe *const pe = context;
  const uint32_t number = hart == &pe->hart[1];
  const uint64_t arrived = hart->cycles;
  if ((instruction & 0x7f) == MTIA_OPCODE_COMMAND_REGISTER)
    return access_command_register(pe, number, instruction, rs1, result);

  struct command command;
  command.code = (uint8_t)(instruction >> 25);
  command.description = command_description_of(command.code);
  if ((instruction >> 12 & 7) != 0 || command.description == NULL) return HART_CUSTOM_ILLEGAL;
  struct command_fault *const late = &pe->cp.late[number];
  if (late->cause != 0) {
    const struct command_fault fault = *late;
    late->cause = 0;
    return trap(&fault, result, cause);
  }
  /* It stood here because the list was full: the place became free when a command left the list. */
  const struct command_description *const stood_at = pe->cp.stalled[number].description;
  if (stood_at != NULL && stood_at->may_go_on == NULL) hart->cycles = later(hart->cycles, pe->cp.pending[number].slot_time);
  pe->cp.stalled[number].description = NULL;

  command.hart = (uint8_t)number;
  command.issue = hart->cycles;
  command.result = 0;
  command.resources = 0;
  command.need_count = 0;
  command.awaits = 0;
  if (!decode(pe, &command, rs1, rs2)) return trap(&command.fault, result, cause);
  const enum hart_custom outcome = command.description->may_go_on != NULL ? issue_now(pe, &command, result, cause)
                                                                         : issue_to_unit(pe, &command, result, cause);
  pe->counters.stall_cycles[number] += hart->cycles - arrived;
  return outcome;
}

/* ---- State ---- */

void command_processor_clear(struct command_processor *cp) {
  cp->initialised = 0;
  memset(cp->semaphores, 0, sizeof cp->semaphores);
  memset(cp->semaphore_times, 0, sizeof cp->semaphore_times);
  memset(cp->registers, 0, sizeof cp->registers);
  memset(cp->late, 0, sizeof cp->late);
  memset(cp->done, 0, sizeof cp->done);
  memset(cp->buffer_done, 0, sizeof cp->buffer_done);
  memset(cp->started, 0, sizeof cp->started);
  for (uint32_t hart = 0; hart < PE_HARTS; hart++) {
    cp->pending[hart].count = 0;
    cp->pending[hart].resources = 0;
    cp->pending[hart].slot_time = 0;
    cp->stalled[hart].description = NULL;
    cp->sequence[hart] = 0;
  }
}

bool command_processor_may_go_on(const struct pe *pe, uint32_t hart) {
  const struct command *const command = &pe->cp.stalled[hart];
  if (pe->cp.late[hart].cause != 0) return true;
  if (command->description == NULL) return false; /* what it waited for went away with the job */
  if (command->description->may_go_on != NULL) return command->description->may_go_on(pe, command);
  return pe->cp.pending[hart].count < MTIA_LIMIT_PENDING_COMMANDS;
}

uint64_t command_processor_done(const struct command_processor *cp) { return later(cp->done[0], cp->done[1]); }

static int describe_need(const struct pe *pe, const struct command *command, char *text, uint32_t bytes) {
  const struct command_need *const need = command_unmet_need(pe, command);
  if (need == NULL && command->awaits != 0) {
    char what[48];
    pe_links_describe(pe, command->awaits, what, sizeof what);
    return snprintf(text, bytes, "%s waits for %s", command->description->name, what);
  }
  if (need == NULL) return snprintf(text, bytes, "%s waits for earlier commands", command->description->name);
  return snprintf(text, bytes, "%s waits for %u bytes %s cb %u, which has %llu", command->description->name, need->bytes,
                  need->side == SIDE_DATA ? "of" : "of space in", need->cb,
                  (unsigned long long)circular_buffer_available(&pe->cp.buffers[need->cb], need->side));
}

void command_processor_wait_reason(const struct pe *pe, uint32_t hart, char *text, uint32_t bytes) {
  const struct command *const command = &pe->cp.stalled[hart];
  const struct pending_commands *const pending = &pe->cp.pending[hart];
  if (command->description == NULL) {
    snprintf(text, bytes, "stalled by a command of a job that has ended");
  } else if (command->description->may_go_on == atomic_may_go_on) {
    atomic_describe(pe, hart, text, bytes);
  } else if (command->description->may_go_on == semaphore_wait_may_go_on) {
    const uint64_t number = command->field[MTIA_SEMAPHORE_WAIT_SEMAPHORE_FIELD];
    snprintf(text, bytes, "SEMAPHORE_WAIT waits for %llu in semaphore %llu, which has %llu",
             (unsigned long long)command->field[MTIA_SEMAPHORE_WAIT_VALUE_FIELD], (unsigned long long)number,
             (unsigned long long)pe->cp.semaphores[number]);
  } else if (pending->count != 0 && (command->need_count == 0 || command_unmet_need(pe, command) == NULL ||
                                     command->description->may_go_on == NULL)) {
    char first[96];
    describe_need(pe, &pending->list[0], first, sizeof first);
    snprintf(text, bytes, "%s waits for %u pending commands; first, %s", command->description->name, pending->count, first);
  } else {
    describe_need(pe, command, text, bytes);
  }
}
