/*
 * What a kernel of a processing element is written with: the unit commands as functions, the registers of the PE, its
 * place in the job. Everything is `static inline`; nothing here has state.
 *
 * A kernel is one file that defines
 *
 *     uint32_t kernel_main(const struct mtia_job_descriptor *job, uint32_t hart);
 *
 * Both harts of every PE of the job's rectangle call it; it returns MTIA_RESULT_OK or another MTIA_RESULT_*. The first
 * hart that returns an error ends the job with it; a reset then frees the others from whatever they wait for.
 * By custom hart 0 moves data (DMA_IN, addresses) and hart 1 computes; a hart that waits for a circular buffer or a
 * semaphore is stopped by the chip, so nobody spins. Semaphores 0..13 belong to the kernel, and so does local memory
 * from MTIA_RESERVED_LOCAL_MONITOR_BYTES on. The stack has 4 KiB. The end of the job clears buffers and semaphores.
 *
 * Build: -march=rv64imafdc_zicsr_zifencei -mabi=lp64d -mcmodel=medany -ffreestanding -nostdlib -O2, linked with the entry
 * symbol kernel_main and text and rodata in one segment aligned to 64 bytes. There is no .data and no .bss, and no
 * stored address, so the image runs wherever it is loaded; the two pragmas below keep the compiler from inventing any.
 */
#ifndef MTIA_KERNEL_H
#define MTIA_KERNEL_H
#include <stdbool.h>
#include <stdint.h>
#include "generated/mtia_hw.h"

/*
 * A jump table would be a table of absolute addresses; a recognised loop would become a call of memcpy, which is not here.
 * Local memory is read as whatever a unit or the host has put there.
 */
#pragma GCC optimize("no-jump-tables", "no-tree-loop-distribute-patterns", "no-strict-aliasing")

/* How PE_INDEX is made of row and column. */
#define PE_GRID_COLUMNS 8u

/* First bytes of the kernel's local memory: what hart 0 tells hart 1. Circular buffers start behind it. */
#define KERNEL_SHARED_OFFSET ((uint64_t)MTIA_RESERVED_LOCAL_MONITOR_BYTES)
#define KERNEL_SHARED_BYTES 256ull
#define KERNEL_BUFFERS_OFFSET (KERNEL_SHARED_OFFSET + KERNEL_SHARED_BYTES)

/* What hart 0 works out for both harts: a structure at the start of the kernel's local memory, complete at buffers_ready. */
#define KERNEL_SHARED(structure) ((structure *)local_pointer(KERNEL_SHARED_OFFSET))

/*
 * ---- Plain arithmetic ----
 * 64 bits here and in the commands: a 32-bit variable costs two instructions of extension whenever it becomes part of one.
 */

static inline uint64_t minimum(uint64_t a, uint64_t b) { return a < b ? a : b; }
static inline uint64_t maximum(uint64_t a, uint64_t b) { return a > b ? a : b; }
static inline uint64_t divide_up(uint64_t value, uint64_t by) { return (value + by - 1) / by; }
/* unit is a power of two. */
static inline uint64_t round_up(uint64_t value, uint64_t unit) { return (value + unit - 1) & ~(unit - 1); }
static inline uint64_t type_bytes(uint64_t type) {
  return type == MTIA_TYPE_INT8 ? 1 : type == MTIA_TYPE_FP16 || type == MTIA_TYPE_BF16 ? 2 : 4;
}
static inline bool is_half_type(uint64_t type) { return type == MTIA_TYPE_FP16 || type == MTIA_TYPE_BF16; }
static inline bool is_float_type(uint64_t type) { return is_half_type(type) || type == MTIA_TYPE_FP32; }

/* ---- The job and the PE ---- */

/* Declares NAME as the arguments of the job: the words of the descriptor, seen as a structure. */
#define KERNEL_ARGUMENTS(structure, name, job) \
  const struct structure *const name = (const struct structure *)(const void *)(job)->arguments

