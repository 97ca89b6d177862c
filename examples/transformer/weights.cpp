#include "weights.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <initializer_list>
#include <limits>
#include <set>
#include <stdexcept>
#include <string>

#include "inert.hpp"

namespace toy {
namespace {

// Far beyond any model this engine can run; keeps products of sizes far from overflow.
constexpr std::uint64_t largest_size = 1u << 24;

[[noreturn]] void fail(const gguf_file& file, const std::string& what) {
  throw std::runtime_error(file.name() + ": " + what);
}

std::size_t checked_size(const gguf_file& file, const char* key, std::uint64_t value) {
  if (value < 1 || value > largest_size)
    fail(file, std::string("expected '") + key + "' between 1 and 2^24, got " + std::to_string(value));
  return static_cast<std::size_t>(value);
}

std::size_t read_size(const gguf_file& file, const char* key) {
  return checked_size(file, key, file.get<std::uint64_t>(key));
}

std::size_t read_size(const gguf_file& file, const char* key, std::size_t absent) {
  return checked_size(file, key, file.find<std::uint64_t>(key).value_or(absent));
}

hyper_parameters read_shape(const gguf_file& file) {
  if (const auto architecture = file.get<std::string_view>("general.architecture"); architecture != "llama")
    fail(file, "expected general.architecture 'llama', got '" + std::string(architecture.substr(0, 40)) + "'");
  for (const char* key : {"llama.rope.scaling.type", "llama.rope.scaling.factor", "llama.expert_count"})
    if (file.metadata().contains(key)) fail(file, std::string("'") + key + "' is not supported by this engine");

  hyper_parameters shape;
  shape.context_length = read_size(file, "llama.context_length");
  shape.width = read_size(file, "llama.embedding_length");
  shape.layers = read_size(file, "llama.block_count");
  shape.feed_forward = read_size(file, "llama.feed_forward_length");
  shape.heads = read_size(file, "llama.attention.head_count");
  shape.key_value_heads = read_size(file, "llama.attention.head_count_kv", shape.heads);
  if (shape.heads % shape.key_value_heads != 0)
    fail(file, "expected the number of heads to be a multiple of that of key-value heads, got " +
                   std::to_string(shape.heads) + " and " + std::to_string(shape.key_value_heads));
  if (!file.metadata().contains("llama.attention.key_length") && shape.width % shape.heads != 0)
    fail(file, "expected the width to be a multiple of the number of heads, got " + std::to_string(shape.width) +
                   " and " + std::to_string(shape.heads));
  shape.head_size = read_size(file, "llama.attention.key_length", std::max<std::size_t>(1, shape.width / shape.heads));
  if (const auto size = read_size(file, "llama.attention.value_length", shape.head_size); size != shape.head_size)
    fail(file, "expected keys and values of one length, got " + std::to_string(shape.head_size) + " and " +
                   std::to_string(size));
  shape.rotary_size = read_size(file, "llama.rope.dimension_count", shape.head_size);
  if (shape.rotary_size > shape.head_size || shape.rotary_size % 2 != 0)
    fail(file, "expected an even llama.rope.dimension_count of at most " + std::to_string(shape.head_size) + ", got " +
                   std::to_string(shape.rotary_size));
  shape.rotary_base = file.find<double>("llama.rope.freq_base").value_or(10000.0);
  shape.epsilon = static_cast<float>(file.get<double>("llama.attention.layer_norm_rms_epsilon"));
  if (!(shape.rotary_base > 1 && std::isfinite(shape.rotary_base)))
    fail(file, "expected a finite llama.rope.freq_base above 1, got " + std::to_string(shape.rotary_base));
  if (!(shape.epsilon >= 0 && std::isfinite(shape.epsilon)))
    fail(file, "expected a finite llama.attention.layer_norm_rms_epsilon, got " + std::to_string(shape.epsilon));

  const gguf_tensor* embedding = file.find_tensor("token_embd.weight");
  if (!embedding || embedding->shape.size() != 2) fail(file, "expected a matrix 'token_embd.weight', found none");
  shape.vocabulary = embedding->shape[1];
  if (shape.vocabulary > static_cast<std::size_t>(std::numeric_limits<specdec::token_id>::max()))
    fail(file, "expected at most 2^31 - 1 tokens, got " + std::to_string(shape.vocabulary));
  if (const auto stated = file.find<std::uint64_t>("llama.vocab_size"); stated && *stated != shape.vocabulary)
    fail(file, "expected 'token_embd.weight' to have llama.vocab_size = " + std::to_string(*stated) + " rows, got " +
                   std::to_string(shape.vocabulary));
  return shape;
}

// Takes a file's tensors one by one, checks their shapes, and knows which were never asked for.
class loader {
 public:
  loader(const gguf_file& file, weight_format format) : file_(file), format_(format) {}

  std::size_t parameters() const noexcept { return parameters_; }

  aligned_buffer<float> vector(const std::string& name, std::size_t size) {
    const gguf_tensor& tensor = take(name, {size});
    aligned_buffer<float> values(rounded_up(size, kernels::lanes));
    tensor.read(0, {values.data(), size});
    return values;
  }

  // Packs a tensor's rows; row i goes where `place(i)` says.
  template <class Place>
  void rows(const std::string& name, std::size_t columns, std::size_t rows, packed_matrix& into, Place place) {
    const gguf_tensor& tensor = take(name, {columns, rows});
    std::vector<float> row(columns);
    for (std::size_t i = 0; i < rows; ++i) {
      tensor.read(i * columns, row);
      into.set_row(place(i), row);
    }
  }

