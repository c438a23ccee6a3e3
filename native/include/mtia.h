/*
 * The C ABI of the emulated chip: what src/driver/emulator binds through FFI.
 *
 * Two doors (design rule): mtia_pci_* is what a real card offers; mtia_debug_* is what JTAG offers.
 * Every call is thread-safe, bounded in time, and returns MTIA_ERROR_OK (0) or an error code of mtia_hw.h
 * (CHIP_*). A device pointer stays valid memory for ever: after mtia_close every call answers CHIP_CLOSED.
 */
#ifndef MTIA_H
#define MTIA_H
#include <stdint.h>

#define MTIA_API __attribute__((visibility("default")))
#define MTIA_C_ABI_VERSION 2u

struct mtia_device;

struct mtia_open_parameters {
  uint32_t struct_bytes;  /* sizeof(struct mtia_open_parameters) */
  uint32_t generation;    /* 1 = v1, 2 = 2i */
  uint64_t lpddr_bytes;   /* 0 = as specified; a multiple of 1 MiB, at most the specified maximum */
  uint32_t pe_threads;    /* 0 = number of host processors */
  uint32_t matmul_path;   /* see enum mtia_matmul_path; 0 = fastest that this host has */
  /* A reduced configuration, as a virtual function of the card may have. */
  uint32_t queues;            /* the administration queue included; 0 = as specified, else at most that */
  uint32_t interrupt_vectors; /* 0 = as specified, else at most that */
  uint32_t without_broadcast; /* 1 = the work queue engine takes one PE at a time, as on v1 */
  uint32_t pe_niceness;       /* 0 to 19: added to the nice value that the threads of PEs inherit */
};

/* Instructions that the units' arithmetic is computed with; every path gives the same bits. */
enum mtia_matmul_path {
  MTIA_MATMUL_FASTEST = 0,
  MTIA_MATMUL_PORTABLE = 1,
  MTIA_MATMUL_AVX512 = 2,
  MTIA_MATMUL_AVX2 = 3,
  MTIA_MATMUL_AMX = 4,
  MTIA_MATMUL_NEON = 5
};

MTIA_API uint32_t mtia_c_abi_version(void);
/* Bit n: this host can run path n of enum mtia_matmul_path. mtia_open refuses any other with CHIP_MATMUL_PATH. */
MTIA_API uint32_t mtia_matmul_paths(void);
MTIA_API int32_t mtia_open(const struct mtia_open_parameters *parameters, struct mtia_device **device);
/* Stops and joins every thread of the device, closes its eventfds, frees its memory. Idempotent. */
MTIA_API int32_t mtia_close(struct mtia_device *device);

/* PCI configuration space: 256 bytes, width 1, 2 or 4. */
MTIA_API int32_t mtia_pci_config_read(struct mtia_device *device, uint32_t offset, uint32_t width, uint32_t *value);
MTIA_API int32_t mtia_pci_config_write(struct mtia_device *device, uint32_t offset, uint32_t width, uint32_t value);
/*
 * Base address registers: naturally aligned, width 4 or 8 (BAR0); any bytes (BAR2). While memory space is disabled in the
 * command register, and where BAR2 shows no memory, reads give all ones and writes are dropped.
 */
MTIA_API int32_t mtia_pci_bar_read(struct mtia_device *device, uint32_t bar, uint64_t offset, uint32_t width, uint64_t *value);
MTIA_API int32_t mtia_pci_bar_write(struct mtia_device *device, uint32_t bar, uint64_t offset, uint32_t width, uint64_t value);
MTIA_API int32_t mtia_pci_bar_read_block(struct mtia_device *device, uint32_t bar, uint64_t offset, void *data, uint64_t bytes);
MTIA_API int32_t mtia_pci_bar_write_block(struct mtia_device *device, uint32_t bar, uint64_t offset, const void *data, uint64_t bytes);
/* IOMMU: maps host memory at an I/O virtual address of a context. Both ends multiples of 4096. rights: 1 read, 2 write (by the device). */
MTIA_API int32_t mtia_pci_dma_map(struct mtia_device *device, uint32_t context, uint64_t iova, void *host, uint64_t bytes, uint32_t rights);
/* Removes every mapping inside the range, which must not cut one; returns only when no access through them is under way. */
MTIA_API int32_t mtia_pci_dma_unmap(struct mtia_device *device, uint32_t context, uint64_t iova, uint64_t bytes);
/* The blocking eventfd that MSI-X vector raises; owned by the device. */
MTIA_API int32_t mtia_pci_interrupt_fd(struct mtia_device *device, uint32_t vector, int32_t *fd);
/*
 * Function level reset: harts stop, queues are disabled, memory protection and IOMMU are emptied, the boot ROM starts again.
 * SRAM and LPDDR keep their contents, configuration space its values; a chip that a debugger holds stays halted.
 */
MTIA_API int32_t mtia_pci_function_reset(struct mtia_device *device);

/* Page-aligned host memory, zeroed, independent of any device. */
MTIA_API int32_t mtia_host_allocate(uint64_t bytes, void **host);
MTIA_API int32_t mtia_host_free(void *host, uint64_t bytes);

/* Debug door. Core: 0..63 = PE, MTIA_DEBUG_CONTROL_CORE = control core. */
#define MTIA_DEBUG_CONTROL_CORE 0xffffu
/* Copies up to bytes of console output and removes it; *copied may be 0. */
MTIA_API int32_t mtia_debug_console_read(struct mtia_device *device, char *text, uint32_t bytes, uint32_t *copied);
/*
 * Stops every hart of the chip at an instruction boundary; mtia_debug_resume lets them run again. Device time (MTIME,
 * BAR0.DEVICE_TIME) stands still meanwhile but for the cycles of a hart that is stepped, so that no deadline of firmware or driver runs.
 */
