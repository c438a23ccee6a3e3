#include "pci_inbound.h"
#include <stdio.h>
#include <string.h>
#include "chip.h"

/* From the request to the completion in the controller. Assumed: a round trip of PCI Express. */
#define ROUND_TRIP_NS 1000u
/* How long a write waits for credits before the link counts as down. */
#define CREDIT_PATIENCE_NS 50000000u

void pci_inbound_create(struct pci_inbound *inbound) { pthread_mutex_init(&inbound->lock, NULL); }
void pci_inbound_destroy(struct pci_inbound *inbound) { pthread_mutex_destroy(&inbound->lock); }

void pci_inbound_reset(struct chip *chip) {
  struct pci_inbound *inbound = &chip->pci_inbound;
  pthread_mutex_lock(&inbound->lock);
  atomic_store(&inbound->ordered, false);
  inbound->accepted = inbound->drained = 0;
  inbound->doorbells = 0;
  inbound->link_down = inbound->dead = inbound->arrived = false;
  inbound->address = inbound->data = 0;
  inbound->context = 0;
  inbound->status = MTIA_HOST_READ_IDLE;
  pthread_mutex_unlock(&inbound->lock);
  event_count_notify(&inbound->credits, UINT16_MAX);
}

void pci_inbound_kill(struct chip *chip) {
  struct pci_inbound *inbound = &chip->pci_inbound;
  pthread_mutex_lock(&inbound->lock);
  inbound->dead = true;
  inbound->drained = inbound->accepted;
  pthread_mutex_unlock(&inbound->lock);
  event_count_notify(&inbound->credits, UINT16_MAX);
}

static bool is_doorbell(uint32_t offset) {
  bool in_pages = offset >= MTIA_PCI_QUEUE_PAGE_OFFSET;
  return in_pages && (offset - MTIA_PCI_QUEUE_PAGE_OFFSET) % MTIA_PCI_QUEUE_PAGE_BYTES == MTIA_QUEUE_PAGE_SUBMISSION_TAIL;
}

/* Lets posted writes through the NoC port, in order, as far as the FIFO has room. The lock is held. */
static void drain(struct chip *chip) {
  struct pci_inbound *inbound = &chip->pci_inbound;
  while (inbound->drained != inbound->accepted) {
    const struct posted_write *write = &inbound->queue[inbound->drained % PCI_INBOUND_CREDITS];
    bool doorbell = is_doorbell(write->offset);
    if (doorbell && inbound->doorbells == DOORBELL_FIFO_ENTRIES) return;
    inbound->doorbells += doorbell;
    pci_bar_apply_write(chip, write->offset, write->width, write->value);
    inbound->drained++;
  }
}

/* A completion whose time has come takes its place behind what was posted before it. The lock is held. */
static void let_completion_arrive(struct chip *chip) {
  struct pci_inbound *inbound = &chip->pci_inbound;
  if (inbound->status != MTIA_HOST_READ_BUSY || inbound->arrived || chip_clock_now(&chip->clock) < inbound->arrives_at) return;
  inbound->arrived = true;
  inbound->behind = inbound->accepted;
}

/* False where the queue has no room. */
static bool accept_write(struct chip *chip, const struct posted_write *write) {
  struct pci_inbound *inbound = &chip->pci_inbound;
  pthread_mutex_lock(&inbound->lock);
  let_completion_arrive(chip);
  bool room = inbound->accepted - inbound->drained < PCI_INBOUND_CREDITS;
  if (room && !inbound->dead) {
    inbound->queue[inbound->accepted++ % PCI_INBOUND_CREDITS] = *write;
    drain(chip);
  }
  bool accepted = room || inbound->dead;
  pthread_mutex_unlock(&inbound->lock);
  return accepted;
}

static void take_link_down(struct chip *chip) {
  struct pci_inbound *inbound = &chip->pci_inbound;
  pthread_mutex_lock(&inbound->lock);
  inbound->link_down = true;
  pthread_mutex_unlock(&inbound->lock);
  control_watchdog_record(chip);
}

static bool is_link_down(struct pci_inbound *inbound) {
  pthread_mutex_lock(&inbound->lock);
  bool down = inbound->link_down;
  pthread_mutex_unlock(&inbound->lock);
  return down;
}

int32_t pci_inbound_write(struct chip *chip, uint32_t offset, uint32_t width, uint64_t value) {
  struct pci_inbound *inbound = &chip->pci_inbound;
  chip_count(&chip->host_counters.posted_writes, 1);
  if (!atomic_load_explicit(&inbound->ordered, memory_order_acquire)) {
    pci_bar_apply_write(chip, offset, width, value);
    return MTIA_ERROR_OK;
  }
  const struct posted_write write = {.offset = offset, .width = width, .value = value};
  const uint64_t start = host_time_ns();
  for (;;) {
    uint32_t ticket = event_count_prepare(&inbound->credits);
    if (is_link_down(inbound)) return MTIA_ERROR_CHIP_LINK_DOWN;
    if (accept_write(chip, &write)) return MTIA_ERROR_OK;
    uint64_t waited = host_time_ns() - start;
    if (waited >= CREDIT_PATIENCE_NS) {
      take_link_down(chip);
      return MTIA_ERROR_CHIP_LINK_DOWN;
    }
    event_count_wait(&inbound->credits, ticket, CREDIT_PATIENCE_NS - waited);
  }
}

