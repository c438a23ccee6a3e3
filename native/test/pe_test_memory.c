/* What a PE asks of the memories outside it: multicast groups, gathers, prefetches, and the time that they take. */
#include "pe_test.h"

#define DMA(cb, keep, offset) FIELD(MTIA_DMA_IN_CB, cb) | FIELD(MTIA_DMA_IN_KEEP, keep) | FIELD(MTIA_DMA_IN_OFFSET, offset)
#define GATHER(cb, cb_index, index_offset, wide)                                                                  \
  FIELD(MTIA_DMA_IN_INDEXED_CB, cb) | FIELD(MTIA_DMA_IN_INDEXED_CB_INDEX, cb_index) |                             \
      FIELD(MTIA_DMA_IN_INDEXED_INDEX_OFFSET, index_offset) | FIELD(MTIA_DMA_IN_INDEXED_INDEX_TYPE, wide)
#define ROW_BYTES 48u
#define TABLE_ROWS 100u
#define SRAM_LATENCY_CYCLES 150
#define LPDDR_LATENCY_CYCLES 239 /* and 66 ns at 1.35 GHz */
#define STRIDE 51u /* 2i takes any address */

static void shape(struct fixture *f, uint32_t rows, uint32_t bytes, uint64_t global, uint64_t local_stride) {
  set_register(f, 0, MTIA_COMMAND_REGISTER_DMA_SHAPE, (uint64_t)bytes << 16 | rows);
  set_register(f, 0, MTIA_COMMAND_REGISTER_DMA_GLOBAL_STRIDE, global);
  set_register(f, 0, MTIA_COMMAND_REGISTER_DMA_LOCAL_STRIDE, local_stride);
}

/* PE 5 is the second of four columns and the first of two rows of the job. */
static struct fixture *in_a_job(uint32_t generation) {
  struct fixture *const f = fixture_create(generation, 0);
  const struct mtia_job_descriptor job = {.context = 1, .column = 4, .columns = 4, .rows = 2};
  pe_start_job(f->pe, &job, ++f->jobs);
  for (uint32_t i = 0; i < FAKE_BYTES; i++) f->memory->lpddr[i] = (uint8_t)(i * 7 + (i >> 8));
  return f;
}

static uint64_t group(uint64_t axis, uint64_t members) { return axis | members << 8; }

static uint64_t fence_time(struct fixture *f) {
  CHECK(issue(f, 0, MTIA_COMMAND_FENCE, 0, 0) == HART_CUSTOM_DONE);
  return pe_hart(f->pe, 0)->cycles;
}

/* Cycles of a read of 32 KiB out of LPDDR by a group. */
static uint64_t read_as(uint64_t multicast, uint64_t *saved) {
  struct fixture *const f = in_a_job(2);
  cb_init(f, 0, 65536, 32768);
  shape(f, 8, 4096, 8192, 4096);
  set_register(f, 0, MTIA_COMMAND_REGISTER_DMA_MULTICAST, multicast);
  const uint64_t start = pe_hart(f->pe, 0)->cycles;
  CHECK(issue(f, 0, MTIA_COMMAND_DMA_IN, MTIA_LPDDR_BASE, DMA(0, 0, 0)) == HART_CUSTOM_DONE);
  const uint64_t cycles = fence_time(f) - start;
  for (uint32_t row = 0; row < 8; row++)
    CHECK(memcmp(local(f, 65536 + row * 4096), f->memory->lpddr + row * 8192, 4096) == 0);
  struct pe_counters counters;
  pe_read_counters(f->pe, &counters);
  *saved = counters.multicast_saved_bytes;
  fixture_destroy(f);
  return cycles;
}

static void a_group_reads_the_same_bytes_in_less_memory_time(void) {
  uint64_t saved;
  const uint64_t alone = read_as(0, &saved);
  CHECK_EQUAL(saved, 0);
  const uint64_t pair = read_as(group(MTIA_MULTICAST_COLUMN, 3), &saved);
  CHECK_EQUAL(saved, 16384);
  const uint64_t row = read_as(group(MTIA_MULTICAST_ROW, 15), &saved);
  CHECK_EQUAL(saved, 24576);
  CHECK(pair < alone && row < pair);
  /* What a pair takes of the memory is half, and the latency stays, and two cycles of issue. */
  const uint64_t whole = alone - LPDDR_LATENCY_CYCLES - 2, half = pair - LPDDR_LATENCY_CYCLES - 2;
  CHECK(half * 2 >= whole - 2 && half * 2 <= whole + 2);
}

