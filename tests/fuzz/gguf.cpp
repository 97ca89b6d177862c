// GGUF files of any bytes: they are refused with std::runtime_error, or what they hold can be walked from end to end,
// and a model that loads computes.
//
// An input that begins with "GGUF" is a file as it is. Any other says how to compose one: a small model, of which some
// keys and tensors are not what they should be.

#include <gguf.hpp>
#include <gguf_writer.hpp>
#include <model.hpp>
#include <stdexcept>
#include <tokenizer.hpp>

#include "../transformer_gguf_writer.hpp"
#include "fuzz.hpp"

namespace {

using fuzz::input;
using fuzz::refused;
using fuzz::require;
using specdec::token_id;
using toy::gguf_array;
using toy::gguf_file;
using toy::gguf_type;
using toy::gguf_writer;
using toy::tensor_type;

/// Reads an array as what it is, and as something that it is not.
void walk(const gguf_array& array) {
  std::size_t size = 0;
  const auto misread = [](auto call) { require(refused<std::runtime_error>(call), "an array has one type"); };
  if (array.element() == gguf_type::string) {
    size = array.strings().size();
    misread([&] { static_cast<void>(array.numbers()); });
  } else if (array.element() == gguf_type::array) {
    const std::vector<gguf_array> arrays = array.arrays();
    for (const gguf_array& one : arrays) walk(one);
    size = arrays.size();
  } else {
    size = array.numbers().size();
    misread([&] { static_cast<void>(array.arrays()); });
  }
  require(size == array.size(), "an array has as many elements as it says");
}

void walk(const toy::gguf_tensor& tensor) {
  require(tensor.size > 0, "a tensor has elements");
  const std::size_t unit = tensor.type == tensor_type::q8_0 ? toy::q8_0_block : 1;
  std::vector<float> values(std::min(tensor.size / unit, std::size_t{64}) * unit);
  tensor.read(0, values);
  tensor.read(tensor.size - values.size(), values);
}

void walk(const gguf_file& file) {
  for (const auto& [key, value] : file.metadata()) {
    const std::string_view name = key;  // C++20 lambdas capture no structured bindings
    const bool is_text = std::holds_alternative<std::string_view>(value);
    const bool misread = refused<std::runtime_error>([&] {
      is_text ? static_cast<void>(file.get<bool>(name)) : static_cast<void>(file.get<std::string_view>(name));
    });
    require(misread, "a value has one type");
    if (is_text) require(file.get<std::string_view>(name) == std::get<std::string_view>(value), "and is told as it is");
    if (std::holds_alternative<gguf_array>(value)) walk(file.get<gguf_array>(name));
  }
  for (const auto& [name, tensor] : file.tensors()) {
    walk(tensor);
    require(&file.tensor(name, tensor.shape) == &tensor, "a tensor is found by its name");
  }
}

/// A model computes any tokens of its vocabulary, refuses any others, and gives a token the same bits in any company.
void compute(const toy::model& model, std::size_t file_size) {
  // The least of a tensor is its entry, the most that padding makes of it a group of rows of 16 columns.
  require(model.bytes_per_pass() <= 128 * file_size, "memory is bounded by the size of the file");
  const std::size_t capacity = std::min<std::size_t>(model.context_length(), 5);
  toy::context together(model, capacity);
  toy::context alone(model, capacity);
  std::vector<token_id> tokens(capacity);
  for (std::size_t i = 0; i < capacity; ++i) {
    tokens[i] = static_cast<token_id>(i * 7919 % model.vocab_size());
  }
  const auto outside = static_cast<token_id>(model.vocab_size());
  for (const token_id wrong : {outside, -1}) {
    require(refused<std::invalid_argument>([&] {
              static_cast<void>(alone.decode({&wrong, 1}, 1));
            }),
            "a token outside the vocabulary is refused");
  }
  const auto rows = together.decode(tokens, capacity);
  require(rows.size() == capacity, "a row for every token");
  for (std::size_t i = 0; i < capacity; ++i) {
    const auto row = rows.row(i);
    const auto again = alone.decode({&tokens[i], 1}, 1).row(0);
    require(row.size() == model.vocab_size() && again.size() == row.size(), "a row is as wide as the vocabulary");
    for (std::size_t t = 0; t < row.size(); ++t) {
      const bool same = std::bit_cast<std::uint32_t>(row[t]) == std::bit_cast<std::uint32_t>(again[t]);
      // Which of two NaN a sum takes its payload from is the compiler's choice.
      require(same || (row[t] != row[t] && again[t] != again[t]), "a token's bits do not show its company");
    }
  }
  require(refused<std::length_error>([&] {
            static_cast<void>(alone.decode({&tokens[0], 1}, 1));
          }),
          "more than the capacity is refused");
}

/// Composes files: everything is right unless the input says otherwise, which at its end it does not.
class composer {
 public:
  explicit composer(input& in) : in_(in) {}

