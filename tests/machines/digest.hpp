#ifndef SPECDEC_TESTS_MACHINES_DIGEST_HPP
#define SPECDEC_TESTS_MACHINES_DIGEST_HPP

/// @file
/// One number for many bits, to compare across machines.

#include <bit>
#include <cstdint>
#include <string_view>

namespace machines {

/// FNV-1a over words of 64 bits.
class digest {
 public:
  void add(std::uint64_t word) { state_ = (state_ ^ word) * 1099511628211U; }
  void add(double x) { add(std::bit_cast<std::uint64_t>(x)); }
  void add(float x) { add(std::uint64_t{std::bit_cast<std::uint32_t>(x)}); }
  void add(std::string_view text) {
    for (const char c : text) add(std::uint64_t{static_cast<unsigned char>(c)});
  }
  [[nodiscard]] std::uint64_t value() const { return state_; }

 private:
  std::uint64_t state_ = 1469598103934665603U;
};

}  // namespace machines

#endif  // SPECDEC_TESTS_MACHINES_DIGEST_HPP
