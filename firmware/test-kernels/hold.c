/*
 * HOLD: the PE at place argument 0 of the rectangle goes on until the word at argument 1 is not zero, and ends as that word
 * says; the others end at once.
 */
#include "mtia_kernel.h"

enum ending { HELD, WELL, BY_ERROR, BY_TRAP, NEVER };

uint32_t kernel_main(const struct mtia_job_descriptor *job, uint32_t hart) {
  struct pe_place place;
  if (!find_place(job, &place)) return MTIA_RESULT_BAD_GRID;
  if (job->argument_words < 2) return MTIA_RESULT_BAD_ARGUMENT;
  if (hart != 0 || place.index != job->arguments[0]) return MTIA_RESULT_OK;
  const volatile uint64_t *const word = (const volatile uint64_t *)(uintptr_t)job->arguments[1];
  uint64_t ending;
  while ((ending = *word) == HELD) {
  }
  if (ending == BY_ERROR) return MTIA_RESULT_BAD_ARGUMENT;
  if (ending == BY_TRAP) __asm__ volatile("unimp");
  if (ending == NEVER) semaphore_wait(0, 1);
  return MTIA_RESULT_OK;
}