  std::vector<std::byte> compose() {
    const std::size_t pairs = in_.between(1, 6);
    head_size_ = 2 * pairs + (in_.one_in(8) ? 1 : 0);
    key_value_heads_ = in_.between(1, 3);
    heads_ = key_value_heads_ * in_.between(1, 3);
    width_ = in_.below(2) == 0 ? heads_ * head_size_ : in_.between(1, 70);
    feed_forward_ = in_.between(1, 40);
    vocabulary_ = in_.between(1, 40);
    const std::size_t layers = in_.between(1, 2);
    write_keys(layers);
    write_tensors(layers);
    if (in_.below(2) == 0) toy_test::tiny_vocabulary(file_, in_.below(4) == 1);
    std::vector<std::byte> bytes = file_.bytes();
    for (std::size_t flips = in_.below(8) / 4 * in_.below(4); flips > 0; --flips) {
      bytes[in_.below(bytes.size())] ^= static_cast<std::byte>(1U << in_.below(8));
    }
    if (in_.one_in(16)) bytes.resize(in_.below(bytes.size()));
    return bytes;
  }

 private:
  void write_keys(std::size_t layers) {
    if (in_.one_in(16)) file_.value("general.alignment", static_cast<std::uint32_t>(1U << in_.below(32)));
    file_.value("general.architecture", std::string_view(in_.one_in(32) ? "mamba" : "llama"));
    size("llama.context_length", 16);
    size("llama.embedding_length", width_);
    size("llama.block_count", layers);
    size("llama.feed_forward_length", feed_forward_);
    size("llama.attention.head_count", heads_);
    size("llama.attention.head_count_kv", key_value_heads_);
    size("llama.attention.key_length", head_size_);
    size("llama.attention.value_length", head_size_);
    size("llama.rope.dimension_count", head_size_ / 2 * 2);
    number("llama.rope.freq_base", 500.0F);
    number("llama.attention.layer_norm_rms_epsilon", 1e-5F);
    if (in_.one_in(32)) size("llama.vocab_size", vocabulary_);
    if (in_.one_in(64)) size("llama.expert_count", 1);
  }

  void write_tensors(std::size_t layers) {
    tensor("token_embd.weight", {width_, vocabulary_});
    tensor("output_norm.weight", {width_});
    if (in_.below(2) == 0) tensor("output.weight", {width_, vocabulary_});
    for (std::size_t i = 0; i < layers; ++i) {
      const std::string layer = "blk." + std::to_string(i) + ".";
      tensor(layer + "attn_norm.weight", {width_});
      tensor(layer + "ffn_norm.weight", {width_});
      tensor(layer + "attn_q.weight", {width_, heads_ * head_size_});
      tensor(layer + "attn_k.weight", {width_, key_value_heads_ * head_size_});
      tensor(layer + "attn_v.weight", {width_, key_value_heads_ * head_size_});
      tensor(layer + "attn_output.weight", {heads_ * head_size_, width_});
      tensor(layer + "ffn_gate.weight", {width_, feed_forward_});
      tensor(layer + "ffn_up.weight", {width_, feed_forward_});
      tensor(layer + "ffn_down.weight", {feed_forward_, width_});
    }
    if (in_.one_in(64)) tensor("unheard_of", {3});
  }

  void size(std::string_view key, std::size_t right) {
    switch (in_.below(64)) {
      case 59:
        break;
      case 60:
        file_.value(key, gguf_type::uint64, in_.bits<std::uint64_t>());
        break;
      case 61:
        file_.value(key, gguf_type::int32, in_.bits<std::int32_t>());
        break;
      case 62:
        file_.value(key, in_.bits<float>());
        break;
      case 63:
        file_.value(key, static_cast<std::uint32_t>(in_.below(64)));
        break;
      default:
        file_.value(key, static_cast<std::uint32_t>(right));
    }
  }

  void number(std::string_view key, float right) { file_.value(key, in_.one_in(32) ? in_.bits<float>() : right); }

