/*
 * A PE's share of the SRAM that is cache (LLC on 2i, memory-side cache on v1). It holds no data, only which sectors of LPDDR would
 * lie there: what is read never depends on it, what it costs does. Each PE has its own share, so that no hit depends on how
 * the host schedules the others.
 */
#ifndef MTIA_PE_SRAM_CACHE_H
#define MTIA_PE_SRAM_CACHE_H
#include <stdbool.h>
#include <stdint.h>

/* Assumed: no geometry is published. Lines are allocated, sectors are fetched. */
#define SRAM_CACHE_LINE_BYTES 2048u
#define SRAM_CACHE_SECTOR_BYTES 64u
#define SRAM_CACHE_WAYS 16u

struct cache_line {
  uint64_t number;         /* address / SRAM_CACHE_LINE_BYTES */
  uint64_t ready;          /* device cycle at which prefetched data are there */
  uint32_t present, dirty; /* bit per sector */
  uint32_t cost;           /* of the set's capacity: a group shares what it reads */
};

struct cache_set { uint32_t lines, used; };

struct sram_cache {
  struct cache_line *lines; /* of all sets, most recently used first */
  struct cache_set *sets;
  uint64_t capacity;        /* lines */
  uint32_t set_count, set_lines; /* set_count = 0: there is no cache */
};

/* What an access met, in bytes of whole sectors. */
struct cache_outcome {
  uint64_t hit, missed, written_back;
  uint64_t ready; /* when the last prefetched byte of it is there */
};

struct cache_access {
  uint64_t address, bytes;
  uint32_t members; /* PEs of the group */
  bool write;
  bool dead; /* the last use: the sectors leave the cache, and what is dirty of them is not written back */
};

/* A cache of at most that many bytes. False where memory is short. */
bool sram_cache_create(struct sram_cache *cache, uint64_t most_bytes);
void sram_cache_destroy(struct sram_cache *cache);
/* Empties the share and gives it a size: bytes of cache, divided among the PEs of a job. Returns the bytes written back. */
uint64_t sram_cache_start(struct sram_cache *cache, uint64_t bytes, uint32_t columns, uint32_t rows);
void sram_cache_access(struct sram_cache *cache, const struct cache_access *access, struct cache_outcome *outcome);
/* Prefetched sectors of a range arrive then. */
void sram_cache_arrive(struct sram_cache *cache, uint64_t address, uint64_t bytes, uint64_t ready);

#endif
