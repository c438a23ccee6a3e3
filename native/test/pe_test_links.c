/* Links between PEs: two blocks at most, in order, each for its job, whenever the PEs start and end their jobs. */
#include "pe_test.h"

#define MEMBERS 2
#define LINK MTIA_REDUCTION_LINK_WEST_TO_EAST

/* PEs 0 and 1, side by side: blocks go from the first to the second. */
struct row {
  struct fixture *members[MEMBERS];
  uint32_t wakes[MEMBERS];
};

static struct pe *peer(void *context, uint32_t index) { return ((struct row *)context)->members[index]->pe; }
static void note_wake(void *context, struct pe *pe) { ((struct row *)context)->wakes[pe->index]++; }
static void no_report(void *context, struct pe *pe, const struct pe_report *report) {
  (void)context, (void)pe, (void)report;
}

static void row_create(struct row *row) {
  memset(row, 0, sizeof *row);
  for (uint32_t index = 0; index < MEMBERS; index++) {
    row->members[index] = fixture_create(2, 0);
    struct pe *const pe = row->members[index]->pe;
    pe->index = index;
    pe->environment.context = row;
    pe->environment.peer = peer;
    pe->environment.wake_peer = note_wake;
    pe->environment.job_done = no_report;
  }
}

static void row_destroy(struct row *row) {
  for (uint32_t index = 0; index < MEMBERS; index++) fixture_destroy(row->members[index]);
}

static struct pe *west(struct row *row) { return row->members[0]->pe; }
static struct pe *east(struct row *row) { return row->members[1]->pe; }

static void start(struct pe *pe, uint64_t job) {
  const struct mtia_job_descriptor descriptor = {.columns = MEMBERS, .rows = 1};
  pe_start_job(pe, &descriptor, job);
  pe->work_pending = true;
}
static void end(struct pe *pe) { pe_finish_job(pe, pe_hart(pe, 0), MTIA_ERROR_OK); }

/* The same fields in both commands: one row of one INT32. */
static uint64_t fields_of(uint64_t accumulator) {
  return FIELD(MTIA_REDUCE_SEND_ACCUMULATOR, accumulator) | FIELD(MTIA_REDUCE_SEND_LINK, LINK) |
         FIELD(MTIA_REDUCE_SEND_TYPE, MTIA_TYPE_INT32);
}
#define SHAPE (FIELD(MTIA_REDUCE_SEND_ROWS, 1) | FIELD(MTIA_REDUCE_SEND_COLUMNS, 1))

/* From an accumulator of its own each: one that waits keeps its value. */
static void send(struct row *row, uint32_t accumulator, int32_t value) {
  struct pe *const pe = west(row);
  pe->accumulators[accumulator].int32[0][0] = value;
  pe->accumulator_states[accumulator].content = CONTENT_INT32;
  CHECK_EQUAL(issue(row->members[0], 0, MTIA_COMMAND_REDUCE_SEND, fields_of(accumulator), SHAPE), HART_CUSTOM_DONE);
}

static void ask(struct row *row, uint32_t accumulator) {
  struct pe *const pe = east(row);
  pe->accumulators[accumulator].int32[0][0] = 0;
  pe->accumulator_states[accumulator].content = CONTENT_ANY;
  CHECK_EQUAL(issue(row->members[1], 1, MTIA_COMMAND_REDUCE_RECEIVE, fields_of(accumulator), SHAPE), HART_CUSTOM_DONE);
}
static int32_t received(struct row *row, uint32_t accumulator) { return east(row)->accumulators[accumulator].int32[0][0]; }

static void receives(struct row *row, int32_t value) {
  ask(row, 0);
  CHECK(pe_links_admit(east(row)));
  CHECK_EQUAL(received(row, 0), value);
}
static void receives_nothing(struct row *row) {
  ask(row, 0);
  CHECK(!pe_links_admit(east(row)));
  CHECK_EQUAL(received(row, 0), 0);
}

static bool waits_for_room(struct row *row) {
  return (command_processor_awaits(west(row)) & AWAITS_ROOM(LINK)) != 0 && !pe_links_admit(west(row));
}

static void blocks_come_in_order_and_the_third_waits_for_a_credit(void) {
  struct row row;
  row_create(&row);
  start(west(&row), 1);
  start(east(&row), 1);
  for (uint32_t i = 0; i < 3; i++) send(&row, i, (int32_t)i + 11);
  CHECK_EQUAL(row.wakes[1], 2);
  CHECK(waits_for_room(&row));
  pe_hart(east(&row), 1)->cycles = 1000;
  receives(&row, 11);
  CHECK_EQUAL(row.wakes[0], 1);
  CHECK(pe_links_admit(west(&row)));
  CHECK_EQUAL(row.wakes[1], 3);
  receives(&row, 12);
  /* The third left when the first one's place was free, and the news of that had travelled. */
  const struct reduction_inlet *const inlet = &east(&row)->links.inlets[LINK];
  const struct reduction_block *const third = &inlet->blocks[2 % INLET_BLOCKS];
  CHECK(third->time >= 1000 + 2 * HOP_CYCLES && third->time < 1000 + 2 * HOP_CYCLES + 10);
  receives(&row, 13);
  receives_nothing(&row);
  row_destroy(&row);
}

