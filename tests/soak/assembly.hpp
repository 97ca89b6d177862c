#ifndef SOAK_ASSEMBLY_HPP
#define SOAK_ASSEMBLY_HPP

/// @file
/// The drafter of a plan.

#include "methods.hpp"
#include "plan.hpp"

namespace soak {

/// The method of a plan at work on a bench, which must outlive it.
[[nodiscard]] inline measurement::assembled_method assemble(const workplace& models, const plan& how, bench& contexts) {
  measurement::assembled_method made = how.by->make(models, contexts, how.settings);
  made.set_gamma(how.gamma);
  return made;
}

}  // namespace soak

#endif  // SOAK_ASSEMBLY_HPP
