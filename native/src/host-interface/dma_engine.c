/*
 * A channel belongs to the control thread while its status is not BUSY. While it is, its transfer belongs to whoever has taken
 * it for a chunk: the DMA thread, or the control thread that has nothing else to do. Stores of `status` and `taken` hand over
 * (release), loads take (acquire); nothing else needs a lock.
 */
#include "dma_engine.h"
#include <string.h>
#include "chip.h"

#define CHANNEL_STRIDE 0x80u
/* A chunk bounds how long an unmapping or another channel waits. */
#define CHUNK_BYTES (512u * 1024)
/* Waking the DMA thread, and the control core after it, costs more than copying this much on the spot (5 to 13 us). */
#define INLINE_BYTES (128u * 1024)
/* Up to this much the hand-overs still show: the control thread copies while it is idle, and looks up after every chunk. */
#define ATTENDED_BYTES (4u << 20)
/* Slices of a busy control thread that an attended copy waits before the DMA thread is woken for it. */
#define PATIENCE_SLICES 4
#define LINGER_NS 20000

static uint32_t status_of(const struct dma_channel *channel) {
  return atomic_load_explicit(&channel->status, memory_order_acquire);
}

static void finish(struct dma_channel *channel, uint32_t error, uint64_t address) {
  channel->error = error;
  channel->fault_address = address;
  uint32_t status = error == MTIA_ERROR_OK ? MTIA_DMA_STATUS_DONE : MTIA_DMA_STATUS_FAULT;
  atomic_store_explicit(&channel->status, status, memory_order_release);
}

static void fill32(uint8_t *to, uint64_t bytes, uint32_t pattern) {
  uint64_t done = bytes < sizeof(pattern) ? bytes : sizeof(pattern);
  memcpy(to, &pattern, done);
  while (done < bytes) {
    /* Doubling, but within a first-level cache. */
    uint64_t copy = done < 8192 ? done : 8192;
    if (copy > bytes - done) copy = bytes - done;
    memcpy(to + done, to, copy);
    done += copy;
  }
}

/* One end of a chunk, as a host pointer. */
struct end {
  uint8_t *host;
  struct iommu_span span; /* of a host end */
  bool on_host;
};

/* Finds the memory of an end; may shorten *bytes where a mapping of the host ends. 0 or the error. */
static uint32_t open_end(struct chip *chip, struct end *end, uint32_t context, uint64_t address, uint64_t *bytes, bool write) {
  if (end->on_host) {
    if (!iommu_acquire(&chip->iommu, context, address, *bytes, write ? IOMMU_WRITE : IOMMU_READ, &end->span)) {
      return MTIA_ERROR_HOST_ADDRESS_FAULT;
    }
    *bytes = end->span.bytes;
    end->host = end->span.host;
    return MTIA_ERROR_OK;
  }
  end->host = memory_at(chip->memory, context, address, *bytes, write ? MEMORY_WRITE : MEMORY_READ);
  return end->host == NULL ? MTIA_ERROR_MEMORY_PROTECTION : MTIA_ERROR_OK;
}

static void close_end(struct end *end) {
  if (end->on_host && end->host != NULL) iommu_release(&end->span);
}

/* Where an end refuses the first time. */
static uint64_t refused_at(struct chip *chip, const struct end *end, uint32_t context, uint64_t address, uint64_t bytes,
                           bool write) {
  if (end->on_host) return address;
  return memory_first_refused(chip->memory, context, address, bytes, write ? MEMORY_WRITE : MEMORY_READ);
}

static void count_bytes(struct chip *chip, uint64_t bytes) {
  atomic_fetch_add_explicit(&chip->dma_engine.bytes, bytes, memory_order_relaxed);
}

