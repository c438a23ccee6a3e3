/* The fabric interface: DMA between circular buffers and the memory outside the PE. */
#include <string.h>
#include "pe_internal.h"

/* Bytes that the network carries at a time. Assumed, after the 32-byte alignment of v1. */
#define NETWORK_GRANULE 32

/* Where command->sticky has what is no part of the shape. */
#define STICKY_MULTICAST 3
#define STICKY_INDEX_ROWS 3
#define STICKY_HINT 5
#define STICKY_INDEXED_HINT 4
#define HINT_DEAD 1u

/* The list of indices of a gather. */
struct indices {
  struct block block;
  uint64_t bytes; /* of one */
};

static uint64_t index_at(const struct indices *indices, uint64_t row) {
  const uint8_t *const at = block_row(&indices->block, row);
  int32_t narrow;
  int64_t wide;
  if (indices->bytes == 4) return memcpy(&narrow, at, sizeof narrow), (uint64_t)(int64_t)narrow;
  return memcpy(&wide, at, sizeof wide), (uint64_t)wide;
}

struct dma {
  const struct indices *indices; /* NULL: row r is row r */
  uint64_t address, rows, row_bytes, global_stride, local_stride;
  uint64_t moved;   /* by which the pointer moves */
  uint64_t members; /* PEs that read the same together */
  uint32_t cb;
  enum buffer_side side;
  enum memory_right right;
  bool dead; /* nobody will want what is read again */
};

/* Bits of a group: as many as the row or the column of the job has PEs. */
static uint64_t members_of(uint64_t group) { return (uint64_t)__builtin_popcountll(group >> 8 & 0xff); }

static struct dma dma_of(const struct command *command) {
  const bool out = command->code == MTIA_COMMAND_DMA_OUT, one = command->code == MTIA_COMMAND_DMA_IN;
  struct dma dma = {.address = command->field[MTIA_DMA_IN_ADDRESS_FIELD],
                    .rows = command->sticky[0] & 0xffff,
                    .row_bytes = command->sticky[0] >> 16 & 0xffffffffu,
                    .global_stride = command->sticky[1],
                    .local_stride = command->sticky[2],
                    .members = one && command->sticky[STICKY_MULTICAST] != 0 ? members_of(command->sticky[STICKY_MULTICAST]) : 1,
                    .cb = (uint32_t)command->field[MTIA_DMA_IN_CB_FIELD],
                    .side = out ? SIDE_DATA : SIDE_SPACE,
                    .right = out ? MEMORY_WRITE : MEMORY_READ,
                    .dead = !out && (command->sticky[one ? STICKY_HINT : STICKY_INDEXED_HINT] & HINT_DEAD) != 0};
  if (command->field[MTIA_DMA_IN_KEEP_FIELD] == 0)
    dma.moved = block_extent(command->field[MTIA_DMA_IN_OFFSET_FIELD], dma.rows + 1, 0, dma.local_stride);
  return dma;
}

/* A group lies inside of one row or column of the job's rectangle, and this PE is in it. */
static bool group_is_legal(const struct pe *pe, uint64_t group) {
  const uint64_t axis = group & 0xff, members = group >> 8;
  const uint64_t column = pe->index % PE_COLUMNS - pe->rectangle.column, row = pe->index / PE_COLUMNS - pe->rectangle.row;
  if (group == MTIA_MULTICAST_NONE) return true;
  if (axis != MTIA_MULTICAST_ROW && axis != MTIA_MULTICAST_COLUMN) return false;
  const uint64_t length = axis == MTIA_MULTICAST_ROW ? pe->rectangle.columns : pe->rectangle.rows;
  const uint64_t place = axis == MTIA_MULTICAST_ROW ? column : row;
  return length <= PE_COLUMNS && place < length && members >> length == 0 && (members >> place & 1) != 0;
}

static bool shape_is_legal(struct command *command, const struct dma *dma) {
  return (dma->rows != 0 && dma->row_bytes != 0) || command_illegal_sticky(command, 0);
}

static bool prepare(struct pe *pe, struct command *command, const struct dma *dma) {
  if (!shape_is_legal(command, dma)) return false;
  if ((dma->local_stride & 3) != 0) return command_illegal_sticky(command, 2);
  if (dma->moved > pe->cp.buffers[dma->cb].bytes) return command_illegal(command, MTIA_DMA_IN_OFFSET_FIELD);
  if (!command_needs_block(pe, command, dma->cb, dma->side, MTIA_DMA_IN_OFFSET_FIELD, dma->rows, dma->row_bytes,
                           dma->local_stride))
    return false;
  if (command->needs[0].bytes < dma->moved) command->needs[0].bytes = (uint32_t)dma->moved;
  return true;
}

