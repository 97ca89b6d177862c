#!/usr/bin/env bash
# All that the tests can show on one x86-64 machine, in stages, and at the end what passed:
#
#   bash tests/full.sh                   every stage: about three hours on 2 cores
#   bash tests/full.sh aarch64 threads   these stages
#   bash tests/full.sh --from clang      this stage and those behind it
#
# A stage that fails keeps none from running. One that cannot be run here, since this release has not the package or this
# processor not the instruction set, is skipped and says why. Their logs are build/stages/NAME.log. Interrupted, it ends
# with the table of what was done. Fails if a stage does, or if none could be run.
set -euo pipefail
cd "$(dirname "$0")/.."
source tests/stages.sh

stages=(
  "quick        everything, built fast: Clang, C++20, warnings are errors"
  "gcc          everything, as users compile it: GCC, optimised, every instruction set"
  "scalar       library and transformer again, SPECDEC_ISA=scalar"
  "sse2         library and transformer again, SPECDEC_ISA=baseline"
  "avx2         library and transformer again, SPECDEC_ISA=avx2"
  "avx512       library and transformer again, SPECDEC_ISA=avx512"
  "clang        everything: Clang"
  "gcc-users    users' projects, by every way of taking the library, one without exceptions and RTTI: GCC"
  "clang-users  the same: Clang"
  "benchmarks   every benchmark, built as users build it; the page of exactness"
  "sanitize     everything: Clang, AddressSanitizer, UndefinedBehaviorSanitizer"
  "threads      pools, overlapped drafting, faults and soak: Clang, ThreadSanitizer"
  "valgrind     library: GCC, memcheck"
  "cxx23        library: GCC, C++23"
  "newer-gcc    library: the newest GCC that apt has, C++23"
  "clang-16     library: Clang 16, C++20"
  "clang-19     library: Clang 19, C++23"
  "libcxx       library: Clang 19, libc++, C++20"
  "aarch64      library and transformer: GCC for AArch64, run under qemu"
  "fuzz         libFuzzer, five minutes"
)

stage_quick() { preset quick; }
stage_gcc() { preset gcc gcc --exclude-regex '^packaging\.'; }
stage_clang() { preset clang clang --exclude-regex '^packaging\.'; }
stage_gcc_users() { preset gcc gcc --tests-regex '^packaging\.'; }
stage_clang_users() { preset clang clang --tests-regex '^packaging\.'; }
stage_sanitize() { preset sanitize; }
stage_threads() { preset threads; }
stage_valgrind() { preset valgrind; }
stage_cxx23() { preset cxx23; }
stage_clang_16() { preset clang-16; }
stage_clang_19() { preset clang-19; }
stage_libcxx() { preset libcxx; }
stage_aarch64() { preset aarch64; }
stage_fuzz() { bash tests/fuzz.sh 5; }

stage_benchmarks() {
  bash examples/install_packages.sh "${packages[@]}" libbenchmark-dev
  bring_llama_cpp
  quietly cmake --preset release -B build/benchmarks -DSPECDEC_BUILD_TESTS=OFF "${llama_options[@]}"
  tell "$(compiler_of build/benchmarks)"
  quietly cmake --build build/benchmarks --parallel "$jobs" -- -k 0
  build/benchmarks/benchmarks/exactness/exactness
}

# The tests of the GCC build once more, if the processor has what /proc/cpuinfo calls $2.
instruction_set() {
  grep -qw "$2" /proc/cpuinfo || skip "this processor has no $2"
  preset gcc "$1"
}
stage_scalar() { instruction_set scalar sse2; }
stage_sse2() { instruction_set sse2 sse2; }
stage_avx2() { instruction_set avx2 avx2; }
stage_avx512() { instruction_set avx512 avx512dq; }

stage_newer_gcc() {
  local default newest
  bash examples/install_packages.sh g++
  default=$(g++ -dumpversion)
  apt_has_lists || skip "apt has no lists of packages; apt-get update brings them"
  newest=$(apt-cache search --names-only '^g\+\+-[0-9]+$' | sed -n 's/^g++-\([0-9]*\) .*/\1/p' | sort -n | tail -n 1)
  ((${newest:-0} > ${default%%.*})) || skip "apt has none newer than GCC $default"
  need "g++-$newest"
  NEWER_GCC=g++-$newest preset newer-gcc
}

if (($# == 1)) && [[ $1 == --help ]]; then
  sed -n '2,/^set /s/^# \{0,1\}//p' tests/full.sh
  printf '\n'
  printf '  %s\n' "${stages[@]}"
  exit
elif (($# == 2)) && [[ $1 == --from ]]; then
  require_stages "$2"
  # shellcheck disable=SC2046
  set -- $(all_stages | sed -n "/^$2\$/,\$p")
elif (($# == 0)); then
  # shellcheck disable=SC2046
  set -- $(all_stages)
fi
run_stages "$@"
