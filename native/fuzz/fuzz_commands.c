/* Random commands and command registers on one PE: whatever a kernel issues, the PE does it, waits or traps. */
#include "../test/pe_test.h"
#include "command_processor_table.h"
#include "fuzz_input.h"
#include "mtia.h"

enum { BUFFER_BYTES = 8192, BUFFERS = 16 };

/* One field: mostly a value that the table allows, so that commands get as far as their units. */
static uint64_t field_value(const struct command_field *field, struct fuzz_input *input) {
  if (field->is_buffer) return fuzz_byte(input) % BUFFERS;
  const uint8_t choice = fuzz_byte(input);
  if (choice == 255) return fuzz_word(input);
  const uint64_t any = field->span > 255 ? fuzz_word(input) & ~(uint64_t)field->remainder : choice;
  return field->minimum + (field->span == UINT64_MAX ? any : any % (field->span + 1));
}

/* Shapes go to the registers of the context that the command names (MML), so in time to all of them. */
static void shaped_command(struct fixture *fixture, struct fuzz_input *input, uint32_t hart, uint32_t code, uint64_t words[2]) {
  const struct command_description *const description = command_description_of(code);
  if (description == NULL) return;
  uint64_t sticky = 0;
  for (uint32_t i = 0; i < description->field_count; i++) {
    const struct command_field *const field = &description->fields[i];
    const uint64_t mask = field->bits >= 64 ? UINT64_MAX : (1ull << field->bits) - 1;
    uint64_t *const word = field->source == FROM_STICKY ? &sticky : &words[field->source == FROM_RS2];
    *word |= (field_value(field, input) & mask) << field->low;
  }
  const uint64_t context = description->has_contexts ? words[0] >> MTIA_MML_CONTEXT_LOW & (MTIA_MML_CONTEXTS - 1) : 0;
  const uint32_t number = description->first_register + (uint32_t)context * MTIA_MML_CONTEXT_REGISTERS;
  if (description->register_count > 0) set_register(fixture, hart, number, sticky);
}

/* False: the hart stands at a command that waits; only that one may be issued again. */
static bool one_command(struct fixture *fixture, struct fuzz_input *input) {
  const uint8_t kind = fuzz_byte(input);
  const uint32_t hart = kind & 1, code = fuzz_byte(input) & 0x7f;
  uint64_t words[2] = {0, 0};
  if (kind >> 1 == 0) {
    set_register(fixture, hart, code % MTIA_LIMIT_COMMAND_REGISTERS, fuzz_word(input));
    return true;
  }
  if (kind & 2) shaped_command(fixture, input, hart, code, words);
  else words[0] = fuzz_word(input), words[1] = fuzz_word(input);
  return issue(fixture, hart, code, words[0], words[1]) != HART_CUSTOM_STALL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
  struct fuzz_input input = {data, bytes};
  const uint8_t options = fuzz_byte(&input);
  struct fixture *const fixture = fixture_create(1 + (options & 1), options & 2 ? MTIA_MATMUL_PORTABLE : MTIA_MATMUL_FASTEST);
  for (uint32_t cb = 0; cb < BUFFERS && !(options & 4); cb++) {
    cb_init(fixture, cb, cb * BUFFER_BYTES, BUFFER_BYTES);
    if (cb % 2 == 0) cb_push(fixture, cb, BUFFER_BYTES / 2);
  }
  while (input.bytes > 0 && one_command(fixture, &input)) continue;
  char text[64];
  for (uint32_t hart = 0; hart < PE_HARTS; hart++) pe_wait_reason(fixture->pe, hart, text, sizeof text);
  fixture_destroy(fixture);
  return 0;
}
