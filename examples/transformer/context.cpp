#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>
#include <vector>

#include <Eigen/Core>

#include "model.hpp"
#include "weights.hpp"

namespace toy {

using kernels::rows_view;
using specdec::token_id;

namespace {

// How many tokens of a long prompt pass through the layers together.
constexpr std::size_t pass_tokens = 64;
// Below this, in bytes of weights times tokens, handing work to other threads costs more than it saves.
constexpr std::size_t parallel_work = 256 * 1024;
// More pieces than threads, so that a thread which the system holds back is relieved of most of its share.
constexpr std::size_t pieces_per_thread = 4;

// Activations of up to `pass_tokens` tokens; rows padded to whole cache lines, padding zero.
class activations {
 public:
  activations() = default;
  activations(std::size_t rows, std::size_t width)
      : stride_(rounded_up(width, kernels::lanes)), values_(rows * rounded_up(width, kernels::lanes)) {}

  float* row(std::size_t index) noexcept { return values_.data() + index * stride_; }
  std::size_t stride() const noexcept { return stride_; }
  std::size_t rows() const noexcept { return stride_ ? values_.size() / stride_ : 0; }
  rows_view view(std::size_t first, std::size_t count) const noexcept {
    return {values_.data() + first * stride_, stride_, count};
  }
  auto flat(std::size_t rows) noexcept {
    return Eigen::Map<Eigen::ArrayXf>(values_.data(), static_cast<Eigen::Index>(rows * stride_));
  }

 private:
  std::size_t stride_ = 0;
  aligned_buffer<float> values_;
};

// Keys and values of one layer: per head, keys transposed and values as rows (see `kernels::attention_view`).
class key_value_cache {
 public:
  key_value_cache(const hyper_parameters& shape, std::size_t capacity)
      : head_size_(shape.head_size),
        // An odd number of cache lines: a power of two would put all of a head's dimensions into a few cache sets.
        key_stride_(rounded_up(capacity, 2 * kernels::lanes) + kernels::lanes),
        value_stride_(rounded_up(shape.head_size, kernels::lanes)),
        value_rows_(rounded_up(capacity, kernels::lanes)),
        keys_(shape.key_value_heads * head_size_ * key_stride_),
        values_(shape.key_value_heads * value_rows_ * value_stride_) {}

  void store(std::size_t head, std::size_t position, const float* key, const float* value) noexcept {
    float* column = keys_.data() + head * head_size_ * key_stride_ + position;
    for (std::size_t d = 0; d < head_size_; ++d) column[d * key_stride_] = key[d];
    std::copy_n(value, head_size_, values_.data() + (head * value_rows_ + position) * value_stride_);
  }

  // Takes over the positions from `first` to `last` of a cache of the same shape.
  void copy(const key_value_cache& other, std::size_t first, std::size_t last) noexcept {
    const std::size_t count = last - first;
    for (std::size_t row = first; row < keys_.size(); row += key_stride_)
      std::copy_n(other.keys_.data() + row, count, keys_.data() + row);
    for (std::size_t row = first * value_stride_; row < values_.size(); row += value_rows_ * value_stride_)
      std::copy_n(other.values_.data() + row, count * value_stride_, values_.data() + row);
  }

  kernels::attention_view view(std::size_t head, std::size_t positions) const noexcept {
    return {keys_.data() + head * head_size_ * key_stride_,
            key_stride_,
            values_.data() + head * value_rows_ * value_stride_,
            value_stride_,
            head_size_,
            positions};
  }

 private:
  std::size_t head_size_, key_stride_, value_stride_, value_rows_;
  aligned_buffer<float> keys_;
  aligned_buffer<float> values_;
};

// The angle's sine and cosine per position and pair of dimensions.
class rotation {
 public:
  rotation(const hyper_parameters& shape, std::size_t capacity)
      : pairs_(shape.rotary_size / 2), cosine_(capacity * pairs_), sine_(capacity * pairs_) {
    for (std::size_t i = 0; i < pairs_; ++i) {
      const double frequency =
          std::pow(shape.rotary_base, -2.0 * static_cast<double>(i) / static_cast<double>(shape.rotary_size));
      for (std::size_t position = 0; position < capacity; ++position) {
        const double angle = static_cast<double>(position) * frequency;
        cosine_.data()[position * pairs_ + i] = static_cast<float>(std::cos(angle));
        sine_.data()[position * pairs_ + i] = static_cast<float>(std::sin(angle));
      }
    }
  }

  void apply(std::size_t position, float* head) const noexcept {
    const float* cosine = cosine_.data() + position * pairs_;
    const float* sine = sine_.data() + position * pairs_;
    for (std::size_t i = 0; i < pairs_; ++i) {
      const float a = head[2 * i], b = head[2 * i + 1];
      head[2 * i] = a * cosine[i] - b * sine[i];
      head[2 * i + 1] = a * sine[i] + b * cosine[i];
    }
  }