/* Moves the next chunk; finishes the channel where it was the last one or is refused. */
static void step(struct chip *chip, struct dma_channel *channel) {
  struct dma_transfer *transfer = &channel->transfer;
  if (atomic_load(&channel->abort)) {
    finish(channel, MTIA_ERROR_ABORTED, 0);
    return;
  }
  uint64_t left = transfer->bytes - transfer->moved;
  uint64_t bytes = left < CHUNK_BYTES ? left : CHUNK_BYTES;
  uint64_t offset = transfer->descending ? left - bytes : transfer->moved;
  uint64_t source_at = transfer->source + offset, destination_at = transfer->destination + offset;
  bool has_source = transfer->kind != MTIA_DMA_FILL32;
  struct end source = {.on_host = transfer->kind == MTIA_DMA_HOST_TO_DEVICE};
  struct end destination = {.on_host = transfer->kind == MTIA_DMA_DEVICE_TO_HOST};
  uint32_t error = MTIA_ERROR_OK;
  uint64_t fault = 0;

  if (has_source) error = open_end(chip, &source, transfer->context, source_at, &bytes, false);
  if (error != MTIA_ERROR_OK) {
    fault = refused_at(chip, &source, transfer->context, source_at, bytes, false);
  } else {
    error = open_end(chip, &destination, transfer->context, destination_at, &bytes, true);
    if (error != MTIA_ERROR_OK) fault = refused_at(chip, &destination, transfer->context, destination_at, bytes, true);
  }
  if (error == MTIA_ERROR_OK && memory_has_errors(chip->memory)) {
    const bool reads = has_source && !source.on_host;
    if (reads && !memory_is_sound(chip->memory, source_at, bytes, MEMORY_READ, &fault)) error = MTIA_ERROR_ECC_UNCORRECTABLE;
    else if (!destination.on_host) memory_is_sound(chip->memory, destination_at, bytes, MEMORY_WRITE, &fault);
  }
  if (error == MTIA_ERROR_OK) {
    if (has_source) memmove(destination.host, source.host, bytes);
    else fill32(destination.host, bytes, (uint32_t)transfer->source);
    transfer->moved += bytes;
    count_bytes(chip, bytes);
    if (source.on_host) chip_count(&chip->host_counters.host_to_device_bytes, bytes);
    if (destination.on_host) chip_count(&chip->host_counters.device_to_host_bytes, bytes);
  }
  close_end(&source);
  close_end(&destination);
  if (error != MTIA_ERROR_OK || transfer->moved == transfer->bytes) finish(channel, error, fault);
}

/* Hands the next piece of the compressed stream over. */
static uint32_t give_compressed(struct chip *chip, struct dma_transfer *transfer, struct gzip_decompressor *gzip, uint64_t *fault) {
  size_t room = 0;
  uint8_t *to = gzip_give(gzip, &room);
  uint64_t bytes = transfer->bytes - transfer->moved;
  if (bytes > room) bytes = room;
  if (bytes > 0) {
    struct end source = {.on_host = true};
    *fault = transfer->source + transfer->moved;
    uint32_t error = open_end(chip, &source, transfer->context, *fault, &bytes, false);
    if (error != MTIA_ERROR_OK) return error;
    memcpy(to, source.host, bytes);
    chip_count(&chip->host_counters.host_to_device_bytes, bytes);
    close_end(&source);
  }
  transfer->moved += bytes;
  gzip_given(gzip, bytes, transfer->moved == transfer->bytes);
  return MTIA_ERROR_OK;
}

/* Writes what has been decompressed. */
static uint32_t take_decompressed(struct chip *chip, struct dma_transfer *transfer, struct gzip_decompressor *gzip, uint64_t *fault) {
  size_t bytes = 0;
  const uint8_t *from = gzip_take(gzip, &bytes);
  uint64_t at = transfer->destination + transfer->produced;
  struct end destination = {.on_host = false};
  uint64_t writable = bytes;
  if (bytes > transfer->destination_bytes - transfer->produced) {
    *fault = gzip_offset(gzip);
    return MTIA_ERROR_DECOMPRESSION;
  }
  uint32_t error = open_end(chip, &destination, transfer->context, at, &writable, true);
  if (error != MTIA_ERROR_OK) {
    *fault = refused_at(chip, &destination, transfer->context, at, bytes, true);
    return error;
  }
  uint64_t bad;
  memory_is_sound(chip->memory, at, bytes, MEMORY_WRITE, &bad);
  memcpy(destination.host, from, bytes);
  transfer->produced += bytes;
  count_bytes(chip, bytes);
  chip_count(&chip->host_counters.decompressed_bytes, bytes);
  return MTIA_ERROR_OK;
}

