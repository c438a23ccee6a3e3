/*
 * One loop over states; a state runs until its part of the stream is done, the input runs short, or the output is full.
 * The parts that cannot stop in the middle (a block's header, one symbol) start only with MOST_PART_BYTES of input in the
 * buffer, or with all that there is. Bytes after the last member that begin no member are damage.
 */
#include "gzip_decompressor.h"
#include <string.h>

/* A dynamic block's header has at most 14 + 19 * 3 + 316 * 14 bits; every other part is shorter. */
#define MOST_PART_BYTES 1024u
#define LONGEST_MATCH 258u
/* A match is copied in steps of eight bytes. */
#define MATCH_ROOM (LONGEST_MATCH + 8)
/* A length and a distance with their extra bits. */
#define LONGEST_SYMBOL_BITS 48u
#define END_OF_BLOCK 256u
#define LENGTH_SYMBOLS 286u
#define DISTANCE_SYMBOLS 30u
#define CODE_LENGTH_SYMBOLS 19u
#define CODE_LENGTH_ROOT_BITS 7u

#define MAGIC 0x8b1fu
#define METHOD_DEFLATE 8u
enum { FLAG_TEXT = 1, FLAG_HEADER_CHECK = 2, FLAG_EXTRA = 4, FLAG_NAME = 8, FLAG_COMMENT = 16, FLAGS_RESERVED = 0xe0 };

enum state { MEMBER_HEADER, HEADER_FIELDS, BLOCK_HEADER, STORED, COMPRESSED, MEMBER_TRAILER, NEXT_MEMBER, STATES };

/* Fields of a member's header that follow its first ten bytes, in their order. */
enum field { FIELD_EXTRA_BYTES, FIELD_EXTRA, FIELD_NAME, FIELD_COMMENT, FIELD_CHECK, FIELD_END };

/* An entry of a decoding table: bits of the code (4:0), kind (7:5), extra bits (12:8), value (31:16). */
enum kind { KIND_INVALID, KIND_LITERAL, KIND_BASE, KIND_END, KIND_LONG };
#define ENTRY(bits, kind, extra, value) ((uint32_t)(bits) | (uint32_t)(kind) << 5 | (uint32_t)(extra) << 8 | (uint32_t)(value) << 16)
#define ENTRY_BITS(entry) ((entry) & 31u)
#define ENTRY_KIND(entry) ((entry) >> 5 & 7u)
#define ENTRY_EXTRA(entry) ((entry) >> 8 & 31u)
#define ENTRY_VALUE(entry) ((entry) >> 16)

/* RFC 1951 section 3.2.5. */
static const uint16_t LENGTH_BASE[] = {3,  4,  5,  6,  7,  8,  9,  10, 11,  13,  15,  17,  19,  23, 27,
                                       31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258};
static const uint8_t LENGTH_EXTRA[] = {0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0};
static const uint16_t DISTANCE_BASE[] = {1,   2,   3,   4,   5,   7,    9,    13,   17,   25,   33,   49,   65,    97,    129,
                                         193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577};
static const uint8_t CODE_LENGTH_ORDER[] = {16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15};

static uint32_t length_entry(uint32_t symbol, uint32_t bits) {
  if (symbol < END_OF_BLOCK) return ENTRY(bits, KIND_LITERAL, 0, symbol);
  if (symbol == END_OF_BLOCK) return ENTRY(bits, KIND_END, 0, 0);
  if (symbol >= LENGTH_SYMBOLS) return ENTRY(bits, KIND_INVALID, 0, 0);
  uint32_t index = symbol - END_OF_BLOCK - 1;
  return ENTRY(bits, KIND_BASE, LENGTH_EXTRA[index], LENGTH_BASE[index]);
}

static uint32_t distance_entry(uint32_t symbol, uint32_t bits) {
  if (symbol >= DISTANCE_SYMBOLS) return ENTRY(bits, KIND_INVALID, 0, 0);
  return ENTRY(bits, KIND_BASE, symbol < 2 ? 0 : symbol / 2 - 1, DISTANCE_BASE[symbol]);
}

static uint32_t symbol_entry(uint32_t symbol, uint32_t bits) { return ENTRY(bits, KIND_LITERAL, 0, symbol); }

/* --- checksum: eight bytes a step --- */

