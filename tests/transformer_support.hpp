#ifndef TRANSFORMER_SUPPORT_HPP
#define TRANSFORMER_SUPPORT_HPP

/// @file
/// What tests of the toy transformer compare: rows, bit for bit, on every instruction set.

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <vector>

#include <gguf.hpp>
#include <kernels.hpp>
#include <specdec/types.hpp>

#include "message_of.hpp"
#include "transformer_gguf_writer.hpp"

namespace toy_test {

using specdec::token_id;
/// A row's bits: they tell +0 from -0, and every NaN from every other.
using row_bits = std::vector<std::uint32_t>;

/// The rows of a call, copied.
template <class Rows>
std::vector<row_bits> bits_of(const Rows& rows) {
  std::vector<row_bits> copies(rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i)
    for (std::size_t t = 0; t < rows.row(i).size(); ++t)
      copies[i].push_back(std::bit_cast<std::uint32_t>(rows.row(i)[t]));
  return copies;
}

inline std::vector<token_id> random_tokens(std::size_t count, std::size_t vocabulary, std::minstd_rand& random) {
  std::vector<token_id> tokens(count);
  for (token_id& token : tokens) token = static_cast<token_id>(random() % vocabulary);
  return tokens;
}

inline std::vector<token_id> joined(std::span<const token_id> first, std::span<const token_id> second) {
  std::vector<token_id> both(first.begin(), first.end());
  both.insert(both.end(), second.begin(), second.end());
  return both;
}

/// A small model whose sizes are multiples of no register. The last token's embedding may be infinite.
inline toy::gguf_file odd_file(std::size_t vocabulary, std::size_t context_length, bool infinite_token = false) {
  return toy::gguf_file(tiny_model({.vocabulary = vocabulary,
                                    .width = 70,
                                    .heads = 6,
                                    .key_value_heads = 2,
                                    .head_size = 20,
                                    .rotary_size = 18,
                                    .feed_forward = 40,
                                    .context_length = context_length,
                                    .attention = toy::tensor_type::float32,
                                    .feed_forward_type = toy::tensor_type::float32,
                                    .infinite_token = infinite_token})
                            .bytes(),
                        "odd.gguf");
}

/// Sets TOY_ISA while it lives. Kernels are chosen when a model is loaded.
class forced_tier {
 public:
  explicit forced_tier(const char* name) {
    if (const char* before = std::getenv("TOY_ISA")) before_ = before;
    setenv("TOY_ISA", name, 1);
  }
  ~forced_tier() { before_ ? setenv("TOY_ISA", before_->c_str(), 1) : unsetenv("TOY_ISA"); }
  forced_tier(const forced_tier&) = delete;
  forced_tier& operator=(const forced_tier&) = delete;

 private:
  std::optional<std::string> before_;
};

/// The instruction sets that this machine has kernels for.
inline std::vector<const char*> tiers() {
  std::vector<const char*> names;
  for (const char* name : {"baseline", "avx2", "avx512"}) {
    const forced_tier forced(name);
    if (message_of([] { static_cast<void>(toy::kernels::choose()); }) == "no exception") names.push_back(name);
  }
  return names;
}

}  // namespace toy_test

#endif  // TRANSFORMER_SUPPORT_HPP
