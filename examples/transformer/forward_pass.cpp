#include "forward_pass.hpp"

#include <algorithm>
#include <cmath>

namespace toy {

using specdec::node_id;

namespace {

// Below this, in bytes of weights times tokens, handing work to other threads costs more than it saves.
constexpr std::size_t parallel_work = 256 * 1024;
// More pieces than threads, so that a thread which the system holds back is relieved of most of its share.
constexpr std::size_t pieces_per_thread = 4;
// Logits are reserved for so many rows at a time.
constexpr std::size_t logits_at_once = 64;

}  // namespace

forward_pass::forward_pass(const weights& model, std::size_t most_tokens, std::size_t capacity)
    : model_(&model),
      most_tokens_(most_tokens),
      rotary_(model.shape, capacity),
      scores_(model.shape.heads * rounded_up(capacity, kernels::lanes)) {
  const hyper_parameters& shape = model.shape;
  entries_.reserve(most_tokens);
  residual_ = activations(most_tokens, shape.width);
  normed_ = activations(most_tokens, shape.width);
  projected_ = activations(most_tokens, shape.query_width() + 2 * shape.key_value_width());
  attended_ = activations(most_tokens, shape.query_width());
  delta_ = activations(most_tokens, shape.width);
  hidden_ = activations(most_tokens, model.layers[0].gate_up.rows() / 2);
  logits_ = activations(std::min(most_tokens, logits_at_once), shape.vocabulary);
}

void forward_pass::reserve_logits(std::size_t rows) {
  if (rows > logits_.rows()) logits_ = activations(rounded_up(rows, logits_at_once), model_->shape.vocabulary);
}

specdec::logits_view<float> forward_pass::logits(std::size_t rows) const noexcept {
  return {logits_.row(0), rows, model_->shape.vocabulary, static_cast<std::ptrdiff_t>(logits_.stride())};
}

void forward_pass::read(std::span<const feed> feeds, const specdec::layer_skip& skipped) noexcept {
  logits_made_ = 0;
  for (const feed& from : feeds) {
    if (from.tokens.size() > from.parents.size()) from.to->forget_nodes();
    for (std::size_t i = 0; i < from.tokens.size(); ++i) {
      add(from, i);
      if (entries_.size() == most_tokens_) run(skipped);
    }
  }
  if (!entries_.empty()) run(skipped);
}

void forward_pass::add(const feed& from, std::size_t index) noexcept {
  sequence& owner = *from.to;
  const std::size_t text = from.tokens.size() - from.parents.size();
  entry added = {&owner, from.tokens[index], specdec::root, owner.size(), 0, index + from.rows >= from.tokens.size()};
  if (index < text) {
    owner.append(added.token);
  } else {
    owner.append_node(added.token, from.parents[index - text]);
    added.node = static_cast<node_id>(owner.nodes().size());
    added.position = owner.size() + owner.nodes().depth(added.node) - 1;
    if (!entries_.empty() && entries_.back().owner == &owner)
      added.shared = owner.nodes().shared_depth(entries_.back().node, added.node);
  }
  entries_.push_back(added);
}

void forward_pass::run(const specdec::layer_skip& skipped) noexcept {
  const std::size_t width = model_->shape.width;
  for (std::size_t i = 0; i < entries_.size(); ++i)
    model_->embedding.copy_row(static_cast<std::size_t>(entries_[i].token), {residual_.row(i), width});
  for (std::size_t l = 0; l < model_->shape.layers; ++l) {
    if (!skipped.skips_attention(l)) attention(l);
    if (!skipped.skips_feed_forward(l)) feed_forward(model_->layers[l]);
  }
  output();
  entries_.clear();
}

// Calls body(first, last) on ranges that make up [0, units), on several threads if there is work for them.
template <class Body>
void forward_pass::spread(std::size_t units, std::size_t work, const Body& body) const noexcept {
  const std::size_t pieces = std::min(units, model_->pool.size() * pieces_per_thread);
  if (work < parallel_work || model_->pool.size() == 1) return body(std::size_t{0}, units);
  model_->pool.run(pieces, [&](std::size_t i) { body(units * i / pieces, units * (i + 1) / pieces); });
}

void forward_pass::multiply(const packed_matrix& matrix, std::size_t rows, float* y, std::size_t y_stride,
                            const activations& x) const noexcept {
  const kernels::matrix_view w = matrix.view();
  spread(w.groups, matrix.bytes() * rows, [&](std::size_t first, std::size_t last) {
    model_->compute.multiply(w, first, last, x.view(rows), y, y_stride);
  });
}

void forward_pass::normalize(std::size_t from, std::size_t to, const aligned_buffer<float>& weight) noexcept {
  const hyper_parameters& shape = model_->shape;
  model_->compute.rms_norm(residual_.row(from), weight.data(), shape.width, shape.epsilon, normed_.row(to));
}

void forward_pass::attention(std::size_t index) noexcept {
  const hyper_parameters& shape = model_->shape;
  const layer_weights& layer = model_->layers[index];
  const std::size_t count = entries_.size(), head_size = shape.head_size;
  for (std::size_t i = 0; i < count; ++i) normalize(i, i, layer.attention_norm);
  multiply(layer.query_key_value, count, projected_.row(0), projected_.stride(), normed_);
  std::size_t positions = 0;
  bool has_nodes = false;
  for (std::size_t i = 0; i < count; ++i) {
    const entry& e = entries_[i];
    float* query = projected_.row(i);
    const float* key = query + shape.query_width();
    const float* value = key + shape.key_value_width();
    for (std::size_t h = 0; h < shape.heads + shape.key_value_heads; ++h)
      rotary_.apply(e.position, query + h * head_size);
    if (e.node != specdec::root) {
      e.owner->store_node(index, e.node, key);
    } else {
      for (std::size_t h = 0; h < shape.key_value_heads; ++h)
        e.owner->cache(index).store(h, e.position, key + h * head_size, value + h * head_size);
    }
    positions += e.position + 1;
    has_nodes = has_nodes || e.node != specdec::root;
  }
  // A node's path is laid into a key-value head's cache, so its query heads must follow one another on one thread.
  const std::size_t heads_together = has_nodes ? shape.heads / shape.key_value_heads : 1;
  spread(shape.heads / heads_together, 2 * sizeof(float) * head_size * positions * shape.heads,
         [&](std::size_t first, std::size_t last) {
           for (std::size_t unit = first; unit < last; ++unit)
             attend(index, unit * heads_together, (unit + 1) * heads_together);
         });
  multiply(layer.attention_output, count, delta_.row(0), delta_.stride(), attended_);
  residual_.columns(count) += delta_.columns(count);
}

// All entries, for query heads that share a key-value head.
void forward_pass::attend(std::size_t layer, std::size_t first_head, std::size_t last_head) noexcept {
  const hyper_parameters& shape = model_->shape;
  const float scale = 1.0f / std::sqrt(static_cast<float>(shape.head_size));
  const std::size_t score_stride = scores_.size() / shape.heads;
  const std::size_t key_value_head = first_head / (shape.heads / shape.key_value_heads);
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    const entry& e = entries_[i];
    if (e.node != specdec::root) e.owner->lay_path(layer, key_value_head, e.node, e.shared);
    const kernels::attention_view past = e.owner->cache(layer).view(key_value_head, e.position + 1);
    for (std::size_t h = first_head; h < last_head; ++h)
      model_->compute.attend(projected_.row(i) + h * shape.head_size, past, scale, scores_.data() + h * score_stride,
                             attended_.row(i) + h * shape.head_size);
  }
}

void forward_pass::feed_forward(const layer_weights& layer) noexcept {
  const std::size_t count = entries_.size();
  for (std::size_t i = 0; i < count; ++i) normalize(i, i, layer.feed_forward_norm);
  const kernels::matrix_view w = layer.gate_up.view();
  spread(layer.gate_up.rows() / (2 * kernels::gate_units), layer.gate_up.bytes() * count,
         [&](std::size_t first, std::size_t last) {
           model_->compute.gated_units(w, first, last, normed_.view(count), hidden_.row(0), hidden_.stride());
         });
  multiply(layer.down, count, delta_.row(0), delta_.stride(), hidden_);
  residual_.columns(count) += delta_.columns(count);
}

void forward_pass::output() noexcept {
  std::size_t wanted = 0;
  for (std::size_t i = 0; i < entries_.size(); ++i)
    if (entries_[i].wanted) normalize(i, wanted++, model_->output_norm);
  if (wanted == 0) return;
  multiply(model_->output_head(), wanted, logits_.row(logits_made_), logits_.stride(), normed_);
  logits_made_ += wanted;
}

}  // namespace toy
