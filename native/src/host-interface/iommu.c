#include "iommu.h"
#include <stdlib.h>
#include <string.h>

#define PAGE_BYTES 4096u

struct iommu_mapping {
  uint64_t iova, bytes;
  uint8_t *host;
  uint32_t rights;
  uint32_t users; /* accesses under way */
  struct iommu_mapping *next; /* of those being removed */
};

void iommu_create(struct iommu *iommu) {
  memset(iommu, 0, sizeof(*iommu));
  for (uint32_t context = 0; context < MTIA_LIMIT_CONTEXTS; context++) {
    pthread_mutex_init(&iommu->domains[context].lock, NULL);
    pthread_cond_init(&iommu->domains[context].released, NULL);
  }
}

void iommu_destroy(struct iommu *iommu) {
  iommu_unmap_all(iommu);
  for (uint32_t context = 0; context < MTIA_LIMIT_CONTEXTS; context++) {
    free(iommu->domains[context].mappings);
    pthread_mutex_destroy(&iommu->domains[context].lock);
    pthread_cond_destroy(&iommu->domains[context].released);
  }
}

/* Index of the first mapping that ends behind iova; count where there is none. */
static uint32_t first_behind(const struct iommu_domain *domain, uint64_t iova) {
  uint32_t low = 0, high = domain->count;
  while (low < high) {
    uint32_t middle = (low + high) / 2;
    const struct iommu_mapping *mapping = domain->mappings[middle];
    if (mapping->iova + (mapping->bytes - 1) < iova) low = middle + 1;
    else high = middle;
  }
  return low;
}

static bool is_range(uint32_t context, uint64_t iova, uint64_t bytes) {
  bool pages = bytes != 0 && iova % PAGE_BYTES == 0 && bytes % PAGE_BYTES == 0;
  return context < MTIA_LIMIT_CONTEXTS && pages && iova + (bytes - 1) >= iova;
}

static bool grow(struct iommu_domain *domain) {
  if (domain->count < domain->capacity) return true;
  uint32_t capacity = domain->capacity == 0 ? 16 : domain->capacity * 2;
  struct iommu_mapping **mappings = realloc(domain->mappings, capacity * sizeof(*mappings));
  if (mappings == NULL) return false;
  domain->mappings = mappings;
  domain->capacity = capacity;
  return true;
}

static int32_t insert(struct iommu_domain *domain, struct iommu_mapping *mapping) {
  uint32_t at = first_behind(domain, mapping->iova);
  uint64_t last = mapping->iova + (mapping->bytes - 1);
  if (at < domain->count && domain->mappings[at]->iova <= last) return MTIA_ERROR_CHIP_BAD_ARGUMENT;
  if (!grow(domain)) return MTIA_ERROR_CHIP_NO_MEMORY;
  memmove(&domain->mappings[at + 1], &domain->mappings[at], (domain->count - at) * sizeof(domain->mappings[0]));
  domain->mappings[at] = mapping;
  domain->count++;
  return MTIA_ERROR_OK;
}

int32_t iommu_map(struct iommu *iommu, uint32_t context, uint64_t iova, void *host, uint64_t bytes, uint32_t rights) {
  bool rights_exist = rights != 0 && (rights & ~(uint32_t)(IOMMU_READ | IOMMU_WRITE)) == 0;
  bool host_fits = host != NULL && (uintptr_t)host % PAGE_BYTES == 0 && (uintptr_t)host + (bytes - 1) >= (uintptr_t)host;
  if (!is_range(context, iova, bytes) || !rights_exist || !host_fits) return MTIA_ERROR_CHIP_BAD_ARGUMENT;
  struct iommu_mapping *mapping = malloc(sizeof(*mapping));
  if (mapping == NULL) return MTIA_ERROR_CHIP_NO_MEMORY;
  *mapping = (struct iommu_mapping){.iova = iova, .bytes = bytes, .host = host, .rights = rights};
  struct iommu_domain *domain = &iommu->domains[context];
  pthread_mutex_lock(&domain->lock);
  int32_t status = insert(domain, mapping);
  pthread_mutex_unlock(&domain->lock);
  if (status != MTIA_ERROR_OK) free(mapping);
  return status;
}