/* As step, of a channel that decompresses: one buffer of input or of output. */
static void step_gunzip(struct chip *chip, struct dma_channel *channel, struct gzip_decompressor *gzip) {
  struct dma_transfer *transfer = &channel->transfer;
  uint64_t fault = 0;
  uint32_t error = MTIA_ERROR_OK;
  if (atomic_load(&channel->abort)) {
    finish(channel, MTIA_ERROR_ABORTED, 0);
    return;
  }
  enum gzip_result result = gzip_run(gzip);
  if (result == GZIP_WANTS_INPUT) error = give_compressed(chip, transfer, gzip, &fault);
  else error = take_decompressed(chip, transfer, gzip, &fault);
  if (error == MTIA_ERROR_OK && result == GZIP_DAMAGED) {
    error = MTIA_ERROR_DECOMPRESSION;
    fault = gzip_offset(gzip);
  }
  if (error != MTIA_ERROR_OK || result == GZIP_DONE) finish(channel, error, fault);
}

/* One chunk, or one buffer of a channel that decompresses. False where there is nothing to do, or another thread does it. */
static bool step_if_free(struct chip *chip, uint32_t index) {
  struct dma_engine *engine = &chip->dma_engine;
  struct dma_channel *channel = &engine->channels[index];
  if (status_of(channel) != MTIA_DMA_STATUS_BUSY || atomic_exchange(&channel->taken, true)) return false;
  const bool busy = status_of(channel) == MTIA_DMA_STATUS_BUSY; /* still: the other thread may have ended it in between */
  if (busy && channel->transfer.kind == MTIA_DMA_HOST_TO_DEVICE_GUNZIP) step_gunzip(chip, channel, &engine->decompressors[index]);
  else if (busy) step(chip, channel);
  atomic_store(&channel->taken, false);
  return busy;
}

bool dma_engine_attend(struct chip *chip) {
  struct dma_engine *engine = &chip->dma_engine;
  for (uint32_t index = 0; index < MTIA_LIMIT_DMA_CHANNELS; index++) {
    if (!engine->channels[index].attended || !step_if_free(chip, index)) continue;
    engine->patience = PATIENCE_SLICES;
    return true;
  }
  return false;
}

void dma_engine_hand_over(struct chip *chip) {
  struct dma_engine *engine = &chip->dma_engine;
  if (engine->patience == 0 || --engine->patience != 0) return;
  if (dma_engine_busy(engine)) event_count_notify(&engine->work, 1);
}

static void *dma_thread(void *argument) {
  struct chip *chip = argument;
  struct dma_engine *engine = &chip->dma_engine;
  uint64_t spin_ns = 0;
  for (;;) {
    uint32_t ticket = event_count_prepare(&engine->work);
    if (atomic_load(&engine->stopping)) return NULL;
    bool busy = false;
    for (uint32_t index = 0; index < MTIA_LIMIT_DMA_CHANNELS; index++) {
      struct dma_channel *channel = &engine->channels[index];
      if (!step_if_free(chip, index)) continue;
      busy = true;
      if (status_of(channel) == MTIA_DMA_STATUS_BUSY) continue;
      event_count_notify(&engine->idle, 1);
      control_core_notify(chip);
    }
    if (!busy) event_count_spin_then_wait(&engine->work, ticket, spin_ns, EVENT_COUNT_FOREVER);
    spin_ns = busy ? LINGER_NS : 0;
  }
}

int32_t dma_engine_start(struct chip *chip) {
  for (uint32_t index = 0; index < MTIA_LIMIT_DMA_CHANNELS; index++) gzip_create(&chip->dma_engine.decompressors[index]);
  int32_t status = chip_thread_start(&chip->dma_engine.thread, "mtia-dma", dma_thread, chip);
  chip->dma_engine.thread_runs = status == MTIA_ERROR_OK;
  return status;
}