/* The neighbour may be a job ahead: both jobs' blocks lie in the FIFO, and none is taken for the wrong job. */
static void blocks_wait_for_the_job_that_they_are_for(void) {
  struct row row;
  row_create(&row);
  start(west(&row), 1);
  start(east(&row), 1);
  send(&row, 0, 11);
  send(&row, 1, 12);
  end(west(&row));
  start(west(&row), 2);
  send(&row, 0, 21);
  send(&row, 1, 22);
  receives(&row, 11);
  receives(&row, 12);
  receives_nothing(&row);
  end(east(&row));
  start(east(&row), 2);
  receives(&row, 21);
  receives(&row, 22);
  row_destroy(&row);
}

static void a_reset_keeps_the_blocks_of_the_next_job(void) {
  struct row row;
  row_create(&row);
  start(west(&row), 1);
  start(east(&row), 1);
  send(&row, 0, 11);
  end(west(&row));
  start(west(&row), 2);
  send(&row, 0, 21);
  pe_reset(east(&row), MTIA_SRAM_BASE);
  send(&row, 1, 22);
  start(east(&row), 2);
  receives(&row, 21);
  receives(&row, 22);
  receives_nothing(&row);
  row_destroy(&row);
}

/* Credits of a job that the sender is through with are not those of its next one. */
static void credits_belong_to_their_job(void) {
  struct row row;
  row_create(&row);
  start(west(&row), 1);
  start(east(&row), 1);
  send(&row, 0, 11);
  end(west(&row));
  start(west(&row), 2);
  for (uint32_t i = 0; i < 3; i++) send(&row, i, (int32_t)i + 21);
  receives(&row, 11);
  CHECK(waits_for_room(&row));
  end(east(&row));
  start(east(&row), 2);
  receives(&row, 21);
  CHECK(pe_links_admit(west(&row)));
  receives(&row, 22);
  receives(&row, 23);
  row_destroy(&row);
}

static void what_comes_too_late_is_dropped(void) {
  struct row row;
  row_create(&row);
  start(west(&row), 1);
  start(east(&row), 1);
  send(&row, 0, 11);
  end(east(&row));
  send(&row, 1, 12);
  start(east(&row), 2);
  end(west(&row));
  start(west(&row), 2);
  send(&row, 0, 21);
  receives(&row, 21);
  /* The receiver is a job ahead. */
  end(east(&row));
  start(east(&row), 3);
  send(&row, 1, 22);
  end(west(&row));
  start(west(&row), 3);
  send(&row, 0, 31);
  receives(&row, 31);
  receives_nothing(&row);
  row_destroy(&row);
}

/* The FIFO has room for two jobs, and a withdrawn one takes none of it. */
static void what_came_for_a_withdrawn_job_is_dropped(void) {
  struct row row;
  row_create(&row);
  start(east(&row), 1);
  start(west(&row), 1);
  send(&row, 0, 11);
  send(&row, 1, 12);
  end(west(&row));
  start(west(&row), 2);
  send(&row, 0, 21);
  pe_links_withdraw_job(east(&row), 2);
  send(&row, 1, 22); /* it was under way */
  pe_reset(west(&row), MTIA_SRAM_BASE);
  start(west(&row), 3);
  send(&row, 0, 31);
  send(&row, 1, 32);
  receives(&row, 11);
  receives(&row, 12);
  receives_nothing(&row);
  end(east(&row));
  start(east(&row), 3);
  receives(&row, 31);
  receives(&row, 32);
  row_destroy(&row);
}

/* Any order of starts, ends and withdrawals in which the PEs take jobs alike: every job receives its own blocks. */
static void any_interleaving_keeps_jobs_apart(void) {
  struct random random = {test_seed + 1};
  struct row row;
  row_create(&row);
  for (uint64_t job = 1; job < 4000; job += 2) {
    const uint64_t bits = random_next(&random);
    const uint32_t sent = bits & 1 ? 2 : 1;
    const bool withdrawn = (bits & 6) == 0;
    start(east(&row), job);
    start(west(&row), job);
    for (uint32_t i = 0; i < sent; i++) send(&row, i, (int32_t)job);
    if (bits & 8) receives(&row, (int32_t)job);
    end(west(&row));
    start(west(&row), job + 1);
    for (uint32_t i = 0; i < sent; i++) send(&row, i, (int32_t)job + 1);
    if (withdrawn) pe_links_withdraw_job(east(&row), job + 1);
    if (bits & 16) pe_reset(east(&row), MTIA_SRAM_BASE);
    else end(east(&row));
    if (!withdrawn) {
      start(east(&row), job + 1);
      for (uint32_t i = 0; i < sent; i++) receives(&row, (int32_t)job + 1);
      end(east(&row));
    }
    if (bits & 32) pe_reset(west(&row), MTIA_SRAM_BASE);
    else end(west(&row));
  }
  row_destroy(&row);
}

/* ---- What is found when the command runs ---- */

