/*
 * Threads: the host rings doorbells and writes ENABLE from any thread; fetching and posting happen on the control thread.
 * Doorbells are plain atomics (a doorbell never waits). The queue's lock covers what ENABLE replaces as a whole.
 *
 * Life of a queue: ENABLE latches the set-up and sets CHANGED. Until the firmware has cleared CHANGED it may still work on
 * commands of the queue's former life. So FETCHED, CONSUMED, CONTEXT and the entries in descriptor SRAM stay what they were,
 * nothing new is fetched, and what is posted is dropped. Clearing CHANGED starts the new life.
 */
#include "queue_engine.h"
#include <string.h>
#include "chip.h"

#define ENTRY_BYTES 64u
#define QUEUE_BIT(queue) (1u << (queue))

_Static_assert(sizeof(struct mtia_submission) == ENTRY_BYTES && sizeof(struct mtia_completion) == ENTRY_BYTES, "ring entries");

static size_t held_bytes(void) { return (size_t)MTIA_LIMIT_QUEUES * HELD_COMPLETIONS * ENTRY_BYTES; }

int32_t queue_engine_create(struct queue_engine *engine) {
  engine->held = (struct mtia_completion *)reserve_pages(held_bytes());
  if (engine->held == NULL) return MTIA_ERROR_CHIP_NO_MEMORY;
  for (uint32_t queue = 0; queue < MTIA_LIMIT_QUEUES; queue++) pthread_mutex_init(&engine->queues[queue].lock, NULL);
  return MTIA_ERROR_OK;
}

void queue_engine_destroy(struct queue_engine *engine) {
  if (engine->held == NULL) return;
  for (uint32_t queue = 0; queue < MTIA_LIMIT_QUEUES; queue++) pthread_mutex_destroy(&engine->queues[queue].lock);
  release_pages((uint8_t *)engine->held, held_bytes());
}

/* Both rings empty. The lock is held. */
static void empty_rings(struct queue *queue) {
  atomic_store(&queue->submission_tail, 0);
  atomic_store(&queue->submission_head, 0);
  atomic_store(&queue->completion_tail, 0);
  atomic_store(&queue->completion_head, 0);
  atomic_store(&queue->held_count, 0);
  atomic_store(&queue->fault, MTIA_ERROR_OK);
  queue->held_first = 0;
}

void queue_engine_reset(struct chip *chip) {
  struct queue_engine *engine = &chip->queue_engine;
  for (uint32_t number = 0; number < MTIA_LIMIT_QUEUES; number++) {
    struct queue *queue = &engine->queues[number];
    pthread_mutex_lock(&queue->lock);
    empty_rings(queue);
    queue->running = false;
    queue->setup = (struct queue_setup){0};
    queue->fetched = queue->consumed = queue->known_context = queue->known_priority = 0;
    atomic_store(&queue->submission_base, 0);
    atomic_store(&queue->completion_base, 0);
    atomic_store(&queue->submission_entries, 0);
    atomic_store(&queue->completion_entries, 0);
    atomic_store(&queue->context, 0);
    atomic_store(&queue->vector, 0);
    atomic_store(&queue->priority, 0);
    atomic_store(&queue->enable, 0);
    pthread_mutex_unlock(&queue->lock);
  }
  atomic_store(&engine->doorbells, 0);
  atomic_store(&engine->changed, 0);
  atomic_store(&engine->enabled, 0);
  engine->completion_address = 0;
  engine->post_error = 0;
}

static void ring_doorbell(struct chip *chip, uint32_t number) {
  atomic_fetch_or(&chip->queue_engine.doorbells, QUEUE_BIT(number));
  control_core_notify(chip);
}

/* Stops the queue; the host finds out why in FAULT. The lock is held. */
static void fault(struct chip *chip, struct queue *queue, uint32_t error) {
  queue->running = false;
  atomic_store(&queue->fault, error);
  if (queue->setup.vector < chip->msix.vectors) msix_raise(&chip->msix, queue->setup.vector);
}

static bool is_ring(uint64_t base, uint32_t entries) {
  bool power_of_two = entries != 0 && (entries & (entries - 1)) == 0;
  /* Entries that start on their own size never cross a page of the IOMMU. */
  return power_of_two && entries <= MTIA_LIMIT_QUEUE_ENTRIES && base % ENTRY_BYTES == 0 && base + entries * ENTRY_BYTES >= base;
}

