/*
 * Atomic operations on the semaphores of any PE of the job, and barriers. The hart stands still until the operation is done.
 * It is done where all PEs of the job are at rest, the earliest first in device time (pe_links_admit_first): so who gets a
 * contended lock does not depend on the host.
 */
#include <stdio.h>
#include <stdlib.h>
#include "pe_internal.h"

#define COLUMNS PE_COLUMNS
#define ROW_FIELD MTIA_ATOMIC_ADD_ROW_FIELD
_Static_assert(MTIA_ATOMIC_ADD_FLAG_FIELD == MTIA_ATOMIC_WAIT_FLAG_FIELD, "ATOMIC_ADD and ATOMIC_WAIT have the same fields");

/* ---- Commands ---- */

static struct atomic_request *request_of(struct pe *pe, const struct command *command) {
  return &pe->links.requests[command->hart];
}

/* A hart comes back to a command that it stands at. */
static bool is_the_same(const struct atomic_request *request, const struct atomic_request *other) {
  return request->state != REQUEST_NONE && request->code == other->code && request->pe == other->pe &&
         request->semaphore == other->semaphore && request->flag == other->flag && request->value == other->value;
}

static bool ask(struct pe *pe, struct command *command, struct atomic_request asked) {
  struct atomic_request *const request = request_of(pe, command);
  asked.code = command->code;
  asked.state = REQUEST_WAITS;
  asked.time = command->issue - pe->job_start;
  if (!is_the_same(request, &asked)) *request = asked;
  return true;
}

bool atomic_prepare(struct pe *pe, struct command *command) {
  const struct pe_rectangle *const rectangle = &pe->rectangle;
  const uint64_t column = command->field[MTIA_ATOMIC_ADD_COLUMN_FIELD], row = command->field[ROW_FIELD];
  if (pe->links.job == 0 || row >= rectangle->rows) return command_illegal(command, ROW_FIELD);
  if (column >= rectangle->columns) return command_illegal(command, MTIA_ATOMIC_ADD_COLUMN_FIELD);
  return ask(pe, command,
             (struct atomic_request){.pe = (uint32_t)((rectangle->row + row) * COLUMNS + rectangle->column + column),
                                     .semaphore = (uint32_t)command->field[MTIA_ATOMIC_ADD_SEMAPHORE_FIELD],
                                     .flag = command->field[MTIA_ATOMIC_ADD_FLAG_FIELD] != 0,
                                     .value = command->field[MTIA_ATOMIC_ADD_VALUE_FIELD]});
}

bool barrier_prepare(struct pe *pe, struct command *command) {
  if (pe->links.job == 0) return command_illegal(command, MTIA_BARRIER_SCOPE_FIELD);
  return ask(pe, command, (struct atomic_request){.pe = pe->index, .value = command->field[MTIA_BARRIER_SCOPE_FIELD]});
}

bool atomic_may_go_on(const struct pe *pe, const struct command *command) {
  return pe->links.requests[command->hart].state != REQUEST_WAITS;
}

bool atomic_execute(struct pe *pe, struct command *command) {
  struct atomic_request *const request = request_of(pe, command);
  struct hart *const hart = &pe->hart[command->hart];
  const bool failed = request->state == REQUEST_FAILED;
  request->state = REQUEST_NONE;
  if (failed) return command_illegal(command, ROW_FIELD);
  const bool without_reply = request->code == MTIA_COMMAND_ATOMIC_ADD && !request->flag;
  command->result = without_reply ? 0 : request->result;
  if (!without_reply) hart->cycles = later(hart->cycles, pe->job_start + request->time);
  return true;
}

int atomic_describe(const struct pe *pe, uint32_t hart, char *text, uint32_t bytes) {
  static const char *const scopes[] = {"its rectangle", "its row", "its column"};
  const struct atomic_request *const request = &pe->links.requests[hart];
  if (request->code == MTIA_COMMAND_BARRIER)
    return snprintf(text, bytes, "BARRIER waits for the other PEs of %s", scopes[request->value]);
  if (request->code == MTIA_COMMAND_ATOMIC_ADD)
    return snprintf(text, bytes, "ATOMIC_ADD waits for semaphore %u of PE %u", request->semaphore, request->pe);
  return snprintf(text, bytes, "ATOMIC_WAIT waits for %llu in semaphore %u of PE %u", (unsigned long long)request->value,
                  request->semaphore, request->pe);
}

/* Posts of other PEs may end the wait for one of the kernel's semaphores. */
bool atomic_awaits(const struct pe *pe, uint32_t hart) {
  const struct command *const command = &pe->cp.stalled[hart];
  if (command->description == NULL) return false;
  if (command->description->may_go_on == atomic_may_go_on) return true;
  return command->code == MTIA_COMMAND_SEMAPHORE_WAIT &&
         command->field[MTIA_SEMAPHORE_WAIT_SEMAPHORE_FIELD] < MTIA_LIMIT_KERNEL_SEMAPHORES;
}