  void tensor(const std::string& name, std::vector<std::size_t> shape) {
    constexpr tensor_type types[] = {tensor_type::float32, tensor_type::float16, tensor_type::bfloat16,
                                     tensor_type::q8_0};
    tensor_type type = types[in_.below(4)];
    switch (in_.below(64)) {
      case 61:
        return;
      case 62:
        std::reverse(shape.begin(), shape.end());
        break;
      case 63:
        shape[in_.below(shape.size())] = in_.between(1, 100);
        break;
      default:
        break;
    }
    if (type == tensor_type::q8_0 && shape[0] % toy::q8_0_block != 0) type = tensor_type::float16;
    const bool wild = in_.one_in(16);
    const std::uint64_t seed = ++tensors_ << 32;
    file_.tensor(name, shape, type, [wild, seed](std::size_t row, std::span<float> values) {
      for (std::size_t i = 0; i < values.size(); ++i) {
        const auto bits = static_cast<std::uint32_t>(fuzz::mixed(seed + row * 4096 + i));
        values[i] = wild ? std::bit_cast<float>(bits) : static_cast<float>(bits >> 8) * 0x1p-24F - 0.5F;
      }
    });
  }

  input& in_;
  gguf_writer file_;
  std::size_t head_size_ = 0, key_value_heads_ = 0, heads_ = 0, width_ = 0, feed_forward_ = 0, vocabulary_ = 0;
  std::uint64_t tensors_ = 0;
};

void examine(std::span<const std::byte> bytes) {
  const auto file = fuzz::made<std::runtime_error>([&] { return gguf_file(bytes, "fuzz.gguf"); });
  if (!file) return;
  walk(*file);
  static_cast<void>(fuzz::made<std::runtime_error>([&] { return toy::tokenizer(*file); }));
  for (const auto format : {toy::weight_format::float32, toy::weight_format::float16}) {
    const auto model = fuzz::made<std::runtime_error>([&] { return toy::model(*file, {format, 0, 1}); });
    if (model) compute(*model, bytes.size());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::span<const std::uint8_t> given(data, size);
  constexpr std::string_view magic = "GGUF";
  if (size >= magic.size() && std::equal(magic.begin(), magic.end(), data)) {
    examine(std::as_bytes(given));
  } else {
    input in(given);
    examine(composer(in).compose());
  }
  return 0;
}

std::vector<fuzz::bytes> fuzz::seeds() {
  std::vector<bytes> made = noises(12, 160);
  // A file with nothing, one with a value of every type, one with a vocabulary, and a model.
  made.push_back(bytes_of(gguf_writer().bytes()));
  gguf_writer every;
  every.value("a", gguf_type::uint8, std::uint8_t{1}).value("b", gguf_type::int8, std::int8_t{-1});
  every.value("c", gguf_type::uint16, std::uint16_t{2}).value("d", gguf_type::int16, std::int16_t{-2});
  every.value("e", std::uint32_t{3}).value("f", gguf_type::int32, std::int32_t{-3}).value("g", 0.5F);
  every.value("h", gguf_type::boolean, std::uint8_t{1}).value("i", std::string_view("text"));
  every.value("j", gguf_type::uint64, std::uint64_t{4}).value("k", gguf_type::int64, std::int64_t{-4});
  every.value("l", gguf_type::float64, 0.25).strings("m", {"one", "", "three"});
  every.numbers("n", gguf_type::boolean, std::vector<std::uint8_t>{0, 1});
  every.array("o", gguf_type::array, 2).metadata().number(std::uint32_t{0}).number(std::uint64_t{1});
  every.metadata().number(std::uint8_t{5}).number(std::uint32_t{8}).number(std::uint64_t{0});
  every.tensor("p", {32, 1}, tensor_type::q8_0, std::vector<float>(32, 1.0F));
  every.tensor("q", {1, 2, 1, 1}, tensor_type::bfloat16, {1.0F, 2.0F});
  made.push_back(bytes_of(every.bytes()));
  gguf_writer words;
  toy_test::tiny_vocabulary(words, false);
  made.push_back(bytes_of(words.bytes()));
  toy_test::tiny_shape smallest{.vocabulary = 4, .width = 4, .layers = 1, .heads = 2, .key_value_heads = 1};
  smallest.head_size = smallest.rotary_size = 2;
  smallest.feed_forward = 3;
  smallest.context_length = 8;
  smallest.feed_forward_type = tensor_type::float16;
  made.push_back(bytes_of(toy_test::tiny_model(smallest).bytes()));
  return made;
}
