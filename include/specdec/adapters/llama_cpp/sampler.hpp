#ifndef SPECDEC_ADAPTERS_LLAMA_CPP_SAMPLER_HPP
#define SPECDEC_ADAPTERS_LLAMA_CPP_SAMPLER_HPP

/// @file
/// Chains of llama.cpp's samplers, owned.

#include <initializer_list>
#include <memory>
#include <string>

#include <llama.h>

#include "error.hpp"

namespace specdec::inline SPECDEC_ABI::llama_cpp {

/// Owns a llama_sampler. Movable.
class sampler {
 public:
  /// Takes over a sampler. Throws `error` for a null pointer, as which llama.cpp returns a grammar that it cannot read.
  explicit sampler(llama_sampler* owned) : handle_(owned) {
    if (handle_ == nullptr) throw error("specdec::llama_cpp: expected a sampler; got a null pointer");
  }

  /// A chain of samplers, all of which it takes over; if one is a null pointer, it frees the others and throws `error`.
  [[nodiscard]] static sampler chain(std::initializer_list<llama_sampler*> owned) {
    sampler made(llama_sampler_chain_init(llama_sampler_chain_default_params()));
    bool complete = true;
    for (llama_sampler* const each : owned) {
      complete = complete && each != nullptr;
      if (each != nullptr) llama_sampler_chain_add(made.handle(), each);
    }
    if (!complete) {
      throw error(
          "specdec::llama_cpp: expected samplers for a chain; one is a null pointer: a grammar that llama.cpp "
          "cannot read?");
    }
    return made;
  }

  [[nodiscard]] llama_sampler* handle() const noexcept { return handle_.get(); }
  /// Another that goes on from the same state.
  [[nodiscard]] sampler clone() const { return sampler(llama_sampler_clone(handle())); }

 private:
  struct freeing {
    void operator()(llama_sampler* held) const noexcept { llama_sampler_free(held); }
  };
  std::unique_ptr<llama_sampler, freeing> handle_;
};

/// A sampler's name, without the mark of where it runs; empty if it has none.
[[nodiscard]] inline std::string name_of(const llama_sampler* sampler) {
  if (sampler->iface == nullptr || sampler->iface->name == nullptr) return {};
  std::string name = llama_sampler_name(sampler);
  if (!name.empty() && (name[0] == '+' || name[0] == '-')) name.erase(0, 1);
  return name;
}

}  // namespace specdec::inline SPECDEC_ABI::llama_cpp

#endif  // SPECDEC_ADAPTERS_LLAMA_CPP_SAMPLER_HPP
