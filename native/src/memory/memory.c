#include "memory.h"
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include "generated/mtia_hw.h"
#include "memory_errors.h"
#include "memory_protection.h"

/* Large pages make first touches and TLB misses cheap; what is reserved in them starts on such a boundary. */
#define LARGE_PAGE_BYTES (2ull << 20)

struct memory {
  uint8_t *sram, *lpddr;
  uint64_t sram_bytes, lpddr_bytes;
  uint64_t sram_pages, pages;
  /* Owner of each protection page, SRAM first. Relaxed: firmware orders a change of owner against the jobs that it affects. */
  _Atomic uint8_t *owner;
  size_t reservation_bytes; /* from the start of SRAM to the end of LPDDR */
  _Atomic uint64_t scratchpad_bytes; /* of SRAM; the rest is cache, and no memory to anyone */
  _Atomic uint32_t setup;
  struct memory_errors errors;
};

_Static_assert(sizeof(_Atomic uint8_t) == 1, "the owner table is read a byte at a time");

uint8_t *reserve_pages(size_t bytes) {
  void *pages = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return pages == MAP_FAILED ? NULL : pages;
}

uint8_t *reserve_large_pages(size_t bytes) {
  uint8_t *const pages = reserve_pages(bytes + LARGE_PAGE_BYTES);
  if (pages == NULL) return NULL;
  const size_t before = (size_t)(-(uintptr_t)pages & (LARGE_PAGE_BYTES - 1));
  uint8_t *const start = pages + before;
  release_pages(before == 0 ? NULL : pages, before);
  release_pages(start + bytes, LARGE_PAGE_BYTES - before);
  madvise(start, bytes, MADV_HUGEPAGE);
  madvise(start, bytes, MADV_DONTDUMP);
  return start;
}

void release_pages(uint8_t *pages, size_t bytes) {
  if (pages != NULL) munmap(pages, bytes);
}

struct memory *memory_create(uint64_t sram_bytes, uint64_t lpddr_bytes) {
  struct memory *memory = calloc(1, sizeof(*memory));
  if (memory == NULL) return NULL;
  memory->sram_bytes = sram_bytes;
  memory_errors_create(&memory->errors);
  memory_set_up(memory, MTIA_MEMORY_ECC);
  memory->lpddr_bytes = lpddr_bytes;
  memory->sram_pages = sram_bytes / MTIA_PROTECTION_PAGE_BYTES;
  memory->pages = memory->sram_pages + lpddr_bytes / MTIA_PROTECTION_PAGE_BYTES;
  const uint64_t lpddr_offset = (sram_bytes + LARGE_PAGE_BYTES - 1) & ~(LARGE_PAGE_BYTES - 1);
  memory->reservation_bytes = lpddr_offset + lpddr_bytes;
  memory->sram = reserve_large_pages(memory->reservation_bytes);
  memory->owner = (_Atomic uint8_t *)reserve_pages(memory->pages);
  if (memory->sram == NULL || memory->owner == NULL) {
    memory_destroy(memory);
    return NULL;
  }
  memory->lpddr = memory->sram + lpddr_offset;
  return memory;
}

void memory_destroy(struct memory *memory) {
  if (memory == NULL) return;
  release_pages(memory->sram, memory->reservation_bytes);
  release_pages((uint8_t *)memory->owner, memory->pages);
  memory_errors_destroy(&memory->errors);
  free(memory);
}

uint32_t memory_setup(const struct memory *memory) { return atomic_load_explicit(&memory->setup, memory_order_relaxed); }

void memory_set_up(struct memory *memory, uint32_t setup) {
  const uint64_t cache = (uint64_t)(setup & MTIA_MEMORY_CACHE_GRANULES_MASK) * MTIA_MEMORY_SRAM_GRANULE_BYTES;
  const bool fits = cache == 0 || cache + MTIA_MEMORY_SRAM_GRANULE_BYTES <= memory->sram_bytes;
  if (!fits || (setup & ~(MTIA_MEMORY_CACHE_GRANULES_MASK | MTIA_MEMORY_ECC)) != 0) return;
  atomic_store(&memory->scratchpad_bytes, memory->sram_bytes - cache);
  atomic_store(&memory->setup, setup);
}

uint64_t memory_scratchpad_bytes(const struct memory *memory) {
  return atomic_load_explicit(&memory->scratchpad_bytes, memory_order_relaxed);
}

bool memory_has_errors(const struct memory *memory) { return memory_errors_any(&memory->errors); }

bool memory_is_sound(struct memory *memory, uint64_t address, uint64_t bytes, enum memory_right right, uint64_t *bad) {
  const uint64_t offset = address - MTIA_LPDDR_BASE;
  if (!memory_errors_any(&memory->errors) || offset >= memory->lpddr_bytes) return true;
  uint64_t bad_offset = 0;
  const bool sound = memory_errors_access(&memory->errors, memory->lpddr, offset, bytes, right, &bad_offset);
  *bad = MTIA_LPDDR_BASE + bad_offset;
  return sound;
}