static void a_group_lies_in_the_rectangle_and_has_this_pe_in_it(void) {
  static const uint64_t legal[] = {1 | 2 << 8, 1 | 15 << 8, 1 | 10 << 8, 2 | 1 << 8, 2 | 3 << 8};
  static const uint64_t bad[] = {1, 2, 3 | 2 << 8, 3 | 1 << 8, 1 | 1 << 8, 1 | 16 << 8, 1 | 18 << 8, 2 | 2 << 8, 2 | 5 << 8, 2 << 8,
                                 1 | 2 << 8 | 1ull << 40};
  struct fixture *const f = in_a_job(2);
  cb_init(f, 0, 65536, 4096);
  shape(f, 1, 32, 32, 32);
  for (uint32_t i = 0; i < sizeof legal / sizeof legal[0]; i++) {
    set_register(f, 0, MTIA_COMMAND_REGISTER_DMA_MULTICAST, legal[i]);
    CHECK(issue(f, 0, MTIA_COMMAND_DMA_IN, MTIA_LPDDR_BASE, DMA(0, 0, 0)) == HART_CUSTOM_DONE);
  }
  for (uint32_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    set_register(f, 0, MTIA_COMMAND_REGISTER_DMA_MULTICAST, bad[i]);
    const enum hart_custom outcome = issue(f, 0, MTIA_COMMAND_DMA_IN, MTIA_LPDDR_BASE, DMA(0, 0, 0));
    CHECK(was_illegal(f, outcome, MTIA_COMMAND_DMA_IN, FIELD_OF_REGISTER(MTIA_COMMAND_REGISTER_DMA_MULTICAST)));
  }
  /* A put has no group; the next job finds none. */
  CHECK(issue(f, 0, MTIA_COMMAND_DMA_OUT, MTIA_LPDDR_BASE, DMA(0, 0, 0)) == HART_CUSTOM_DONE);
  pe_reset(f->pe, MTIA_SRAM_BASE);
  CHECK_EQUAL(f->pe->cp.registers[0][MTIA_COMMAND_REGISTER_DMA_MULTICAST], 0);
  fixture_destroy(f);
}

/* A stride that goes backwards: the second row begins before the first one, in memory of another context. */
static void a_row_before_the_first_one_is_checked_too(void) {
  static const uint32_t codes[] = {MTIA_COMMAND_DMA_IN, MTIA_COMMAND_DMA_OUT};
  struct fixture *const f = in_a_job(2);
  cb_init(f, 0, 65536, 4096);
  cb_push(f, 0, 2048);
  f->pe->context = 2;
  shape(f, 2, 64, -(uint64_t)32, 64);
  for (uint32_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
    CHECK(issue(f, 0, codes[i], MTIA_LPDDR_BASE + FAKE_HALF, DMA(0, 1, 0)) == HART_CUSTOM_TRAP);
    CHECK(f->cause == MTIA_EXCEPTION_COMMAND_BUS_FAULT && f->result == MTIA_LPDDR_BASE + FAKE_HALF - 32);
    CHECK(issue(f, 0, codes[i], MTIA_LPDDR_BASE + FAKE_HALF + 32, DMA(0, 1, 0)) == HART_CUSTOM_DONE);
  }
  fixture_destroy(f);
}

