/* The bytes of one fuzzer input, taken from the front; zeros after their end. */
#ifndef MTIA_FUZZ_INPUT_H
#define MTIA_FUZZ_INPUT_H
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct fuzz_input {
  const uint8_t *data;
  size_t bytes;
};

/* What libFuzzer calls; no header declares it. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static inline size_t fuzz_take(struct fuzz_input *input, void *to, size_t bytes) {
  size_t taken = bytes < input->bytes ? bytes : input->bytes;
  memset(to, 0, bytes);
  if (taken > 0) memcpy(to, input->data, taken);
  input->data += taken;
  input->bytes -= taken;
  return taken;
}

static inline uint8_t fuzz_byte(struct fuzz_input *input) {
  uint8_t value;
  fuzz_take(input, &value, sizeof(value));
  return value;
}

static inline uint64_t fuzz_word(struct fuzz_input *input) {
  uint64_t value;
  fuzz_take(input, &value, sizeof(value));
  return value;
}

#endif