int32_t memory_inject_error(struct memory *memory, uint64_t address, uint64_t bits) {
  const uint64_t offset = address - MTIA_LPDDR_BASE;
  if (offset >= memory->lpddr_bytes || offset % 8 != 0) return MTIA_ERROR_CHIP_BAD_ARGUMENT;
  const bool noted = (memory_setup(memory) & MTIA_MEMORY_ECC) != 0;
  return memory_errors_inject(&memory->errors, memory->lpddr, offset, bits, noted);
}

void memory_read_errors(struct memory *memory, uint64_t *corrected, uint64_t *uncorrectable) {
  *corrected = atomic_load(&memory->errors.corrected);
  *uncorrectable = atomic_load(&memory->errors.uncorrectable);
}

uint64_t memory_lpddr_bytes(const struct memory *memory) { return memory->lpddr_bytes; }

/* Index in the owner table of the page at an address inside of memory. */
static inline uint64_t page_of(const struct memory *memory, uint64_t address) {
  if (address >= MTIA_LPDDR_BASE) return memory->sram_pages + (address - MTIA_LPDDR_BASE) / MTIA_PROTECTION_PAGE_BYTES;
  return (address - MTIA_SRAM_BASE) / MTIA_PROTECTION_PAGE_BYTES;
}

/* Bounds only. Both ends lie in the same memory; nothing overflows because the sizes are far below 2^64. */
static inline uint8_t *pointer_to(const struct memory *memory, uint64_t address, uint64_t bytes) {
  uint64_t offset = address - MTIA_LPDDR_BASE;
  if (offset < memory->lpddr_bytes) return bytes <= memory->lpddr_bytes - offset ? memory->lpddr + offset : NULL;
  offset = address - MTIA_SRAM_BASE;
  const uint64_t scratchpad = memory_scratchpad_bytes(memory);
  if (offset < scratchpad) return bytes <= scratchpad - offset ? memory->sram + offset : NULL;
  return NULL;
}

static inline bool may_touch(const struct memory *memory, uint64_t page, uint32_t context, enum memory_right right) {
  uint8_t owner = atomic_load_explicit(&memory->owner[page], memory_order_relaxed);
  return owner == context || (owner == MTIA_OWNER_SHARED_READ_ONLY && right == MEMORY_READ);
}

uint8_t *memory_at(struct memory *memory, uint32_t context, uint64_t address, uint64_t bytes, enum memory_right right) {
  uint8_t *host = pointer_to(memory, address, bytes);
  if (host == NULL || context == 0) return host;
  uint64_t page = page_of(memory, address);
  uint64_t last = bytes == 0 ? page : page_of(memory, address + bytes - 1);
  /* Context numbers and OWNER_SHARED_READ_ONLY do not meet: a context that is not one owns nothing. */
  if (context >= MTIA_LIMIT_CONTEXTS && context != MEMORY_NOBODY) return NULL;
  do {
    if (!may_touch(memory, page, context, right)) return NULL;
  } while (page++ < last);
  return host;
}

enum memory_kind memory_kind_of(const struct memory *memory, uint64_t address) {
  if (address - MTIA_LPDDR_BASE < memory->lpddr_bytes) return MEMORY_LPDDR;
  if (address - MTIA_SRAM_BASE < memory_scratchpad_bytes(memory)) return MEMORY_SRAM;
  return MEMORY_NONE;
}

uint64_t memory_first_refused(struct memory *memory, uint32_t context, uint64_t address, uint64_t bytes,
                              enum memory_right right) {
  uint64_t at = address, end = address + bytes;
  while (at - address < bytes) {
    if (memory_at(memory, context, at, 1, right) == NULL) return at;
    at = (at / MTIA_PROTECTION_PAGE_BYTES + 1) * MTIA_PROTECTION_PAGE_BYTES;
  }
  return end;
}

uint32_t memory_assign(struct memory *memory, uint64_t address, uint64_t pages, uint32_t owner) {
  bool owner_exists = owner < MTIA_LIMIT_CONTEXTS || owner == MTIA_OWNER_SHARED_READ_ONLY;
  if (!owner_exists || address % MTIA_PROTECTION_PAGE_BYTES != 0) return MTIA_ERROR_INVALID_COMMAND;
  if (pages > memory->pages || pointer_to(memory, address, pages * MTIA_PROTECTION_PAGE_BYTES) == NULL) {
    return MTIA_ERROR_INVALID_COMMAND;
  }
  uint64_t first = page_of(memory, address);
  for (uint64_t page = first; page < first + pages; page++) {
    atomic_store_explicit(&memory->owner[page], (uint8_t)owner, memory_order_relaxed);
  }
  return MTIA_ERROR_OK;
}

void memory_unassign_all(struct memory *memory) {
  /* Dropping the pages of the table zeroes it without touching the part that was never used. */
  madvise((void *)memory->owner, memory->pages, MADV_DONTNEED);
}