static inline uint64_t pe_register(uint64_t offset) {
  return *(const volatile uint32_t *)(uintptr_t)(MTIA_PE_REGISTERS_BASE + offset);
}
static inline uint64_t pe_generation(void) { return pe_register(MTIA_PE_GENERATION); }
static inline uint64_t pe_local_bytes(void) { return pe_register(MTIA_PE_LOCAL_BYTES); }
/* MTIA v1 wants every DMA address on a 32-byte boundary; from 2i on any address will do (I25 section 3.3). */
static inline bool dma_address_fits(uint64_t generation, uint64_t address_bits) {
  return generation >= 2 || (address_bits & 31) == 0;
}
static inline uint64_t se_rows_limit(uint64_t generation) { return generation >= 2 ? 128 : 32; }
static inline uint64_t mml_blocks_limit(uint64_t generation) { return generation >= 2 ? 64 : 1; }

/* Place of this PE in the rectangle of the job. */
struct pe_place {
  uint64_t row, column; /* from the corner of the rectangle */
  uint64_t index;       /* row * columns + column */
  uint64_t count;       /* PEs of the rectangle */
};

/* False where this PE lies outside the rectangle: the job was dispatched wrongly. */
static inline bool find_place(const struct mtia_job_descriptor *job, struct pe_place *place) {
  const uint64_t pe = pe_register(MTIA_PE_PE_INDEX);
  place->row = pe / PE_GRID_COLUMNS - job->row;
  place->column = pe % PE_GRID_COLUMNS - job->column;
  place->index = place->row * job->columns + place->column;
  place->count = (uint64_t)job->rows * job->columns;
  return place->row < job->rows && place->column < job->columns;
}
/* Of work items 0..items-1 dealt in turn to dealt_to players: how many player number `player` gets. */
static inline uint64_t dealt_items(uint64_t items, uint64_t player, uint64_t dealt_to) {
  return player < items ? (items - player - 1) / dealt_to + 1 : 0;
}

/* A place in local memory as a pointer. Accepts offsets and the addresses that CB_WAIT_* return. */
static inline void *local_pointer(uint64_t offset) {
  return (void *)(uintptr_t)(MTIA_PE_LOCAL_BASE + (offset & (MTIA_PE_LOCAL_SIZE - 1)));
}
/* Writes zeros to bytes [from, to) of each of rows, stride apart; offset and stride are multiples of 8, from is rounded down. */
static inline void local_zero(uint64_t offset, uint64_t rows, uint64_t stride, uint64_t from, uint64_t to) {
  uint8_t *row = local_pointer(offset);
  for (; rows != 0; rows--, row += stride)
    for (uint8_t *at = row + (from & ~7ull); at < row + to; at += 8) *(volatile uint64_t *)(void *)at = 0;
}

/* ---- Instructions. "memory": a command reads and writes local memory behind the compiler's back. ---- */

#define MTIA_FIELD(field, value) ((uint64_t)(value) << field##_LOW)

#define MTIA_LAUNCH(command, first, second)                                                         \
  __asm__ volatile(".insn r %0, 0, %1, x0, %2, %3" ::"i"(MTIA_OPCODE_LAUNCH), "i"(command),         \
                   "r"((uint64_t)(first)), "r"((uint64_t)(second))                                  \
                   : "memory")

#define MTIA_LAUNCH_RESULT(command, first, second)                                                  \
  __extension__({                                                                                   \
    uint64_t launch_result_;                                                                        \
    __asm__ volatile(".insn r %1, 0, %2, %0, %3, %4"                                                \
                     : "=r"(launch_result_)                                                         \
                     : "i"(MTIA_OPCODE_LAUNCH), "i"(command), "r"((uint64_t)(first)), "r"((uint64_t)(second)) \
                     : "memory");                                                                   \
    launch_result_;                                                                                 \
  })

#define MTIA_SET_COMMAND_REGISTER(number, value) \
  __asm__ volatile(".insn i %0, 0, x0, %1, %2" ::"i"(MTIA_OPCODE_COMMAND_REGISTER), "r"((uint64_t)(value)), "i"(number))

/* ---- Command processor ---- */

