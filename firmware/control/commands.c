#include "commands.h"
#include <stddef.h>
#include "aborts.h"
#include "contexts.h"
#include "copies.h"
#include "graphs.h"
#include "host_structure.h"
#include "launches.h"
#include "semaphores.h"

/* NOP; and BARRIER, because a command of a queue starts only when the earlier ones are complete. */
static uint32_t do_nothing(struct control *control, struct queue *queue) {
  (void)control;
  (void)queue;
#if MTIA_TEST_READS_HOST_MEMORY
  if (queue->submission.a != 0) return host_structure_read(queue);
#endif
  return MTIA_ERROR_OK;
}

static uint32_t query(struct control *control, struct queue *queue) {
  queue->completion.cause = control->bundle.header.firmware_version;
  queue->completion.pc = control->capabilities;
  queue->completion.value = control->kernels.count;
  return MTIA_ERROR_OK;
}

static bool can_decompress(const struct chip *chip) { return chip->gunzip_mbs != 0; }

static const struct command COMMANDS[] = {
    [MTIA_HOST_NOP] = {do_nothing, NULL, SCOPE_ANY, NULL, NULL},
    [MTIA_HOST_COPY_HOST_TO_DEVICE] = {copy_start, copy_stop, SCOPE_CONTEXT, NULL, copy_cancel},
    [MTIA_HOST_COPY_DEVICE_TO_HOST] = {copy_start, copy_stop, SCOPE_CONTEXT, NULL, copy_cancel},
    [MTIA_HOST_COPY_DEVICE_TO_DEVICE] = {copy_start, copy_stop, SCOPE_CONTEXT, NULL, copy_cancel},
    [MTIA_HOST_FILL] = {fill_start, copy_stop, SCOPE_CONTEXT, NULL, copy_cancel},
    [MTIA_HOST_LAUNCH] = {launch_start, launch_stop, SCOPE_CONTEXT, NULL, NULL},
#if MTIA_FEATURE_GRAPH_LAUNCH
    [MTIA_HOST_GRAPH_LAUNCH] = {graph_start, launch_stop, SCOPE_CONTEXT, NULL, NULL},
#endif
    [MTIA_HOST_WAIT] = {semaphore_wait, semaphore_stop, SCOPE_CONTEXT, NULL, NULL},
    [MTIA_HOST_SIGNAL] = {semaphore_signal, NULL, SCOPE_ANY, NULL, NULL},
    [MTIA_HOST_BARRIER] = {do_nothing, NULL, SCOPE_ANY, NULL, NULL},
    [MTIA_HOST_COPY_HOST_TO_DEVICE_GUNZIP] = {gunzip_start, copy_stop, SCOPE_CONTEXT, can_decompress, copy_cancel},
    [MTIA_HOST_RECOVER] = {semaphore_recover, NULL, SCOPE_ANY, NULL, NULL},
    [MTIA_HOST_CREATE_CONTEXT] = {context_create, NULL, SCOPE_ADMINISTRATION, NULL, NULL},
    [MTIA_HOST_DESTROY_CONTEXT] = {context_destroy, context_drain_stop, SCOPE_ADMINISTRATION, NULL, NULL},
    [MTIA_HOST_ASSIGN_PAGES] = {pages_assign, pages_assign_stop, SCOPE_ADMINISTRATION, NULL, NULL},
    [MTIA_HOST_QUERY] = {query, NULL, SCOPE_ADMINISTRATION, NULL, NULL},
    [MTIA_HOST_ABORT] = {abort_start, NULL, SCOPE_ADMINISTRATION, NULL, NULL},
    [MTIA_HOST_RESET_SEMAPHORE] = {semaphore_reset, NULL, SCOPE_ADMINISTRATION, NULL, NULL},
};
#define COMMAND_COUNT (sizeof COMMANDS / sizeof COMMANDS[0])

static bool is_possible(const struct chip *chip, uint32_t opcode) {
  if (opcode >= COMMAND_COUNT || COMMANDS[opcode].start == NULL) return false;
  return COMMANDS[opcode].possible == NULL || COMMANDS[opcode].possible(chip);
}

uint64_t command_capabilities(const struct chip *chip) {
  uint64_t capabilities = 0;
  for (uint32_t opcode = 0; opcode < COMMAND_COUNT; opcode++) {
    if (is_possible(chip, opcode)) capabilities |= 1ull << opcode;
  }
  return capabilities;
}

/* Queue 0 is the driver's and has context 0; every other queue needs a context, or nothing would bind its accesses. */
static uint32_t check_scope(const struct control *control, struct queue *queue, enum command_scope scope) {
  if (queue->number == 0) {
    if (queue->context != 0 || scope == SCOPE_CONTEXT) return refuse(queue, MTIA_ERROR_INVALID_CONTEXT, queue->context);
    return MTIA_ERROR_OK;
  }
  if (scope == SCOPE_ADMINISTRATION) return refuse(queue, MTIA_ERROR_INVALID_COMMAND, queue->submission.opcode);
  return context_is_live(control, queue->context) ? MTIA_ERROR_OK
                                                  : refuse(queue, MTIA_ERROR_INVALID_CONTEXT, queue->context);
}

/* SIGNAL goes on: who waits must learn of the failure. */
static bool is_aborted(const struct queue *queue) {
  const uint32_t opcode = queue->submission.opcode;
  return queue->aborting && opcode != MTIA_HOST_SIGNAL && opcode != MTIA_HOST_RECOVER;
}

uint32_t command_check(const struct control *control, struct queue *queue, const struct command **command) {
  const struct mtia_submission *submission = &queue->submission;
  if (!is_possible(&control->chip, submission->opcode)) {
    return refuse(queue, MTIA_ERROR_UNSUPPORTED_COMMAND, submission->opcode);
  }
  const uint64_t reserved =
      submission->flags | submission->reserved | submission->reserved_tail[0] | submission->reserved_tail[1];
  if (reserved != 0) return refuse(queue, MTIA_ERROR_INVALID_COMMAND, reserved);
  if (is_aborted(queue)) return MTIA_ERROR_ABORTED;
  *command = &COMMANDS[submission->opcode];
  return check_scope(control, queue, (*command)->scope);
}
