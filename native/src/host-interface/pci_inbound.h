/*
 * The inbound side of the PCI Express controller: posted writes of the host, and the completions of reads that the control
 * core sends to host memory. PCI ordering: a read completion does not pass posted writes that came before it.
 *
 * Posted writes travel through a queue of bounded size (the flow control credits of the link) and a NoC port into the doorbell
 * FIFO, which the control core empties when it looks at QUEUE_ENGINE.PENDING. Nobody reads host memory: then no completion
 * waits for anything, and writes are applied as they come.
 */
#ifndef MTIA_PCI_INBOUND_H
#define MTIA_PCI_INBOUND_H
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "event_count.h"

struct chip;

/* Assumed: not published. */
#define PCI_INBOUND_CREDITS 16u
#define DOORBELL_FIFO_ENTRIES 8u

struct pci_inbound {
  _Atomic bool ordered; /* the control core has read host memory since the reset */
  pthread_mutex_t lock;
  struct event_count credits; /* a posted write has left the queue */
  struct posted_write {
    uint32_t offset, width;
    uint64_t value;
  } queue[PCI_INBOUND_CREDITS];
  uint64_t accepted, drained; /* posted writes so far */
  uint32_t doorbells; /* in the FIFO */
  bool link_down; /* credits ran out: nothing is accepted any more */
  bool dead; /* the chip has stopped: writes are accepted and lost */

  /* The read of the control core; one at a time. */
  uint64_t address, data;
  uint32_t context, status;
  bool arrived; /* the completion is in the controller, behind the posted writes up to `behind` */
  uint64_t arrives_at, behind;
};

void pci_inbound_create(struct pci_inbound *inbound);
void pci_inbound_destroy(struct pci_inbound *inbound);
/* Power-on state. The chip is at rest. */
void pci_inbound_reset(struct chip *chip);
/* The chip has stopped: whoever waits is let go, and writes are lost. */
void pci_inbound_kill(struct chip *chip);
/* Host side: a write of BAR0. 0, or CHIP_LINK_DOWN after a bounded wait for credits. */
int32_t pci_inbound_write(struct chip *chip, uint32_t offset, uint32_t width, uint64_t value);
/* Control thread: the doorbell FIFO has been read. */
void pci_inbound_doorbells_taken(struct chip *chip);
/* Who waits for whom; false where no read waits. */
bool pci_inbound_describe(struct chip *chip, char *text, uint32_t bytes);

/* Register block HOST_READ. */
bool host_read_read32(struct chip *chip, uint32_t offset, uint32_t *value);
bool host_read_read64(struct chip *chip, uint32_t offset, uint64_t *value);
bool host_read_write32(struct chip *chip, uint32_t offset, uint32_t value);
bool host_read_write64(struct chip *chip, uint32_t offset, uint64_t value);

#endif
