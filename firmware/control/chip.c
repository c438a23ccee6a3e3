#include "chip.h"
#include "bits.h"
#include "mmio.h"

static const struct mtia_specification SPECIFICATIONS[] = MTIA_SPECIFICATIONS;

/* How PE_INDEX is made of row and column: PE_INDEX = row * 8 + column. */
#define PE_INDEX_COLUMNS 8u
#define PE_WINDOW_STRIDE 0x100000u

static uint64_t megabytes_per_second(double gigabytes_per_second) { return (uint64_t)(gigabytes_per_second * 1000.0 + 0.5); }

/* The driver may ask for another set-up of the memories than that of the reset. What is in force then. */
static uint32_t memory_set_up(void) {
  const uint32_t asked = mmio_read32(REGISTER(MAILBOX, BOOT_MEMORY));
  if ((asked & MTIA_MEMORY_ASKED) != 0) mmio_write32(REGISTER(SYSTEM_CONTROL, MEMORY_CONTROL), asked & ~MTIA_MEMORY_ASKED);
  return mmio_read32(REGISTER(SYSTEM_CONTROL, MEMORY_CONTROL));
}

void chip_identify(struct chip *chip) {
  const uint32_t generation = mmio_read32(REGISTER(SYSTEM_CONTROL, GENERATION));
  const uint32_t grid = mmio_read32(REGISTER(SYSTEM_CONTROL, GRID));
  const struct mtia_specification *specification = &SPECIFICATIONS[generation - 1];
  const uint32_t memory = memory_set_up();
  const double ecc_cost = (memory & MTIA_MEMORY_ECC) != 0 ? specification->ecc_cost : 0;
  *chip = (struct chip){
      .columns = grid & 0xff,
      .rows = grid >> 8 & 0xff,
      .broadcast = mmio_read32(REGISTER(SYSTEM_CONTROL, BROADCAST)) != 0,
      .sram_bytes = mmio_read64(REGISTER(SYSTEM_CONTROL, SRAM_BYTES)) -
                    (uint64_t)(memory & MTIA_MEMORY_CACHE_GRANULES_MASK) * MTIA_MEMORY_SRAM_GRANULE_BYTES,
      .lpddr_bytes = mmio_read64(REGISTER(SYSTEM_CONTROL, LPDDR_BYTES)),
      .clock_mhz = (uint64_t)specification->clock_mhz,
      .gunzip_mbs = megabytes_per_second(specification->gunzip_gbs),
      .pcie_mbs = megabytes_per_second(specification->pcie_gbs),
      .sram_mbs = megabytes_per_second(specification->sram_gbs),
      .lpddr_mbs = megabytes_per_second(specification->lpddr_gbs * specification->lpddr_efficiency * (1 - ecc_cost)),
  };
}

struct rectangle rectangle_decode(uint64_t encoded) {
  return (struct rectangle){encoded & 0xff, encoded >> 8 & 0xff, encoded >> 16 & 0xff, encoded >> 24 & 0xff};
}

uint32_t rectangle_encode(struct rectangle r) { return r.column | r.row << 8 | r.columns << 16 | r.rows << 24; }

uint64_t rectangle_pes(const struct chip *chip, struct rectangle r) {
  if (r.columns == 0 || r.rows == 0 || r.column + r.columns > chip->columns || r.row + r.rows > chip->rows) return 0;
  const uint64_t row = ((1ull << r.columns) - 1) << r.column;
  uint64_t pes = 0;
  for (uint32_t i = r.row; i < r.row + r.rows; i++) pes |= row << i * PE_INDEX_COLUMNS;
  return pes;
}

struct traffic {
  uint64_t pcie, sram, lpddr; /* bytes */
};

static void add_traffic(struct traffic *traffic, bool host, uint64_t address, uint64_t bytes) {
  if (host) traffic->pcie += bytes;
  else if (address < MTIA_LPDDR_BASE) traffic->sram += bytes;
  else traffic->lpddr += bytes;
}

static uint64_t slower(uint64_t bytes, uint64_t mbs, uint64_t nanoseconds) {
  const uint64_t needed = bytes * 1000 / mbs;
  return needed > nanoseconds ? needed : nanoseconds;
}

uint64_t transfer_nanoseconds(const struct chip *chip, const struct transfer *transfer) {
  const uint32_t kind = transfer->kind;
  const bool decompresses = kind == MTIA_DMA_HOST_TO_DEVICE_GUNZIP;
  struct traffic traffic = {0};
  if (kind != MTIA_DMA_FILL32) {
    add_traffic(&traffic, kind == MTIA_DMA_HOST_TO_DEVICE || decompresses, transfer->source, transfer->read_bytes);
  }
  add_traffic(&traffic, kind == MTIA_DMA_DEVICE_TO_HOST, transfer->destination, transfer->written_bytes);
  uint64_t nanoseconds = slower(traffic.pcie, chip->pcie_mbs, 0);
  if (decompresses) nanoseconds = slower(transfer->written_bytes, chip->gunzip_mbs, nanoseconds);
  nanoseconds = slower(traffic.sram, chip->sram_mbs, nanoseconds);
  return slower(traffic.lpddr, chip->lpddr_mbs, nanoseconds);
}

void pes_reset(uint64_t pes) {
  mmio_write64(REGISTER(SYSTEM_CONTROL, PE_RESET), pes);
  /*
   * A PE answers reads of its local memory only when it is through with its reset: from then on nothing of the old job is
   * under way, and whoever is told that the job has ended may use its memory for something else.
   */
  for (; pes != 0; pes &= pes - 1) (void)mmio_read64(MTIA_PE_WINDOW_BASE + (uint64_t)lowest_bit(pes) * PE_WINDOW_STRIDE);
}
