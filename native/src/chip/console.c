#include "console.h"

void console_create(struct console *console) {
  pthread_mutex_init(&console->lock, NULL);
  console->first = console->count = 0;
}

void console_destroy(struct console *console) { pthread_mutex_destroy(&console->lock); }

void console_write(struct console *console, char character) {
  pthread_mutex_lock(&console->lock);
  console->text[(console->first + console->count) % CONSOLE_BYTES] = character;
  if (console->count < CONSOLE_BYTES) console->count++;
  else console->first = (console->first + 1) % CONSOLE_BYTES;
  pthread_mutex_unlock(&console->lock);
}

uint32_t console_read(struct console *console, char *text, uint32_t bytes) {
  pthread_mutex_lock(&console->lock);
  uint32_t copied = bytes < console->count ? bytes : console->count;
  for (uint32_t at = 0; at < copied; at++) text[at] = console->text[(console->first + at) % CONSOLE_BYTES];
  console->first = (console->first + copied) % CONSOLE_BYTES;
  console->count -= copied;
  pthread_mutex_unlock(&console->lock);
  return copied;
}
