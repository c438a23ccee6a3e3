/* Queues under the firmware of the repository: rings that wrap, doorbells from many threads, full rings, faults, resets. */
#include <poll.h>
#include <stdatomic.h>
#include "chip_test.h"

#define IOVA 0x100000000ull
#define RING_BYTES 65536
#define COMPLETIONS (IOVA + 32768)
#define PAGE(queue) (MTIA_PCI_QUEUE_PAGE_OFFSET + (queue) * MTIA_PCI_QUEUE_PAGE_BYTES)

static const char *bundle_path = "firmware/bundle/mtia.bundle";

static void boot(struct mtia_device *device) {
  FILE *file = fopen(bundle_path, "rb");
  CHECK(file != NULL);
  static const size_t most = 8 << 20;
  uint8_t *bundle = malloc(most);
  size_t bytes = fread(bundle, 1, most, file);
  fclose(file);
  AWAIT(bar0(device, MTIA_BAR0_BOOT_STATUS, 4) == MTIA_BOOT_ROM_READY);
  CHECK_OK(mtia_pci_bar_write(device, 0, MTIA_BAR0_WINDOW_BASE, 8, MTIA_LPDDR_BASE));
  CHECK_OK(mtia_pci_bar_write_block(device, 2, 0, bundle, bytes));
  free(bundle);
  CHECK_OK(mtia_pci_bar_write(device, 0, MTIA_BAR0_BOOT_IMAGE_ADDRESS, 8, MTIA_LPDDR_BASE));
  CHECK_OK(mtia_pci_bar_write(device, 0, MTIA_BAR0_BOOT_IMAGE_BYTES, 8, bytes));
  CHECK_OK(mtia_pci_bar_write(device, 0, MTIA_BAR0_BOOT_DOORBELL, 4, 1));
  AWAIT(bar0(device, MTIA_BAR0_BOOT_STATUS, 4) >= MTIA_BOOT_READY);
  CHECK_EQUAL(bar0(device, MTIA_BAR0_BOOT_STATUS, 4), MTIA_BOOT_READY);
}

struct rings {
  struct mtia_submission *submissions;
  struct mtia_completion *completions;
  uint32_t queue, entries, completion_entries;
};

static void enable(struct mtia_device *device, const struct rings *rings) {
  const uint64_t page = PAGE(rings->queue);
  CHECK_OK(mtia_pci_bar_write(device, 0, page + MTIA_QUEUE_PAGE_CONTEXT, 4, 0));
  CHECK_OK(mtia_pci_bar_write(device, 0, page + MTIA_QUEUE_PAGE_SUBMISSION_BASE, 8, IOVA));
  CHECK_OK(mtia_pci_bar_write(device, 0, page + MTIA_QUEUE_PAGE_SUBMISSION_ENTRIES, 4, rings->entries));
  CHECK_OK(mtia_pci_bar_write(device, 0, page + MTIA_QUEUE_PAGE_COMPLETION_BASE, 8, COMPLETIONS));
  CHECK_OK(mtia_pci_bar_write(device, 0, page + MTIA_QUEUE_PAGE_COMPLETION_ENTRIES, 4, rings->completion_entries));
  CHECK_OK(mtia_pci_bar_write(device, 0, page + MTIA_QUEUE_PAGE_VECTOR, 4, rings->queue));
  CHECK_OK(mtia_pci_bar_write(device, 0, page + MTIA_QUEUE_PAGE_ENABLE, 4, 1));
}

static struct rings open_rings(struct mtia_device *device, uint32_t queue, uint32_t entries, uint32_t completion_entries) {
  uint8_t *memory = host_pages(RING_BYTES);
  struct rings rings = {(struct mtia_submission *)memory, (struct mtia_completion *)(memory + 32768), queue, entries, completion_entries};
  CHECK_OK(mtia_pci_dma_map(device, 0, IOVA, memory, RING_BYTES, 3));
  enable(device, &rings);
  return rings;
}

static void submit(struct rings *rings, uint32_t position, uint64_t cookie) {
  rings->submissions[position % rings->entries] = (struct mtia_submission){.opcode = MTIA_HOST_NOP, .cookie = cookie};
}

static void doorbell(struct mtia_device *device, const struct rings *rings, uint32_t tail) {
  CHECK_OK(mtia_pci_bar_write(device, 0, PAGE(rings->queue) + MTIA_QUEUE_PAGE_SUBMISSION_TAIL, 4, tail));
}

