/* Lines on the UART. */
#ifndef MTIA_FIRMWARE_CONSOLE_H
#define MTIA_FIRMWARE_CONSOLE_H
#include <stdint.h>

void console_text(const char *text);
void console_decimal(uint64_t value);
void console_hexadecimal(uint64_t value);

#endif
