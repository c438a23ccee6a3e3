/* The host commands: a table of what starts and what stops each of them. */
#ifndef MTIA_CONTROL_COMMANDS_H
#define MTIA_CONTROL_COMMANDS_H
#include "control.h"

/* Checks what all commands have in common. An error code; *command is set where it is OK. */
uint32_t command_check(const struct control *control, struct queue *queue, const struct command **command);
/* Bit per opcode that this firmware implements. */
uint64_t command_capabilities(const struct chip *chip);

#endif
