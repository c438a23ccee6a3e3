#include "console.h"
#include "mmio.h"

void console_text(const char *text) {
  for (; *text != '\0'; text++) mmio_write32(REGISTER(UART, TRANSMIT), (uint8_t)*text);
}

static void console_number(uint64_t value, unsigned base) {
  char text[21];
  char *at = text + sizeof text - 1;
  *at = '\0';
  do {
    *--at = "0123456789abcdef"[value % base];
    value /= base;
  } while (value != 0);
  console_text(at);
}

void console_decimal(uint64_t value) { console_number(value, 10); }

void console_hexadecimal(uint64_t value) {
  console_text("0x");
  console_number(value, 16);
}