static inline void cb_init(uint64_t cb, uint64_t base, uint64_t bytes) {
  MTIA_LAUNCH(MTIA_COMMAND_CB_INIT, MTIA_FIELD(MTIA_CB_INIT_CB, cb) | MTIA_FIELD(MTIA_CB_INIT_BASE, base),
              MTIA_FIELD(MTIA_CB_INIT_BYTES, bytes));
}
static inline void cb_push(uint64_t cb, uint64_t bytes) { MTIA_LAUNCH(MTIA_COMMAND_CB_PUSH, cb, bytes); }
static inline void cb_pop(uint64_t cb, uint64_t bytes) { MTIA_LAUNCH(MTIA_COMMAND_CB_POP, cb, bytes); }
/* Waits until bytes can be read; where they are. */
static inline const void *cb_wait_data(uint64_t cb, uint64_t bytes) {
  return local_pointer(MTIA_LAUNCH_RESULT(MTIA_COMMAND_CB_WAIT_DATA, cb, bytes));
}
/* Waits until bytes can be written; where to. */
static inline void *cb_wait_space(uint64_t cb, uint64_t bytes) {
  return local_pointer(MTIA_LAUNCH_RESULT(MTIA_COMMAND_CB_WAIT_SPACE, cb, bytes));
}
/* Waits until every earlier command of this hart is done. */
static inline void fence(void) { MTIA_LAUNCH(MTIA_COMMAND_FENCE, 0, 0); }
static inline void semaphore_post(uint64_t semaphore, uint64_t value) {
  MTIA_LAUNCH(MTIA_COMMAND_SEMAPHORE_POST, semaphore, value);
}
static inline void semaphore_wait(uint64_t semaphore, uint64_t value) {
  MTIA_LAUNCH(MTIA_COMMAND_SEMAPHORE_WAIT, semaphore, value);
}

/* Hart 0 has planned and initialised the buffers; hart 1 may use both. The one synchronisation that a kernel needs (I23 section 4). */
#define BUFFERS_READY_SEMAPHORE 0u
static inline void buffers_ready(uint64_t hart) {
  if (hart == 0)
    semaphore_post(BUFFERS_READY_SEMAPHORE, 1);
  else
    semaphore_wait(BUFFERS_READY_SEMAPHORE, 1);
}
/* Places a buffer at end, its size rounded up to 32; returns the new end of the memory used. */
static inline uint64_t place_buffer(uint64_t cb, uint64_t end, uint64_t bytes) {
  bytes = round_up(bytes, 32);
  cb_init(cb, end, bytes);
  return end + bytes;
}

/*
 * ---- Between PEs ----
 * Operations on semaphores 0..13 of any PE of the job, by its place in the rectangle. A PE whose part of the job has ended has
 * no semaphores any more: end with a barrier where others may still use them.
 */
struct remote_semaphore {
  uint64_t semaphore, column, row;
};
static inline uint64_t atomic_operand(struct remote_semaphore at, uint64_t flag) {
  return MTIA_FIELD(MTIA_ATOMIC_ADD_SEMAPHORE, at.semaphore) | MTIA_FIELD(MTIA_ATOMIC_ADD_FLAG, flag) |
         MTIA_FIELD(MTIA_ATOMIC_ADD_COLUMN, at.column) | MTIA_FIELD(MTIA_ATOMIC_ADD_ROW, at.row);
}
/* semaphore_post and semaphore_wait of another PE. */
static inline void remote_semaphore_post(struct remote_semaphore at, uint64_t value) {
  MTIA_LAUNCH(MTIA_COMMAND_ATOMIC_ADD, atomic_operand(at, 0), value);
}
static inline void remote_semaphore_wait(struct remote_semaphore at, uint64_t value) {
  MTIA_LAUNCH_RESULT(MTIA_COMMAND_ATOMIC_WAIT, atomic_operand(at, 1), value);
}
/* Adds; the value before. */
static inline uint64_t atomic_fetch_add(struct remote_semaphore at, uint64_t value) {
  return MTIA_LAUNCH_RESULT(MTIA_COMMAND_ATOMIC_ADD, atomic_operand(at, 1), value);
}
/* Waits until the semaphore is at least value; what it is. */
static inline uint64_t atomic_wait(struct remote_semaphore at, uint64_t value) {
  return MTIA_LAUNCH_RESULT(MTIA_COMMAND_ATOMIC_WAIT, atomic_operand(at, 0), value);
}
/* A ticket lock: this semaphore counts the tickets, the next one says who is served. Both start at zero. */
static inline void lock_acquire(struct remote_semaphore lock) {
  const uint64_t ticket = atomic_fetch_add(lock, 1);
  lock.semaphore++;
  atomic_wait(lock, ticket);
}
/* What this hart's commands have written is there for the next holder. */
static inline void lock_release(struct remote_semaphore lock) {
  fence();
  lock.semaphore++;
  remote_semaphore_post(lock, 1);
}
/* One hart of every PE of the scope, MTIA_BARRIER_*, meets here, with its commands done. */
static inline void barrier(uint64_t scope) {
  fence();
  MTIA_LAUNCH(MTIA_COMMAND_BARRIER, scope, 0);
}