void pci_inbound_doorbells_taken(struct chip *chip) {
  struct pci_inbound *inbound = &chip->pci_inbound;
  if (!atomic_load_explicit(&inbound->ordered, memory_order_relaxed)) return;
  pthread_mutex_lock(&inbound->lock);
  let_completion_arrive(chip);
  inbound->doorbells = 0;
  if (!inbound->dead) drain(chip);
  pthread_mutex_unlock(&inbound->lock);
  event_count_notify(&inbound->credits, UINT16_MAX);
}

bool pci_inbound_describe(struct chip *chip, char *text, uint32_t bytes) {
  struct pci_inbound *inbound = &chip->pci_inbound;
  pthread_mutex_lock(&inbound->lock);
  bool waits = inbound->status == MTIA_HOST_READ_BUSY;
  uint64_t posted = inbound->accepted - inbound->drained;
  int length = 0;
  if (waits) {
    length = snprintf(text, bytes, "control hart 0 waits for a host read completion at iova 0x%llx",
                      (unsigned long long)inbound->address);
  }
  if (waits && posted > 0 && length > 0 && (uint32_t)length < bytes) {
    snprintf(text + length, bytes - (uint32_t)length,
             " <- behind %llu posted writes <- NoC back-pressure: doorbell FIFO full (%u of %u) <- waits for control hart 0",
             (unsigned long long)posted, inbound->doorbells, DOORBELL_FIFO_ENTRIES);
  }
  pthread_mutex_unlock(&inbound->lock);
  return waits;
}

/* --- register block HOST_READ --- */

static void start(struct chip *chip) {
  struct pci_inbound *inbound = &chip->pci_inbound;
  pthread_mutex_lock(&inbound->lock);
  if (inbound->status != MTIA_HOST_READ_BUSY) {
    atomic_store_explicit(&inbound->ordered, true, memory_order_release);
    inbound->status = MTIA_HOST_READ_BUSY;
    inbound->arrived = false;
    inbound->arrives_at = chip_clock_now(&chip->clock) + ROUND_TRIP_NS;
  }
  pthread_mutex_unlock(&inbound->lock);
}

/* The lock is held. */
static void complete(struct chip *chip) {
  struct pci_inbound *inbound = &chip->pci_inbound;
  struct iommu_span span;
  inbound->status = MTIA_HOST_READ_FAULT;
  if (!iommu_acquire(&chip->iommu, inbound->context, inbound->address, sizeof(inbound->data), IOMMU_READ, &span)) return;
  if (span.bytes == sizeof(inbound->data)) {
    memcpy(&inbound->data, span.host, sizeof(inbound->data));
    inbound->status = MTIA_HOST_READ_DONE;
    chip_count(&chip->host_counters.read_completions, 1);
  }
  iommu_release(&span);
}

static uint32_t look(struct chip *chip) {
  struct pci_inbound *inbound = &chip->pci_inbound;
  pthread_mutex_lock(&inbound->lock);
  let_completion_arrive(chip);
  if (inbound->status == MTIA_HOST_READ_BUSY && inbound->arrived && inbound->drained >= inbound->behind) complete(chip);
  uint32_t status = inbound->status;
  pthread_mutex_unlock(&inbound->lock);
  return status;
}

bool host_read_read32(struct chip *chip, uint32_t offset, uint32_t *value) {
  switch (offset) {
    case MTIA_HOST_READ_CONTEXT: *value = chip->pci_inbound.context; return true;
    case MTIA_HOST_READ_START: *value = 0; return true;
    case MTIA_HOST_READ_STATUS: *value = look(chip); return true;
    default: return false;
  }
}

bool host_read_read64(struct chip *chip, uint32_t offset, uint64_t *value) {
  switch (offset) {
    case MTIA_HOST_READ_ADDRESS: *value = chip->pci_inbound.address; return true;
    case MTIA_HOST_READ_DATA: *value = chip->pci_inbound.data; return true;
    default: return false;
  }
}

bool host_read_write32(struct chip *chip, uint32_t offset, uint32_t value) {
  switch (offset) {
    case MTIA_HOST_READ_CONTEXT: chip->pci_inbound.context = value; return true;
    case MTIA_HOST_READ_START: start(chip); return true;
    default: return offset == MTIA_HOST_READ_STATUS;
  }
}

bool host_read_write64(struct chip *chip, uint32_t offset, uint64_t value) {
  if (offset == MTIA_HOST_READ_ADDRESS) chip->pci_inbound.address = value;
  return offset == MTIA_HOST_READ_ADDRESS || offset == MTIA_HOST_READ_DATA;
}
