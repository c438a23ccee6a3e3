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
  uint64_t sram_bytes, lpddr_bytes;
  uint64_t clock_mhz;
  /* Megabytes (10^6) a second. */
  uint64_t pcie_mbs, sram_mbs, lpddr_mbs;
};

void chip_identify(struct chip *chip);
/* Encoded as WORK_QUEUE_ENGINE.RECTANGLE. */
struct rectangle rectangle_decode(uint64_t encoded);
uint32_t rectangle_encode(struct rectangle rectangle);
/* Bit per PE of the rectangle; 0 where it is empty or leaves the grid. */
uint64_t rectangle_pes(const struct chip *chip, struct rectangle rectangle);
/* Nanoseconds of device time that a DMA engine transfer takes: the slowest of the memories and links it passes. */
uint64_t copy_nanoseconds(const struct chip *chip, uint32_t kind, uint64_t source, uint64_t destination, uint64_t bytes);
/* Stops every PE of the set, clears it and starts its monitor; returns when nothing of what they did is under way. */
void pes_reset(uint64_t pes);

#endif