void dma_engine_stop(struct chip *chip) {
  struct dma_engine *engine = &chip->dma_engine;
  if (!engine->thread_runs) return;
  atomic_store(&engine->stopping, true);
  event_count_notify(&engine->work, 1);
  pthread_join(engine->thread, NULL);
  engine->thread_runs = false;
}

void dma_engine_reset(struct chip *chip) {
  struct dma_engine *engine = &chip->dma_engine;
  for (uint32_t index = 0; index < MTIA_LIMIT_DMA_CHANNELS; index++) {
    struct dma_channel *channel = &engine->channels[index];
    atomic_store(&channel->abort, true);
    for (;;) {
      uint32_t ticket = event_count_prepare(&engine->idle);
      if (status_of(channel) != MTIA_DMA_STATUS_BUSY) break;
      event_count_notify(&engine->work, 1); /* the control thread, at rest, no longer attends to it */
      event_count_wait(&engine->idle, ticket, EVENT_COUNT_FOREVER);
    }
    channel->source = channel->destination = channel->bytes = channel->destination_bytes = 0;
    channel->context = 0;
    channel->error = 0;
    channel->fault_address = 0;
    atomic_store(&channel->abort, false);
    atomic_store(&channel->status, MTIA_DMA_STATUS_IDLE);
  }
}

bool dma_engine_finished(const struct dma_engine *engine) {
  for (uint32_t index = 0; index < MTIA_LIMIT_DMA_CHANNELS; index++) {
    uint32_t status = status_of(&engine->channels[index]);
    if (status == MTIA_DMA_STATUS_DONE || status == MTIA_DMA_STATUS_FAULT) return true;
  }
  return false;
}

bool dma_engine_busy(const struct dma_engine *engine) {
  for (uint32_t index = 0; index < MTIA_LIMIT_DMA_CHANNELS; index++) {
    if (status_of(&engine->channels[index]) == MTIA_DMA_STATUS_BUSY) return true;
  }
  return false;
}

static bool has_kind(const struct chip *chip, uint32_t kind) {
  if (kind == MTIA_DMA_HOST_TO_DEVICE_GUNZIP) return chip->specification.gunzip_gbs > 0;
  return kind >= MTIA_DMA_HOST_TO_DEVICE && kind <= MTIA_DMA_FILL32;
}

static void start(struct chip *chip, struct dma_channel *channel, uint32_t kind) {
  bool decompresses = kind == MTIA_DMA_HOST_TO_DEVICE_GUNZIP;
  if (status_of(channel) == MTIA_DMA_STATUS_BUSY) return;
  if (!has_kind(chip, kind) || channel->context >= MTIA_LIMIT_CONTEXTS) {
    finish(channel, MTIA_ERROR_INVALID_COMMAND, 0);
    return;
  }
  if (channel->bytes == 0 && !decompresses) {
    finish(channel, MTIA_ERROR_OK, 0);
    return;
  }
  bool overlaps = channel->destination > channel->source && channel->destination - channel->source < channel->bytes;
  channel->transfer = (struct dma_transfer){
      .source = channel->source,
      .destination = channel->destination,
      .bytes = channel->bytes,
      .destination_bytes = channel->destination_bytes,
      .context = channel->context,
      .kind = kind,
      .descending = kind == MTIA_DMA_DEVICE_TO_DEVICE && overlaps,
  };
  atomic_store(&channel->abort, false);
  if (decompresses) gzip_start(&chip->dma_engine.decompressors[channel - chip->dma_engine.channels]);
  else if (channel->bytes <= INLINE_BYTES) {
    /* The DMA thread does not look at a channel that is not BUSY. */
    atomic_store(&channel->status, MTIA_DMA_STATUS_IDLE);
    while (status_of(channel) == MTIA_DMA_STATUS_IDLE) step(chip, channel);
    return;
  }
  channel->attended = !decompresses && channel->bytes <= ATTENDED_BYTES;
  atomic_store_explicit(&channel->status, MTIA_DMA_STATUS_BUSY, memory_order_release);
  if (channel->attended) chip->dma_engine.patience = PATIENCE_SLICES;
  else event_count_notify(&chip->dma_engine.work, 1);
}

