#!/usr/bin/env bash
# Builds the examples and shows them on the bundled models:
#
#   bash examples/run.sh                          the demonstration
#   bash examples/run.sh -p "Once upon a time"    only `generate`, with these arguments (--help lists them)
#
# Starts from a bare Debian 12 or Ubuntu 24.04: missing packages are installed (install_packages.sh).
set -euo pipefail
cd "$(dirname "$0")/.."

start() {
  printf '\n%s\n\n' "== $*"
}

bash examples/install_packages.sh \
  cmake ninja-build g++ libeigen3-dev libcli11-dev libfmt-dev nlohmann-json3-dev >&2

printf "Building\n" >&2
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! { cmake --preset release -DSPECDEC_BUILD_TESTS=OFF -DSPECDEC_BUILD_BENCHMARKS=OFF &&
  cmake --build --preset release --target hello generate; } >"$log" 2>&1; then
  cat "$log" >&2
  printf 'run.sh: the examples could not be built; the messages are above\n' >&2
  exit 1
fi
programs=build/release/examples

if (($# > 0)); then
  "$programs/generate/generate" "$@"
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
All options:                     bash examples/run.sh --help
END
