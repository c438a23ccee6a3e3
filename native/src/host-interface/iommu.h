/* The IOMMU: which host memory the device may reach, per context. */
#ifndef MTIA_IOMMU_H
#define MTIA_IOMMU_H
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "generated/mtia_hw.h"

enum iommu_right { IOMMU_READ = 1, IOMMU_WRITE = 2 };

struct iommu_mapping;

struct iommu_domain {
  pthread_mutex_t lock;
  pthread_cond_t released; /* an access through a mapping that is going away has ended */
  struct iommu_mapping **mappings; /* sorted by address, no two overlap */
  uint32_t count, capacity;
};

struct iommu {
  struct iommu_domain domains[MTIA_LIMIT_CONTEXTS];
  _Atomic bool bus_master; /* PCI command register: the function may access host memory at all */
};

/* Host memory that an access may use until iommu_release. */
struct iommu_span {
  uint8_t *host;
  uint64_t bytes; /* at most what was asked for; less where the mapping ends */
  struct iommu_domain *domain;
  struct iommu_mapping *mapping;
};

void iommu_create(struct iommu *iommu);
void iommu_destroy(struct iommu *iommu);
/* Status codes of the C ABI. */
int32_t iommu_map(struct iommu *iommu, uint32_t context, uint64_t iova, void *host, uint64_t bytes, uint32_t rights);
/* Removes every mapping inside the range; refuses a range that cuts one or holds none. Waits for accesses under way. */
int32_t iommu_unmap(struct iommu *iommu, uint32_t context, uint64_t iova, uint64_t bytes);
void iommu_unmap_all(struct iommu *iommu);
/* False where nothing is mapped at iova with this right. Short: a span is held for one bounded copy. */
bool iommu_acquire(struct iommu *iommu, uint32_t context, uint64_t iova, uint64_t bytes, enum iommu_right right,
                   struct iommu_span *span);
void iommu_release(struct iommu_span *span);

#endif