static bool is_setup(const struct chip *chip, const struct queue_setup *setup) {
  return is_ring(setup->submission_base, setup->submission_entries) && is_ring(setup->completion_base, setup->completion_entries) &&
         setup->context < MTIA_LIMIT_CONTEXTS && setup->vector < chip->msix.vectors &&
         setup->priority < MTIA_LIMIT_QUEUE_PRIORITIES;
}

static void enable(struct chip *chip, uint32_t number, bool on) {
  struct queue_engine *engine = &chip->queue_engine;
  struct queue *queue = &engine->queues[number];
  pthread_mutex_lock(&queue->lock);
  queue->running = false;
  if (on) {
    empty_rings(queue);
    queue->setup = (struct queue_setup){
        .submission_base = atomic_load(&queue->submission_base),
        .completion_base = atomic_load(&queue->completion_base),
        .submission_entries = atomic_load(&queue->submission_entries),
        .completion_entries = atomic_load(&queue->completion_entries),
        .context = atomic_load(&queue->context),
        .vector = atomic_load(&queue->vector),
        .priority = atomic_load(&queue->priority),
    };
    queue->running = true;
    if (!is_setup(chip, &queue->setup)) fault(chip, queue, MTIA_ERROR_INVALID_COMMAND);
  }
  atomic_store(&queue->enable, on);
  if (on) atomic_fetch_or(&engine->enabled, QUEUE_BIT(number));
  else atomic_fetch_and(&engine->enabled, ~QUEUE_BIT(number));
  atomic_fetch_or(&engine->changed, QUEUE_BIT(number));
  pthread_mutex_unlock(&queue->lock);
  control_core_notify(chip);
}

/*
 * Two threads that ring one doorbell may arrive in the wrong order, so the position only moves forward; and only over entries
 * that the ring can hold, so a wild value changes nothing. True where it moved.
 */
static bool advance(_Atomic uint32_t *position, uint32_t value, uint32_t limit, uint32_t most) {
  uint32_t old = atomic_load(position);
  do {
    if ((int32_t)(value - old) <= 0 || value - limit > most) return false;
  } while (!atomic_compare_exchange_weak(position, &old, value));
  return true;
}

static void submission_doorbell(struct chip *chip, uint32_t number, uint32_t value) {
  struct queue *queue = &chip->queue_engine.queues[number];
  uint32_t entries = atomic_load(&queue->submission_entries);
  if (atomic_load(&queue->enable) == 0) return;
  if (!advance(&queue->submission_tail, value, atomic_load(&queue->submission_head), entries)) return;
  chip_count(&chip->host_counters.doorbells, 1);
  ring_doorbell(chip, number);
}

static void completion_doorbell(struct chip *chip, uint32_t number, uint32_t value) {
  struct queue *queue = &chip->queue_engine.queues[number];
  uint32_t tail = atomic_load(&queue->completion_tail);
  uint32_t old = atomic_load(&queue->completion_head);
  if (atomic_load(&queue->enable) == 0) return;
  if (!advance(&queue->completion_head, value, old, tail - old)) return;
  /* Room matters only where completions wait for it (post stores held_count before it looks at the head again). */
  if (atomic_load(&queue->held_count) != 0) ring_doorbell(chip, number);
}

static uint32_t low_word(uint64_t value) { return (uint32_t)value; }
static uint32_t high_word(uint64_t value) { return (uint32_t)(value >> 32); }

/* Only the host's own set-up code writes a base register: its halves need not be one atomic step. */
static void store_low(_Atomic uint64_t *base, uint32_t value) {
  atomic_store(base, (atomic_load(base) & ~0xffffffffull) | value);
}
static void store_high(_Atomic uint64_t *base, uint32_t value) {
  atomic_store(base, (atomic_load(base) & 0xffffffffull) | (uint64_t)value << 32);
}

uint32_t queue_page_read(struct chip *chip, uint32_t number, uint32_t offset) {
  struct queue *queue = &chip->queue_engine.queues[number];
  switch (offset) {
    case MTIA_QUEUE_PAGE_SUBMISSION_BASE: return low_word(atomic_load(&queue->submission_base));
    case MTIA_QUEUE_PAGE_SUBMISSION_BASE + 4: return high_word(atomic_load(&queue->submission_base));
    case MTIA_QUEUE_PAGE_SUBMISSION_ENTRIES: return atomic_load(&queue->submission_entries);
    case MTIA_QUEUE_PAGE_SUBMISSION_HEAD: return atomic_load(&queue->submission_head);
    case MTIA_QUEUE_PAGE_CONTEXT: return atomic_load(&queue->context);
    case MTIA_QUEUE_PAGE_COMPLETION_BASE: return low_word(atomic_load(&queue->completion_base));
    case MTIA_QUEUE_PAGE_COMPLETION_BASE + 4: return high_word(atomic_load(&queue->completion_base));
    case MTIA_QUEUE_PAGE_COMPLETION_ENTRIES: return atomic_load(&queue->completion_entries);
    case MTIA_QUEUE_PAGE_COMPLETION_TAIL: return atomic_load(&queue->completion_tail);
    case MTIA_QUEUE_PAGE_VECTOR: return atomic_load(&queue->vector);
    case MTIA_QUEUE_PAGE_PRIORITY: return atomic_load(&queue->priority);
    case MTIA_QUEUE_PAGE_ENABLE: return atomic_load(&queue->enable);
    case MTIA_QUEUE_PAGE_FAULT: return atomic_load(&queue->fault);
    default: return 0;
  }
}

