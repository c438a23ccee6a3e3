#include "memory_errors.h"
#include <string.h>
#include "generated/mtia_hw.h"

#define WORD_BYTES 8u

void memory_errors_create(struct memory_errors *errors) { pthread_mutex_init(&errors->lock, NULL); }
void memory_errors_destroy(struct memory_errors *errors) { pthread_mutex_destroy(&errors->lock); }

static void flip(uint8_t *memory, uint64_t offset, uint64_t bits) {
  uint64_t word;
  memcpy(&word, memory + offset, sizeof word);
  word ^= bits;
  memcpy(memory + offset, &word, sizeof word);
}

static void forget(struct memory_errors *errors, uint32_t index) {
  const uint32_t last = atomic_load(&errors->count) - 1;
  errors->words[index] = errors->words[last];
  atomic_store(&errors->count, last);
}

static int32_t note(struct memory_errors *errors, uint64_t offset, uint64_t bits) {
  const uint32_t count = atomic_load(&errors->count);
  for (uint32_t i = 0; i < count; i++) {
    if (errors->words[i].offset != offset) continue;
    errors->words[i].flipped ^= bits;
    if (errors->words[i].flipped == 0) forget(errors, i);
    return MTIA_ERROR_OK;
  }
  if (count == BAD_WORDS) return MTIA_ERROR_CHIP_NO_MEMORY;
  errors->words[count] = (struct bad_word){offset, bits};
  atomic_store(&errors->count, count + 1);
  return MTIA_ERROR_OK;
}

int32_t memory_errors_inject(struct memory_errors *errors, uint8_t *memory, uint64_t offset, uint64_t bits, bool noted) {
  if (bits == 0) return MTIA_ERROR_OK;
  pthread_mutex_lock(&errors->lock);
  const int32_t status = noted ? note(errors, offset, bits) : MTIA_ERROR_OK;
  if (status == MTIA_ERROR_OK) flip(memory, offset, bits);
  pthread_mutex_unlock(&errors->lock);
  return status;
}

bool memory_errors_access(struct memory_errors *errors, uint8_t *memory, uint64_t offset, uint64_t bytes,
                          enum memory_right right, uint64_t *bad) {
  bool sound = true;
  pthread_mutex_lock(&errors->lock);
  for (uint32_t i = atomic_load(&errors->count); i-- > 0;) {
    const struct bad_word word = errors->words[i];
    if (word.offset + WORD_BYTES <= offset || word.offset >= offset + bytes) continue;
    const bool whole = word.offset >= offset && word.offset + WORD_BYTES <= offset + bytes;
    if (right == MEMORY_WRITE && whole) {
      forget(errors, i);
    } else if ((word.flipped & (word.flipped - 1)) == 0) {
      /* Corrected, and written back: scrubbed. */
      flip(memory, word.offset, word.flipped);
      forget(errors, i);
      atomic_fetch_add(&errors->corrected, 1);
    } else if (right == MEMORY_READ && (sound || word.offset < *bad)) {
      sound = false;
      *bad = word.offset;
    }
  }
  if (!sound) atomic_fetch_add(&errors->uncorrectable, 1);
  pthread_mutex_unlock(&errors->lock);
  return sound;
}