/* A command that waits for its block is refused when the block is there: its hart learns of it at its next command. */
static void receive_is_refused(struct row *row, uint64_t type, uint64_t rows, uint64_t columns, uint32_t field) {
  struct fixture *const f = row->members[1];
  const uint64_t rs1 = FIELD(MTIA_REDUCE_RECEIVE_LINK, LINK) | FIELD(MTIA_REDUCE_RECEIVE_TYPE, type);
  const uint64_t rs2 = FIELD(MTIA_REDUCE_RECEIVE_ROWS, rows) | FIELD(MTIA_REDUCE_RECEIVE_COLUMNS, columns);
  const union accumulator before = f->pe->accumulators[0];
  enum hart_custom outcome = issue(f, 1, MTIA_COMMAND_REDUCE_RECEIVE, rs1, rs2);
  if (outcome == HART_CUSTOM_DONE) {
    CHECK(pe_links_admit(f->pe));
    outcome = issue(f, 1, MTIA_COMMAND_FENCE, 0, 0);
  }
  CHECK(was_illegal(f, outcome, MTIA_COMMAND_REDUCE_RECEIVE, field));
  CHECK(memcmp(&f->pe->accumulators[0], &before, sizeof before) == 0);
}

static void a_block_of_another_type_or_shape_stays_where_it_is(void) {
  struct row row;
  row_create(&row);
  start(west(&row), 1);
  start(east(&row), 1);
  send(&row, 0, 11);
  struct accumulator_state *const state = &east(&row)->accumulator_states[0];
  receive_is_refused(&row, MTIA_TYPE_FP32, 1, 1, MTIA_REDUCE_RECEIVE_TYPE_FIELD);
  receive_is_refused(&row, MTIA_TYPE_INT32, 2, 1, MTIA_REDUCE_RECEIVE_ROWS_FIELD);
  receive_is_refused(&row, MTIA_TYPE_INT32, 1, 2, MTIA_REDUCE_RECEIVE_COLUMNS_FIELD);
  state->content = CONTENT_FP32;
  receive_is_refused(&row, MTIA_TYPE_INT32, 1, 1, MTIA_REDUCE_RECEIVE_TYPE_FIELD);
  ask(&row, 0);
  CHECK_EQUAL(received(&row, 0), 11);
  row_destroy(&row);
}

static void sums_of_another_type_are_not_sent(void) {
  struct row row;
  row_create(&row);
  start(west(&row), 1);
  start(east(&row), 1);
  for (uint32_t type = MTIA_TYPE_FP32; type <= MTIA_TYPE_INT32; type++) {
    west(&row)->accumulator_states[0].content = type == MTIA_TYPE_FP32 ? CONTENT_INT32 : CONTENT_FP32;
    const uint64_t rs1 = FIELD(MTIA_REDUCE_SEND_LINK, LINK) | FIELD(MTIA_REDUCE_SEND_TYPE, type);
    const enum hart_custom outcome = issue(row.members[0], 0, MTIA_COMMAND_REDUCE_SEND, rs1, SHAPE);
    CHECK(was_illegal(row.members[0], outcome, MTIA_COMMAND_REDUCE_SEND, MTIA_REDUCE_SEND_TYPE_FIELD));
  }
  CHECK_EQUAL(row.wakes[1], 0);
  receives_nothing(&row);
  row_destroy(&row);
}

static void an_atomic_operation_at_a_pe_that_has_ended_is_refused(void) {
  static const uint32_t codes[] = {MTIA_COMMAND_ATOMIC_ADD, MTIA_COMMAND_ATOMIC_WAIT};
  for (uint32_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
    struct row row;
    row_create(&row);
    start(west(&row), 1);
    start(east(&row), 1);
    const uint64_t at_east = FIELD(MTIA_ATOMIC_ADD_COLUMN, 1) | FIELD(MTIA_ATOMIC_ADD_FLAG, 1);
    CHECK_EQUAL(issue(row.members[0], 0, codes[i], at_east, 1), HART_CUSTOM_STALL);
    end(east(&row));
    struct pe *const pes[MEMBERS] = {west(&row), east(&row)};
    CHECK_EQUAL(pe_links_admit_first(pes, 1), 1);
    const enum hart_custom outcome = issue(row.members[0], 0, codes[i], at_east, 1);
    CHECK(was_illegal(row.members[0], outcome, codes[i], MTIA_ATOMIC_ADD_ROW_FIELD));
    CHECK_EQUAL(east(&row)->cp.semaphores[0], 0);
    row_destroy(&row);
  }
}

void test_links(void) {
  RUN(a_block_of_another_type_or_shape_stays_where_it_is);
  RUN(sums_of_another_type_are_not_sent);
  RUN(an_atomic_operation_at_a_pe_that_has_ended_is_refused);
  RUN(blocks_come_in_order_and_the_third_waits_for_a_credit);
  RUN(blocks_wait_for_the_job_that_they_are_for);
  RUN(a_reset_keeps_the_blocks_of_the_next_job);
  RUN(credits_belong_to_their_job);
  RUN(what_comes_too_late_is_dropped);
  RUN(what_came_for_a_withdrawn_job_is_dropped);
  RUN(any_interleaving_keeps_jobs_apart);
}