/* A member reads for itself: what it may not, or what is lost, is its own fault, and nothing is spared or moved. */
static void a_member_that_faults_moves_nothing(void) {
  struct fixture *const f = in_a_job(2);
  struct pe_counters counters;
  cb_init(f, 0, 65536, 4096);
  shape(f, 4, 64, FAKE_HALF / 2, 64);
  set_register(f, 0, MTIA_COMMAND_REGISTER_DMA_MULTICAST, group(MTIA_MULTICAST_ROW, 15));
  CHECK(issue(f, 0, MTIA_COMMAND_DMA_IN, MTIA_LPDDR_BASE, DMA(0, 0, 0)) == HART_CUSTOM_TRAP); /* two rows are of context 2 */
  CHECK(f->cause == MTIA_EXCEPTION_COMMAND_BUS_FAULT && f->result == MTIA_LPDDR_BASE + FAKE_HALF);
  f->memory->lost = MTIA_LPDDR_BASE + 8;
  shape(f, 4, 64, 64, 64);
  CHECK(issue(f, 0, MTIA_COMMAND_DMA_IN, MTIA_LPDDR_BASE, DMA(0, 0, 0)) == HART_CUSTOM_TRAP);
  CHECK_EQUAL(f->cause, MTIA_EXCEPTION_HARDWARE_ERROR);
  pe_read_counters(f->pe, &counters);
  CHECK(counters.multicast_saved_bytes == 0 && counters.lpddr_read_bytes == 0 && counters.busy_cycles[MTIA_UNIT_FI] == 0);
  CHECK_EQUAL(circular_buffer_data(&f->pe->cp.buffers[0]), 0);
  f->memory->lost = 0;
  CHECK(issue(f, 0, MTIA_COMMAND_DMA_IN, MTIA_LPDDR_BASE, DMA(0, 0, 0)) == HART_CUSTOM_DONE);
  pe_read_counters(f->pe, &counters);
  CHECK_EQUAL(counters.multicast_saved_bytes, 4 * 64 * 3 / 4);
  fixture_destroy(f);
}

static struct fixture *with_table(uint64_t index_rows) {
  struct fixture *const f = in_a_job(2);
  cb_init(f, 0, 65536, 4096);
  cb_init(f, 1, 73728, 1024);
  shape(f, 6, ROW_BYTES, STRIDE, 64);
  set_register(f, 0, MTIA_COMMAND_REGISTER_DMA_INDEX_ROWS, index_rows);
  return f;
}

static void give_indices(struct fixture *f, const int64_t *indices, uint32_t count, bool wide) {
  for (uint32_t i = 0; i < count; i++) {
    const int32_t narrow = (int32_t)indices[i];
    if (wide) memcpy(local(f, 73728 + 16 + i * 8), &indices[i], 8);
    else memcpy(local(f, 73728 + 16 + i * 4), &narrow, 4);
  }
  cb_push(f, 1, 512);
}

static void a_gather_is_that_many_plain_reads(void) {
  static const int64_t indices[] = {3, 99, 0, 3, 41, 7};
  for (uint32_t wide = 0; wide < 2; wide++) {
    struct fixture *const f = with_table(TABLE_ROWS);
    give_indices(f, indices, 6, wide != 0);
    CHECK(issue(f, 0, MTIA_COMMAND_DMA_IN_INDEXED, MTIA_LPDDR_BASE + 5, GATHER(0, 1, 16, wide)) == HART_CUSTOM_DONE);
    CHECK_EQUAL(circular_buffer_data(&f->pe->cp.buffers[0]), 6 * 64);
    CHECK_EQUAL(circular_buffer_data(&f->pe->cp.buffers[1]), 512);
    CHECK_EQUAL(f->pe->counters.dma_bytes, 6 * ROW_BYTES);
    cb_init(f, 2, 81920, 4096);
    shape(f, 1, ROW_BYTES, 0, 64);
    for (uint32_t i = 0; i < 6; i++) {
      const uint64_t address = MTIA_LPDDR_BASE + 5 + (uint64_t)indices[i] * STRIDE;
      CHECK(issue(f, 0, MTIA_COMMAND_DMA_IN, address, DMA(2, 0, 0)) == HART_CUSTOM_DONE);
      CHECK(memcmp(local(f, 81920 + i * 64), local(f, 65536 + i * 64), ROW_BYTES) == 0);
    }
    fixture_destroy(f);
  }
}

