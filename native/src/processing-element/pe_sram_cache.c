#include "pe_sram_cache.h"
#include <stdlib.h>
#include <string.h>

/* Capacity of a line read by one PE; divisible by every size that a group can have. */
#define LINE_COST 840u
#define SET_CAPACITY (SRAM_CACHE_WAYS * LINE_COST)

bool sram_cache_create(struct sram_cache *cache, uint64_t most_bytes) {
  const uint64_t capacity = most_bytes / SRAM_CACHE_LINE_BYTES;
  /* Zeroed by the system page by page as they are touched: most of it never is. */
  *cache = (struct sram_cache){.lines = calloc(capacity + 1, sizeof *cache->lines),
                                 .sets = calloc(capacity / SRAM_CACHE_WAYS + 1, sizeof *cache->sets),
                                 .capacity = capacity};
  return cache->lines != NULL && cache->sets != NULL;
}

void sram_cache_destroy(struct sram_cache *cache) {
  free(cache->lines);
  free(cache->sets);
}

static uint64_t sectors(uint32_t mask) { return (uint64_t)__builtin_popcount(mask) * SRAM_CACHE_SECTOR_BYTES; }

static uint64_t dirty_bytes(const struct sram_cache *cache) {
  uint64_t bytes = 0;
  for (uint32_t set = 0; set < cache->set_count; set++)
    for (uint32_t i = 0; i < cache->sets[set].lines; i++)
      bytes += sectors(cache->lines[(uint64_t)set * cache->set_lines + i].dirty);
  return bytes;
}

uint64_t sram_cache_start(struct sram_cache *cache, uint64_t bytes, uint32_t columns, uint32_t rows) {
  const uint64_t written_back = dirty_bytes(cache);
  const uint32_t pes = columns * rows == 0 ? 1 : columns * rows;
  const uint64_t lines = bytes / pes / SRAM_CACHE_LINE_BYTES;
  const uint32_t longest = columns > rows ? columns : rows, groups = longest == 0 ? 1 : longest;
  cache->set_count = (uint32_t)(lines / SRAM_CACHE_WAYS);
  cache->set_lines = SRAM_CACHE_WAYS * groups;
  if ((uint64_t)cache->set_count * cache->set_lines > cache->capacity) cache->set_count = 0;
  memset(cache->sets, 0, cache->set_count * sizeof *cache->sets);
  return written_back;
}

/* Neighbouring lines and lines a power of two apart both spread over the sets. */
static uint32_t set_of(const struct sram_cache *cache, uint64_t number) {
  const uint64_t hash = number * 0x9e3779b97f4a7c15ull >> 32;
  return (uint32_t)(hash * cache->set_count >> 32);
}

static struct cache_line *find(struct sram_cache *cache, uint64_t number, struct cache_set **set) {
  const uint32_t index = set_of(cache, number);
  struct cache_line *const lines = &cache->lines[(uint64_t)index * cache->set_lines];
  *set = &cache->sets[index];
  for (uint32_t i = 0; i < (*set)->lines; i++)
    if (lines[i].number == number) return &lines[i];
  return NULL;
}

/* The line becomes the most recently used one of its set; a new one drives out as many of the least recently used as it takes. */
static struct cache_line *touch(struct sram_cache *cache, uint64_t number, uint32_t members, struct cache_outcome *outcome) {
  struct cache_set *set;
  struct cache_line *const found = find(cache, number, &set);
  struct cache_line *const first = &cache->lines[(uint64_t)(set - cache->sets) * cache->set_lines];
  struct cache_line line = {.number = number, .cost = LINE_COST / members};
  uint32_t place = set->lines;
  if (found != NULL) {
    line = *found;
    place = (uint32_t)(found - first);
  } else {
    while (set->used + line.cost > SET_CAPACITY || set->lines == cache->set_lines) {
      const struct cache_line *const last = &first[--set->lines];
      set->used -= last->cost;
      outcome->written_back += sectors(last->dirty);
    }
    place = set->lines++;
    set->used += line.cost;
  }
  memmove(first + 1, first, place * sizeof *first);
  *first = line;
  return first;
}

/* Bit per sector of a line that a range touches. */
static uint32_t mask_of(uint64_t number, uint64_t address, uint64_t end) {
  const uint64_t base = number * SRAM_CACHE_LINE_BYTES;
  const uint64_t from = address > base ? (address - base) / SRAM_CACHE_SECTOR_BYTES : 0;
  const uint64_t to = end - base < SRAM_CACHE_LINE_BYTES ? (end - base + SRAM_CACHE_SECTOR_BYTES - 1) / SRAM_CACHE_SECTOR_BYTES
                                                    : SRAM_CACHE_LINE_BYTES / SRAM_CACHE_SECTOR_BYTES;
  return (uint32_t)((1ull << to) - (1ull << from));
}

void sram_cache_access(struct sram_cache *cache, const struct cache_access *access, struct cache_outcome *outcome) {
  const uint64_t end = access->address + access->bytes;
  for (uint64_t number = access->address / SRAM_CACHE_LINE_BYTES; number * SRAM_CACHE_LINE_BYTES < end; number++) {
    const uint32_t mask = mask_of(number, access->address, end);
    struct cache_line *const line = touch(cache, number, access->members, outcome);
    /* What is written needs not be fetched. */
    const uint32_t hit = access->write ? mask : mask & line->present;
    outcome->hit += sectors(hit);
    outcome->missed += sectors(mask & ~hit);
    if (!access->write && hit != 0 && line->ready > outcome->ready) outcome->ready = line->ready;
    line->present |= mask;
    if (access->write) line->dirty |= mask;
    if (access->dead) {
      line->present &= ~mask;
      line->dirty &= ~mask;
    }
  }
}

void sram_cache_arrive(struct sram_cache *cache, uint64_t address, uint64_t bytes, uint64_t ready) {
  const uint64_t end = address + bytes;
  for (uint64_t number = address / SRAM_CACHE_LINE_BYTES; number * SRAM_CACHE_LINE_BYTES < end; number++) {
    struct cache_set *set;
    struct cache_line *const line = find(cache, number, &set);
    if (line != NULL && ready > line->ready) line->ready = ready;
  }
}
