/*
 * The command processor of a PE: takes commands from both harts, checks them, keeps those that wait, and hands each to its
 * unit as soon as its circular buffers allow. Program order holds per hart and resource (buffer, accumulator, table).
 *
 * Time: a command runs in the emulator when its data are there, and is then placed on the time line of its unit. It starts
 * there at the latest of: issue by the hart, unit free, operands ready.
 */
#ifndef MTIA_COMMAND_PROCESSOR_H
#define MTIA_COMMAND_PROCESSOR_H
#include "circular_buffer.h"
#include "generated/mtia_hw.h"
#include "hart.h"

struct pe;
struct command;

#define PE_HARTS 2
#define COMMAND_FIELDS 13
#define COMMAND_NEEDS 5
#define COMMAND_STICKY 6
/* Number that mtval gives an illegal command register which is no named field: this + index of the register. */
#define FIELD_OF_REGISTER(index) (MTIA_FIELD_OF_REGISTERS + (index))
/* And a command that the generation lacks. */
#define FIELD_OF_COMMAND MTIA_FIELD_OF_COMMAND

struct command_fault { uint64_t cause, value; };

enum field_source { FROM_RS1, FROM_RS2, FROM_STICKY /* the first command register of the command */ };

/* Where a field is and what it may be, in a form that every field is checked alike, without a branch for each kind. */
struct command_field {
  uint8_t source, low, bits;
  uint8_t is_buffer;  /* the set is that of the initialised circular buffers */
  uint32_t set;       /* bit (value modulo 32) is set; of small values only, which `span` sees to */
  uint32_t minimum;
  uint32_t remainder; /* bits that must be zero */
  uint64_t span;      /* maximum - minimum */
};

struct command_description {
  const char *name;
  const struct command_field *fields;
  uint8_t field_count;
  uint8_t first_register, register_count; /* command registers that it uses */
  uint8_t second_register, second_count;  /* and more of them */
  uint8_t moves_pointer;                  /* its end may let other commands go on */
  uint8_t has_contexts;                   /* the first registers are those of the context that rs1 names (MML) */
  /* Legality beyond single fields, needs and resources. False: command->fault is set. */
  bool (*prepare)(struct pe *pe, struct command *command);
  /* Does it. False: nothing has moved and command->fault is set. */
  bool (*execute)(struct pe *pe, struct command *command);
  /* Only of commands that stall their hart instead of waiting in the list: may it go on? */
  bool (*may_go_on)(const struct pe *pe, const struct command *command);
  /* Once it can no longer be issued again: what it changes in the command registers. */
  void (*accepted)(struct pe *pe, const struct command *command);
};

/* The command waits until a side of a buffer has that many bytes. */
struct command_need {
  uint32_t bytes;
  uint8_t cb, side;
};

struct command {
  const struct command_description *description;
  uint64_t issue;     /* device cycle */
  uint64_t result;    /* rd */
  uint64_t resources; /* bits 0..31 buffers, then accumulators, then tables */
  uint64_t field[COMMAND_FIELDS];
  uint64_t sticky[COMMAND_STICKY];
  struct command_need needs[COMMAND_NEEDS];
  uint32_t sequence; /* of its hart */
  uint8_t code, hart, need_count;
  uint8_t awaits; /* what has to arrive from another PE first (pe_link.h), as bits */
  struct command_fault fault;
};

struct pending_commands {
  struct command list[MTIA_LIMIT_PENDING_COMMANDS];
  uint32_t count;
  uint64_t resources; /* of all in the list */
  uint64_t slot_time; /* when the last one left the list */
};

