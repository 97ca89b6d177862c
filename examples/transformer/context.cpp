#include <algorithm>
#include <stdexcept>
#include <string>
#include <utility>

#include "forward_pass.hpp"
#include "model.hpp"
#include "sequence.hpp"
#include "weights.hpp"

namespace toy {

using specdec::node_id;
using specdec::token_id;

namespace {

// How many tokens of a long prompt pass through the layers together.
constexpr std::size_t pass_tokens = 64;

}  // namespace

struct context::state {
  state(std::shared_ptr<const weights> shared, std::size_t capacity)
      : model(std::move(shared)),
        text(model->shape, capacity),
        pass(*model, std::min(pass_tokens, capacity), capacity),
        nothing_skipped(model->shape.layers),
        skipped(nothing_skipped) {}

  // Becomes a copy of another state of the same model and capacity. A token's keys and values depend on nothing but the
  // tokens before it, to the bit, so those of the shared beginning are there already.
  void hold(const state& other) {
    const auto whole = [](const state& s) { return s.text.tokens().first(s.complete); };
    const auto [mine, theirs] = std::ranges::mismatch(whole(*this), whole(other));
    text.copy(other.text, static_cast<std::size_t>(theirs - whole(other).begin()));
    complete = other.complete;
    skipped = other.skipped;
  }

  // Throws unless the next tokens can be read with these layers left out.
  void require_skipped_as_before(const specdec::layer_skip& layers, const char* call) const {
    if (complete < text.size() && skipped != layers)
      throw std::logic_error(std::string("toy::context::") + call + ": expected the last " +
                             std::to_string(text.size() - complete) +
                             " tokens, which were read with other layers left out, to be truncated first");
  }

  // Throws unless the tokens are in the vocabulary and there is room for them.
  void require_readable(std::span<const token_id> tokens, std::size_t room, const char* call) const {
    const std::size_t vocabulary = model->shape.vocabulary;
    for (std::size_t i = 0; i < tokens.size(); ++i)
      if (tokens[i] < 0 || static_cast<std::size_t>(tokens[i]) >= vocabulary)
        throw std::invalid_argument(std::string("toy::context::") + call + ": expected tokens in 0.." +
                                    std::to_string(vocabulary - 1) + ", got " + std::to_string(tokens[i]) +
                                    " at index " + std::to_string(i));
    if (tokens.size() > room)
      throw std::length_error(std::string("toy::context::") + call + ": expected at most " + std::to_string(room) +
                              " tokens, the room left of " + std::to_string(text.capacity()) + ", got " +
                              std::to_string(tokens.size()));
  }

  specdec::logits_view<float> read(const feed& from, const specdec::layer_skip& layers) {
    pass.reserve_logits(from.rows);
    skipped = layers;
    pass.read({&from, 1}, layers);
    if (layers == nothing_skipped) complete = text.size();
    return pass.logits(from.rows);
  }

  std::shared_ptr<const weights> model;
  sequence text;
  forward_pass pass;
  // The first `complete` tokens have keys and values in all layers; `skipped` is how those behind them were read.
  std::size_t complete = 0;
  specdec::layer_skip nothing_skipped, skipped;
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

context::context(const context& other)
    : state_(std::make_unique<state>(other.state_->model, other.state_->text.capacity())) {
  state_->hold(*other.state_);
}

context& context::operator=(const context& other) {
  if (state_ && state_->model == other.state_->model && state_->text.capacity() == other.state_->text.capacity()) {
    if (this != &other) state_->hold(*other.state_);
    return *this;
  }
  return *this = context(other);
}

std::size_t context::vocab_size() const noexcept { return state_->model->shape.vocabulary; }
std::size_t context::size() const noexcept { return state_->text.size(); }
std::span<const token_id> context::tokens() const noexcept { return state_->text.tokens(); }
std::size_t context::capacity() const noexcept { return state_->text.capacity(); }
std::size_t context::layer_count() const noexcept { return state_->model->shape.layers; }

specdec::logits_view<float> context::decode(std::span<const token_id> tokens, std::size_t rows) {
  return decode(tokens, rows, state_->nothing_skipped);
}

specdec::logits_view<float> context::decode(std::span<const token_id> tokens, std::size_t rows,
                                            const specdec::layer_skip& skipped) {
  state& s = *state_;
  skipped.require_layers(layer_count());
  s.require_skipped_as_before(skipped, "decode");
  if (rows > tokens.size())
    throw std::invalid_argument("toy::context::decode: expected at most as many rows as tokens (" +
                                std::to_string(tokens.size()) + "), got " + std::to_string(rows));
  s.require_readable(tokens, capacity() - size(), "decode");
  return s.read({&s.text, tokens, {}, rows}, skipped);
}

specdec::logits_view<float> context::decode_tree(std::span<const token_id> tokens, std::span<const node_id> parents,
                                                 std::size_t rows) {
  state& s = *state_;
  s.require_skipped_as_before(s.nothing_skipped, "decode_tree");
  s.text.nodes().require_call(tokens, parents, rows, size());
  const std::size_t open_nodes = tokens.size() > parents.size() ? 0 : s.text.nodes().size();
  s.require_readable(tokens, capacity() - size() - open_nodes, "decode_tree");
  s.text.reserve_nodes(open_nodes + parents.size());
  return s.read({&s.text, tokens, parents, rows}, s.nothing_skipped);
}

void context::keep(std::span<const node_id> path) {
  state_->text.nodes().require_path(path);
  state_->text.keep(path);
  // Nodes are read by whole layers, behind text that was.
  if (!path.empty()) state_->complete = size();
}

void context::truncate(std::size_t size) {
  if (size > state_->text.size())
    throw std::invalid_argument("toy::context::truncate: expected at most the context's " +
                                std::to_string(state_->text.size()) + " tokens, got " + std::to_string(size));
  state_->text.truncate(size);
  state_->complete = std::min(state_->complete, size);
}

}  // namespace toy