static void a_gather_waits_for_its_indices(void) {
  static const int64_t indices[] = {1, 2, 3, 4, 5, 6};
  struct fixture *const f = with_table(TABLE_ROWS);
  CHECK(issue(f, 0, MTIA_COMMAND_DMA_IN_INDEXED, MTIA_LPDDR_BASE, GATHER(0, 1, 16, 0)) == HART_CUSTOM_DONE);
  CHECK_EQUAL(f->pe->cp.pending[0].count, 1);
  for (uint32_t i = 0; i < 6; i++) {
    const int32_t index = (int32_t)indices[i];
    memcpy(local(f, 73728 + 16 + i * 4), &index, 4);
  }
  CHECK(issue(f, 1, MTIA_COMMAND_CB_PUSH, 1, 512) == HART_CUSTOM_DONE);
  CHECK_EQUAL(f->pe->cp.pending[0].count, 0);
  CHECK(memcmp(local(f, 65536 + 5 * 64), f->memory->lpddr + 6 * STRIDE, ROW_BYTES) == 0);
  fixture_destroy(f);
}

static void an_index_outside_faults_before_anything_moves(void) {
  static const int64_t indices[][6] = {{1, 2, 3, 4, 5, 100}, {1, 2, -1, 4, 5, 6}, {1ll << 40, 2, 3, 4, 5, 6}};
  static const uint64_t named[] = {100, (uint64_t)-1, 1ull << 40};
  for (uint32_t i = 0; i < 3; i++) {
    struct fixture *const f = with_table(TABLE_ROWS);
    give_indices(f, indices[i], 6, true);
    CHECK(issue(f, 0, MTIA_COMMAND_DMA_IN_INDEXED, MTIA_LPDDR_BASE, GATHER(0, 1, 16, 1)) == HART_CUSTOM_TRAP);
    CHECK_EQUAL(f->cause, MTIA_EXCEPTION_COMMAND_INDEX_FAULT);
    CHECK_EQUAL(f->result, named[i]);
    CHECK_EQUAL(circular_buffer_data(&f->pe->cp.buffers[0]), 0);
    CHECK_EQUAL(*local(f, 65536), 0);
    fixture_destroy(f);
  }
  /* Inside of the table, outside of what the context owns. */
  static const int64_t foreign[6] = {0, FAKE_HALF / STRIDE + 1};
  struct fixture *const f = with_table(FAKE_BYTES / STRIDE);
  give_indices(f, foreign, 6, false);
  CHECK(issue(f, 0, MTIA_COMMAND_DMA_IN_INDEXED, MTIA_LPDDR_BASE, GATHER(0, 1, 16, 0)) == HART_CUSTOM_TRAP);
  CHECK_EQUAL(f->cause, MTIA_EXCEPTION_COMMAND_BUS_FAULT);
  CHECK_EQUAL(f->result, MTIA_LPDDR_BASE + (uint64_t)foreign[1] * STRIDE);
  CHECK_EQUAL(*local(f, 65536), 0);
  fixture_destroy(f);
}

static void a_table_that_wraps_around_the_address_space_is_illegal(void) {
  struct fixture *const f = with_table(UINT64_MAX / STRIDE);
  const enum hart_custom outcome = issue(f, 0, MTIA_COMMAND_DMA_IN_INDEXED, MTIA_LPDDR_BASE, GATHER(0, 1, 16, 0));
  CHECK(was_illegal(f, outcome, MTIA_COMMAND_DMA_IN_INDEXED, FIELD_OF_REGISTER(MTIA_COMMAND_REGISTER_DMA_INDEX_ROWS)));
  fixture_destroy(f);
}

static void v1_gathers_and_prefetches_nothing(void) {
  struct fixture *const f = in_a_job(1);
  cb_init(f, 0, 65536, 4096);
  cb_init(f, 1, 73728, 1024);
  cb_push(f, 1, 512);
  shape(f, 6, 32, 32, 32);
  set_register(f, 0, MTIA_COMMAND_REGISTER_DMA_INDEX_ROWS, 4);
  enum hart_custom outcome = issue(f, 0, MTIA_COMMAND_DMA_IN_INDEXED, MTIA_LPDDR_BASE, GATHER(0, 1, 0, 0));
  CHECK(was_illegal(f, outcome, MTIA_COMMAND_DMA_IN_INDEXED, FIELD_OF_COMMAND));
  outcome = issue(f, 0, MTIA_COMMAND_DMA_PREFETCH, MTIA_LPDDR_BASE, 0);
  CHECK(was_illegal(f, outcome, MTIA_COMMAND_DMA_PREFETCH, FIELD_OF_COMMAND));
  fixture_destroy(f);
}

