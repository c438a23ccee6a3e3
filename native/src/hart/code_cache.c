/*
 * Decoded pages by the host address of their bytes: harts that run the same code out of shared memory share the decoding,
 * and private memories at the same virtual address never meet. A page is compared with memory each time a hart takes it,
 * which is once per hart and fence.
 */
#include "hart_internal.h"
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { BUCKETS = 1024, MOST_PAGES = 2048, MOST_PER_HOST_PAGE = 8 };

struct code_cache {
  pthread_mutex_t lock;
  uint32_t pages;
  uint32_t hand; /* bucket where the search for an unused page goes on */
  struct code_page *buckets[BUCKETS];
};

struct code_cache *code_cache_create(void) {
  struct code_cache *cache = calloc(1, sizeof *cache);
  if (cache == NULL) return NULL;
  if (pthread_mutex_init(&cache->lock, NULL) == 0) return cache;
  free(cache);
  return NULL;
}

void code_cache_destroy(struct code_cache *cache) {
  if (cache == NULL) return;
  for (uint32_t i = 0; i < BUCKETS; i++) {
    for (struct code_page *page = cache->buckets[i], *next; page != NULL; page = next) {
      next = page->next;
      free(page);
    }
  }
  pthread_mutex_destroy(&cache->lock);
  free(cache);
}

static struct code_page **bucket_of(struct code_cache *cache, const uint8_t *host) {
  return &cache->buckets[((uint64_t)(uintptr_t)host / HART_PAGE_BYTES * 0x9e3779b97f4a7c15u) >> 54];
}

/* Takes the page out of its bucket; a hart that still runs it frees it with its last release. */
static void unlink_page(struct code_cache *cache, struct code_page **link) {
  struct code_page *page = *link;
  *link = page->next;
  cache->pages--;
  page->stale = true;
  if (page->references == 0) free(page);
}

/* Drops one unused page, where there is one. */
static void evict(struct code_cache *cache) {
  for (uint32_t step = 0; step < BUCKETS; step++) {
    struct code_page **link = &cache->buckets[cache->hand];
    while (*link != NULL && (*link)->references != 0) link = &(*link)->next;
    if (*link != NULL) {
      unlink_page(cache, link);
      return;
    }
    cache->hand = (cache->hand + 1) % BUCKETS;
  }
}

/* The valid page for entry, dropping pages that memory no longer agrees with. Code that jumps into the middle of its own
   instructions would otherwise gather one decoding per halfword, so decodings of one host page are bounded. */
static struct code_page *find(struct code_cache *cache, const uint8_t *host, uint32_t entry) {
  struct code_page *found = NULL;
  uint32_t decodings = 0;
  for (struct code_page **link = bucket_of(cache, host); *link != NULL;) {
    struct code_page *page = *link;
    bool same = page->host == host;
    if (same && (++decodings > MOST_PER_HOST_PAGE || memcmp(page->source, host, HART_PAGE_BYTES) != 0)) {
      unlink_page(cache, link);
      continue;
    }
    if (same && found == NULL && page->index[entry] != HART_NO_OPERATION) found = page;
    link = &page->next;
  }
  return found;
}

struct code_page *code_cache_acquire(struct code_cache *cache, const uint8_t *host, uint32_t entry, const void *const *handlers) {
  pthread_mutex_lock(&cache->lock);
  struct code_page *page = find(cache, host, entry);
  if (page == NULL) {
    /* Decoded from a copy: other harts may write the page meanwhile. */
    uint8_t copy[HART_PAGE_BYTES];
    memcpy(copy, host, sizeof copy);
    if (cache->pages >= MOST_PAGES) evict(cache);
    page = code_page_build(copy, entry, handlers);
    if (page != NULL) {
      struct code_page **bucket = bucket_of(cache, host);
      page->host = host;
      page->next = *bucket;
      *bucket = page;
      cache->pages++;
    }
  }
  if (page != NULL) page->references++;
  pthread_mutex_unlock(&cache->lock);
  return page;
}

void code_cache_release(struct code_cache *cache, struct code_page *page) {
  pthread_mutex_lock(&cache->lock);
  bool last = --page->references == 0 && page->stale;
  pthread_mutex_unlock(&cache->lock);
  if (last) free(page);
}