bool dma_prepare(struct pe *pe, struct command *command) {
  const struct dma dma = dma_of(command);
  if (command->code == MTIA_COMMAND_DMA_IN && !group_is_legal(pe, command->sticky[STICKY_MULTICAST]))
    return command_illegal_sticky(command, STICKY_MULTICAST);
  return prepare(pe, command, &dma);
}

/* Everything from the first to the last byte, if it is one range that the context may touch; gaps may belong to others. */
static uint8_t *whole_range(const struct pe *pe, const struct dma *dma) {
  uint64_t bytes;
  if (__builtin_mul_overflow(dma->rows - 1, dma->global_stride, &bytes)) return NULL;
  if (__builtin_add_overflow(bytes, dma->row_bytes, &bytes)) return NULL;
  return memory_at(pe->environment.memory, pe->context, dma->address, bytes, dma->right);
}

static uint8_t *one_row(const struct pe *pe, const struct dma *dma, uint64_t row) {
  return memory_at(pe->environment.memory, pe->context, dma->address + row * dma->global_stride, dma->row_bytes, dma->right);
}

static bool every_row_is_allowed(const struct pe *pe, const struct dma *dma, struct command *command) {
  for (uint64_t row = 0; row < dma->rows; row++) {
    if (one_row(pe, dma, row) != NULL) continue;
    command->fault =
        (struct command_fault){MTIA_EXCEPTION_COMMAND_BUS_FAULT, dma->address + row * dma->global_stride};
    return false;
  }
  return true;
}

/* No row holds a word that LPDDR has lost; rows that are written whole are good again. */
static bool every_row_is_sound(const struct pe *pe, const struct dma *dma, struct command *command) {
  uint64_t bad;
  for (uint64_t row = 0; row < dma->rows; row++) {
    if (memory_is_sound(pe->environment.memory, dma->address + row * dma->global_stride, dma->row_bytes, dma->right, &bad))
      continue;
    command->fault = (struct command_fault){MTIA_EXCEPTION_HARDWARE_ERROR, bad};
    return false;
  }
  return true;
}

static void copy_row(const struct dma *dma, uint8_t *outside, uint8_t *inside, uint64_t bytes) {
  if (dma->right == MEMORY_READ)
    memcpy(inside, outside, bytes);
  else
    memcpy(outside, inside, bytes);
}

static void copy(const struct pe *pe, const struct dma *dma, const struct block *block, uint8_t *whole) {
  if (whole != NULL && block->contiguous && dma->global_stride == dma->row_bytes && dma->local_stride == dma->row_bytes) {
    copy_row(dma, whole, block_row(block, 0), dma->rows * dma->row_bytes);
    return;
  }
  for (uint64_t row = 0; row < dma->rows; row++) {
    uint8_t *const outside = whole != NULL ? whole + row * dma->global_stride : one_row(pe, dma, row);
    if (outside != NULL) copy_row(dma, outside, block_row(block, row), dma->row_bytes);
  }
}

uint64_t memory_latency(const struct pe *pe, uint64_t address) {
  return memory_kind_of(pe->environment.memory, address) == MEMORY_SRAM ? pe->time.sram_latency : pe->time.lpddr_latency;
}

/* Bytes that a DMA takes of each memory, and when the last of those that were prefetched are there. */
struct traffic { uint64_t sram, lpddr_read, lpddr_written, ready; };

static struct cache_outcome look_up(struct pe *pe, const struct dma *dma) {
  struct cache_outcome outcome = {0};
  struct cache_access access = {.address = dma->address,
                                .bytes = dma->row_bytes,
                                .members = (uint32_t)dma->members,
                                .write = dma->right == MEMORY_WRITE,
                                .dead = dma->dead};
  if (dma->indices == NULL && dma->global_stride == dma->row_bytes) {
    access.bytes = dma->rows * dma->row_bytes;
    sram_cache_access(&pe->cache, &access, &outcome);
    return outcome;
  }
  for (uint64_t row = 0; row < dma->rows; row++) {
    access.address = dma->address + (dma->indices != NULL ? index_at(dma->indices, row) : row) * dma->global_stride;
    sram_cache_access(&pe->cache, &access, &outcome);
  }
  return outcome;
}

/* `bytes` is what the network carries; a group's memory delivers once what all of its members take. */
static struct traffic traffic_of(struct pe *pe, const struct dma *dma, uint64_t bytes) {
  const bool in = dma->right == MEMORY_READ;
  const uint64_t delivered = divide_up(bytes, dma->members);
  if (memory_kind_of(pe->environment.memory, dma->address) == MEMORY_SRAM) return (struct traffic){.sram = delivered};
  if (pe->cache.set_count == 0)
    return in ? (struct traffic){.lpddr_read = delivered} : (struct traffic){.lpddr_written = delivered};
  const struct cache_outcome outcome = look_up(pe, dma);
  pe->counters.cache_hit_bytes += outcome.hit;
  pe->counters.cache_missed_bytes += outcome.missed;
  pe->counters.cache_written_back_bytes += outcome.written_back;
  return (struct traffic){.sram = divide_up(outcome.hit, dma->members),
                          .lpddr_read = divide_up(outcome.missed, dma->members),
                          .lpddr_written = outcome.written_back,
                          .ready = outcome.ready};
}