/* ---- At rest ---- */

static uint64_t hops(uint32_t from, uint32_t to) {
  return (uint64_t)abs((int)(from % COLUMNS) - (int)(to % COLUMNS)) + (uint64_t)abs((int)(from / COLUMNS) - (int)(to / COLUMNS));
}

static struct atomic_request *barrier_of(struct pe *pe, uint64_t scope) {
  for (uint32_t hart = 0; hart < PE_HARTS; hart++) {
    struct atomic_request *const request = &pe->links.requests[hart];
    if (request->state == REQUEST_WAITS && request->code == MTIA_COMMAND_BARRIER && request->value == scope) return request;
  }
  return NULL;
}

/* The PEs that meet at a barrier of this PE, as bits. */
static uint64_t barrier_members(const struct pe *pe, uint64_t scope) {
  struct pe_rectangle at = pe->rectangle;
  if (scope == MTIA_BARRIER_ROW) at.row = pe->index / COLUMNS, at.rows = 1;
  if (scope == MTIA_BARRIER_COLUMN) at.column = pe->index % COLUMNS, at.columns = 1;
  uint64_t members = 0;
  for (uint32_t row = at.row; row < at.row + at.rows; row++)
    for (uint32_t column = at.column; column < at.column + at.columns; column++)
      members |= 1ull << (row * COLUMNS + column);
  return members;
}

/* When the barrier opens: after its latest arrival, from corner to corner. UINT64_MAX: not all are there. */
static uint64_t barrier_time(struct pe *const *pes, uint64_t mask, const struct pe *pe, uint64_t scope) {
  const uint64_t members = barrier_members(pe, scope);
  uint64_t latest = 0;
  if ((members & ~mask) != 0) return UINT64_MAX;
  for (uint64_t left = members; left != 0; left &= left - 1) {
    const struct atomic_request *const request = barrier_of(pes[__builtin_ctzll(left)], scope);
    if (request == NULL) return UINT64_MAX;
    latest = later(latest, request->time);
  }
  const uint32_t first = (uint32_t)__builtin_ctzll(members), last = 63u - (uint32_t)__builtin_clzll(members);
  return latest + hops(first, last) * HOP_CYCLES;
}

uint64_t atomic_time(struct pe *const *pes, uint64_t mask, const struct pe *pe, uint32_t hart) {
  const struct atomic_request *const request = &pe->links.requests[hart];
  if (request->state != REQUEST_WAITS) return UINT64_MAX;
  if (request->code == MTIA_COMMAND_BARRIER) return barrier_time(pes, mask, pe, request->value);
  const uint64_t arrival = request->time + hops(pe->index, request->pe) * HOP_CYCLES;
  const struct pe *const home = pes[request->pe];
  if ((mask >> request->pe & 1) == 0 || request->code == MTIA_COMMAND_ATOMIC_ADD) return arrival;
  if (home->cp.semaphores[request->semaphore] < request->value) return UINT64_MAX;
  const uint64_t posted = home->cp.semaphore_times[request->semaphore];
  return posted > home->job_start ? later(arrival, posted - home->job_start) : arrival;
}

static uint64_t open_barrier(struct pe *const *pes, const struct pe *pe, uint64_t scope, uint64_t time) {
  const uint64_t members = barrier_members(pe, scope);
  for (uint64_t left = members; left != 0; left &= left - 1) {
    struct atomic_request *const request = barrier_of(pes[__builtin_ctzll(left)], scope);
    request->state = REQUEST_DONE;
    request->time = time;
  }
  return members;
}

uint64_t atomic_perform(struct pe *const *pes, uint64_t mask, struct pe *pe, uint32_t hart, uint64_t time) {
  struct atomic_request *const request = &pe->links.requests[hart];
  struct pe *const home = pes[request->pe];
  if (request->code == MTIA_COMMAND_BARRIER) return open_barrier(pes, pe, request->value, time);
  if ((mask >> request->pe & 1) == 0) {
    /* Its part of the job has ended, and its semaphores with it. */
    request->state = REQUEST_FAILED;
    return 1ull << pe->index;
  }
  uint64_t *const semaphore = &home->cp.semaphores[request->semaphore];
  uint64_t *const posted = &home->cp.semaphore_times[request->semaphore];
  request->state = REQUEST_DONE;
  request->result = *semaphore;
  request->time = time + hops(pe->index, request->pe) * HOP_CYCLES;
  if (request->code == MTIA_COMMAND_ATOMIC_ADD) *semaphore += request->value;
  else if (request->flag) *semaphore -= request->value;
  *posted = later(*posted, home->job_start + time);
  return 1ull << pe->index | 1ull << home->index;
}