void queue_page_write(struct chip *chip, uint32_t number, uint32_t offset, uint32_t value) {
  struct queue *queue = &chip->queue_engine.queues[number];
  switch (offset) {
    case MTIA_QUEUE_PAGE_SUBMISSION_BASE: store_low(&queue->submission_base, value); break;
    case MTIA_QUEUE_PAGE_SUBMISSION_BASE + 4: store_high(&queue->submission_base, value); break;
    case MTIA_QUEUE_PAGE_SUBMISSION_ENTRIES: atomic_store(&queue->submission_entries, value); break;
    case MTIA_QUEUE_PAGE_SUBMISSION_TAIL: submission_doorbell(chip, number, value); break;
    case MTIA_QUEUE_PAGE_CONTEXT: atomic_store(&queue->context, value); break;
    case MTIA_QUEUE_PAGE_COMPLETION_BASE: store_low(&queue->completion_base, value); break;
    case MTIA_QUEUE_PAGE_COMPLETION_BASE + 4: store_high(&queue->completion_base, value); break;
    case MTIA_QUEUE_PAGE_COMPLETION_ENTRIES: atomic_store(&queue->completion_entries, value); break;
    case MTIA_QUEUE_PAGE_COMPLETION_HEAD: completion_doorbell(chip, number, value); break;
    case MTIA_QUEUE_PAGE_VECTOR: atomic_store(&queue->vector, value); break;
    case MTIA_QUEUE_PAGE_PRIORITY: atomic_store(&queue->priority, value); break;
    case MTIA_QUEUE_PAGE_ENABLE: enable(chip, number, (value & 1) != 0); break;
    default: break;
  }
}

/* --- control thread --- */

static bool acknowledged(const struct queue_engine *engine, uint32_t number) {
  return (atomic_load(&engine->changed) & QUEUE_BIT(number)) == 0;
}

/* Writes one completion to the host, its sequence number last. False: the queue has faulted. The lock is held. */
static bool write_completion(struct chip *chip, struct queue *queue, const struct mtia_completion *completion) {
  const struct queue_setup *setup = &queue->setup;
  uint32_t tail = atomic_load(&queue->completion_tail);
  uint64_t iova = setup->completion_base + (uint64_t)(tail & (setup->completion_entries - 1)) * ENTRY_BYTES;
  struct iommu_span span;
  if (!iommu_acquire(&chip->iommu, setup->context, iova, ENTRY_BYTES, IOMMU_WRITE, &span)) {
    fault(chip, queue, MTIA_ERROR_HOST_ADDRESS_FAULT);
    return false;
  }
  const size_t body = sizeof(completion->sequence);
  memcpy(span.host + body, (const uint8_t *)completion + body, ENTRY_BYTES - body);
  __atomic_store_n((uint32_t *)span.host, tail + 1, __ATOMIC_RELEASE);
  iommu_release(&span);
  atomic_store(&queue->completion_tail, tail + 1);
  msix_raise(&chip->msix, setup->vector);
  return true;
}

static bool ring_has_room(const struct queue *queue) {
  return atomic_load(&queue->completion_tail) - atomic_load(&queue->completion_head) < queue->setup.completion_entries;
}

/* The lock is held. */
static bool write_held(struct chip *chip, uint32_t number) {
  struct queue *queue = &chip->queue_engine.queues[number];
  const struct mtia_completion *held = chip->queue_engine.held + (size_t)number * HELD_COMPLETIONS;
  bool progress = false;
  while (queue->running && atomic_load(&queue->held_count) != 0 && ring_has_room(queue)) {
    if (!write_completion(chip, queue, &held[queue->held_first])) break;
    queue->held_first = (queue->held_first + 1) % HELD_COMPLETIONS;
    atomic_fetch_sub(&queue->held_count, 1);
    progress = true;
  }
  return progress;
}

