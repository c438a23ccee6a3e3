/* Submission rings: taking commands in turn, one of each queue at a time, and posting completions. */
#ifndef MTIA_CONTROL_QUEUES_H
#define MTIA_CONTROL_QUEUES_H
#include "control.h"

void queues_initialise(struct queues *queues);
/* The host has enabled or disabled queues: what was under way in them ends. */
void queues_changed(struct control *control);
/* Notes the entries that the queue engine has fetched. */
void queues_fetch(struct control *control);
/* Starts commands until every queue is empty or has one under way. */
void queues_run(struct control *control);
/* Posts the completion of the command under way; completion.value and so on are already filled in. */
void queue_complete(struct control *control, struct queue *queue, uint32_t status);
/* Ends the command under way, where there is one, with a status of its own. */
void queue_abort(struct control *control, struct queue *queue, uint32_t status);

/* Behind those of the same or a higher priority, and those that have been passed over long enough. */
void queue_list_insert(struct queue_list *list, struct queue *queue);
void queue_list_remove(struct queue_list *list, const struct queue *queue);

#endif