static void consume(struct mtia_device *device, const struct rings *rings, uint32_t head) {
  CHECK_OK(mtia_pci_bar_write(device, 0, PAGE(rings->queue) + MTIA_QUEUE_PAGE_COMPLETION_HEAD, 4, head));
}

static uint32_t sequence(const struct rings *rings, uint32_t position) {
  return __atomic_load_n(&rings->completions[position % rings->completion_entries].sequence, __ATOMIC_ACQUIRE);
}

static uint64_t in_page(struct mtia_device *device, const struct rings *rings, uint32_t offset) {
  return bar0(device, PAGE(rings->queue) + offset, 4);
}

/* Many times around small rings, in batches; every completion in order, with its cookie. */
static void wrap_around(void) {
  struct mtia_device *device = open_device(2);
  boot(device);
  struct rings rings = open_rings(device, 3, 4, 8);
  int32_t fd = -1;
  uint64_t interrupts = 0;
  CHECK_OK(mtia_pci_interrupt_fd(device, 3, &fd));
  uint32_t tail = 0;
  for (uint32_t round = 0; round < 500; round++) {
    uint32_t batch = 1 + round % 4;
    uint32_t head = tail;
    for (uint32_t index = 0; index < batch; index++, tail++) submit(&rings, tail, 1000 + tail);
    doorbell(device, &rings, tail);
    for (; head != tail; head++) {
      while (sequence(&rings, head) != head + 1) {
        struct pollfd waiting = {.fd = fd, .events = POLLIN};
        CHECK(poll(&waiting, 1, PATIENCE_MS) == 1);
        CHECK(read(fd, &interrupts, sizeof(interrupts)) == sizeof(interrupts));
      }
      CHECK_EQUAL(rings.completions[head % 8].cookie, 1000 + head);
    }
    consume(device, &rings, head);
  }
  CHECK_EQUAL(in_page(device, &rings, MTIA_QUEUE_PAGE_SUBMISSION_HEAD), tail);
  CHECK_EQUAL(in_page(device, &rings, MTIA_QUEUE_PAGE_COMPLETION_TAIL), tail);
  CHECK_EQUAL(in_page(device, &rings, MTIA_QUEUE_PAGE_SUBMISSION_TAIL), 0); /* write only */
  /* Doorbells of the past and of a far future change nothing. */
  doorbell(device, &rings, tail - 1);
  doorbell(device, &rings, tail + 5);
  doorbell(device, &rings, tail + 0x80000000u);
  consume(device, &rings, tail + 1);
  usleep(5000);
  CHECK_EQUAL(in_page(device, &rings, MTIA_QUEUE_PAGE_SUBMISSION_HEAD), tail);
  CHECK_EQUAL(in_page(device, &rings, MTIA_QUEUE_PAGE_FAULT), 0);
  CHECK_OK(mtia_close(device));
  CHECK_OK(mtia_host_free(rings.submissions, RING_BYTES));
}

/* A host that does not consume: nothing is lost, nothing is overwritten. */
static void full_completion_ring(void) {
  struct mtia_device *device = open_device(2);
  boot(device);
  struct rings rings = open_rings(device, 0, 256, 4);
  for (uint32_t index = 0; index < 256; index++) submit(&rings, index, index);
  doorbell(device, &rings, 256);
  AWAIT(sequence(&rings, 3) == 4);
  usleep(20000);
  for (uint32_t head = 0; head < 256; head++) {
    AWAIT(sequence(&rings, head) == head + 1);
    CHECK_EQUAL(rings.completions[head % 4].cookie, head);
    usleep(head < 20 ? 500 : 0);
    CHECK_EQUAL(sequence(&rings, head), head + 1); /* not overwritten before it is consumed */
    consume(device, &rings, head + 1);
  }
  CHECK_OK(mtia_close(device));
  CHECK_OK(mtia_host_free(rings.submissions, RING_BYTES));
}

struct storm {
  struct mtia_device *device;
  struct rings *rings;
  pthread_mutex_t lock;
  uint32_t tail;
  _Atomic uint32_t head;
  uint32_t most;
};