/*
 * Takes mappings[first, end) out of the table, so that no new access finds them, then waits for those under way. A span is
 * held for one copy of bounded size, so the wait is bounded; the lock is free meanwhile and other mappings are not held up.
 */
static void remove_mappings(struct iommu_domain *domain, uint32_t first, uint32_t end) {
  struct iommu_mapping *removed = NULL;
  for (uint32_t at = first; at < end; at++) {
    domain->mappings[at]->next = removed;
    removed = domain->mappings[at];
  }
  if (end < domain->count) {
    memmove(&domain->mappings[first], &domain->mappings[end], (domain->count - end) * sizeof(domain->mappings[0]));
  }
  domain->count -= end - first;
  while (removed != NULL) {
    struct iommu_mapping *mapping = removed;
    removed = mapping->next;
    while (mapping->users != 0) pthread_cond_wait(&domain->released, &domain->lock);
    free(mapping);
  }
}

int32_t iommu_unmap(struct iommu *iommu, uint32_t context, uint64_t iova, uint64_t bytes) {
  if (!is_range(context, iova, bytes)) return MTIA_ERROR_CHIP_BAD_ARGUMENT;
  struct iommu_domain *domain = &iommu->domains[context];
  int32_t status = MTIA_ERROR_OK;
  uint64_t last = iova + (bytes - 1);
  pthread_mutex_lock(&domain->lock);
  uint32_t first = first_behind(domain, iova);
  uint32_t end = first;
  for (; end < domain->count && domain->mappings[end]->iova <= last; end++) {
    const struct iommu_mapping *mapping = domain->mappings[end];
    if (mapping->iova < iova || mapping->iova + (mapping->bytes - 1) > last) status = MTIA_ERROR_CHIP_BAD_ARGUMENT;
  }
  if (first == end) status = MTIA_ERROR_CHIP_BAD_ARGUMENT;
  if (status == MTIA_ERROR_OK) remove_mappings(domain, first, end);
  pthread_mutex_unlock(&domain->lock);
  return status;
}

void iommu_unmap_all(struct iommu *iommu) {
  for (uint32_t context = 0; context < MTIA_LIMIT_CONTEXTS; context++) {
    struct iommu_domain *domain = &iommu->domains[context];
    pthread_mutex_lock(&domain->lock);
    remove_mappings(domain, 0, domain->count);
    pthread_mutex_unlock(&domain->lock);
  }
}

bool iommu_acquire(struct iommu *iommu, uint32_t context, uint64_t iova, uint64_t bytes, enum iommu_right right,
                   struct iommu_span *span) {
  if (context >= MTIA_LIMIT_CONTEXTS || !atomic_load_explicit(&iommu->bus_master, memory_order_relaxed)) return false;
  struct iommu_domain *domain = &iommu->domains[context];
  bool found = false;
  pthread_mutex_lock(&domain->lock);
  uint32_t at = first_behind(domain, iova);
  if (at < domain->count && domain->mappings[at]->iova <= iova && (domain->mappings[at]->rights & right) != 0) {
    struct iommu_mapping *mapping = domain->mappings[at];
    uint64_t offset = iova - mapping->iova;
    uint64_t left = mapping->bytes - offset;
    mapping->users++;
    *span = (struct iommu_span){
        .host = mapping->host + offset, .bytes = bytes < left ? bytes : left, .domain = domain, .mapping = mapping};
    found = true;
  }
  pthread_mutex_unlock(&domain->lock);
  return found;
}

void iommu_release(struct iommu_span *span) {
  struct iommu_domain *domain = span->domain;
  pthread_mutex_lock(&domain->lock);
  if (--span->mapping->users == 0) pthread_cond_broadcast(&domain->released);
  pthread_mutex_unlock(&domain->lock);
}