void gzip_create(struct gzip_decompressor *gzip) {
  for (uint32_t byte = 0; byte < 256; byte++) {
    uint32_t value = byte;
    for (int bit = 0; bit < 8; bit++) value = value >> 1 ^ ((value & 1) != 0 ? 0xedb88320u : 0);
    gzip->check_table[0][byte] = value;
  }
  for (uint32_t byte = 0; byte < 256; byte++) {
    for (int step = 1; step < 8; step++) {
      uint32_t before = gzip->check_table[step - 1][byte];
      gzip->check_table[step][byte] = before >> 8 ^ gzip->check_table[0][before & 0xff];
    }
  }
}

static uint32_t add_to_check(const struct gzip_decompressor *gzip, uint32_t check, const uint8_t *data, size_t bytes) {
  const uint32_t(*table)[256] = gzip->check_table;
  check = ~check;
  for (; bytes >= 8; data += 8, bytes -= 8) {
    uint32_t low, high;
    memcpy(&low, data, sizeof(low));
    memcpy(&high, data + 4, sizeof(high));
    low ^= check;
    check = table[7][low & 0xff] ^ table[6][low >> 8 & 0xff] ^ table[5][low >> 16 & 0xff] ^ table[4][low >> 24] ^
            table[3][high & 0xff] ^ table[2][high >> 8 & 0xff] ^ table[1][high >> 16 & 0xff] ^ table[0][high >> 24];
  }
  for (; bytes > 0; data++, bytes--) check = check >> 8 ^ table[0][(check ^ *data) & 0xff];
  return ~check;
}

static void check_output(struct gzip_decompressor *gzip) {
  gzip->check = add_to_check(gzip, gzip->check, gzip->output + gzip->output_checked, gzip->output_at - gzip->output_checked);
  gzip->output_checked = gzip->output_at;
}

/* --- input, bit by bit --- */

static void refill(struct gzip_decompressor *gzip) {
  if (gzip->input_end - gzip->input_at >= sizeof(uint64_t)) {
    uint64_t word;
    memcpy(&word, gzip->input + gzip->input_at, sizeof(word));
    gzip->bits |= word << gzip->bit_count;
    gzip->input_at += (63 - gzip->bit_count) / 8;
    gzip->bit_count |= 56;
    return;
  }
  while (gzip->bit_count <= 56 && gzip->input_at < gzip->input_end) {
    gzip->bits |= (uint64_t)gzip->input[gzip->input_at++] << gzip->bit_count;
    gzip->bit_count += 8;
  }
}

static void drop_bits(struct gzip_decompressor *gzip, uint32_t count) {
  gzip->bits >>= count;
  gzip->bit_count -= count;
}

/* At most 32 bits. False where the stream ends first. */
static bool take_bits(struct gzip_decompressor *gzip, uint32_t count, uint32_t *value) {
  if (gzip->bit_count < count) refill(gzip);
  if (gzip->bit_count < count) return false;
  *value = (uint32_t)(gzip->bits & ((1ull << count) - 1));
  drop_bits(gzip, count);
  return true;
}

static bool is_short_of_input(const struct gzip_decompressor *gzip) {
  return !gzip->input_ends && gzip->input_end - gzip->input_at < MOST_PART_BYTES;
}

static bool is_at_end(const struct gzip_decompressor *gzip) { return gzip->bit_count == 0 && gzip->input_at == gzip->input_end; }

uint64_t gzip_offset(const struct gzip_decompressor *gzip) { return gzip->taken + gzip->input_at - gzip->bit_count / 8; }

/* --- Huffman codes --- */

static uint32_t reverse(uint32_t code, uint32_t bits) {
  uint32_t reversed = 0;
  for (uint32_t bit = 0; bit < bits; bit++) reversed |= (code >> bit & 1) << (bits - 1 - bit);
  return reversed;
}

/* Bits of code space that are left over; negative where there are more codes than fit. */
static int32_t space_left(const struct gzip_code *code) {
  int32_t left = 1;
  for (uint32_t bits = 1; bits <= GZIP_LONGEST_CODE; bits++) {
    left = left * 2 - code->count[bits];
    if (left < 0) return left;
  }
  return left;
}

/* As zlib: a code may leave space only where it is a single code of one bit, or none at all. */
static bool is_complete(const struct gzip_code *code, uint32_t symbols, bool may_be_single) {
  int32_t left = space_left(code);
  uint32_t used = symbols - code->count[0];
  return left == 0 || (left > 0 && may_be_single && (used == 0 || (used == 1 && code->count[1] == 1)));
}

