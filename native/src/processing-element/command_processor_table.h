/* Table of all commands, and the command processor's own commands in it (command_processor_commands.c). */
#ifndef MTIA_COMMAND_PROCESSOR_TABLE_H
#define MTIA_COMMAND_PROCESSOR_TABLE_H
#include "command_processor.h"

/* NULL: no such command. */
const struct command_description *command_description_of(uint32_t code);

bool cb_init_prepare(struct pe *pe, struct command *command);
bool cb_init_execute(struct pe *pe, struct command *command);
bool cb_init_may_go_on(const struct pe *pe, const struct command *command);
bool cb_push_prepare(struct pe *pe, struct command *command);
bool cb_push_execute(struct pe *pe, struct command *command);
bool cb_pop_prepare(struct pe *pe, struct command *command);
bool cb_pop_execute(struct pe *pe, struct command *command);
bool cb_wait_data_prepare(struct pe *pe, struct command *command);
bool cb_wait_space_prepare(struct pe *pe, struct command *command);
bool cb_wait_execute(struct pe *pe, struct command *command);
bool cb_wait_may_go_on(const struct pe *pe, const struct command *command);
bool fence_execute(struct pe *pe, struct command *command);
bool fence_may_go_on(const struct pe *pe, const struct command *command);
bool semaphore_post_execute(struct pe *pe, struct command *command);
bool semaphore_wait_execute(struct pe *pe, struct command *command);
bool semaphore_wait_may_go_on(const struct pe *pe, const struct command *command);

/* First need that its buffer does not meet, or NULL. */
const struct command_need *command_unmet_need(const struct pe *pe, const struct command *command);

#endif
