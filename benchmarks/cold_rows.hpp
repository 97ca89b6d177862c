#ifndef SPECDEC_BENCHMARKS_COLD_ROWS_HPP
#define SPECDEC_BENCHMARKS_COLD_ROWS_HPP

/// @file
/// Rows of logits to benchmark on, hot or cold. A cold row comes from memory: rows cycle through more bytes than the
/// last-level cache is said to have. A hot row is read again and again.

#include <benchmark/benchmark.h>

#include <bit>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <random>
#include <specdec/specdec.hpp>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

namespace cold_rows {

/// Bytes that cold rows cycle through: more than the 480 MiB that the largest last-level caches of one socket report,
/// unless COLD_MIB in the environment says otherwise. Ends the program if that is not from 16 to 8192.
inline std::size_t cold_bytes() {
  static const std::size_t bytes = [] {
    const char* const given = std::getenv("COLD_MIB");
    if (given == nullptr) return std::size_t{640} << 20;
    const std::string_view text(given);
    std::size_t mebibytes = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), mebibytes);
    if (error != std::errc() || end != text.data() + text.size() || mebibytes < 16 || mebibytes > 8192) {
      std::fprintf(stderr, "COLD_MIB: expected a number of MiB from 16 to 8192; got '%s'\n", given);
      std::exit(2);
    }
    return mebibytes << 20;
  }();
  return bytes;
}

/// Reads some numbers with the widest registers there are, and does the least with them that cannot be left out.
template <int Width>
[[gnu::always_inline]] inline void stream(const float* x, std::size_t count, float* out) {
  typedef float reals __attribute__((vector_size(Width)));
  constexpr std::size_t step = Width / sizeof(float);
  reals seen[8] = {};
  for (std::size_t i = 0; i + 8 * step <= count; i += 8 * step) {
    for (std::size_t k = 0; k < 8; ++k) {
      reals v;
      __builtin_memcpy(&v, x + i + k * step, sizeof v);
      seen[k] += v;
    }
  }
  for (std::size_t k = 1; k < 8; ++k) seen[0] += seen[k];
  __builtin_memcpy(out, seen, Width);
}

[[gnu::noinline]] inline void stream_baseline(const float* x, std::size_t count, float* out) {
  stream<16>(x, count, out);
}
#if defined(__x86_64__)
[[gnu::noinline, gnu::target("avx2")]] inline void stream_avx2(const float* x, std::size_t count, float* out) {
  stream<32>(x, count, out);
}
[[gnu::noinline, gnu::target("avx512f")]] inline void stream_avx512(const float* x, std::size_t count, float* out) {
  stream<64>(x, count, out);
}
#endif

/// Reads so many bytes once, as fast as they come.
inline void read_once(const void* from, std::size_t bytes) {
  float out[16];
  const auto* x = static_cast<const float*>(from);
  const std::size_t count = bytes / sizeof(float);
#if defined(__x86_64__)
  if (specdec::detail::supported(specdec::detail::isa::avx512)) {
    stream_avx512(x, count, out);
  } else if (specdec::detail::supported(specdec::detail::isa::avx2)) {
    stream_avx2(x, count, out);
  } else {
    stream_baseline(x, count, out);
  }
#else
  stream_baseline(x, count, out);
#endif
  benchmark::DoNotOptimize(out);
}

/// Logits drawn from N(0, 3), the same for all rows but for where they begin.
inline const std::vector<float>& noise() {
  static const std::vector<float> values = [] {
    std::mt19937 engine(1);
    std::normal_distribution<float> normal(0, 3);
    std::vector<float> drawn((std::size_t{1} << 20) * 2 + 4096);
    for (float& x : drawn) x = normal(engine);
    return drawn;
  }();
  return values;
}

/// The upper half of a float, and its nearest 16-bit neighbour below in magnitude: logits for benchmarks only.
inline specdec::bfloat16 to_bfloat16(float x) {
  return {static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(x) >> 16)};
}
inline specdec::float16 to_float16(float x) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(x * 0x1p-112F);
  return {static_cast<std::uint16_t>((bits >> 13 & 0x7FFF) | (bits >> 16 & 0x8000))};
}

/// Rows one behind the other: one, or as many as make them cold.
template <class T>
class rows {
 public:
  rows(std::size_t size, bool cold) : size_(size), count_(cold ? cold_bytes() / (size * sizeof(T)) / 6 * 6 : 6) {
    values_.resize(size * count_);
    std::mt19937 engine(2);
    for (std::size_t r = 0; r < count_; ++r) {
      const float* from = noise().data() + engine() % (noise().size() - size);
      for (std::size_t i = 0; i < size; ++i) {
        if constexpr (std::is_same_v<T, float>) {
          values_[r * size + i] = from[i];
        } else if constexpr (std::is_same_v<T, specdec::float16>) {
          values_[r * size + i] = to_float16(from[i]);
        } else {
          values_[r * size + i] = to_bfloat16(from[i]);
        }
      }
    }
  }

  /// The next `number` rows; when hot, always the same ones.
  const T* next(std::size_t number) {
    if (count_ == 6) return values_.data();
    if (at_ + number > count_) at_ = 0;
    at_ += number;
    return values_.data() + (at_ - number) * size_;
  }

 private:
  std::size_t size_;
  std::size_t count_;
  std::size_t at_ = 0;
  std::vector<T> values_;
};

/// Everything a benchmark works on is made once, by name, so that neither cold rows nor their making count.
template <class T>
rows<T>& rows_of(std::size_t size, bool cold) {
  static std::map<std::pair<std::size_t, bool>, rows<T>> made;
  return made.try_emplace({size, cold}, size, cold).first->second;
}

}  // namespace cold_rows

#endif  // SPECDEC_BENCHMARKS_COLD_ROWS_HPP