static void count_traffic(struct pe_counters *counters, const struct traffic *traffic, bool in) {
  *(in ? &counters->sram_read_bytes : &counters->sram_written_bytes) += traffic->sram;
  counters->lpddr_read_bytes += traffic->lpddr_read;
  counters->lpddr_written_bytes += traffic->lpddr_written;
}

/* Get and put have a channel each; SRAM and LPDDR serve both. */
static void take_time(struct pe *pe, const struct dma *dma, struct command *command) {
  const bool in = dma->right == MEMORY_READ;
  const uint64_t bytes = dma->rows * divide_up(dma->row_bytes, NETWORK_GRANULE) * NETWORK_GRANULE;
  const struct traffic traffic = traffic_of(pe, dma, bytes);
  const uint64_t lpddr = traffic.lpddr_read + traffic.lpddr_written;
  const uint64_t channel_busy = later(cycles_of(bytes, pe->time.noc), cycles_of(bytes, pe->time.local_memory));
  /* Requests are made one after another, beside the data of those before. */
  const uint64_t request = time_line_take(pe, LINE_FI_REQUEST, command_operands_time(pe, command), pe->time.dma_request);
  const uint64_t start = time_line_take(pe, in ? LINE_FI_GET : LINE_FI_PUT, request, channel_busy);
  uint64_t end = later(start + channel_busy, traffic.ready);
  if (traffic.sram != 0) {
    const uint64_t busy = cycles_of(traffic.sram, pe->time.sram);
    end = later(end, time_line_take(pe, LINE_SRAM, start, busy) + busy);
  }
  if (lpddr != 0) {
    const uint64_t busy = cycles_of(lpddr, pe->time.lpddr);
    end = later(end, time_line_take(pe, LINE_LPDDR, start, busy) + busy);
  }
  command_finish(pe, command, start, end, end + (lpddr != 0 ? pe->time.lpddr_latency : pe->time.sram_latency));
  count_traffic(&pe->counters, &traffic, in);
  pe->counters.multicast_saved_bytes += bytes - divide_up(bytes, dma->members);
}

static void move_pointer(struct pe *pe, const struct dma *dma) {
  struct circular_buffer *const cb = &pe->cp.buffers[dma->cb];
  if (dma->moved != 0 && dma->side == SIDE_SPACE) circular_buffer_produce(cb, (uint32_t)dma->moved, cb->write_done);
  if (dma->moved != 0 && dma->side == SIDE_DATA) circular_buffer_consume(cb, (uint32_t)dma->moved, cb->read_done);
}

bool dma_execute(struct pe *pe, struct command *command) {
  const struct dma dma = dma_of(command);
  struct block block;
  if (!command_place_block(pe, command, &block, dma.cb, dma.side, MTIA_DMA_IN_OFFSET_FIELD, dma.rows, dma.row_bytes,
                           dma.local_stride))
    return false;
  uint8_t *const whole = whole_range(pe, &dma);
  if (whole == NULL && !every_row_is_allowed(pe, &dma, command)) return false;
  if (memory_has_errors(pe->environment.memory) && !every_row_is_sound(pe, &dma, command)) return false;
  copy(pe, &dma, &block, whole);
  take_time(pe, &dma, command);
  pe->counters.dma_bytes += dma.rows * dma.row_bytes;
  move_pointer(pe, &dma);
  return true;
}

/* ---- Indexed ---- */

static uint64_t index_bytes(const struct command *command) {
  return command->field[MTIA_DMA_IN_INDEXED_INDEX_TYPE_FIELD] != 0 ? 8 : 4;
}

bool dma_indexed_prepare(struct pe *pe, struct command *command) {
  const struct dma dma = dma_of(command);
  const uint64_t table_rows = command->sticky[STICKY_INDEX_ROWS], bytes = index_bytes(command);
  uint64_t extent = block_extent(0, table_rows, dma.row_bytes, dma.global_stride);
  if (table_rows >> 63 != 0 || __builtin_add_overflow(extent, dma.address, &extent))
    return command_illegal_sticky(command, STICKY_INDEX_ROWS);
  return prepare(pe, command, &dma) &&
         command_needs_block(pe, command, (uint32_t)command->field[MTIA_DMA_IN_INDEXED_CB_INDEX_FIELD], SIDE_DATA,
                             MTIA_DMA_IN_INDEXED_INDEX_OFFSET_FIELD, dma.rows, bytes, bytes);
}

