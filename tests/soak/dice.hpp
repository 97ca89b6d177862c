#ifndef SOAK_DICE_HPP
#define SOAK_DICE_HPP

/// @file
/// The choices of an episode.

#include <cstddef>
#include <cstdint>
#include <initializer_list>

#include <specdec/random.hpp>

namespace soak {

/// Choices that depend on a seed and the episode's number alone.
class dice {
 public:
  dice(std::uint64_t seed, std::uint32_t episode) : chance_(seed, episode) {}

  /// 0 to most - 1.
  std::size_t some(std::size_t most) {
    const double u = chance_.uniform({.round = ++thrown_});
    return static_cast<std::size_t>(u * static_cast<double>(most));
  }
  std::size_t between(std::size_t least, std::size_t most) { return least + some(most - least + 1); }
  bool once_in(std::size_t n) { return some(n) == 0; }
  template <class T>
  T one_of(std::initializer_list<T> choices) {
    return choices.begin()[some(choices.size())];
  }

 private:
  specdec::philox chance_;
  std::uint32_t thrown_ = 0;
};

}  // namespace soak

#endif  // SOAK_DICE_HPP
