#!/usr/bin/env bash
# Builds the study of acceptance against draft length and runs it:
#
#   bash benchmarks/acceptance.sh                    the study that the README shows, about ten minutes on two quiet
#                                                    cores; its pictures go to benchmarks/plots/
#   bash benchmarks/acceptance.sh --methods lenient  with these options (--help lists them)
#
# Interrupted, the same command goes on where it was. Starts from a bare Debian 12 or Ubuntu 24.04: missing packages are
# installed (examples/install_packages.sh).
set -euo pipefail
cd "$(dirname "$0")/.."

bash examples/install_packages.sh \
  cmake ninja-build g++ gnuplot-nox libbenchmark-dev libeigen3-dev libcli11-dev libfmt-dev nlohmann-json3-dev >&2

printf "Building\n" >&2
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! { cmake --preset release -DSPECDEC_BUILD_TESTS=OFF -DSPECDEC_BUILD_BENCHMARKS=ON &&
  cmake --build --preset release --target acceptance; } >"$log" 2>&1; then
  cat "$log" >&2
  printf 'acceptance.sh: the study could not be built; the messages are above\n' >&2
  exit 1
fi

program=build/release/benchmarks/acceptance/acceptance
if (($# > 0)); then
  "$program" "$@"
  exit
fi
folder=build/acceptance-study
"$program" --output "$folder"
mkdir -p benchmarks/plots
cp "$folder"/{acceptance,tokens_per_call,speedup}.svg benchmarks/plots/