struct command_processor {
  struct circular_buffer buffers[MTIA_LIMIT_CIRCULAR_BUFFERS];
  uint32_t initialised; /* bit per buffer */
  uint64_t semaphores[MTIA_LIMIT_SEMAPHORES], semaphore_times[MTIA_LIMIT_SEMAPHORES];
  uint64_t registers[PE_HARTS][MTIA_LIMIT_COMMAND_REGISTERS];
  struct pending_commands pending[PE_HARTS];
  struct command stalled[PE_HARTS]; /* what a hart stands at; description = NULL: nothing */
  struct command_fault late[PE_HARTS]; /* of a command that had waited in the list; cause = 0: none */
  uint64_t done[PE_HARTS];             /* when the last command of the hart will have finished */
  uint64_t buffer_done[PE_HARTS][MTIA_LIMIT_CIRCULAR_BUFFERS];
  uint64_t started[PE_HARTS][MTIA_LIMIT_PENDING_COMMANDS]; /* of the last commands: a slot of the list frees at the start */
  uint32_t sequence[PE_HARTS];
  uint64_t executed;
};

/* hart_environment.custom; context is the PE. */
enum hart_custom command_processor_custom(void *context, struct hart *hart, uint32_t instruction, uint64_t rs1, uint64_t rs2,
                                          uint64_t *result, uint64_t *cause);
/* Forgets buffers, semaphores, waiting commands and stalls. */
void command_processor_clear(struct command_processor *cp);
/* Whether a hart that stopped with HART_STALLED would now get on. */
bool command_processor_may_go_on(const struct pe *pe, uint32_t hart);
/* What its commands wait for from other PEs (pe_link.h), as bits. */
uint32_t command_processor_awaits(const struct pe *pe);
/* Something of that has been admitted: runs the commands that can go on. */
void command_processor_resume(struct pe *pe);
/* When every command so far will have finished. */
uint64_t command_processor_done(const struct command_processor *cp);
void command_processor_wait_reason(const struct pe *pe, uint32_t hart, char *text, uint32_t bytes);

/* ---- For prepare ---- */

/* Sets the fault and returns false. */
bool command_illegal(struct command *command, uint32_t field);
/* A row of a block that would straddle the end of the buffer, a bad stride, ...: names a sticky register of the command. */
bool command_illegal_sticky(struct command *command, uint32_t number);
/* Declares a block of a buffer as an operand; its offset is in that field. False: it is larger than the buffer. */
bool command_needs_block(struct pe *pe, struct command *command, uint32_t cb, enum buffer_side side, uint32_t offset_field,
                         uint64_t rows, uint64_t row_bytes, uint64_t stride);
void command_needs_bytes(struct command *command, uint32_t cb, enum buffer_side side, uint32_t bytes);
static inline void command_uses_accumulator(struct command *command, uint64_t number) {
  command->resources |= 1ull << (MTIA_LIMIT_CIRCULAR_BUFFERS + number);
}
static inline void command_uses_table(struct command *command, uint64_t slot) {
  command->resources |= 1ull << (MTIA_LIMIT_CIRCULAR_BUFFERS + MTIA_LIMIT_ACCUMULATORS + slot);
}

/* Declares what has to arrive; commands that wait for the same keep their order. */
static inline void command_awaits(struct command *command, uint32_t awaits) {
  command->awaits = (uint8_t)awaits;
  command->resources |= (uint64_t)awaits << (MTIA_LIMIT_CIRCULAR_BUFFERS + MTIA_LIMIT_ACCUMULATORS + MTIA_LIMIT_SE_TABLES);
}

/* ---- For execute ---- */

bool command_place_block(struct pe *pe, struct command *command, struct block *block, uint32_t cb, enum buffer_side side,
                         uint32_t offset_field, uint64_t rows, uint64_t row_bytes, uint64_t stride);
/* When issue and buffers let the command start; call it before pointers move. */
uint64_t command_operands_time(const struct pe *pe, const struct command *command);
/* start, operands_read: for the buffers it reads; done: for those it writes, and for fences. */
void command_finish(struct pe *pe, const struct command *command, uint64_t start, uint64_t operands_read, uint64_t done);

#endif
