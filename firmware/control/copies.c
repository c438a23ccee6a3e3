#include "copies.h"
#include <stddef.h>
#include "contexts.h"
#include "mmio.h"
#include "queues.h"

#define CHANNEL_STRIDE 0x80
#define CHANNEL_REGISTER(number, name) (REGISTER(DMA_ENGINE, name) + (uint64_t)CHANNEL_STRIDE * (number))

static const uint8_t KIND_OF_COMMAND[] = {
    [MTIA_HOST_COPY_HOST_TO_DEVICE] = MTIA_DMA_HOST_TO_DEVICE,
    [MTIA_HOST_COPY_DEVICE_TO_HOST] = MTIA_DMA_DEVICE_TO_HOST,
    [MTIA_HOST_COPY_DEVICE_TO_DEVICE] = MTIA_DMA_DEVICE_TO_DEVICE,
};

static void start_channel(struct copies *copies, uint32_t number, struct queue *queue) {
  const struct copy *copy = &queue->copy;
  copies->channels[number] = (struct channel){.busy = true, .context = copy->context, .queue = queue};
  mmio_write64(CHANNEL_REGISTER(number, SOURCE), copy->source);
  mmio_write64(CHANNEL_REGISTER(number, DESTINATION), copy->destination);
  mmio_write64(CHANNEL_REGISTER(number, BYTES), copy->bytes);
  mmio_write64(CHANNEL_REGISTER(number, DESTINATION_BYTES), copy->destination_bytes);
  mmio_write32(CHANNEL_REGISTER(number, CONTEXT), copy->context);
  mmio_write32(CHANNEL_REGISTER(number, START), copy->kind);
}

static bool start_on_free_channel(struct copies *copies, struct queue *queue) {
  for (uint32_t number = 0; number < MTIA_LIMIT_DMA_CHANNELS; number++) {
    if (!copies->channels[number].busy) {
      start_channel(copies, number, queue);
      return true;
    }
  }
  return false;
}

uint32_t copy_submit(struct control *control, struct queue *queue) {
  if (!start_on_free_channel(&control->copies, queue)) queue_list_insert(&control->copies.waiting, queue);
  return COMMAND_RUNNING;
}

static bool decompresses(const struct copy *copy) { return copy->kind == MTIA_DMA_HOST_TO_DEVICE_GUNZIP; }

uint64_t copy_nanoseconds(const struct control *control, const struct copy *copy) {
  const struct transfer transfer = {
      .kind = copy->kind,
      .source = copy->source,
      .destination = copy->destination,
      .read_bytes = copy->bytes,
      .written_bytes = decompresses(copy) ? copy->produced : copy->bytes,
  };
  return transfer_nanoseconds(&control->chip, &transfer);
}

static void complete_copy(struct control *control, struct queue *queue, uint32_t error) {
  const struct copy *copy = &queue->copy;
  if (error == MTIA_ERROR_OK) queue->completion.device_ns = copy_nanoseconds(control, copy);
  if (error == MTIA_ERROR_OK && decompresses(copy)) queue->completion.value = copy->produced;
  queue_complete(control, queue, error);
}

static uint32_t submit(struct control *control, struct queue *queue, uint32_t kind) {
  const struct mtia_submission *submission = &queue->submission;
  if (submission->c == 0) return MTIA_ERROR_OK;
  queue->copy = (struct copy){
      .kind = kind,
      .context = queue->context,
      .source = submission->a,
      .destination = submission->b,
      .bytes = submission->c,
      .finished = complete_copy,
  };
  return copy_submit(control, queue);
}

uint32_t copy_start(struct control *control, struct queue *queue) {
  if (queue->submission.d != 0) return refuse(queue, MTIA_ERROR_INVALID_COMMAND, queue->submission.d);
  return submit(control, queue, KIND_OF_COMMAND[queue->submission.opcode]);
}