/* Takes a place in the ring, then rings the doorbell with the lock long given up: doorbells arrive in any order. */
static void *storming(void *argument) {
  struct storm *storm = argument;
  for (;;) {
    pthread_mutex_lock(&storm->lock);
    if (storm->tail == storm->most) break;
    if (storm->tail - atomic_load(&storm->head) >= storm->rings->entries) {
      pthread_mutex_unlock(&storm->lock);
      usleep(50);
      continue;
    }
    submit(storm->rings, storm->tail, storm->tail);
    uint32_t tail = ++storm->tail;
    pthread_mutex_unlock(&storm->lock);
    doorbell(storm->device, storm->rings, tail);
  }
  pthread_mutex_unlock(&storm->lock);
  return NULL;
}

static void doorbell_storm(void) {
  struct mtia_device *device = open_device(2);
  boot(device);
  struct rings rings = open_rings(device, 7, 64, 64);
  struct storm storm = {.device = device, .rings = &rings, .lock = PTHREAD_MUTEX_INITIALIZER, .most = 20000};
  pthread_t threads[2];
  for (int index = 0; index < 2; index++) pthread_create(&threads[index], NULL, storming, &storm);
  for (uint32_t head = 0; head < storm.most; head++) {
    for (uint64_t spins = 0; sequence(&rings, head) != head + 1; spins++) {
      if (spins > 1000) usleep(20);
      CHECK(spins < 1000000);
    }
    CHECK_EQUAL(rings.completions[head % 64].cookie, head);
    consume(device, &rings, head + 1);
    atomic_store(&storm.head, head + 1);
  }
  for (int index = 0; index < 2; index++) pthread_join(threads[index], NULL);
  CHECK_OK(mtia_close(device));
  CHECK_OK(mtia_host_free(rings.submissions, RING_BYTES));
}

static void faults(void) {
  struct mtia_device *device = open_device(2);
  boot(device);
  struct rings rings = open_rings(device, 1, 16, 16);
  submit(&rings, 0, 5);
  doorbell(device, &rings, 1);
  AWAIT(sequence(&rings, 0) == 1);
  /* The rings go away under the queue. */
  CHECK_OK(mtia_pci_dma_unmap(device, 0, IOVA, RING_BYTES));
  submit(&rings, 1, 6);
  doorbell(device, &rings, 2);
  AWAIT(in_page(device, &rings, MTIA_QUEUE_PAGE_FAULT) == MTIA_ERROR_HOST_ADDRESS_FAULT);
  /* Enabled anew it works again: both rings empty, numbered from 1. */
  memset(rings.submissions, 0, RING_BYTES);
  CHECK_OK(mtia_pci_dma_map(device, 0, IOVA, rings.submissions, RING_BYTES, 3));
  enable(device, &rings);
  CHECK_EQUAL(in_page(device, &rings, MTIA_QUEUE_PAGE_FAULT), 0);
  submit(&rings, 0, 7);
  doorbell(device, &rings, 1);
  AWAIT(sequence(&rings, 0) == 1);
  CHECK_EQUAL(rings.completions[0].cookie, 7);
  /* A completion ring that may not be written. */
  CHECK_OK(mtia_pci_dma_unmap(device, 0, IOVA, RING_BYTES));
  CHECK_OK(mtia_pci_dma_map(device, 0, IOVA, rings.submissions, RING_BYTES, 1));
  submit(&rings, 1, 8);
  doorbell(device, &rings, 2);
  AWAIT(in_page(device, &rings, MTIA_QUEUE_PAGE_FAULT) == MTIA_ERROR_HOST_ADDRESS_FAULT);
  CHECK_EQUAL(sequence(&rings, 1), 0);
  /* Impossible rings. */
  const struct { uint32_t offset; uint64_t good, bad; } fields[] = {
      {MTIA_QUEUE_PAGE_SUBMISSION_BASE, IOVA, IOVA + 8}, {MTIA_QUEUE_PAGE_SUBMISSION_ENTRIES, 16, 17}, {MTIA_QUEUE_PAGE_COMPLETION_ENTRIES, 16, 512},
      {MTIA_QUEUE_PAGE_COMPLETION_ENTRIES, 16, 0}, {MTIA_QUEUE_PAGE_CONTEXT, 0, 32}, {MTIA_QUEUE_PAGE_VECTOR, 1, 32}, {MTIA_QUEUE_PAGE_PRIORITY, 3, 4}, {MTIA_QUEUE_PAGE_COMPLETION_BASE, COMPLETIONS, UINT64_MAX - 63},
  };
  for (size_t index = 0; index < sizeof(fields) / sizeof(fields[0]); index++) {
    bool wide = fields[index].offset == MTIA_QUEUE_PAGE_SUBMISSION_BASE || fields[index].offset == MTIA_QUEUE_PAGE_COMPLETION_BASE;
    CHECK_OK(mtia_pci_bar_write(device, 0, PAGE(1) + fields[index].offset, wide ? 8 : 4, fields[index].bad));
    CHECK_OK(mtia_pci_bar_write(device, 0, PAGE(1) + MTIA_QUEUE_PAGE_ENABLE, 4, 1));
    CHECK_EQUAL(in_page(device, &rings, MTIA_QUEUE_PAGE_FAULT), MTIA_ERROR_INVALID_COMMAND);
    doorbell(device, &rings, 1);
    CHECK_OK(mtia_pci_bar_write(device, 0, PAGE(1) + fields[index].offset, wide ? 8 : 4, fields[index].good));
  }
  CHECK_OK(mtia_close(device));
  CHECK_OK(mtia_host_free(rings.submissions, RING_BYTES));
}

