/* The chip that the firmware finds itself on: identity from its registers, speeds from the published specification. */
#ifndef MTIA_CONTROL_CHIP_H
#define MTIA_CONTROL_CHIP_H
#include <stdbool.h>
#include <stdint.h>

struct rectangle {
  uint32_t column, row, columns, rows;
};

struct chip {
  uint32_t columns, rows;
  bool broadcast;
  uint64_t sram_bytes, lpddr_bytes; /* addressable */
  uint64_t clock_mhz;
  /* Megabytes (10^6) a second. */
  uint64_t gunzip_mbs, pcie_mbs, sram_mbs, lpddr_mbs;
};

void chip_identify(struct chip *chip);
/* Encoded as WORK_QUEUE_ENGINE.RECTANGLE. */
struct rectangle rectangle_decode(uint64_t encoded);
uint32_t rectangle_encode(struct rectangle rectangle);
/* Bit per PE of the rectangle; 0 where it is empty or leaves the grid. */
uint64_t rectangle_pes(const struct chip *chip, struct rectangle rectangle);
/* A DMA engine transfer: bytes read and bytes written differ where it decompresses. */
struct transfer {
  uint32_t kind; /* MTIA_DMA_* */
  uint64_t source, destination, read_bytes, written_bytes;
};
/* Nanoseconds of device time that it takes: the slowest of the memories, links and units it passes. */
uint64_t transfer_nanoseconds(const struct chip *chip, const struct transfer *transfer);
/* Stops every PE of the set, clears it and starts its monitor; returns when nothing of what they did is under way. */
void pes_reset(uint64_t pes);

#endif