/* No bytes are no stream: the chip says so. */
uint32_t gunzip_start(struct control *control, struct queue *queue) {
  const struct mtia_submission *submission = &queue->submission;
  queue->copy = (struct copy){
      .kind = MTIA_DMA_HOST_TO_DEVICE_GUNZIP,
      .context = queue->context,
      .source = submission->a,
      .destination = submission->b,
      .bytes = submission->c,
      .destination_bytes = submission->d,
      .finished = complete_copy,
  };
  return copy_submit(control, queue);
}

uint32_t fill_check(struct queue *queue, uint64_t pattern, uint64_t destination, uint64_t bytes) {
  if (pattern > UINT32_MAX) return refuse(queue, MTIA_ERROR_INVALID_COMMAND, pattern);
  if (destination % sizeof(uint32_t) != 0) return refuse(queue, MTIA_ERROR_INVALID_COMMAND, destination);
  if (bytes % sizeof(uint32_t) != 0) return refuse(queue, MTIA_ERROR_INVALID_COMMAND, bytes);
  return MTIA_ERROR_OK;
}

uint32_t fill_start(struct control *control, struct queue *queue) {
  const struct mtia_submission *submission = &queue->submission;
  if (submission->d != 0) return refuse(queue, MTIA_ERROR_INVALID_COMMAND, submission->d);
  const uint32_t error = fill_check(queue, submission->a, submission->b, submission->c);
  if (error != MTIA_ERROR_OK) return error;
  return submit(control, queue, MTIA_DMA_FILL32);
}

/* A channel cannot be called back: it ends by itself, and who depends on that asks copies_channels_of. */
void copy_stop(struct control *control, struct queue *queue) {
  queue_list_remove(&control->copies.waiting, queue);
  for (uint32_t number = 0; number < MTIA_LIMIT_DMA_CHANNELS; number++) {
    struct channel *channel = &control->copies.channels[number];
    if (channel->queue == queue) channel->queue = NULL;
  }
}

bool copy_cancel(struct control *control, struct queue *queue) {
  for (uint32_t number = 0; number < MTIA_LIMIT_DMA_CHANNELS; number++) {
    const struct channel *channel = &control->copies.channels[number];
    if (channel->queue != queue) continue;
    mmio_write32(CHANNEL_REGISTER(number, STATUS), MTIA_DMA_STATUS_BUSY);
    return true;
  }
  return false;
}

static void collect(struct control *control, uint32_t number) {
  struct channel *channel = &control->copies.channels[number];
  const uint32_t status = mmio_read32(CHANNEL_REGISTER(number, STATUS));
  if (status != MTIA_DMA_STATUS_DONE && status != MTIA_DMA_STATUS_FAULT) return;
  const uint32_t error = status == MTIA_DMA_STATUS_DONE ? MTIA_ERROR_OK : mmio_read32(CHANNEL_REGISTER(number, ERROR));
  struct queue *queue = channel->queue;
  if (queue != NULL && error != MTIA_ERROR_OK) {
    queue->completion.value = mmio_read64(CHANNEL_REGISTER(number, FAULT_ADDRESS));
  }
  if (queue != NULL) queue->copy.produced = mmio_read64(CHANNEL_REGISTER(number, PRODUCED));
  mmio_write32(CHANNEL_REGISTER(number, STATUS), status);
  *channel = (struct channel){.busy = false};
  if (queue != NULL) queue->copy.finished(control, queue, error);
  contexts_channel_idle(control, number);
}

void copies_collect(struct control *control) {
  struct copies *copies = &control->copies;
  for (uint32_t number = 0; number < MTIA_LIMIT_DMA_CHANNELS; number++) {
    if (copies->channels[number].busy) collect(control, number);
  }
  while (copies->waiting.count > 0 && start_on_free_channel(copies, copies->waiting.queues[0])) {
    queue_list_remove(&copies->waiting, copies->waiting.queues[0]);
  }
}

uint32_t copies_channels_of(const struct copies *copies, uint32_t context) {
  uint32_t channels = 0;
  for (uint32_t number = 0; number < MTIA_LIMIT_DMA_CHANNELS; number++) {
    if (copies->channels[number].busy && copies->channels[number].context == context) channels |= 1u << number;
  }
  return channels;
}
