/* The decompressor of the DMA engine: gzip (RFC 1952) of DEFLATE (RFC 1951), in pieces, with a window of its own. */
#ifndef MTIA_GZIP_DECOMPRESSOR_H
#define MTIA_GZIP_DECOMPRESSOR_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GZIP_INPUT_BYTES 65536u
#define GZIP_WINDOW_BYTES 32768u
#define GZIP_OUTPUT_BYTES 131072u
#define GZIP_LENGTH_ROOT_BITS 11u
#define GZIP_DISTANCE_ROOT_BITS 9u
#define GZIP_LONGEST_CODE 15u
#define GZIP_SYMBOLS 288u

enum gzip_result {
  GZIP_WANTS_INPUT,  /* gzip_give, then go on */
  GZIP_HAS_OUTPUT,   /* gzip_take, then go on */
  GZIP_DONE,         /* every member was complete and its checksum right; there may be output to take */
  GZIP_DAMAGED,      /* gzip_offset says where */
  GZIP_GOES_ON       /* never returned */
};

/* A canonical Huffman code: short codes by table, the rest by counting (there are few of them). */
struct gzip_code {
  uint16_t count[GZIP_LONGEST_CODE + 1]; /* codes of each length */
  uint16_t symbol[GZIP_SYMBOLS];         /* in the order of their codes */
};

struct gzip_decompressor {
  /* What it does next; a function of gzip_decompressor.c. */
  uint32_t state;
  uint64_t bits; /* next bit lowest */
  uint32_t bit_count;
  uint32_t input_at, input_end;
  bool input_ends; /* nothing follows what is in the input buffer */
  uint64_t taken; /* bytes of input that were dropped from the buffer */

  uint32_t flags, header_check, field_bytes, stored_bytes;
  uint32_t field; /* of the member's header */
  bool last_block, code_is_fixed;

  uint32_t output_at, output_taken, output_checked;
  uint64_t member_bytes;
  uint32_t check; /* CRC-32 of the member's bytes before output_checked */

  uint32_t length_table[1u << GZIP_LENGTH_ROOT_BITS], distance_table[1u << GZIP_DISTANCE_ROOT_BITS];
  struct gzip_code lengths, distances;
  uint32_t check_table[8][256];
  uint8_t input[GZIP_INPUT_BYTES];
  uint8_t output[GZIP_WINDOW_BYTES + GZIP_OUTPUT_BYTES];
};

/* Once, before the first use. */
void gzip_create(struct gzip_decompressor *decompressor);
/* At the start of a stream. */
void gzip_start(struct gzip_decompressor *decompressor);
/* Bounded work: at most one buffer of input or output. */
enum gzip_result gzip_run(struct gzip_decompressor *decompressor);
/* Room for input, never empty where GZIP_WANTS_INPUT was said; gzip_given says how much of it was filled. */
uint8_t *gzip_give(struct gzip_decompressor *decompressor, size_t *bytes);
void gzip_given(struct gzip_decompressor *decompressor, size_t bytes, bool last);
/* Output since the last call. It stays valid until the next gzip_run. */
const uint8_t *gzip_take(struct gzip_decompressor *decompressor, size_t *bytes);
/* Bytes of input that have been decoded. */
uint64_t gzip_offset(const struct gzip_decompressor *decompressor);

#endif
