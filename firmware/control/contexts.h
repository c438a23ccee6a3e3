/* Contexts and their pages of device memory: the commands of the administration queue. */
#ifndef MTIA_CONTROL_CONTEXTS_H
#define MTIA_CONTROL_CONTEXTS_H
#include "control.h"

static inline bool context_is_live(const struct control *control, uint32_t context) {
  return context >= 1 && context < MTIA_LIMIT_CONTEXTS && (control->contexts.live >> context & 1) != 0;
}

uint32_t context_create(struct control *control, struct queue *queue);
/* Aborts everything that the context has under way and takes its pages back. */
uint32_t context_destroy(struct control *control, struct queue *queue);
void context_drain_stop(struct control *control, struct queue *queue);
/* Gives pages to a context, cleared of what another context left there, or takes them back. */
uint32_t pages_assign(struct control *control, struct queue *queue);
void pages_assign_stop(struct control *control, struct queue *queue);
/* A DMA channel has come to rest: a command may have waited for that. */
void contexts_channel_idle(struct control *control, uint32_t channel);

#endif
