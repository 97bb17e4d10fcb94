#pragma once

#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <utility>

// Unit tests are programs: the first check that fails says where and ends the program.
#define CHECK(condition)                                                                 \
  do {                                                                                   \
    if (!(condition)) {                                                                  \
      std::fprintf(stderr, "%s:%d: check failed: %s\n", __FILE__, __LINE__, #condition); \
      std::exit(1);                                                                      \
    }                                                                                    \
  } while (false)

// As CHECK(left == right), and prints both.
#define CHECK_EQ(left, right)                                                                    \
  do {                                                                                           \
    const auto left_value = (left);                                                              \
    const auto right_value = (right);                                                            \
    if (!std::cmp_equal(left_value, right_value)) {                                              \
      std::cerr << __FILE__ << ':' << __LINE__ << ": check failed: " #left " == " #right << " (" \
                << +left_value << " and " << +right_value << ")\n";                              \
      std::exit(1);                                                                              \
    }                                                                                            \
  } while (false)