/* ---- Fabric interface ---- */

/* Shape of the DMAs that follow: rows of row_bytes. */
static inline void dma_shape(uint64_t rows, uint64_t row_bytes) {
  MTIA_SET_COMMAND_REGISTER(MTIA_COMMAND_REGISTER_DMA_SHAPE, (uint64_t)row_bytes << 16 | rows);
}
/* Bytes from row to row in device memory and in the circular buffer. */
static inline void dma_strides(uint64_t global_stride, uint64_t local_stride) {
  MTIA_SET_COMMAND_REGISTER(MTIA_COMMAND_REGISTER_DMA_GLOBAL_STRIDE, global_stride);
  MTIA_SET_COMMAND_REGISTER(MTIA_COMMAND_REGISTER_DMA_LOCAL_STRIDE, local_stride);
}
/* Gets rows from device memory into the buffer and produces rows * local stride bytes. */
static inline void dma_in(uint64_t address, uint64_t cb) {
  MTIA_LAUNCH(MTIA_COMMAND_DMA_IN, address, MTIA_FIELD(MTIA_DMA_IN_CB, cb));
}
/* Gets rows to write pointer + offset; cb_push makes them readable. */
static inline void dma_in_keep(uint64_t address, uint64_t cb, uint64_t offset) {
  MTIA_LAUNCH(MTIA_COMMAND_DMA_IN, address,
              MTIA_FIELD(MTIA_DMA_IN_CB, cb) | MTIA_FIELD(MTIA_DMA_IN_KEEP, 1) | MTIA_FIELD(MTIA_DMA_IN_OFFSET, offset));
}
/* Puts rows from the buffer into device memory and consumes rows * local stride bytes. */
static inline void dma_out(uint64_t address, uint64_t cb) {
  MTIA_LAUNCH(MTIA_COMMAND_DMA_OUT, address, MTIA_FIELD(MTIA_DMA_OUT_CB, cb));
}
/* Puts rows from read pointer + offset; cb_pop frees them. */
static inline void dma_out_keep(uint64_t address, uint64_t cb, uint64_t offset) {
  MTIA_LAUNCH(MTIA_COMMAND_DMA_OUT, address,
              MTIA_FIELD(MTIA_DMA_OUT_CB, cb) | MTIA_FIELD(MTIA_DMA_OUT_KEEP, 1) | MTIA_FIELD(MTIA_DMA_OUT_OFFSET, offset));
}
/*
 * The dma_in of this hart that follow are those of a group: PEs of one row (column) of the job's rectangle, bit per place along it,
 * this PE among them. Each member issues the same command; the memory is read once for all (I23 section 3). Nobody waits for anybody.
 */
