/* What the UART has sent and nobody has read; the oldest text goes when it is full. */
#ifndef MTIA_CONSOLE_H
#define MTIA_CONSOLE_H
#include <pthread.h>
#include <stdint.h>

#define CONSOLE_BYTES (64u * 1024)

struct console {
  pthread_mutex_t lock;
  uint32_t first, count;
  char text[CONSOLE_BYTES];
};

void console_create(struct console *console);
void console_destroy(struct console *console);
void console_write(struct console *console, char character);
uint32_t console_read(struct console *console, char *text, uint32_t bytes);

#endif
