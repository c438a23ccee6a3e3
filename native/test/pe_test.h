/* What the tests of the PE share: a PE over a small fake memory, commands without a hart, checks. */
#ifndef MTIA_PE_TEST_H
#define MTIA_PE_TEST_H
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include "pe_internal.h"

#define FIELD(name, value) ((uint64_t)(value) << name##_LOW)

/* SRAM and LPDDR of the fake memory; the upper half of each belongs to context 2, the lower to context 1. */
#define FAKE_BYTES (1u << 20)
#define FAKE_HALF (FAKE_BYTES / 2)
struct memory {
  uint8_t sram[FAKE_BYTES];
  uint8_t lpddr[FAKE_BYTES];
  uint64_t lost; /* address of a byte that cannot be read; 0: none */
  uint32_t setup;
};

struct fixture {
  struct pe *pe;
  uint8_t *pe_pages;
  struct memory *memory;
  struct code_cache *code;
  struct pe_report report;
  uint32_t reports;
  uint64_t jobs; /* started */
  uint64_t result, cause; /* of the last command */
};

struct fixture *fixture_create(uint32_t generation, uint32_t matmul_path);
void fixture_destroy(struct fixture *fixture);
/* A setting in which commands of every unit are legal: circular buffers 0 and 1 half full, 2 empty, registers set for hart 0. */
struct fixture *legal_fixture(uint32_t generation);
/* A command, as the hart would issue it; costs one cycle. */
enum hart_custom issue(struct fixture *fixture, uint32_t hart, uint32_t code, uint64_t rs1, uint64_t rs2);
void set_register(struct fixture *fixture, uint32_t hart, uint32_t number, uint64_t value);
void cb_init(struct fixture *fixture, uint32_t cb, uint32_t base, uint32_t bytes);
void cb_push(struct fixture *fixture, uint32_t cb, uint32_t bytes);
static inline uint8_t *local(struct fixture *fixture, uint32_t offset) { return fixture->pe->local_memory + offset; }
/* The command trapped as illegal, with this field. */
bool was_illegal(const struct fixture *fixture, enum hart_custom outcome, uint32_t code, uint32_t field);

/* xorshift: the same numbers on every run. */
struct random { uint64_t state; };
uint64_t random_next(struct random *random);
/* Any bits, with specials (zeros, denormals, infinities, NaNs) often among them. */
float random_float(struct random *random);

/* The suites, each in a file of its own. */
void test_commands(void);
void test_cache(void);
void test_order(void);
void test_memory(void);
void test_units(void);
void test_quantize(void);
void test_multiply(void);
void test_operands(void);
void test_legality(void);
void test_sparse(void);
void test_counters(void);
void test_links(void);
void test_programs(void);
void test_matmul(void);
/* A case of test_matmul with a file of its own. */
void amx_code_is_right_on_modelled_tiles(void);

extern uint32_t test_failures;
/* Random numbers of the suites that take a seed: the second argument of the program. */
extern uint64_t test_seed;
#define CHECK(condition)                                                               \
  do {                                                                                 \
    if (!(condition)) {                                                                \
      test_failures++;                                                                 \
      printf("FAIL %s: %s:%d: %s\n", __func__, __FILE__, __LINE__, #condition);        \
    }                                                                                  \
  } while (0)
#define CHECK_EQUAL(found, expected)                                                                              \
  do {                                                                                                            \
    const unsigned long long found_ = (unsigned long long)(found), expected_ = (unsigned long long)(expected);    \
    if (found_ != expected_) {                                                                                    \
      test_failures++;                                                                                            \
      printf("FAIL %s: %s:%d: %s is %llu, not %llu\n", __func__, __FILE__, __LINE__, #found, found_, expected_);  \
    }                                                                                                             \
  } while (0)
#define RUN(test)                                            \
  do {                                                       \
    const uint32_t before_ = test_failures;                  \
    test();                                                  \
    if (test_failures == before_) printf("ok %s\n", #test);  \
  } while (0)

#endif
