/* The decompressor on any bytes: it ends, and says the same whatever pieces the stream comes in. */
#include <stdlib.h>
#include "gzip_decompressor.h"
#include "fuzz_input.h"

/* Of a small input: DEFLATE makes at most 1032 bytes of one. */
enum { MOST_RATIO = 1032 };

struct outcome {
  enum gzip_result result;
  uint64_t offset, bytes;
  uint32_t sum;
};

static struct outcome decompress(struct gzip_decompressor *gzip, const uint8_t *data, size_t bytes, size_t piece) {
  struct outcome outcome = {.result = GZIP_HAS_OUTPUT};
  size_t given = 0;
  gzip_start(gzip);
  while (outcome.result == GZIP_HAS_OUTPUT || outcome.result == GZIP_WANTS_INPUT) {
    size_t count = 0;
    outcome.result = gzip_run(gzip);
    if (outcome.result == GZIP_WANTS_INPUT) {
      uint8_t *to = gzip_give(gzip, &count);
      if (count == 0) abort();
      if (count > piece) count = piece;
      if (count > bytes - given) count = bytes - given;
      memcpy(to, data + given, count);
      given += count;
      gzip_given(gzip, count, given == bytes);
      continue;
    }
    const uint8_t *from = gzip_take(gzip, &count);
    for (size_t at = 0; at < count; at++) outcome.sum = outcome.sum * 31 + from[at];
    outcome.bytes += count;
    if (outcome.bytes > (uint64_t)bytes * MOST_RATIO) abort();
  }
  outcome.offset = gzip_offset(gzip);
  return outcome;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
  struct gzip_decompressor *gzip = malloc(sizeof(*gzip));
  const size_t piece = bytes == 0 ? 1 : 1 + data[0];
  /* Most random bytes end at the magic number: half of the inputs get a header that is right. */
  static const uint8_t header[10] = {0x1f, 0x8b, 8};
  const size_t prefix = bytes > 0 && (data[0] & 1) ? sizeof(header) : 0;
  uint8_t *stream = malloc(prefix + bytes + 1);
  memcpy(stream, header, prefix);
  if (bytes > 1) memcpy(stream + prefix, data + 1, bytes - 1);
  const size_t length = prefix + (bytes > 0 ? bytes - 1 : 0);
  gzip_create(gzip);
  const struct outcome whole = decompress(gzip, stream, length, SIZE_MAX), pieces = decompress(gzip, stream, length, piece);
  if (whole.result != pieces.result || whole.offset > length) abort();
  if (whole.result == GZIP_DONE && (whole.bytes != pieces.bytes || whole.sum != pieces.sum)) abort();
  free(stream);
  free(gzip);
  return 0;
}