/* Fetches what the descriptor SRAM has room for. The lock is held. */
static bool fetch(struct chip *chip, uint32_t number) {
  struct queue *queue = &chip->queue_engine.queues[number];
  const struct queue_setup *setup = &queue->setup;
  uint8_t *descriptors = chip->control_core.descriptor_sram + (size_t)number * MTIA_RESERVED_QUEUE_DESCRIPTOR_BYTES;
  bool progress = false;
  for (;;) {
    uint32_t head = queue->fetched;
    uint32_t count = atomic_load(&queue->submission_tail) - head;
    uint32_t room = MTIA_LIMIT_QUEUE_ENTRIES - (head - queue->consumed);
    uint32_t from = head & (setup->submission_entries - 1);
    uint32_t to = head & (MTIA_LIMIT_QUEUE_ENTRIES - 1);
    if (count > room) count = room;
    if (count > setup->submission_entries - from) count = setup->submission_entries - from;
    if (count > MTIA_LIMIT_QUEUE_ENTRIES - to) count = MTIA_LIMIT_QUEUE_ENTRIES - to;
    if (count == 0) return progress;
    struct iommu_span span;
    if (!iommu_acquire(&chip->iommu, setup->context, setup->submission_base + (uint64_t)from * ENTRY_BYTES,
                       (uint64_t)count * ENTRY_BYTES, IOMMU_READ, &span)) {
      fault(chip, queue, MTIA_ERROR_HOST_ADDRESS_FAULT);
      return progress;
    }
    count = (uint32_t)(span.bytes / ENTRY_BYTES);
    memcpy(descriptors + (size_t)to * ENTRY_BYTES, span.host, (size_t)count * ENTRY_BYTES);
    iommu_release(&span);
    queue->fetched = head + count;
    chip_count(&chip->host_counters.entries_fetched, count);
    atomic_store(&queue->submission_head, queue->fetched);
    progress = true;
  }
}

static bool serve(struct chip *chip, uint32_t number) {
  struct queue *queue = &chip->queue_engine.queues[number];
  pthread_mutex_lock(&queue->lock);
  bool progress = false;
  if (queue->running && acknowledged(&chip->queue_engine, number)) {
    progress = write_held(chip, number);
    if (queue->running && atomic_load(&queue->held_count) == 0) progress |= fetch(chip, number);
  }
  pthread_mutex_unlock(&queue->lock);
  return progress;
}

bool queue_engine_service(struct chip *chip) {
  if (atomic_load_explicit(&chip->queue_engine.doorbells, memory_order_relaxed) == 0) return false;
  uint32_t doorbells = atomic_exchange(&chip->queue_engine.doorbells, 0);
  bool progress = false;
  for (; doorbells != 0; doorbells &= doorbells - 1) progress |= serve(chip, (uint32_t)__builtin_ctz(doorbells));
  return progress;
}

uint32_t queue_engine_pending(const struct queue_engine *engine) {
  uint32_t pending = 0;
  for (uint32_t number = 0; number < MTIA_LIMIT_QUEUES; number++) {
    if (engine->queues[number].fetched != engine->queues[number].consumed) pending |= QUEUE_BIT(number);
  }
  return pending;
}

static uint32_t post(struct chip *chip, uint32_t number) {
  struct queue_engine *engine = &chip->queue_engine;
  const uint8_t *operand = control_bus_operand(chip, engine->completion_address, ENTRY_BYTES);
  if (number >= MTIA_LIMIT_QUEUES || operand == NULL) return MTIA_ERROR_INVALID_COMMAND;
  struct queue *queue = &engine->queues[number];
  struct mtia_completion completion;
  memcpy(&completion, operand, sizeof(completion));
  uint32_t error = MTIA_ERROR_OK;
  pthread_mutex_lock(&queue->lock);
  uint32_t held = atomic_load(&queue->held_count);
  if (!queue->running || !acknowledged(engine, number)) {
    error = atomic_load(&queue->fault);
    if (error == MTIA_ERROR_OK) error = MTIA_ERROR_ABORTED;
  } else if (held == 0 && ring_has_room(queue)) {
    if (!write_completion(chip, queue, &completion)) error = MTIA_ERROR_HOST_ADDRESS_FAULT;
  } else if (held == HELD_COMPLETIONS) {
    error = MTIA_ERROR_ABORTED;
  } else {
    struct mtia_completion *ring = engine->held + (size_t)number * HELD_COMPLETIONS;
    ring[(queue->held_first + held) % HELD_COMPLETIONS] = completion;
    atomic_fetch_add(&queue->held_count, 1);
    /* The host may have made room before it could see that somebody waits for it. */
    write_held(chip, number);
  }
  pthread_mutex_unlock(&queue->lock);
  return error;
}