 private:
  std::size_t pairs_;
  aligned_buffer<float> cosine_, sine_;
};

}  // namespace

struct context::state {
  state(std::shared_ptr<const weights> shared, std::size_t most_tokens)
      : model(std::move(shared)),
        capacity(most_tokens),
        nothing_skipped(model->shape.layers),
        skipped(nothing_skipped),
        rotary(model->shape, capacity),
        scores(model->shape.heads * rounded_up(capacity, kernels::lanes)) {
    const hyper_parameters& shape = model->shape;
    const std::size_t rows = std::min(pass_tokens, capacity);
    residual = activations(rows, shape.width);
    normed = activations(rows, shape.width);
    projected = activations(rows, shape.query_width() + 2 * shape.key_value_width());
    attended = activations(rows, shape.query_width());
    delta = activations(rows, shape.width);
    hidden = activations(rows, model->layers[0].gate_up.rows() / 2);
    logits = activations(rows, shape.vocabulary);
    for (std::size_t i = 0; i < shape.layers; ++i) cache.emplace_back(shape, capacity);
    held.reserve(capacity);
  }

  std::size_t size() const noexcept { return held.size(); }

  // Becomes a copy of another state of the same model and capacity. A token's keys and values depend on nothing but the
  // tokens before it, to the bit, so those of the shared beginning are there already.
  void hold(const state& other) noexcept {
    const auto whole = [](const state& s) { return std::span(s.held).first(s.complete); };
    const auto [mine, theirs] = std::ranges::mismatch(whole(*this), whole(other));
    const auto shared = static_cast<std::size_t>(theirs - whole(other).begin());
    for (std::size_t l = 0; l < cache.size(); ++l) cache[l].copy(other.cache[l], shared, other.size());
    held = other.held;
    complete = other.complete;
    skipped = other.skipped;
  }

  // Calls body(first, last) on ranges that make up [0, units), on several threads if there is work for them.
  template <class Body>
  void spread(std::size_t units, std::size_t work, const Body& body) const noexcept {
    const std::size_t pieces = std::min(units, model->pool.size() * pieces_per_thread);
    if (work < parallel_work || model->pool.size() == 1) return body(std::size_t{0}, units);
    model->pool.run(pieces, [&](std::size_t i) { body(units * i / pieces, units * (i + 1) / pieces); });
  }

  void multiply(const packed_matrix& matrix, const rows_view& x, float* y, std::size_t y_stride) const noexcept {
    const kernels::matrix_view w = matrix.view();
    spread(w.groups, matrix.bytes() * x.tokens,
           [&](std::size_t first, std::size_t last) { model->compute.multiply(w, first, last, x, y, y_stride); });
  }

  void normalize(activations& from, std::size_t first, std::size_t count,
                 const aligned_buffer<float>& weight) noexcept {
    for (std::size_t i = first; i < first + count; ++i)
      model->compute.rms_norm(from.row(i), weight.data(), model->shape.width, model->shape.epsilon, normed.row(i));
  }

  void attention(const layer_weights& layer, key_value_cache& past, std::size_t count) noexcept {
    const hyper_parameters& shape = model->shape;
    const std::size_t head_size = shape.head_size;
    normalize(residual, 0, count, layer.attention_norm);
    multiply(layer.query_key_value, normed.view(0, count), projected.row(0), projected.stride());
    for (std::size_t i = 0; i < count; ++i) {
      float* query = projected.row(i);
      float* key = query + shape.query_width();
      const float* value = key + shape.key_value_width();
      for (std::size_t h = 0; h < shape.heads + shape.key_value_heads; ++h)
        rotary.apply(size() + i, query + h * head_size);
      for (std::size_t h = 0; h < shape.key_value_heads; ++h)
        past.store(h, size() + i, key + h * head_size, value + h * head_size);
    }
    const float scale = 1.0f / std::sqrt(static_cast<float>(head_size));
    const std::size_t score_stride = scores.size() / shape.heads;
    const std::size_t bytes_read = 2 * sizeof(float) * head_size * (size() + count) * count * shape.heads;
    spread(shape.heads, bytes_read, [&](std::size_t first, std::size_t last) {
      for (std::size_t h = first; h < last; ++h)
        for (std::size_t i = 0; i < count; ++i)
          model->compute.attend(projected.row(i) + h * head_size,
                                past.view(h / (shape.heads / shape.key_value_heads), size() + i + 1), scale,
                                scores.data() + h * score_stride, attended.row(i) + h * head_size);
    });
    multiply(layer.attention_output, attended.view(0, count), delta.row(0), delta.stride());
    residual.flat(count) += delta.flat(count);
  }

  void feed_forward(const layer_weights& layer, std::size_t count) noexcept {
    normalize(residual, 0, count, layer.feed_forward_norm);
    const kernels::matrix_view w = layer.gate_up.view();
    spread(layer.gate_up.rows() / (2 * kernels::gate_units), layer.gate_up.bytes() * count,
           [&](std::size_t first, std::size_t last) {
             model->compute.gated_units(w, first, last, normed.view(0, count), hidden.row(0), hidden.stride());
           });
    multiply(layer.down, hidden.view(0, count), delta.row(0), delta.stride());
    residual.flat(count) += delta.flat(count);
  }

