/* Copies and fills on the channels of the DMA engine, which checks addresses for the context that a channel is set to. */
#ifndef MTIA_CONTROL_COPIES_H
#define MTIA_CONTROL_COPIES_H
#include "control.h"

uint32_t copy_start(struct control *control, struct queue *queue);
uint32_t gunzip_start(struct control *control, struct queue *queue);
uint32_t fill_start(struct control *control, struct queue *queue);
void copy_stop(struct control *control, struct queue *queue);
/* INVALID_COMMAND where the fill does not take whole words, or has a pattern of more than 32 bits. */
uint32_t fill_check(struct queue *queue, uint64_t pattern, uint64_t destination, uint64_t bytes);
/* Device time of a copy that is done. */
uint64_t copy_nanoseconds(const struct control *control, const struct copy *copy);
/* Has the channel end early where one moves the data: it reports ABORTED, or that it was done before. */
bool copy_cancel(struct control *control, struct queue *queue);
/* Starts queue->copy as soon as a channel is free; its `finished` is called then. COMMAND_RUNNING. */
uint32_t copy_submit(struct control *control, struct queue *queue);
/* Channels have finished. */
void copies_collect(struct control *control);
/* Bit per channel that moves data of the context. */
uint32_t copies_channels_of(const struct copies *copies, uint32_t context);

#endif