MTIA_API int32_t mtia_debug_halt(struct mtia_device *device);
MTIA_API int32_t mtia_debug_resume(struct mtia_device *device);
/* Registers: 0..31 = x0..x31, 32 = pc, 33..64 = f0..f31, 0x1000 + n = CSR n. The chip must be halted. */
MTIA_API int32_t mtia_debug_register_read(struct mtia_device *device, uint32_t core, uint32_t hart, uint32_t number, uint64_t *value);
MTIA_API int32_t mtia_debug_register_write(struct mtia_device *device, uint32_t core, uint32_t hart, uint32_t number, uint64_t value);
/* Memory as the core sees it, without side effects on registers. The chip must be halted. */
MTIA_API int32_t mtia_debug_memory_read(struct mtia_device *device, uint32_t core, uint64_t address, void *data, uint64_t bytes);
MTIA_API int32_t mtia_debug_memory_write(struct mtia_device *device, uint32_t core, uint64_t address, const void *data, uint64_t bytes);
/*
 * Step mode: runs one hart on the calling thread, all others at rest, for about `instructions` (a few more where a basic block
 * ends; at most MTIA_DEBUG_MOST_INSTRUCTIONS). *executed says how many it were, *stop why no more (enum mtia_debug_stop).
 * The chip must be halted; the cycles of the hart pass on its clock. A control hart may execute from SRAM here: what a debugger has put
 * there runs on either kind of hart.
 */
enum mtia_debug_stop { MTIA_DEBUG_RAN = 0, MTIA_DEBUG_WAITS = 1, MTIA_DEBUG_STALLED = 2 };
#define MTIA_DEBUG_MOST_INSTRUCTIONS (1u << 24)
MTIA_API int32_t mtia_debug_run(struct mtia_device *device, uint32_t core, uint32_t hart, uint32_t instructions, uint32_t *executed,
                                uint32_t *stop);
/* What a hart waits for, as one line of text ("running", "wfi", "MML waits for 2048 bytes of cb 3", ...). */
MTIA_API int32_t mtia_debug_wait_reason(struct mtia_device *device, uint32_t core, uint32_t hart, char *text, uint32_t bytes);

/*
 * Flips bits of the 8-byte word of LPDDR at an address, as radiation does. With the error-correcting code on (the default) one bit of
 * a word is corrected and two are found, so that whoever reads the word fails with ECC_UNCORRECTABLE until it is written whole; with it
 * off the flipped data are delivered. 0, CHIP_BAD_ARGUMENT (not an aligned word of LPDDR) or CHIP_NO_MEMORY (256 words are bad).
 */
MTIA_API int32_t mtia_debug_inject_error(struct mtia_device *device, uint64_t address, uint64_t bits);
/*
 * Counters of the memories since power-on. Bytes are those of PE DMAs, in units of 32 bytes (the cache: sectors of 64). A caller that
 * knows an older, shorter structure gets that much of it.
 */
struct mtia_memory_counters {
  uint32_t struct_bytes;
  uint32_t reserved;
  uint64_t sram_read_bytes;
  uint64_t sram_written_bytes;
  uint64_t lpddr_read_bytes;
  uint64_t lpddr_written_bytes;
  uint64_t multicast_saved_bytes;
  uint64_t cache_hit_bytes;
  uint64_t cache_missed_bytes;
  uint64_t cache_written_back_bytes;
  uint64_t ecc_corrected;
  uint64_t ecc_uncorrectable;
};
MTIA_API int32_t mtia_debug_memory_counters(struct mtia_device *device, struct mtia_memory_counters *counters);

/* Counters since power-on. */
struct mtia_counters {
  uint32_t struct_bytes;
  uint32_t reserved;
  uint64_t pe_instructions;
  uint64_t control_instructions;
  uint64_t unit_commands;
  uint64_t dma_bytes;
  uint64_t matmul_multiplies;
  uint64_t jobs;
  /* Host interface. */
  uint64_t doorbells;
  uint64_t entries_fetched;
  uint64_t posted_writes;
  uint64_t read_completions;
  uint64_t interrupts;
  uint64_t host_to_device_bytes;
  uint64_t device_to_host_bytes;
  uint64_t decompressed_bytes;
};
MTIA_API int32_t mtia_debug_counters(struct mtia_device *device, struct mtia_counters *counters);
/*
 * Units of one PE since power-on, as of the end of its last job or slice: device cycles in which each was occupied and commands
 * that it has done (order: CP, FI, DPE, RE, SE, MLU), and cycles in which each hart stood at a unit command.
 */
struct mtia_pe_counters {
  uint32_t struct_bytes;
  uint32_t reserved;
  uint64_t busy_cycles[6];
  uint64_t commands[6];
  uint64_t stall_cycles[2];
};
MTIA_API int32_t mtia_debug_pe_counters(struct mtia_device *device, uint32_t pe, struct mtia_pe_counters *counters);
/* Name of the matmul path in use ("avx512", "portable", ...). */
MTIA_API int32_t mtia_debug_matmul_path(struct mtia_device *device, char *text, uint32_t bytes);
/*
 * Multiplications a second that the bare instruction of the path in use makes with DATA_TYPE `type` (INT8, FP16, BF16) on
 * `threads` host threads (1..256) together; 0 for the portable path. Measures for about 50 ms of each thread's time.
 */
MTIA_API int32_t mtia_debug_matmul_peak(struct mtia_device *device, uint32_t type, uint32_t threads,
                                        uint64_t *multiplies_a_second);

#endif