static bool make_code(struct gzip_code *code, const uint8_t *lengths, uint32_t symbols, uint32_t *table, uint32_t root_bits,
                      uint32_t (*entry)(uint32_t symbol, uint32_t bits), bool may_be_single) {
  uint16_t next_index[GZIP_LONGEST_CODE + 2] = {0};
  uint32_t next_code[GZIP_LONGEST_CODE + 2] = {0};
  memset(code->count, 0, sizeof(code->count));
  for (uint32_t symbol = 0; symbol < symbols; symbol++) code->count[lengths[symbol]]++;
  if (!is_complete(code, symbols, may_be_single)) return false;
  for (uint32_t bits = 1; bits <= GZIP_LONGEST_CODE; bits++) {
    uint32_t count = code->count[bits];
    next_index[bits + 1] = (uint16_t)(next_index[bits] + count);
    next_code[bits + 1] = (next_code[bits] + count) << 1;
  }
  for (uint32_t at = 0; at < 1u << root_bits; at++) table[at] = ENTRY(0, KIND_LONG, 0, 0);
  for (uint32_t symbol = 0; symbol < symbols; symbol++) {
    uint32_t bits = lengths[symbol];
    if (bits == 0) continue;
    code->symbol[next_index[bits]++] = (uint16_t)symbol;
    uint32_t reversed = reverse(next_code[bits]++, bits);
    if (bits > root_bits) continue;
    for (uint32_t at = reversed; at < 1u << root_bits; at += 1u << bits) table[at] = entry(symbol, bits);
  }
  return true;
}

/* A code that is longer than the table's root, or none. */
static uint32_t find_long(const struct gzip_code *code, uint64_t bits, uint32_t (*entry)(uint32_t symbol, uint32_t bits)) {
  uint32_t value = 0, first = 0, index = 0;
  for (uint32_t length = 1; length <= GZIP_LONGEST_CODE; length++, bits >>= 1) {
    value |= (uint32_t)(bits & 1);
    uint32_t count = code->count[length];
    if (value - first < count) return entry(code->symbol[index + (value - first)], length);
    index += count;
    first = (first + count) << 1;
    value <<= 1;
  }
  return ENTRY(0, KIND_INVALID, 0, 0);
}

static bool make_codes(struct gzip_decompressor *gzip, const uint8_t *lengths, uint32_t length_count, uint32_t distance_count) {
  return make_code(&gzip->lengths, lengths, length_count, gzip->length_table, GZIP_LENGTH_ROOT_BITS, length_entry, true) &&
         make_code(&gzip->distances, lengths + length_count, distance_count, gzip->distance_table, GZIP_DISTANCE_ROOT_BITS,
                   distance_entry, true);
}

static bool make_fixed_codes(struct gzip_decompressor *gzip) {
  uint8_t lengths[GZIP_SYMBOLS + 32];
  memset(lengths, 8, 144);
  memset(lengths + 144, 9, 112);
  memset(lengths + 256, 7, 24);
  memset(lengths + 280, 8, 8);
  memset(lengths + GZIP_SYMBOLS, 5, 32);
  bool made = gzip->code_is_fixed || make_codes(gzip, lengths, GZIP_SYMBOLS, 32);
  gzip->code_is_fixed = true;
  return made;
}

/* One code length, or a run of them, at lengths[*at]. */
static bool read_run(struct gzip_decompressor *gzip, uint32_t symbol, uint8_t *lengths, uint32_t *at, uint32_t most) {
  static const struct { uint8_t bits, base; } RUNS[] = {{2, 3}, {3, 3}, {7, 11}};
  uint32_t more = 0;
  if (symbol < 16) {
    lengths[(*at)++] = (uint8_t)symbol;
    return true;
  }
  if ((symbol == 16 && *at == 0) || !take_bits(gzip, RUNS[symbol - 16].bits, &more)) return false;
  uint32_t count = RUNS[symbol - 16].base + more;
  if (count > most - *at) return false;
  memset(lengths + *at, symbol == 16 ? lengths[*at - 1] : 0, count);
  *at += count;
  return true;
}