/* A word that LPDDR has lost stops every kind of read before anything moves. */
static void a_lost_word_is_a_hardware_error(void) {
  static const int64_t indices[6] = {1, 2, 3, 4, 5, 7};
  struct fixture *const f = with_table(TABLE_ROWS);
  give_indices(f, indices, 6, false);
  f->memory->lost = MTIA_LPDDR_BASE + 7 * STRIDE + 20;
  CHECK(issue(f, 0, MTIA_COMMAND_DMA_IN_INDEXED, MTIA_LPDDR_BASE, GATHER(0, 1, 16, 0)) == HART_CUSTOM_TRAP);
  CHECK_EQUAL(f->cause, MTIA_EXCEPTION_HARDWARE_ERROR);
  CHECK_EQUAL(f->result, f->memory->lost);
  shape(f, 8, ROW_BYTES, STRIDE, 64);
  CHECK(issue(f, 0, MTIA_COMMAND_DMA_IN, MTIA_LPDDR_BASE, DMA(0, 0, 0)) == HART_CUSTOM_TRAP);
  CHECK_EQUAL(f->cause, MTIA_EXCEPTION_HARDWARE_ERROR);
  CHECK_EQUAL(*local(f, 65536), 0);
  /* Between the rows of another block. */
  CHECK(issue(f, 0, MTIA_COMMAND_DMA_IN, MTIA_LPDDR_BASE + 28, DMA(0, 0, 0)) == HART_CUSTOM_TRAP);
  shape(f, 8, 16, STRIDE, 64);
  CHECK(issue(f, 0, MTIA_COMMAND_DMA_IN, MTIA_LPDDR_BASE, DMA(0, 0, 0)) == HART_CUSTOM_DONE);
  struct hart *const hart = pe_hart(f->pe, 0);
  uint64_t value;
  CHECK(hart->environment->read(hart->environment->context, hart, f->memory->lost & ~7ull, 8, &value) ==
        HART_ACCESS_HARDWARE_ERROR);
  uint8_t *memory;
  CHECK(hart->environment->atomic(hart->environment->context, hart, f->memory->lost & ~7ull, 8, false, &memory) ==
        HART_ACCESS_HARDWARE_ERROR);
  CHECK(hart->environment->atomic(hart->environment->context, hart, f->memory->lost & ~7ull, 8, true, &memory) ==
        HART_ACCESS_HARDWARE_ERROR);
  CHECK(hart->environment->atomic(hart->environment->context, hart, 0, 8, true, &memory) == HART_ACCESS_FAULT);
  fixture_destroy(f);
}

static void counters_tell_the_memories_apart(void) {
  struct fixture *const f = in_a_job(2);
  cb_init(f, 0, 65536, 4096);
  shape(f, 2, 40, 64, 64); /* 40 bytes travel as 64 */
  issue(f, 0, MTIA_COMMAND_DMA_IN, MTIA_LPDDR_BASE, DMA(0, 0, 0));
  issue(f, 0, MTIA_COMMAND_DMA_IN, MTIA_SRAM_BASE, DMA(0, 0, 0));
  issue(f, 0, MTIA_COMMAND_DMA_OUT, MTIA_LPDDR_BASE, DMA(0, 0, 0));
  shape(f, 1, 40, 64, 64);
  issue(f, 0, MTIA_COMMAND_DMA_OUT, MTIA_SRAM_BASE, DMA(0, 0, 0));
  struct pe_counters counters;
  pe_read_counters(f->pe, &counters);
  CHECK_EQUAL(counters.lpddr_read_bytes, 128);
  CHECK_EQUAL(counters.sram_read_bytes, 128);
  CHECK_EQUAL(counters.lpddr_written_bytes, 128);
  CHECK_EQUAL(counters.sram_written_bytes, 64);
  fixture_destroy(f);
}