  // Appends at most `pass_tokens` tokens; the logits of the last `rows` of them go to `logits` from `first_row` on.
  void forward(std::span<const token_id> tokens, std::size_t rows, std::size_t first_row) noexcept {
    const std::size_t count = tokens.size();
    for (std::size_t i = 0; i < count; ++i)
      model->embedding.copy_row(static_cast<std::size_t>(tokens[i]), {residual.row(i), model->shape.width});
    for (std::size_t l = 0; l < model->shape.layers; ++l) {
      if (!skipped.skips_attention(l)) attention(model->layers[l], cache[l], count);
      if (!skipped.skips_feed_forward(l)) feed_forward(model->layers[l], count);
    }
    if (rows > 0) {
      normalize(residual, count - rows, rows, model->output_norm);
      multiply(model->output_head(), normed.view(count - rows, rows), logits.row(first_row), logits.stride());
    }
    held.insert(held.end(), tokens.begin(), tokens.end());
  }

  std::shared_ptr<const weights> model;
  std::size_t capacity;
  std::vector<token_id> held;
  // The first `complete` tokens held have keys and values in all layers; `skipped` is how those behind them were read.
  std::size_t complete = 0;
  specdec::layer_skip nothing_skipped, skipped;
  std::vector<key_value_cache> cache;
  rotation rotary;
  aligned_buffer<float> scores;
  activations residual, normed, projected, attended, delta, hidden, logits;
};

context::context(const toy::model& model, std::size_t capacity) {
  const std::size_t most = model.context_length();
  if (capacity > most)
    throw std::invalid_argument("toy::context: expected a capacity of at most the model's context length " +
                                std::to_string(most) + ", got " + std::to_string(capacity));
  state_ = std::make_unique<state>(model.weights_, capacity == 0 ? most : capacity);
}

context::~context() = default;
context::context(context&&) noexcept = default;
context& context::operator=(context&&) noexcept = default;

context::context(const context& other) : state_(std::make_unique<state>(other.state_->model, other.state_->capacity)) {
  state_->hold(*other.state_);
}

context& context::operator=(const context& other) {
  if (state_ && state_->model == other.state_->model && state_->capacity == other.state_->capacity) {
    if (this != &other) state_->hold(*other.state_);
    return *this;
  }
  return *this = context(other);
}

std::size_t context::vocab_size() const noexcept { return state_->model->shape.vocabulary; }
std::size_t context::size() const noexcept { return state_->size(); }
std::span<const token_id> context::tokens() const noexcept { return state_->held; }
std::size_t context::capacity() const noexcept { return state_->capacity; }
std::size_t context::layer_count() const noexcept { return state_->model->shape.layers; }

specdec::logits_view<float> context::decode(std::span<const token_id> tokens, std::size_t rows) {
  return decode(tokens, rows, state_->nothing_skipped);
}

specdec::logits_view<float> context::decode(std::span<const token_id> tokens, std::size_t rows,
                                            const specdec::layer_skip& skipped) {
  state& s = *state_;
  skipped.require_layers(layer_count());
  if (s.complete < s.size() && s.skipped != skipped)
    throw std::logic_error("toy::context::decode: expected the last " + std::to_string(s.size() - s.complete) +
                           " tokens, which were read with other layers left out, to be truncated first");
  if (rows > tokens.size())
    throw std::invalid_argument("toy::context::decode: expected at most as many rows as tokens (" +
                                std::to_string(tokens.size()) + "), got " + std::to_string(rows));
  for (std::size_t i = 0; i < tokens.size(); ++i)
    if (tokens[i] < 0 || static_cast<std::size_t>(tokens[i]) >= vocab_size())
      throw std::invalid_argument("toy::context::decode: expected tokens in 0.." + std::to_string(vocab_size() - 1) +
                                  ", got " + std::to_string(tokens[i]) + " at index " + std::to_string(i));
  if (tokens.size() > s.capacity - s.size())
    throw std::length_error("toy::context::decode: expected at most " + std::to_string(s.capacity - s.size()) +
                            " tokens, the room left of " + std::to_string(s.capacity) + ", got " +
                            std::to_string(tokens.size()));
  if (rows > s.logits.rows()) s.logits = activations(rounded_up(rows, pass_tokens), vocab_size());

  s.skipped = skipped;
  const std::size_t without_row = tokens.size() - rows;
  for (std::size_t done = 0; done < tokens.size();) {
    const std::size_t count = std::min(pass_tokens, tokens.size() - done);
    const std::size_t first = std::max(done, without_row);
    const std::size_t wanted = done + count > first ? done + count - first : 0;
    s.forward(tokens.subspan(done, count), wanted, wanted > 0 ? first - without_row : 0);
    done += count;
  }
  if (skipped == s.nothing_skipped) s.complete = s.size();
  return {s.logits.row(0), rows, vocab_size(), static_cast<std::ptrdiff_t>(s.logits.stride())};
}

void context::truncate(std::size_t size) {
  if (size > state_->size())
    throw std::invalid_argument("toy::context::truncate: expected at most the context's " +
                                std::to_string(state_->size()) + " tokens, got " + std::to_string(size));
  state_->held.resize(size);
  state_->complete = std::min(state_->complete, size);
}

}  // namespace toy
