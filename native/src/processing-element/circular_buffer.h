/*
 * A circular buffer of the command processor: a FIFO of bytes in local memory, and when (device cycles) each byte of it
 * became readable or writable. The functions move pointers; who may move them when is the command processor's business.
 */
#ifndef MTIA_CIRCULAR_BUFFER_H
#define MTIA_CIRCULAR_BUFFER_H
#include <stdbool.h>
#include <stdint.h>

/* Pointer moves whose times are remembered. Older moves count as happening with the oldest one known: late, never early. */
#define POINTER_MOVES 64

/* When a pointer had passed how many bytes since CB_INIT; both only grow. */
struct pointer_history {
  uint64_t total[POINTER_MOVES];
  uint64_t time[POINTER_MOVES];
  uint64_t moves; /* ever made; move i is at i % POINTER_MOVES */
};

struct circular_buffer {
  uint32_t base, bytes;
  uint32_t read_at, write_at; /* offsets in the buffer */
  uint64_t read_total, write_total;
  /* When the last command so far will have finished to read, and to write, inside the buffer. */
  uint64_t read_done, write_done;
  struct pointer_history reads, writes;
};

enum buffer_side { SIDE_DATA, SIDE_SPACE };

/* Rows of bytes at read pointer (SIDE_DATA) or write pointer (SIDE_SPACE) + offset. */
struct block {
  uint8_t *buffer; /* first byte of the circular buffer in host memory */
  uint64_t bytes;  /* of the circular buffer */
  uint64_t at, stride;
  bool contiguous; /* no row lies beyond the end of the buffer */
};

void circular_buffer_init(struct circular_buffer *cb, uint32_t base, uint32_t bytes);

static inline uint64_t circular_buffer_data(const struct circular_buffer *cb) { return cb->write_total - cb->read_total; }
static inline uint64_t circular_buffer_space(const struct circular_buffer *cb) {
  return cb->bytes - circular_buffer_data(cb);
}
static inline uint64_t circular_buffer_available(const struct circular_buffer *cb, enum buffer_side side) {
  return side == SIDE_DATA ? circular_buffer_data(cb) : circular_buffer_space(cb);
}

/* Produces (or consumes) bytes at a time; at most what there is of space (or data). */
void circular_buffer_produce(struct circular_buffer *cb, uint32_t bytes, uint64_t time);
void circular_buffer_consume(struct circular_buffer *cb, uint32_t bytes, uint64_t time);

/* When `bytes` from the read pointer on had been written, or from the write pointer on had become free. */
uint64_t circular_buffer_ready_time(const struct circular_buffer *cb, enum buffer_side side, uint64_t bytes);

/* Bytes from the pointer to the end of the last row: what has to be there. Saturates instead of wrapping around. */
uint64_t block_extent(uint64_t offset, uint64_t rows, uint64_t row_bytes, uint64_t stride);

/* Finds the block, which fits the buffer. False where a row straddles the end of the buffer. */
bool block_place(struct block *block, const struct circular_buffer *cb, uint8_t *local_memory, enum buffer_side side,
                 uint64_t offset, uint64_t rows, uint64_t row_bytes, uint64_t stride);

static inline uint8_t *block_row(const struct block *block, uint64_t row) {
  const uint64_t at = block->at + row * block->stride;
  return block->buffer + (block->contiguous || at < block->bytes ? at : at - block->bytes);
}

#endif
