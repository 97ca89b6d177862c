#ifndef SPECDEC_DECODE_DETOKENIZER_HPP
#define SPECDEC_DECODE_DETOKENIZER_HPP

/// @file
/// What tells a token's bytes.

#include <concepts>
#include <cstddef>
#include <string>
#include <type_traits>
#include <utility>

#include "../config.hpp"
#include "../owner.hpp"
#include "../types.hpp"

namespace specdec::inline SPECDEC_ABI {

/// A function that appends a token's bytes to a text.
template <class F>
concept Detokenizer = std::invocable<F&, token_id, std::string&> && std::copy_constructible<F>;

/// Any function that appends a token's bytes to a text, as a value: a lambda, a function, a std::function. Empty where
/// it was made of nothing, or of one of those that is empty. What the function throws passes through.
class any_detokenizer {
 public:
  any_detokenizer() noexcept = default;
  any_detokenizer(std::nullptr_t) noexcept {}  // NOLINT: nothing is meant to become one

  // Whether it is an any_detokenizer comes first: whether that can be copied depends on its constructors.
  template <class Function>
  requires(!std::same_as<Function, any_detokenizer> && Detokenizer<Function>)
      any_detokenizer(Function function) {  // NOLINT: a function is meant to become one
    if constexpr (requires { static_cast<bool>(function == nullptr); }) {
      if (function == nullptr) return;
    }
    held_ = owner<interface>(new holder<Function>(std::move(function)));
  }

  /// Says what a type lacks that is none.
  template <class Function>
  requires(!std::same_as<Function, any_detokenizer> && !Detokenizer<Function>) any_detokenizer(Function) {  // NOLINT
    static_assert(
        Detokenizer<Function>,
        "specdec: detokenize must be a function of (specdec::token_id token, std::string& text), which appends "
        "the token's bytes, and copyable: sessions are");
  }

  any_detokenizer(const any_detokenizer& other) : held_(other.held_ ? other.held_->copy() : nullptr) {}
  any_detokenizer(any_detokenizer&&) noexcept = default;
  any_detokenizer& operator=(const any_detokenizer& other) {
    if (this != &other) *this = any_detokenizer(other);
    return *this;
  }
  any_detokenizer& operator=(any_detokenizer&&) noexcept = default;
  ~any_detokenizer() = default;

  /// Whether there is a function.
  [[nodiscard]] explicit operator bool() const noexcept { return static_cast<bool>(held_); }

  /// Appends the token's bytes. Precondition: there is a function.
  void operator()(token_id token, std::string& text) const { held_->append(token, text); }

 private:
  struct interface {
    virtual ~interface() = default;
    [[nodiscard]] virtual interface* copy() const = 0;
    virtual void append(token_id token, std::string& text) = 0;
  };

  template <class Function>
  struct holder final : interface {
    explicit holder(Function f) : function(std::move(f)) {}
    [[nodiscard]] interface* copy() const override { return new holder(function); }
    void append(token_id token, std::string& text) override { static_cast<void>(function(token, text)); }
    Function function;
  };

  owner<interface> held_;
};

}  // namespace specdec::inline SPECDEC_ABI

#endif  // SPECDEC_DECODE_DETOKENIZER_HPP
