/* Runs one suite, or all, with a seed or without: a line a case, exit status 1 where one failed. */
#include <stdlib.h>
#include "pe_test.h"

static const struct suite {
  const char *name;
  void (*run)(void);
} suites[] = {{"commands", test_commands},
              {"cache", test_cache},
              {"order", test_order},
              {"memory", test_memory},
              {"units", test_units},
              {"quantize", test_quantize},
              {"multiply", test_multiply},
              {"operands", test_operands},
              {"legality", test_legality},
              {"sparse", test_sparse},
              {"counters", test_counters},
              {"links", test_links},
              {"programs", test_programs},
              {"matmul", test_matmul}};

int main(int argc, char **argv) {
  if (argc > 2) test_seed = strtoull(argv[2], NULL, 10);
  for (size_t i = 0; i < sizeof suites / sizeof suites[0]; i++)
    if (argc < 2 || strcmp(argv[1], suites[i].name) == 0) suites[i].run();
  return test_failures != 0;
}
