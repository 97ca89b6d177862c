#!/usr/bin/env bash
# Builds the examples and shows them on the bundled models:
#
#   bash examples/run.sh                          the demonstration
#   bash examples/run.sh -p "Once upon a time"    only `generate`, with these arguments (--help lists them)
#   bash examples/run.sh doctor                   another program: ballast, doctor, layer_search, specdec_llama, or a
#                                                 method such as chen
#
# Starts from a bare Debian 12 (Ubuntu 24.04 is untried): missing packages are installed (install_packages.sh).
# specdec_llama needs llama.cpp: the one in the folder SPECDEC_LLAMA_ROOT, or else one that npm brings
# (tests/llama_cpp/install.sh).
set -euo pipefail
cd "$(dirname "$0")/.."

program=generate
if (($# > 0)) && [[ $1 != -* ]]; then
  program=$1
  shift
  case $program in
    ballast | doctor | generate | hello | layer_search | specdec_llama) target=$program ;;
    *) target=method_$program ;;
  esac
  if [[ $target == method_* && ! -f examples/methods/$program.cpp ]]; then
    methods=$(basename -s .cpp -a examples/methods/*.cpp | paste -sd ' ')
    printf 'run.sh: expected one of: ballast doctor generate hello layer_search specdec_llama %s; got %s\n' "$methods" "$program" >&2
    exit 2
  fi
  only=yes
else
  target=generate
  only=
  (($# == 0)) || only=yes
fi

start() {
  printf '\n%s\n\n' "== $*"
}

bash examples/install_packages.sh \
  cmake ninja-build g++ libeigen3-dev libcli11-dev libfmt-dev nlohmann-json3-dev >&2

settings=(-DSPECDEC_BUILD_TESTS=OFF -DSPECDEC_BUILD_BENCHMARKS=OFF)
if [[ $target == specdec_llama ]]; then
  if [[ -z ${SPECDEC_LLAMA_ROOT:-} ]]; then
    SPECDEC_LLAMA_ROOT=$PWD/build/llama.cpp
    bash tests/llama_cpp/install.sh "$SPECDEC_LLAMA_ROOT" >&2
  fi
  settings+=(-DSPECDEC_LLAMA_ROOT="$SPECDEC_LLAMA_ROOT")
fi

printf "Building\n" >&2
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! { cmake --preset release "${settings[@]}" &&
  cmake --build --preset release --target hello "$target"; } >"$log" 2>&1; then
  cat "$log" >&2
  printf 'run.sh: the examples could not be built; the messages are above\n' >&2
  exit 1
fi
programs=build/release/examples

if [[ -n $only ]]; then
  case $target in
    hello) "$programs/hello" ;;
    method_*) "$programs/methods/$program" "$@" ;;
    specdec_llama) "$programs/llama_cpp/$program" "$@" ;;
    *) "$programs/$program/$program" "$@" ;;
  esac
  exit
fi

start 'hello: a model of your own, sped up by a smaller one'
"$programs/hello"

# What it measures is part of the demonstration, so it goes where the text goes.
start 'generate: the bundled pair; a target so small has nothing to gain'
"$programs/generate/generate" -n 96 --seed 7 </dev/null 2>&1

start 'generate: the same text from a target of 150M parameters'
"$programs/generate/generate" -n 96 --seed 7 --ballast 150M </dev/null 2>&1

cat <<'END'

Try it with a text of your own:  bash examples/run.sh -p "Once upon a time"
All options and methods:         bash examples/run.sh --help
Does it pay with your models?    bash examples/run.sh doctor TARGET.gguf DRAFT.gguf
END
