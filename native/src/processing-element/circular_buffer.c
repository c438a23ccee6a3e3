#include "circular_buffer.h"

void circular_buffer_init(struct circular_buffer *cb, uint32_t base, uint32_t bytes) {
  cb->base = base;
  cb->bytes = bytes;
  cb->read_at = cb->write_at = 0;
  cb->read_total = cb->write_total = 0;
  cb->read_done = cb->write_done = 0;
  cb->reads.moves = cb->writes.moves = 0;
}

/* Times never fall: a pointer that moved again has moved before, whatever the units' own clocks say. */
static void remember(struct pointer_history *history, uint64_t total, uint64_t time) {
  if (history->moves != 0) {
    const uint64_t last = (history->moves - 1) % POINTER_MOVES;
    if (history->time[last] >= time) {
      history->total[last] = total;
      return;
    }
  }
  history->total[history->moves % POINTER_MOVES] = total;
  history->time[history->moves % POINTER_MOVES] = time;
  history->moves++;
}

static uint32_t advance(uint32_t at, uint32_t bytes, uint32_t size) {
  const uint64_t next = (uint64_t)at + bytes;
  return (uint32_t)(next >= size ? next - size : next);
}

void circular_buffer_produce(struct circular_buffer *cb, uint32_t bytes, uint64_t time) {
  cb->write_at = advance(cb->write_at, bytes, cb->bytes);
  cb->write_total += bytes;
  remember(&cb->writes, cb->write_total, time);
}

void circular_buffer_consume(struct circular_buffer *cb, uint32_t bytes, uint64_t time) {
  cb->read_at = advance(cb->read_at, bytes, cb->bytes);
  cb->read_total += bytes;
  remember(&cb->reads, cb->read_total, time);
}

/* Time of the first move that reached total. */
static uint64_t time_of(const struct pointer_history *history, uint64_t total) {
  uint64_t high = history->moves;
  if (high == 0) return 0;
  uint64_t low = high > POINTER_MOVES ? high - POINTER_MOVES : 0;
  high--;
  while (low < high) {
    const uint64_t middle = (low + high) / 2;
    if (history->total[middle % POINTER_MOVES] >= total)
      high = middle;
    else
      low = middle + 1;
  }
  return history->time[low % POINTER_MOVES];
}

uint64_t circular_buffer_ready_time(const struct circular_buffer *cb, enum buffer_side side, uint64_t bytes) {
  if (bytes == 0) return 0;
  if (side == SIDE_DATA) return time_of(&cb->writes, cb->read_total + bytes);
  const uint64_t end = cb->write_total + bytes;
  return end <= cb->bytes ? 0 : time_of(&cb->reads, end - cb->bytes);
}

uint64_t block_extent(uint64_t offset, uint64_t rows, uint64_t row_bytes, uint64_t stride) {
  uint64_t extent, start;
  if (rows == 0) return offset;
  if (__builtin_mul_overflow(rows - 1, stride, &start)) return UINT64_MAX;
  if (__builtin_add_overflow(start, row_bytes, &extent)) return UINT64_MAX;
  if (__builtin_add_overflow(extent, offset, &extent)) return UINT64_MAX;
  return extent;
}

/* Of the rows that start before the end of the buffer, the last one reaches furthest. The block is not contiguous. */
static bool row_straddles(const struct block *block, uint64_t rows, uint64_t row_bytes) {
  if (block->stride == 0) return true;
  const uint64_t to_end = block->bytes - block->at;
  const uint64_t before_end = (to_end - 1) / block->stride;
  const uint64_t row = before_end < rows ? before_end : rows - 1;
  return row * block->stride + row_bytes > to_end;
}

bool block_place(struct block *block, const struct circular_buffer *cb, uint8_t *local_memory, enum buffer_side side,
                 uint64_t offset, uint64_t rows, uint64_t row_bytes, uint64_t stride) {
  const uint64_t pointer = side == SIDE_DATA ? cb->read_at : cb->write_at;
  uint64_t at = pointer + offset;
  if (at >= cb->bytes) at -= cb->bytes;
  *block = (struct block){.buffer = local_memory + cb->base, .bytes = cb->bytes, .at = at, .stride = stride};
  block->contiguous = at + (rows - 1) * stride + row_bytes <= cb->bytes;
  return block->contiguous || !row_straddles(block, rows, row_bytes);
}
