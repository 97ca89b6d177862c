#ifndef SPECDEC_TESTS_FUZZ_HPP
#define SPECDEC_TESTS_FUZZ_HPP

/// @file
/// What every fuzz target is made of: a claim that stops the program where it does not hold, and bytes read as values.
///
/// A target is one file. It defines `LLVMFuzzerTestOneInput`, which libFuzzer calls with bytes of its own making, and
/// `fuzz::seeds`, the corpus that it begins with. replay.cpp runs the same function under any compiler.

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace fuzz {

using bytes = std::vector<std::uint8_t>;

/// The inputs that a target begins with: small, and each for a reason.
[[nodiscard]] std::vector<bytes> seeds();

/// Stops the program if the claim does not hold. The last parameters are the caller's place.
inline void require(bool holds, const char* claim, const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
  if (holds) return;
  std::fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, claim);
  std::abort();
}

/// Calls the function; whether it threw an `Error`. Whatever else it throws ends the program.
template <class Error, class Call>
[[nodiscard]] bool refused(Call&& call) {
  try {
    call();
    return false;
  } catch (const Error&) {
    return true;
  }
}

/// What the function returns; null if it threw an `Error`. Whatever else it throws ends the program.
template <class Error, class Make>
[[nodiscard]] std::unique_ptr<std::invoke_result_t<Make>> made(Make&& make) {
  try {
    return std::make_unique<std::invoke_result_t<Make>>(make());
  } catch (const Error&) {
    return nullptr;
  }
}

/// Bytes as values, front to back; behind the end all values are 0, so every input means something.
class input {
 public:
  explicit input(std::span<const std::uint8_t> data) noexcept : left_(data) {}

  [[nodiscard]] bool empty() const noexcept { return left_.empty(); }

  /// A number with any bits.
  template <class T>
  [[nodiscard]] T bits() noexcept {
    static_assert(std::is_trivially_copyable_v<T>);
    const auto taken = take(sizeof(T));
    T value{};
    if (!taken.empty()) std::memcpy(&value, taken.data(), taken.size());
    return value;
  }
  /// A number from 0 to n - 1; n >= 1.
  [[nodiscard]] std::size_t below(std::size_t n) noexcept {
    return n <= 256 ? bits<std::uint8_t>() % n : bits<std::uint32_t>() % n;
  }
  [[nodiscard]] std::size_t between(std::size_t least, std::size_t most) noexcept {
    return least + below(most - least + 1);
  }
  /// True once in n times, and never behind the end.
  [[nodiscard]] bool one_in(std::size_t n) noexcept { return below(n) == n - 1; }

  /// The next `count` bytes, or as many as there are.
  [[nodiscard]] std::span<const std::uint8_t> take(std::size_t count) noexcept {
    const auto taken = left_.first(std::min(count, left_.size()));
    left_ = left_.subspan(taken.size());
    return taken;
  }
  [[nodiscard]] std::string text(std::size_t count) {
    const auto taken = take(count);
    return {taken.begin(), taken.end()};
  }
  /// All that is left.
  [[nodiscard]] std::string rest() { return text(left_.size()); }

 private:
  std::span<const std::uint8_t> left_;
};

[[nodiscard]] inline bytes bytes_of(std::string_view text) { return {text.begin(), text.end()}; }
[[nodiscard]] inline bytes bytes_of(std::span<const std::byte> from) {
  bytes to(from.size());
  std::transform(from.begin(), from.end(), to.begin(), [](std::byte b) { return std::to_integer<std::uint8_t>(b); });
  return to;
}

/// Bytes without a meaning, the same everywhere: seeds for targets that read any bytes as something legal.
[[nodiscard]] inline bytes noise(std::uint32_t seed, std::size_t size) {
  std::mt19937 engine(seed);
  bytes made(size);
  for (std::uint8_t& byte : made) byte = static_cast<std::uint8_t>(engine());
  return made;
}

/// Inputs of several sizes, all noise.
[[nodiscard]] inline std::vector<bytes> noises(std::size_t count, std::size_t largest) {
  std::vector<bytes> made{{}};
  for (std::size_t i = 1; i <= count; ++i) made.push_back(noise(static_cast<std::uint32_t>(i), largest * i / count));
  return made;
}

/// A well-mixed number for a place in a row.
[[nodiscard]] constexpr std::uint64_t mixed(std::uint64_t x) noexcept {
  x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9U;
  x = (x ^ x >> 27) * 0x94D049BB133111EBU;
  return x ^ x >> 31;
}

}  // namespace fuzz

#endif  // SPECDEC_TESTS_FUZZ_HPP