static bool read_dynamic_codes(struct gzip_decompressor *gzip) {
  uint32_t length_count, distance_count, code_lengths, value, table[1u << CODE_LENGTH_ROOT_BITS];
  uint8_t lengths[LENGTH_SYMBOLS + 32] = {0}, of_lengths[CODE_LENGTH_SYMBOLS] = {0};
  struct gzip_code code;
  if (!take_bits(gzip, 5, &length_count) || !take_bits(gzip, 5, &distance_count) || !take_bits(gzip, 4, &code_lengths)) return false;
  length_count += 257, distance_count += 1, code_lengths += 4;
  if (length_count > LENGTH_SYMBOLS || distance_count > DISTANCE_SYMBOLS) return false;
  for (uint32_t index = 0; index < code_lengths; index++) {
    if (!take_bits(gzip, 3, &value)) return false;
    of_lengths[CODE_LENGTH_ORDER[index]] = (uint8_t)value;
  }
  if (!make_code(&code, of_lengths, CODE_LENGTH_SYMBOLS, table, CODE_LENGTH_ROOT_BITS, symbol_entry, false)) return false;
  for (uint32_t at = 0; at < length_count + distance_count;) {
    refill(gzip);
    uint32_t entry = table[gzip->bits & ((1u << CODE_LENGTH_ROOT_BITS) - 1)];
    if (ENTRY_KIND(entry) != KIND_LITERAL || ENTRY_BITS(entry) > gzip->bit_count) return false;
    drop_bits(gzip, ENTRY_BITS(entry));
    if (!read_run(gzip, ENTRY_VALUE(entry), lengths, &at, length_count + distance_count)) return false;
  }
  gzip->code_is_fixed = false;
  return lengths[END_OF_BLOCK] != 0 && make_codes(gzip, lengths, length_count, distance_count);
}

/* --- states: each sets the next one and goes on, or says why not --- */

static bool take_header_byte(struct gzip_decompressor *gzip, uint32_t *byte) {
  if (!take_bits(gzip, 8, byte)) return false;
  uint8_t added = (uint8_t)*byte;
  gzip->header_check = add_to_check(gzip, gzip->header_check, &added, 1);
  return true;
}

static enum gzip_result member_header(struct gzip_decompressor *gzip) {
  uint32_t bytes[10];
  gzip->header_check = 0;
  for (uint32_t at = 0; at < 10; at++) {
    if (!take_header_byte(gzip, &bytes[at])) return GZIP_DAMAGED;
  }
  gzip->flags = bytes[3];
  if ((bytes[0] | bytes[1] << 8) != MAGIC || bytes[2] != METHOD_DEFLATE || (gzip->flags & FLAGS_RESERVED) != 0) return GZIP_DAMAGED;
  gzip->field = FIELD_EXTRA_BYTES;
  gzip->field_bytes = 0;
  gzip->member_bytes = 0;
  gzip->check = 0;
  gzip->state = HEADER_FIELDS;
  return GZIP_GOES_ON;
}

/* Moves the header's present field on by one byte, or past its end. False where the header is damaged. */
static bool advance_field(struct gzip_decompressor *gzip) {
  static const uint8_t FLAG_OF[] = {FLAG_EXTRA, FLAG_EXTRA, FLAG_NAME, FLAG_COMMENT, FLAG_HEADER_CHECK};
  uint32_t byte, high, expected = gzip->header_check & 0xffff;
  if ((gzip->flags & FLAG_OF[gzip->field]) == 0 || (gzip->field == FIELD_EXTRA && gzip->field_bytes == 0)) {
    gzip->field++;
    return true;
  }
  if (!take_header_byte(gzip, &byte)) return false;
  switch (gzip->field) {
    case FIELD_EXTRA_BYTES:
      if (!take_header_byte(gzip, &high)) return false;
      gzip->field_bytes = byte | high << 8;
      gzip->field++;
      return true;
    case FIELD_EXTRA: gzip->field_bytes--; return true;
    case FIELD_CHECK:
      gzip->field++;
      return take_header_byte(gzip, &high) && (byte | high << 8) == expected;
    default:
      if (byte == 0) gzip->field++;
      return true;
  }
}

static enum gzip_result header_fields(struct gzip_decompressor *gzip) {
  while (gzip->field != FIELD_END) {
    if (is_short_of_input(gzip)) return GZIP_WANTS_INPUT;
    if (!advance_field(gzip)) return GZIP_DAMAGED;
  }
  gzip->state = BLOCK_HEADER;
  return GZIP_GOES_ON;
}

static enum gzip_result block_header(struct gzip_decompressor *gzip) {
  uint32_t last, type, bytes, complement;
  if (!take_bits(gzip, 1, &last) || !take_bits(gzip, 2, &type)) return GZIP_DAMAGED;
  gzip->last_block = last != 0;
  if (type == 0) {
    drop_bits(gzip, gzip->bit_count % 8);
    if (!take_bits(gzip, 16, &bytes) || !take_bits(gzip, 16, &complement) || (bytes ^ complement) != 0xffff) return GZIP_DAMAGED;
    gzip->stored_bytes = bytes;
    gzip->state = STORED;
    return GZIP_GOES_ON;
  }
  gzip->state = COMPRESSED;
  bool made = type == 1 ? make_fixed_codes(gzip) : type == 2 && read_dynamic_codes(gzip);
  return made ? GZIP_GOES_ON : GZIP_DAMAGED;
}

