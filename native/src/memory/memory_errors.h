/*
 * The error-correcting code of the LPDDR, as far as anything outside can tell: which words have flipped bits. One flipped bit
 * of a word is corrected, two or more are found but not corrected (SEC-DED).
 */
#ifndef MTIA_MEMORY_ERRORS_H
#define MTIA_MEMORY_ERRORS_H
#include <pthread.h>
#include <stdatomic.h>
#include "memory.h"

/* Words that may be bad at a time. */
#define BAD_WORDS 256

struct memory_errors {
  _Atomic uint32_t count; /* read without the lock: zero, and no access pays anything */
  pthread_mutex_t lock;
  struct bad_word { uint64_t offset, flipped; } words[BAD_WORDS];
  _Atomic uint64_t corrected, uncorrectable; /* counters */
};

void memory_errors_create(struct memory_errors *errors);
void memory_errors_destroy(struct memory_errors *errors);
static inline bool memory_errors_any(const struct memory_errors *errors) {
  return atomic_load_explicit(&errors->count, memory_order_relaxed) != 0;
}
/* Flips bits of the word at an offset of the memory, and notes them where the code is on. 0 or CHIP_NO_MEMORY. */
int32_t memory_errors_inject(struct memory_errors *errors, uint8_t *memory, uint64_t offset, uint64_t bits, bool noted);
/* An access happens: corrects, forgets, or answers false with the offset of the first word that it cannot read. */
bool memory_errors_access(struct memory_errors *errors, uint8_t *memory, uint64_t offset, uint64_t bytes,
                          enum memory_right right, uint64_t *bad);

#endif
