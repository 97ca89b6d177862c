#ifndef MEASUREMENT_ANY_CONTEXT_HPP
#define MEASUREMENT_ANY_CONTEXT_HPP

/// @file
/// A model's context, whichever engine runs it.

#include <concepts>
#include <cstddef>
#include <memory>
#include <span>
#include <stdexcept>
#include <type_traits>
#include <utility>

#include <specdec/specdec.hpp>

namespace measurement {

/// What programs need of an engine's context: that it knows its text, and where it ends.
template <class C>
concept Context = specdec::TargetModel<C> && specdec::KnowsTokens<C> && specdec::HasCapacity<C> &&
    requires(C& context, std::span<const specdec::token_id> tokens) {
  { context.decode(tokens, std::size_t{}) } -> std::same_as<specdec::logits_view<float>>;
};

/// Holds any context, for programs that choose their engine, or its model, at run time: specdec's target and draft.
/// What it costs: one virtual call for each of the model's.
///
/// Owns the context that is moved in; std::ref(context) makes it refer instead. Movable; behind a move it is empty. But
/// for `operator bool`, nothing may be asked of an empty one.
class any_context {
 public:
  any_context() noexcept = default;

  template <class Held>
  requires(!std::is_lvalue_reference_v<Held> && !std::same_as<Held, any_context> && Context<specdec::unwrapped<Held>>)
      any_context(Held&& context)
      : held_(std::make_unique<context_of<Held>>(std::move(context))) {}

  [[nodiscard]] explicit operator bool() const noexcept { return held_ != nullptr; }

  [[nodiscard]] std::size_t vocab_size() const { return held_->vocab_size(); }
  [[nodiscard]] std::size_t size() const { return held_->size(); }
  [[nodiscard]] std::size_t capacity() const { return held_->capacity(); }
  [[nodiscard]] std::span<const specdec::token_id> tokens() const { return held_->tokens(); }
  [[nodiscard]] specdec::logits_view<float> decode(std::span<const specdec::token_id> tokens, std::size_t rows) {
    return held_->decode(tokens, rows);
  }
  void truncate(std::size_t size) { held_->truncate(size); }

  /// See `specdec::DecodesTrees`. Throws std::invalid_argument if the context is one that scores no trees.
  [[nodiscard]] specdec::logits_view<float> decode_tree(std::span<const specdec::token_id> tokens,
                                                        std::span<const specdec::node_id> parents, std::size_t rows) {
    return held_->decode_tree(tokens, parents, rows);
  }
  void keep(std::span<const specdec::node_id> path) { held_->keep(path); }

 private:
  struct interface {
    virtual ~interface() = default;
    [[nodiscard]] virtual std::size_t vocab_size() const = 0;
    [[nodiscard]] virtual std::size_t size() const = 0;
    [[nodiscard]] virtual std::size_t capacity() const = 0;
    [[nodiscard]] virtual std::span<const specdec::token_id> tokens() const = 0;
    [[nodiscard]] virtual specdec::logits_view<float> decode(std::span<const specdec::token_id> tokens,
                                                             std::size_t rows) = 0;
    virtual void truncate(std::size_t size) = 0;
    [[nodiscard]] virtual specdec::logits_view<float> decode_tree(std::span<const specdec::token_id> tokens,
                                                                  std::span<const specdec::node_id> parents,
                                                                  std::size_t rows) = 0;
    virtual void keep(std::span<const specdec::node_id> path) = 0;
  };

  template <class Held>
  struct context_of final : interface {
    explicit context_of(Held&& from) : context(std::move(from)) {}

    [[nodiscard]] const specdec::unwrapped<Held>& meant() const noexcept {
      return specdec::unwrap(const_cast<context_of*>(this)->context);
    }
    [[nodiscard]] specdec::unwrapped<Held>& meant() noexcept { return specdec::unwrap(context); }

    [[nodiscard]] std::size_t vocab_size() const override { return meant().vocab_size(); }
    [[nodiscard]] std::size_t size() const override { return meant().size(); }
    [[nodiscard]] std::size_t capacity() const override { return meant().capacity(); }
    [[nodiscard]] std::span<const specdec::token_id> tokens() const override { return meant().tokens(); }
    [[nodiscard]] specdec::logits_view<float> decode(std::span<const specdec::token_id> tokens,
                                                     std::size_t rows) override {
      return meant().decode(tokens, rows);
    }
    void truncate(std::size_t size) override { meant().truncate(size); }
    [[nodiscard]] specdec::logits_view<float> decode_tree(std::span<const specdec::token_id> tokens,
                                                          std::span<const specdec::node_id> parents,
                                                          std::size_t rows) override {
      if constexpr (specdec::DecodesTrees<specdec::unwrapped<Held>>) {
        return meant().decode_tree(tokens, parents, rows);
      } else {
        throw std::invalid_argument("expected a draft without branches, since this engine's context scores no trees");
      }
    }
    void keep(std::span<const specdec::node_id> path) override {
      if constexpr (specdec::DecodesTrees<specdec::unwrapped<Held>>) meant().keep(path);
    }

    Held context;
  };

  std::unique_ptr<interface> held_;
};

static_assert(Context<any_context> && specdec::DecodesTrees<any_context>);

}  // namespace measurement

#endif  // MEASUREMENT_ANY_CONTEXT_HPP