static void end_block(struct gzip_decompressor *gzip) { gzip->state = gzip->last_block ? MEMBER_TRAILER : BLOCK_HEADER; }

static uint32_t output_room(const struct gzip_decompressor *gzip) { return (uint32_t)sizeof(gzip->output) - gzip->output_at; }

/* Whole bytes that are in the bit buffer go back to the input. */
static void return_bits(struct gzip_decompressor *gzip) {
  gzip->input_at -= gzip->bit_count / 8;
  gzip->bits = 0;
  gzip->bit_count = 0;
}

static enum gzip_result stored(struct gzip_decompressor *gzip) {
  return_bits(gzip);
  while (gzip->stored_bytes > 0) {
    uint32_t bytes = gzip->stored_bytes;
    if (output_room(gzip) == 0) return GZIP_HAS_OUTPUT;
    if (gzip->input_at == gzip->input_end) return gzip->input_ends ? GZIP_DAMAGED : GZIP_WANTS_INPUT;
    if (bytes > output_room(gzip)) bytes = output_room(gzip);
    if (bytes > gzip->input_end - gzip->input_at) bytes = gzip->input_end - gzip->input_at;
    memcpy(gzip->output + gzip->output_at, gzip->input + gzip->input_at, bytes);
    gzip->output_at += bytes;
    gzip->input_at += bytes;
    gzip->stored_bytes -= bytes;
    gzip->member_bytes += bytes;
  }
  end_block(gzip);
  return GZIP_GOES_ON;
}

static void copy_match(uint8_t *to, uint32_t distance, uint32_t length) {
  const uint8_t *from = to - distance;
  if (distance >= 8) {
    /* May write up to seven bytes more than asked for; the room for them was checked. */
    for (uint32_t at = 0; at < length; at += 8) memcpy(to + at, from + at, 8);
  } else {
    for (uint32_t at = 0; at < length; at++) to[at] = from[at];
  }
}

/* The distance and the rest of the length; 0 where they are damaged or cut off. */
static uint32_t match(struct gzip_decompressor *gzip, uint32_t length_code, uint64_t produced) {
  uint64_t bits = gzip->bits >> ENTRY_BITS(length_code);
  uint32_t length = ENTRY_VALUE(length_code) + (uint32_t)(bits & ((1u << ENTRY_EXTRA(length_code)) - 1));
  bits >>= ENTRY_EXTRA(length_code);
  uint32_t entry = gzip->distance_table[bits & ((1u << GZIP_DISTANCE_ROOT_BITS) - 1)];
  if (ENTRY_KIND(entry) == KIND_LONG) entry = find_long(&gzip->distances, bits, distance_entry);
  if (ENTRY_KIND(entry) != KIND_BASE) return 0;
  bits >>= ENTRY_BITS(entry);
  uint32_t distance = ENTRY_VALUE(entry) + (uint32_t)(bits & ((1u << ENTRY_EXTRA(entry)) - 1));
  uint32_t needed = ENTRY_BITS(length_code) + ENTRY_EXTRA(length_code) + ENTRY_BITS(entry) + ENTRY_EXTRA(entry);
  if (needed > gzip->bit_count || distance > produced) return 0;
  drop_bits(gzip, needed);
  copy_match(gzip->output + gzip->output_at, distance, length);
  return length;
}