  packed_matrix matrix(const std::string& name, std::size_t columns, std::size_t rows) {
    check(name, columns, rows);
    packed_matrix result(rows, columns, format_);
    this->rows(name, columns, rows, result, [](std::size_t row) { return row; });
    return result;
  }

  // Memory is asked for by these sizes, so they must be the sizes of something the file really holds.
  void check(const std::string& name, std::size_t columns, std::size_t rows) const {
    const std::array shape{columns, rows};
    static_cast<void>(file_.tensor(name, shape));
  }

  void expect_all_taken() const {
    for (const auto& [name, tensor] : file_.tensors())
      if (!taken_.contains(name))
        fail(file_, "found a tensor that a Llama model does not have: '" + std::string(name.substr(0, 80)) + "'");
  }

 private:
  const gguf_tensor& take(const std::string& name, std::initializer_list<std::size_t> shape) {
    const gguf_tensor& tensor = file_.tensor(name, {shape.begin(), shape.size()});
    taken_.insert(tensor.name);
    parameters_ += tensor.size;
    return tensor;
  }

  const gguf_file& file_;
  weight_format format_;
  std::set<std::string_view> taken_;
  std::size_t parameters_ = 0;
};

std::size_t unit_place(std::size_t unit, bool up) noexcept {
  return unit / kernels::gate_units * (2 * kernels::gate_units) + unit % kernels::gate_units +
         (up ? kernels::gate_units : 0);
}

layer_weights read_layer(loader& from, const hyper_parameters& shape, std::size_t index, std::size_t inert,
                         weight_format format) {
  const std::string prefix = "blk." + std::to_string(index) + ".";
  const std::size_t query = shape.query_width(), key_value = shape.key_value_width();
  const std::size_t width = shape.width, units = shape.feed_forward;
  layer_weights layer;
  layer.attention_norm = from.vector(prefix + "attn_norm.weight", width);
  from.check(prefix + "attn_q.weight", width, query);
  from.check(prefix + "attn_k.weight", width, key_value);
  layer.query_key_value = packed_matrix(query + 2 * key_value, width, format);
  const auto after = [](std::size_t first) { return [first](std::size_t row) { return first + row; }; };
  from.rows(prefix + "attn_q.weight", width, query, layer.query_key_value, after(0));
  from.rows(prefix + "attn_k.weight", width, key_value, layer.query_key_value, after(query));
  from.rows(prefix + "attn_v.weight", width, key_value, layer.query_key_value, after(query + key_value));
  layer.attention_output = from.matrix(prefix + "attn_output.weight", query, width);

  layer.feed_forward_norm = from.vector(prefix + "ffn_norm.weight", width);
  from.check(prefix + "ffn_gate.weight", width, units);
  from.check(prefix + "ffn_down.weight", units, width);
  const std::size_t all_units = rounded_up(units + inert, kernels::gate_units);
  layer.gate_up = packed_matrix(2 * all_units, width, format);
  from.rows(prefix + "ffn_gate.weight", width, units, layer.gate_up,
            [](std::size_t unit) { return unit_place(unit, false); });
  from.rows(prefix + "ffn_up.weight", width, units, layer.gate_up,
            [](std::size_t unit) { return unit_place(unit, true); });
  std::vector<float> row(width);
  inert_weights random(index);
  for (std::size_t unit = units; unit < units + inert; ++unit) {
    for (const bool up : {false, true}) {
      random.fill(row);
      layer.gate_up.set_row(unit_place(unit, up), row);
    }
  }
  layer.down = packed_matrix(width, all_units, format);
  from.rows(prefix + "ffn_down.weight", units, width, layer.down, after(0));
  return layer;
}

}  // namespace

weights::weights(const gguf_file& file, const load_options& options)
    : shape(read_shape(file)), compute(kernels::choose()), pool(options.threads) {
  loader from(file, options.format);
  embedding = from.matrix("token_embd.weight", shape.width, shape.vocabulary);
  tied = file.find_tensor("output.weight") == nullptr;
  if (!tied) head = from.matrix("output.weight", shape.width, shape.vocabulary);
  output_norm = from.vector("output_norm.weight", shape.width);

  const std::size_t inert =
      rounded_up(inert_units(file, shape.width, shape.layers, options.ballast_parameters), kernels::gate_units);
  for (std::size_t i = 0; i < shape.layers; ++i) layers.push_back(read_layer(from, shape, i, inert, options.format));
  from.expect_all_taken();
  parameters = from.parameters() + inert * 3 * shape.width * shape.layers;
}

model::model(const gguf_file& file, const load_options& options)
    : weights_(std::make_shared<const weights>(file, options)) {}

model::model(const std::filesystem::path& path, const load_options& options) : model(gguf_file(path), options) {}

std::size_t model::vocab_size() const noexcept { return weights_->shape.vocabulary; }
std::size_t model::context_length() const noexcept { return weights_->shape.context_length; }
std::size_t model::layer_count() const noexcept { return weights_->shape.layers; }
std::size_t model::parameter_count() const noexcept { return weights_->parameters; }
const char* model::instruction_set() const noexcept { return weights_->compute.name; }

std::size_t model::bytes_per_pass() const noexcept {
  std::size_t bytes = weights_->output_head().bytes();
  for (const layer_weights& layer : weights_->layers)
    bytes +=
        layer.query_key_value.bytes() + layer.attention_output.bytes() + layer.gate_up.bytes() + layer.down.bytes();
  return bytes;
}

}  // namespace toy