/* A busy channel stops at its next chunk and then reports ABORTED. One that ends just now keeps its result for BUSY. */
static void acknowledge(struct dma_channel *channel, uint32_t value) {
  if (status_of(channel) == MTIA_DMA_STATUS_BUSY) atomic_store(&channel->abort, true);
  else if (value != MTIA_DMA_STATUS_BUSY) atomic_store_explicit(&channel->status, MTIA_DMA_STATUS_IDLE, memory_order_release);
}

static struct dma_channel *channel_at(struct chip *chip, uint32_t *offset) {
  uint32_t index = *offset / CHANNEL_STRIDE;
  *offset %= CHANNEL_STRIDE;
  return index < MTIA_LIMIT_DMA_CHANNELS ? &chip->dma_engine.channels[index] : NULL;
}

bool dma_engine_read32(struct chip *chip, uint32_t offset, uint32_t *value) {
  struct dma_channel *channel = channel_at(chip, &offset);
  if (channel == NULL) return false;
  switch (offset) {
    case MTIA_DMA_ENGINE_CONTEXT: *value = channel->context; return true;
    case MTIA_DMA_ENGINE_START: *value = 0; return true;
    case MTIA_DMA_ENGINE_STATUS: *value = status_of(channel); return true;
    case MTIA_DMA_ENGINE_ERROR: *value = status_of(channel) == MTIA_DMA_STATUS_FAULT ? channel->error : 0; return true;
    default: return false;
  }
}

bool dma_engine_read64(struct chip *chip, uint32_t offset, uint64_t *value) {
  struct dma_channel *channel = channel_at(chip, &offset);
  if (channel == NULL) return false;
  switch (offset) {
    case MTIA_DMA_ENGINE_SOURCE: *value = channel->source; return true;
    case MTIA_DMA_ENGINE_DESTINATION: *value = channel->destination; return true;
    case MTIA_DMA_ENGINE_BYTES: *value = channel->bytes; return true;
    case MTIA_DMA_ENGINE_DESTINATION_BYTES: *value = channel->destination_bytes; return true;
    case MTIA_DMA_ENGINE_PRODUCED:
      *value = status_of(channel) == MTIA_DMA_STATUS_BUSY ? 0 : channel->transfer.produced;
      return true;
    case MTIA_DMA_ENGINE_FAULT_ADDRESS:
      *value = status_of(channel) == MTIA_DMA_STATUS_FAULT ? channel->fault_address : 0;
      return true;
    default: return false;
  }
}

bool dma_engine_write32(struct chip *chip, uint32_t offset, uint32_t value) {
  uint32_t in_channel = offset;
  struct dma_channel *channel = channel_at(chip, &in_channel);
  if (channel == NULL) return false;
  switch (in_channel) {
    case MTIA_DMA_ENGINE_CONTEXT: channel->context = value; return true;
    case MTIA_DMA_ENGINE_START: start(chip, channel, value); return true;
    case MTIA_DMA_ENGINE_STATUS: acknowledge(channel, value); return true;
    default: return dma_engine_read32(chip, offset, &value); /* read only: ignored */
  }
}

bool dma_engine_write64(struct chip *chip, uint32_t offset, uint64_t value) {
  uint32_t in_channel = offset;
  struct dma_channel *channel = channel_at(chip, &in_channel);
  if (channel == NULL) return false;
  switch (in_channel) {
    case MTIA_DMA_ENGINE_SOURCE: channel->source = value; return true;
    case MTIA_DMA_ENGINE_DESTINATION: channel->destination = value; return true;
    case MTIA_DMA_ENGINE_BYTES: channel->bytes = value; return true;
    case MTIA_DMA_ENGINE_DESTINATION_BYTES: channel->destination_bytes = value; return true;
    default: return dma_engine_read64(chip, offset, &value);
  }
}