/* The queue is stopped and started again as fast as the host can, with commands under way each time. */
static void new_lives(void) {
  struct mtia_device *device = open_device(2);
  boot(device);
  struct rings rings = open_rings(device, 2, 32, 32);
  for (uint64_t life = 1; life < 2000; life++) {
    CHECK_OK(mtia_pci_bar_write(device, 0, PAGE(2) + MTIA_QUEUE_PAGE_ENABLE, 4, 0));
    memset(rings.submissions, 0, RING_BYTES);
    CHECK_OK(mtia_pci_bar_write(device, 0, PAGE(2) + MTIA_QUEUE_PAGE_ENABLE, 4, 1));
    uint32_t count = 1 + life % 20;
    for (uint32_t index = 0; index < count; index++) submit(&rings, index, life << 32 | index);
    doorbell(device, &rings, count);
    uint32_t wanted = life % 3 == 0 ? 0 : count;
    for (uint32_t head = 0; head < wanted; head++) {
      AWAIT(sequence(&rings, head) == head + 1);
      /* Nothing of an earlier life, nothing lost of this one. */
      CHECK_EQUAL(rings.completions[head].cookie, life << 32 | head);
    }
  }
  CHECK_OK(mtia_close(device));
  CHECK_OK(mtia_host_free(rings.submissions, RING_BYTES));
}

static void *resetting(void *argument) {
  struct mtia_device *device = argument;
  for (int round = 0; round < 5; round++) {
    usleep(3000);
    CHECK_OK(mtia_pci_function_reset(device));
  }
  return NULL;
}

/* Function resets under traffic; the card then boots and works as if new. */
static void reset_under_traffic(void) {
  struct mtia_device *device = open_device(2);
  for (int round = 0; round < 5; round++) {
    boot(device);
    struct rings rings = open_rings(device, 0, 64, 64);
    for (uint32_t index = 0; index < 64; index++) submit(&rings, index, index);
    pthread_t thread;
    pthread_create(&thread, NULL, resetting, device);
    for (uint32_t tail = 0; tail < 20000; tail++) {
      doorbell(device, &rings, tail + 1);
      consume(device, &rings, tail);
    }
    pthread_join(thread, NULL);
    CHECK_EQUAL(in_page(device, &rings, MTIA_QUEUE_PAGE_ENABLE), 0);
    CHECK_OK(mtia_host_free(rings.submissions, RING_BYTES));
  }
  boot(device);
  struct rings rings = open_rings(device, 0, 64, 64);
  submit(&rings, 0, 1);
  doorbell(device, &rings, 1);
  AWAIT(sequence(&rings, 0) == 1);
  CHECK_OK(mtia_close(device));
  CHECK_OK(mtia_host_free(rings.submissions, RING_BYTES));
}

int main(int argc, char **argv) {
  const struct test_case cases[] = {
      {"wrap-around", wrap_around}, {"full-completion-ring", full_completion_ring}, {"doorbell-storm", doorbell_storm},
      {"faults", faults}, {"new-lives", new_lives}, {"reset-under-traffic", reset_under_traffic},
  };
  if (argc > 2) bundle_path = argv[2];
  return run_cases(cases, sizeof(cases) / sizeof(cases[0]), argc, argv);
}