/* ---- The SRAM cache ---- */

#define CACHE_SETUP (MTIA_MEMORY_ECC | 1u)

static struct fixture *with_cache(uint32_t columns, uint32_t rows) {
  struct fixture *const f = in_a_job(2);
  const struct mtia_job_descriptor job = {.context = 1, .column = 4, .columns = (uint8_t)columns, .rows = (uint8_t)rows};
  f->memory->setup = CACHE_SETUP;
  pe_start_job(f->pe, &job, ++f->jobs);
  cb_init(f, 0, 65536, 131072);
  return f;
}

/* Cycles of one read of rows of 2048 bytes. */
static uint64_t read_rows(struct fixture *f, uint64_t address, uint32_t rows) {
  shape(f, rows, 2048, 2048, 2048);
  const uint64_t start = pe_hart(f->pe, 0)->cycles;
  CHECK(issue(f, 0, MTIA_COMMAND_DMA_IN, address, DMA(0, 1, 0)) == HART_CUSTOM_DONE);
  return fence_time(f) - start;
}

static void a_hit_is_faster_than_a_miss(void) {
  struct fixture *const f = with_cache(4, 2);
  const uint64_t miss = read_rows(f, MTIA_LPDDR_BASE, 16);
  CHECK_EQUAL(f->pe->counters.cache_missed_bytes, 32768);
  const uint64_t hit = read_rows(f, MTIA_LPDDR_BASE, 16);
  CHECK_EQUAL(f->pe->counters.cache_hit_bytes, 32768);
  CHECK_EQUAL(f->pe->counters.cache_missed_bytes, 32768);
  const uint64_t sram = read_rows(f, MTIA_SRAM_BASE, 16);
  CHECK(hit < miss);
  CHECK_EQUAL(hit, sram);
  CHECK_EQUAL(f->pe->counters.lpddr_read_bytes, 32768);
  /* The next job of this PE finds nothing. */
  const struct mtia_job_descriptor job = {.context = 1, .column = 4, .columns = 4, .rows = 2};
  pe_start_job(f->pe, &job, ++f->jobs);
  CHECK_EQUAL(read_rows(f, MTIA_LPDDR_BASE, 16), miss);
  fixture_destroy(f);
}

static void a_prefetch_turns_a_miss_into_a_hit(void) {
  struct fixture *const f = with_cache(4, 2);
  const uint64_t miss = read_rows(f, MTIA_LPDDR_BASE, 16);
  shape(f, 16, 2048, 2048, 2048);
  const uint64_t before = pe_hart(f->pe, 0)->cycles;
  CHECK(issue(f, 0, MTIA_COMMAND_DMA_PREFETCH, MTIA_LPDDR_BASE + 65536, 0) == HART_CUSTOM_DONE);
  CHECK_EQUAL(fence_time(f), before + 2); /* nobody waits for it */
  const uint64_t early = read_rows(f, MTIA_LPDDR_BASE + 65536, 16);
  CHECK(early + 4 > miss && early < miss + SRAM_LATENCY_CYCLES + 4); /* too late to help: it waits for what is on its way */
  CHECK(issue(f, 0, MTIA_COMMAND_DMA_PREFETCH, MTIA_LPDDR_BASE + 131072, 0) == HART_CUSTOM_DONE);
  pe_hart(f->pe, 0)->cycles += 4000;
  CHECK_EQUAL(read_rows(f, MTIA_LPDDR_BASE + 131072, 16), read_rows(f, MTIA_SRAM_BASE, 16));
  fixture_destroy(f);
}

static void a_prefetch_of_what_the_context_may_not_read_is_refused(void) {
  struct fixture *const f = with_cache(4, 2);
  shape(f, 2, 2048, FAKE_HALF - 2048, 2048);
  CHECK(issue(f, 0, MTIA_COMMAND_DMA_PREFETCH, MTIA_LPDDR_BASE + 4096, 0) == HART_CUSTOM_TRAP);
  CHECK_EQUAL(f->cause, MTIA_EXCEPTION_COMMAND_BUS_FAULT);
  CHECK_EQUAL(f->result, MTIA_LPDDR_BASE + FAKE_HALF + 2048);
  CHECK_EQUAL(f->pe->counters.cache_missed_bytes, 0);
  fixture_destroy(f);
}

