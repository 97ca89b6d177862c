#!/usr/bin/env bash
# Builds the benchmarks of verification and prints their tables, then those of llama.cpp's samplers beside specdec's, if
# llama.cpp is there (in the folder SPECDEC_LLAMA_ROOT, or in build/llama.cpp, where tests/llama_cpp/install.sh brings it,
# or where CMake finds it), and what including the library costs a compiler:
#
#   bash benchmarks/run.sh                                       everything, in about three minutes
#   bash benchmarks/run.sh --benchmark_filter='filtered law'     only some tables; any option of Google Benchmark's
#   bash benchmarks/run.sh speedup                               another program: batch, exactness, lookup, methods,
#                                                                speedup or trees, with its options (--help lists them)
#
# The study of acceptance has a script of its own, acceptance.sh. COLD_MIB sets how many MiB the cold rows cycle through
# (640). Starts from a bare Debian 12 or Ubuntu 24.04: missing packages are installed (examples/install_packages.sh).
set -euo pipefail
cd "$(dirname "$0")/.."

program=
if (($# > 0)) && [[ $1 != -* ]]; then
  program=$1
  shift
  case $program in
    exactness | methods | trees) path=$program/$program ;;
    batch | lookup | speedup) path=$program ;;
    *)
      printf 'run.sh: expected one of: batch exactness lookup methods speedup trees; got %s\n' "$program" >&2
      exit 2
      ;;
  esac
fi

bash examples/install_packages.sh \
  cmake ninja-build g++ libbenchmark-dev libeigen3-dev libcli11-dev libfmt-dev nlohmann-json3-dev >&2

printf "Building\n" >&2
log=$(mktemp)
object=$(mktemp)
trap 'rm -f "$log" "$object"' EXIT
if [[ -z ${SPECDEC_LLAMA_ROOT:-} && -f build/llama.cpp/version ]]; then SPECDEC_LLAMA_ROOT=$PWD/build/llama.cpp; fi
build() {
  cmake --preset release -DSPECDEC_BUILD_TESTS=OFF -DSPECDEC_BUILD_BENCHMARKS=ON \
    ${SPECDEC_LLAMA_ROOT:+-DSPECDEC_LLAMA_ROOT="$SPECDEC_LLAMA_ROOT"} || return
  targets=("${program:-verifier}")
  # Known only where llama.cpp is.
  if [[ -z $program ]] && grep -q 'benchmarks/samplers/samplers' build/release/build.ninja; then targets+=(samplers); fi
  cmake --build --preset release --target "${targets[@]}"
}
if ! build >"$log" 2>&1; then
  cat "$log" >&2
  printf 'run.sh: the benchmarks could not be built; the messages are above\n' >&2
  exit 1
fi

if [[ -n $program ]]; then
  "build/release/benchmarks/$path" "$@"
  exit
fi

printf 'processor:%s\n' "$(sed -n 's/^model name[^:]*://p' /proc/cpuinfo | head -n 1)"
build/release/benchmarks/verifier "$@"
if [[ " ${targets[*]} " == *" samplers "* ]]; then
  printf '\nSamplers: '
  build/release/benchmarks/samplers/samplers "$@"
else
  printf '\nSamplers: skipped, since there is no llama.cpp (bash tests/llama_cpp/install.sh build/llama.cpp brings it)\n'
fi
(($# == 0)) || exit 0

printf '\nCompiling #include <specdec/specdec.hpp> alone, -std=c++20 -O2\n'
for compiler in g++ clang++; do
  command -v "$compiler" >/dev/null || continue
  best=
  for _ in 1 2 3 4 5; do
    began=$(date +%s%N)
    printf '#include <specdec/specdec.hpp>\n' | "$compiler" -std=c++20 -O2 -Iinclude -x c++ -c -o "$object" -
    took=$((($(date +%s%N) - began) / 1000000))
    if [[ -z $best ]] || ((took < best)); then best=$took; fi
  done
  printf '%-36s %10d ms, the best of five\n' "$("$compiler" --version | head -n 1)" "$best"
done