static const uint8_t *indexed_row(const struct pe *pe, const struct dma *dma, uint64_t index) {
  return memory_at(pe->environment.memory, pe->context, dma->address + index * dma->global_stride, dma->row_bytes, MEMORY_READ);
}

static bool every_index_is_allowed(const struct pe *pe, const struct dma *dma, const struct indices *indices,
                                   struct command *command) {
  for (uint64_t row = 0; row < dma->rows; row++) {
    const uint64_t index = index_at(indices, row);
    if (index >= command->sticky[STICKY_INDEX_ROWS]) {
      command->fault = (struct command_fault){MTIA_EXCEPTION_COMMAND_INDEX_FAULT, index};
      return false;
    }
    const uint64_t address = dma->address + index * dma->global_stride;
    uint64_t bad;
    if (indexed_row(pe, dma, index) == NULL)
      command->fault = (struct command_fault){MTIA_EXCEPTION_COMMAND_BUS_FAULT, address};
    else if (!memory_is_sound(pe->environment.memory, address, dma->row_bytes, MEMORY_READ, &bad))
      command->fault = (struct command_fault){MTIA_EXCEPTION_HARDWARE_ERROR, bad};
    else
      continue;
    return false;
  }
  return true;
}

bool dma_indexed_execute(struct pe *pe, struct command *command) {
  struct dma dma = dma_of(command);
  struct indices indices = {.bytes = index_bytes(command)};
  struct block block;
  if (!command_place_block(pe, command, &block, dma.cb, dma.side, MTIA_DMA_IN_OFFSET_FIELD, dma.rows, dma.row_bytes,
                           dma.local_stride) ||
      !command_place_block(pe, command, &indices.block, (uint32_t)command->field[MTIA_DMA_IN_INDEXED_CB_INDEX_FIELD],
                           SIDE_DATA, MTIA_DMA_IN_INDEXED_INDEX_OFFSET_FIELD, dma.rows, indices.bytes, indices.bytes) ||
      !every_index_is_allowed(pe, &dma, &indices, command))
    return false;
  for (uint64_t row = 0; row < dma.rows; row++) {
    /* A list that lies in another buffer's memory may have changed under the rows that came before. */
    const uint8_t *const from = indexed_row(pe, &dma, index_at(&indices, row));
    if (from != NULL) memcpy(block_row(&block, row), from, dma.row_bytes);
  }
  dma.indices = &indices;
  take_time(pe, &dma, command);
  pe->counters.dma_bytes += dma.rows * dma.row_bytes;
  move_pointer(pe, &dma);
  return true;
}

/* ---- Prefetch ---- */

static struct dma prefetch_of(const struct command *command) {
  return (struct dma){.address = command->field[MTIA_DMA_PREFETCH_ADDRESS_FIELD],
                      .rows = command->sticky[0] & 0xffff,
                      .row_bytes = command->sticky[0] >> 16 & 0xffffffffu,
                      .global_stride = command->sticky[1],
                      .members = 1,
                      .right = MEMORY_READ};
}

bool dma_prefetch_prepare(struct pe *pe, struct command *command) {
  const struct dma dma = prefetch_of(command);
  return (void)pe, shape_is_legal(command, &dma);
}

/* Takes the memory from the issue on, and no channel: the data end in SRAM. */
static void prefetch(struct pe *pe, const struct dma *dma, const struct command *command) {
  const struct cache_outcome outcome = look_up(pe, dma);
  const uint64_t busy = cycles_of(outcome.missed + outcome.written_back, pe->time.lpddr);
  const uint64_t ready = time_line_take(pe, LINE_LPDDR, command->issue, busy) + busy + pe->time.lpddr_latency;
  pe->counters.cache_missed_bytes += outcome.missed;
  pe->counters.cache_written_back_bytes += outcome.written_back;
  pe->counters.lpddr_read_bytes += outcome.missed;
  pe->counters.lpddr_written_bytes += outcome.written_back;
  if (outcome.missed == 0) return;
  for (uint64_t row = 0; row < dma->rows; row++)
    sram_cache_arrive(&pe->cache, dma->address + row * dma->global_stride, dma->row_bytes, ready);
}

bool dma_prefetch_execute(struct pe *pe, struct command *command) {
  const struct dma dma = prefetch_of(command);
  if (whole_range(pe, &dma) == NULL && !every_row_is_allowed(pe, &dma, command)) return false;
  const bool lpddr = memory_kind_of(pe->environment.memory, dma.address) == MEMORY_LPDDR;
  if (lpddr && pe->cache.set_count != 0) prefetch(pe, &dma, command);
  command_finish(pe, command, command->issue, command->issue, command->issue);
  return true;
}