static inline void dma_multicast(uint64_t axis, uint64_t members) {
  MTIA_SET_COMMAND_REGISTER(MTIA_COMMAND_REGISTER_DMA_MULTICAST, axis | members << 8);
}
static inline void dma_multicast_row(const struct mtia_job_descriptor *job) {
  dma_multicast(MTIA_MULTICAST_ROW, ((uint64_t)1 << job->columns) - 1);
}
static inline void dma_multicast_column(const struct mtia_job_descriptor *job) {
  dma_multicast(MTIA_MULTICAST_COLUMN, ((uint64_t)1 << job->rows) - 1);
}
static inline void dma_multicast_off(void) { dma_multicast(MTIA_MULTICAST_NONE, 0); }
/* From 2i on: has dma_in_indexed, dma_prefetch. */
static inline bool dma_has_index(uint64_t generation) { return generation >= 2; }
/* Rows of the table for the dma_in_indexed that follow; dma_strides gives its stride, dma_shape the number of indices. */
static inline void dma_index_rows(uint64_t rows) {
  MTIA_SET_COMMAND_REGISTER(MTIA_COMMAND_REGISTER_DMA_INDEX_ROWS, rows);
}
/* Gets the rows whose INT32 (wide: INT64) indices lie at read pointer + index_offset of cb_index, and produces them. */
static inline void dma_in_indexed(uint64_t table, uint64_t cb, uint64_t cb_index, uint64_t index_offset, bool wide) {
  MTIA_LAUNCH(MTIA_COMMAND_DMA_IN_INDEXED, table,
              MTIA_FIELD(MTIA_DMA_IN_INDEXED_CB, cb) | MTIA_FIELD(MTIA_DMA_IN_INDEXED_CB_INDEX, cb_index) |
                  MTIA_FIELD(MTIA_DMA_IN_INDEXED_INDEX_OFFSET, index_offset) |
                  MTIA_FIELD(MTIA_DMA_IN_INDEXED_INDEX_TYPE, wide));
}
/* The same to write pointer + offset; cb_push makes the rows readable. */
static inline void dma_in_indexed_keep(uint64_t table, uint64_t cb, uint64_t offset, uint64_t cb_index, uint64_t index_offset,
                                       bool wide) {
  MTIA_LAUNCH(MTIA_COMMAND_DMA_IN_INDEXED, table,
              MTIA_FIELD(MTIA_DMA_IN_INDEXED_CB, cb) | MTIA_FIELD(MTIA_DMA_IN_INDEXED_KEEP, 1) |
                  MTIA_FIELD(MTIA_DMA_IN_INDEXED_OFFSET, offset) | MTIA_FIELD(MTIA_DMA_IN_INDEXED_CB_INDEX, cb_index) |
                  MTIA_FIELD(MTIA_DMA_IN_INDEXED_INDEX_OFFSET, index_offset) |
                  MTIA_FIELD(MTIA_DMA_IN_INDEXED_INDEX_TYPE, wide));
}
/* The gets that follow are the last use of what they read: the cache drops it and writes nothing of it back. */
static inline void dma_last_use(bool last) { MTIA_SET_COMMAND_REGISTER(MTIA_COMMAND_REGISTER_DMA_CACHE_HINT, last); }
/* Rows (dma_shape, global stride of dma_strides) on their way from LPDDR into the SRAM cache; a dma_in reads them later. */
static inline void dma_prefetch(uint64_t address) { MTIA_LAUNCH(MTIA_COMMAND_DMA_PREFETCH, address, 0); }
/*
 * The same for buffers that are divided into slots: a short block (bytes < slot) takes a whole slot as well, so that every
 * block starts at a slot and none wraps around the end of the buffer.
 */
static inline void dma_in_slot(uint64_t address, uint64_t cb, uint64_t bytes, uint64_t slot) {
  if (bytes == slot) {
    dma_in(address, cb);
  } else {
    dma_in_keep(address, cb, 0);
    cb_push(cb, slot);
  }
}
static inline void dma_out_slot(uint64_t address, uint64_t cb, uint64_t bytes, uint64_t slot) {
  if (bytes == slot) {
    dma_out(address, cb);
  } else {
    dma_out_keep(address, cb, 0);
    cb_pop(cb, slot);
  }
}

#include "mtia_kernel_units.h"

#endif