static enum gzip_result compressed(struct gzip_decompressor *gzip) {
  const uint64_t before = gzip->member_bytes - gzip->output_at;
  enum gzip_result result = GZIP_GOES_ON;
  while (result == GZIP_GOES_ON && gzip->state == COMPRESSED) {
    if (output_room(gzip) < MATCH_ROOM) {
      result = GZIP_HAS_OUTPUT;
      continue;
    }
    if (gzip->bit_count < LONGEST_SYMBOL_BITS) {
      if (is_short_of_input(gzip)) {
        result = GZIP_WANTS_INPUT;
        continue;
      }
      refill(gzip);
    }
    uint32_t entry = gzip->length_table[gzip->bits & ((1u << GZIP_LENGTH_ROOT_BITS) - 1)];
    if (ENTRY_KIND(entry) == KIND_LONG) entry = find_long(&gzip->lengths, gzip->bits, length_entry);
    if (ENTRY_BITS(entry) > gzip->bit_count || ENTRY_KIND(entry) == KIND_INVALID) {
      result = GZIP_DAMAGED;
    } else if (ENTRY_KIND(entry) == KIND_LITERAL) {
      drop_bits(gzip, ENTRY_BITS(entry));
      gzip->output[gzip->output_at++] = (uint8_t)ENTRY_VALUE(entry);
    } else if (ENTRY_KIND(entry) == KIND_END) {
      drop_bits(gzip, ENTRY_BITS(entry));
      end_block(gzip);
    } else {
      uint32_t length = match(gzip, entry, before + gzip->output_at);
      if (length == 0) result = GZIP_DAMAGED;
      gzip->output_at += length;
    }
  }
  gzip->member_bytes = before + gzip->output_at;
  return result;
}

static enum gzip_result member_trailer(struct gzip_decompressor *gzip) {
  uint32_t check, bytes;
  drop_bits(gzip, gzip->bit_count % 8);
  check_output(gzip);
  if (!take_bits(gzip, 32, &check) || !take_bits(gzip, 32, &bytes)) return GZIP_DAMAGED;
  if (check != gzip->check || bytes != (uint32_t)gzip->member_bytes) return GZIP_DAMAGED;
  gzip->state = NEXT_MEMBER;
  return GZIP_GOES_ON;
}

static enum gzip_result next_member(struct gzip_decompressor *gzip) {
  if (is_at_end(gzip)) return GZIP_DONE;
  gzip->state = MEMBER_HEADER;
  return GZIP_GOES_ON;
}

static enum gzip_result (*const RUN[STATES])(struct gzip_decompressor *gzip) = {
    [MEMBER_HEADER] = member_header, [HEADER_FIELDS] = header_fields,   [BLOCK_HEADER] = block_header, [STORED] = stored,
    [COMPRESSED] = compressed,       [MEMBER_TRAILER] = member_trailer, [NEXT_MEMBER] = next_member,
};

void gzip_start(struct gzip_decompressor *gzip) {
  gzip->state = MEMBER_HEADER;
  gzip->bits = gzip->bit_count = 0;
  gzip->input_at = gzip->input_end = 0;
  gzip->input_ends = gzip->code_is_fixed = false;
  gzip->taken = 0;
  gzip->output_at = gzip->output_taken = gzip->output_checked = 0;
}

/* Makes room for output: only the window is kept of what was taken. */
static void slide_window(struct gzip_decompressor *gzip) {
  uint32_t dropped = gzip->output_at - GZIP_WINDOW_BYTES;
  memmove(gzip->output, gzip->output + dropped, GZIP_WINDOW_BYTES);
  gzip->output_at = gzip->output_taken = gzip->output_checked = GZIP_WINDOW_BYTES;
}

enum gzip_result gzip_run(struct gzip_decompressor *gzip) {
  if (output_room(gzip) < MATCH_ROOM && gzip->output_taken == gzip->output_at) slide_window(gzip);
  for (;;) {
    /* Stored bytes are taken as they come; every other part wants to be whole. */
    if (gzip->state != STORED && is_short_of_input(gzip)) return GZIP_WANTS_INPUT;
    enum gzip_result result = RUN[gzip->state](gzip);
    if (result != GZIP_GOES_ON) return result;
  }
}

uint8_t *gzip_give(struct gzip_decompressor *gzip, size_t *bytes) {
  /* Whole bytes in the bit buffer may have to go back (return_bits). */
  uint32_t from = gzip->input_at - gzip->bit_count / 8;
  uint32_t left = gzip->input_end - from;
  memmove(gzip->input, gzip->input + from, left);
  gzip->taken += from;
  gzip->input_at -= from;
  gzip->input_end = left;
  *bytes = sizeof(gzip->input) - left;
  return gzip->input + left;
}

void gzip_given(struct gzip_decompressor *gzip, size_t bytes, bool last) {
  gzip->input_end += (uint32_t)bytes;
  gzip->input_ends = last;
}

const uint8_t *gzip_take(struct gzip_decompressor *gzip, size_t *bytes) {
  const uint8_t *output = gzip->output + gzip->output_taken;
  check_output(gzip);
  *bytes = gzip->output_at - gzip->output_taken;
  gzip->output_taken = gzip->output_at;
  return output;
}
