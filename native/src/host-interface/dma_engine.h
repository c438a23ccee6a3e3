/*
 * The DMA engine: copies between host, SRAM and LPDDR, on a thread of its own so that no copy holds up the control core; short
 * ones on the control core's thread, while that has nothing else to do.
 */
#ifndef MTIA_DMA_ENGINE_H
#define MTIA_DMA_ENGINE_H
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "event_count.h"
#include "generated/mtia_hw.h"
#include "gzip_decompressor.h"

struct chip;

struct dma_channel {
  /* Registers, of the control thread. */
  uint64_t source, destination, bytes, destination_bytes;
  uint32_t context;
  bool attended; /* of the control thread: it copies this one while it is idle */
  /* The transfer under way, from START until STATUS is not BUSY of the thread that has taken it. */
  struct dma_transfer {
    uint64_t source, destination, bytes, moved;
    uint64_t destination_bytes, produced; /* of HOST_TO_DEVICE_GUNZIP */
    uint32_t context, kind;
    bool descending; /* the ranges overlap such that the last bytes must move first */
  } transfer;
  /* Published by the store of status. */
  uint32_t error;
  uint64_t fault_address;
  _Atomic uint32_t status;
  _Atomic bool abort;
  _Atomic bool taken;
};

struct dma_engine {
  struct dma_channel channels[MTIA_LIMIT_DMA_CHANNELS];
  struct event_count work;
  struct event_count idle;
  _Atomic bool stopping;
  _Atomic uint64_t bytes; /* counter */
  uint32_t patience; /* of the control thread: slices after which attended copies are handed over; 0 = none waits */
  struct gzip_decompressor decompressors[MTIA_LIMIT_DMA_CHANNELS];
  pthread_t thread;
  bool thread_runs;
};

/* 0 or CHIP_SYSTEM. */
int32_t dma_engine_start(struct chip *chip);
void dma_engine_stop(struct chip *chip);
/* Aborts what is under way and returns when all channels are idle: within the time of one chunk. Control thread at rest. */
void dma_engine_reset(struct chip *chip);
/* A channel is DONE or FAULT (interrupt source MEMORY_COPY_DONE). */
bool dma_engine_finished(const struct dma_engine *engine);
bool dma_engine_busy(const struct dma_engine *engine);
/* Control thread, idle: moves a chunk of a copy that it attends to. False where there is none. */
bool dma_engine_attend(struct chip *chip);
/* Control thread, busy for another slice: has the DMA thread make the copies that wait too long. */
void dma_engine_hand_over(struct chip *chip);

bool dma_engine_read32(struct chip *chip, uint32_t offset, uint32_t *value);
bool dma_engine_read64(struct chip *chip, uint32_t offset, uint64_t *value);
bool dma_engine_write32(struct chip *chip, uint32_t offset, uint32_t value);
bool dma_engine_write64(struct chip *chip, uint32_t offset, uint64_t value);

#endif