static void consume(struct chip *chip, uint32_t number, uint32_t value) {
  struct queue *queue = &chip->queue_engine.queues[number];
  /* Only over entries that are there. */
  if (value - queue->consumed > queue->fetched - queue->consumed) return;
  queue->consumed = value;
  if (atomic_load(&queue->submission_tail) != queue->fetched) serve(chip, number);
}

/* The firmware knows of the queues' new lives. */
static void clear_changed(struct chip *chip, uint32_t bits) {
  for (; bits != 0; bits &= bits - 1) {
    uint32_t number = (uint32_t)__builtin_ctz(bits);
    struct queue *queue = &chip->queue_engine.queues[number];
    pthread_mutex_lock(&queue->lock);
    bool changed = !acknowledged(&chip->queue_engine, number);
    atomic_fetch_and(&chip->queue_engine.changed, ~QUEUE_BIT(number));
    if (changed) {
      queue->fetched = queue->consumed = 0;
      queue->known_context = queue->setup.context;
      queue->known_priority = queue->setup.priority;
    }
    pthread_mutex_unlock(&queue->lock);
    /* Doorbells may have rung already. */
    if (changed) serve(chip, number);
  }
}

/* Index of a register that is repeated per queue, or MTIA_LIMIT_QUEUES. */
static uint32_t index_in(uint32_t offset, uint32_t first) {
  bool inside = offset >= first && offset < first + 4 * MTIA_LIMIT_QUEUES && offset % 4 == 0;
  return inside ? (offset - first) / 4 : MTIA_LIMIT_QUEUES;
}

bool queue_engine_read32(struct chip *chip, uint32_t offset, uint32_t *value) {
  struct queue_engine *engine = &chip->queue_engine;
  uint32_t number;
  if ((number = index_in(offset, MTIA_QUEUE_ENGINE_FETCHED)) < MTIA_LIMIT_QUEUES) {
    *value = engine->queues[number].fetched;
    return true;
  }
  if ((number = index_in(offset, MTIA_QUEUE_ENGINE_CONSUMED)) < MTIA_LIMIT_QUEUES) {
    *value = engine->queues[number].consumed;
    return true;
  }
  if ((number = index_in(offset, MTIA_QUEUE_ENGINE_CONTEXT)) < MTIA_LIMIT_QUEUES) {
    *value = engine->queues[number].known_context;
    return true;
  }
  if ((number = index_in(offset, MTIA_QUEUE_ENGINE_PRIORITY)) < MTIA_LIMIT_QUEUES) {
    *value = engine->queues[number].known_priority;
    return true;
  }
  switch (offset) {
    case MTIA_QUEUE_ENGINE_PENDING:
      pci_inbound_doorbells_taken(chip);
      *value = queue_engine_pending(engine);
      return true;
    case MTIA_QUEUE_ENGINE_ENABLED: *value = atomic_load(&engine->enabled); return true;
    case MTIA_QUEUE_ENGINE_COMPLETION_POST: *value = 0; return true;
    case MTIA_QUEUE_ENGINE_POST_ERROR: *value = engine->post_error; return true;
    case MTIA_QUEUE_ENGINE_CHANGED: *value = atomic_load(&engine->changed); return true;
    default: return false;
  }
}

bool queue_engine_read64(struct chip *chip, uint32_t offset, uint64_t *value) {
  if (offset != MTIA_QUEUE_ENGINE_COMPLETION_ADDRESS) return false;
  *value = chip->queue_engine.completion_address;
  return true;
}

bool queue_engine_write32(struct chip *chip, uint32_t offset, uint32_t value) {
  uint32_t number = index_in(offset, MTIA_QUEUE_ENGINE_CONSUMED);
  if (number < MTIA_LIMIT_QUEUES) {
    consume(chip, number, value);
    return true;
  }
  switch (offset) {
    case MTIA_QUEUE_ENGINE_COMPLETION_POST: chip->queue_engine.post_error = post(chip, value); return true;
    case MTIA_QUEUE_ENGINE_CHANGED: clear_changed(chip, value); return true;
    default: return queue_engine_read32(chip, offset, &value); /* read only: ignored */
  }
}

bool queue_engine_write64(struct chip *chip, uint32_t offset, uint64_t value) {
  if (offset != MTIA_QUEUE_ENGINE_COMPLETION_ADDRESS) return false;
  chip->queue_engine.completion_address = value;
  return true;
}
