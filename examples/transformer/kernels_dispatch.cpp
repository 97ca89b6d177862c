#include <cstdlib>
#include <stdexcept>
#include <string>
#include <string_view>

#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>
#endif

#include "kernels.hpp"

namespace toy::kernels {
namespace {

struct tier {
  const table* functions;
  bool supported;
};

#if defined(__x86_64__) || defined(__i386__)
bool has_f16c() noexcept {
  // Clang 14 does not know this name in __builtin_cpu_supports.
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid(1, &a, &b, &c, &d) != 0 && (c & bit_F16C) != 0;
}
#endif

}  // namespace

const table& choose() {
  const tier tiers[] = {
#if defined(__x86_64__) || defined(__i386__)
    {&avx512::functions, __builtin_cpu_supports("avx512f") != 0},
    {&avx2::functions, __builtin_cpu_supports("avx2") != 0 && has_f16c()},
#endif
    {&baseline::functions, true},
  };
  const char* wanted = std::getenv("TOY_ISA");
  for (const tier& candidate : tiers) {
    if (wanted && *wanted ? std::string_view(wanted) == candidate.functions->name : candidate.supported) {
      if (!candidate.supported)
        throw std::runtime_error(std::string("TOY_ISA: expected an instruction set of this CPU, got '") + wanted + "'");
      return *candidate.functions;
    }
  }
  throw std::runtime_error(std::string("TOY_ISA: expected baseline, avx2 or avx512, got '") + wanted + "'");
}

}  // namespace toy::kernels