/* The share of one of 4 x 2 PEs is 4 MiB; of 8 x 8 it is 512 KiB: 256 lines in 16 sets. */
static void a_share_that_is_too_small_forgets_the_oldest(void) {
  struct fixture *const f = with_cache(8, 8);
  for (uint32_t round = 0; round < 2; round++)
    for (uint32_t line = 0; line < 256; line += 32) read_rows(f, MTIA_LPDDR_BASE + line * 2048, 32);
  const uint64_t missed = f->pe->counters.cache_missed_bytes;
  CHECK(missed > 256 * 2048 && missed < 2 * 256 * 2048); /* a hash fills sets unevenly */
  fixture_destroy(f);
}

static void a_group_shares_what_it_reads(void) {
  for (uint32_t grouped = 0; grouped < 2; grouped++) {
    struct fixture *const f = with_cache(8, 8);
    set_register(f, 0, MTIA_COMMAND_REGISTER_DMA_MULTICAST, grouped != 0 ? group(MTIA_MULTICAST_COLUMN, 255) : 0);
    for (uint32_t round = 0; round < 2; round++)
      for (uint32_t line = 0; line < 256; line += 32) read_rows(f, MTIA_LPDDR_BASE + line * 2048, 32);
    /* Eight shares hold all of it, one does not. */
    CHECK((f->pe->counters.cache_missed_bytes == 256 * 2048) == (grouped != 0));
    fixture_destroy(f);
  }
}

static void dirty_data_are_written_back_unless_dead(void) {
  for (uint32_t dead = 0; dead < 2; dead++) {
    struct fixture *const f = with_cache(4, 2);
    cb_push(f, 0, 4096);
    shape(f, 2, 2048, 2048, 2048);
    CHECK(issue(f, 0, MTIA_COMMAND_DMA_OUT, MTIA_LPDDR_BASE, DMA(0, 1, 0)) == HART_CUSTOM_DONE);
    CHECK_EQUAL(f->pe->counters.lpddr_written_bytes, 0);
    set_register(f, 0, MTIA_COMMAND_REGISTER_DMA_CACHE_HINT, dead);
    CHECK(issue(f, 0, MTIA_COMMAND_DMA_IN, MTIA_LPDDR_BASE, DMA(0, 1, 0)) == HART_CUSTOM_DONE);
    CHECK_EQUAL(f->pe->counters.cache_hit_bytes, 8192);
    const struct mtia_job_descriptor job = {.context = 1, .column = 4, .columns = 4, .rows = 2};
    pe_start_job(f->pe, &job, ++f->jobs);
    CHECK_EQUAL(f->pe->counters.cache_written_back_bytes, dead != 0 ? 0 : 4096);
    fixture_destroy(f);
  }
}

void test_cache(void) {
  RUN(a_hit_is_faster_than_a_miss);
  RUN(a_prefetch_turns_a_miss_into_a_hit);
  RUN(a_prefetch_of_what_the_context_may_not_read_is_refused);
  RUN(a_share_that_is_too_small_forgets_the_oldest);
  RUN(a_group_shares_what_it_reads);
  RUN(dirty_data_are_written_back_unless_dead);
  RUN(a_lost_word_is_a_hardware_error);
  RUN(counters_tell_the_memories_apart);
}

void test_memory(void) {
  RUN(a_group_reads_the_same_bytes_in_less_memory_time);
  RUN(a_group_lies_in_the_rectangle_and_has_this_pe_in_it);
  RUN(a_row_before_the_first_one_is_checked_too);
  RUN(a_member_that_faults_moves_nothing);
  RUN(a_gather_is_that_many_plain_reads);
  RUN(a_gather_waits_for_its_indices);
  RUN(an_index_outside_faults_before_anything_moves);
  RUN(a_table_that_wraps_around_the_address_space_is_illegal);
  RUN(v1_gathers_and_prefetches_nothing);
}
