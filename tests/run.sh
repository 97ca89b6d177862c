#!/usr/bin/env bash
# Builds and runs the tests:
#
#   bash tests/run.sh                   every preset: gcc, clang, sanitize
#   bash tests/run.sh gcc sanitize      only these
#
# The first preset runs every test; the others leave out those labelled slow. Fails if any test does. Starts from a bare
# Debian 12 or Ubuntu 24.04: missing packages are installed (examples/install_packages.sh), and llama.cpp is brought by npm
# (llama_cpp/install.sh). Where that cannot be, the tests of its adapter are skipped, and say why.
set -euo pipefail
cd "$(dirname "$0")/.."

presets=("$@")
(($# > 0)) || presets=(gcc clang sanitize)
for preset in "${presets[@]}"; do
  case $preset in
    gcc | clang | sanitize) ;;
    *)
      printf 'run.sh: expected presets gcc, clang or sanitize; got %s\n' "$preset" >&2
      exit 2
      ;;
  esac
done

packages=(cmake ninja-build g++ git pkg-config libgtest-dev libeigen3-dev libcli11-dev libfmt-dev nlohmann-json3-dev)
[[ " ${presets[*]} " != *' clang '* ]] || packages+=(clang)
bash examples/install_packages.sh "${packages[@]}" >&2

llama=$PWD/build/llama.cpp
[[ -e $llama/version ]] || command -v npm >/dev/null || bash examples/install_packages.sh nodejs npm >&2 || true
if missing=$(bash tests/llama_cpp/install.sh "$llama"); then
  llama_options=(-DSPECDEC_LLAMA_ROOT="$llama")
else
  missing=${missing:-"tests/llama_cpp/install.sh failed, its messages are above"}
  printf 'llama.cpp is not tested: %s\n' "$missing" >&2
  llama_options=(-DSPECDEC_LLAMA_ROOT= -DSPECDEC_LLAMA_MISSING="$missing")
fi

jobs=$(nproc)
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# Prints what a quiet step wrote only if it failed.
quietly() {
  local status=0
  "$@" >"$log" 2>&1 || status=$?
  ((status == 0)) || cat "$log"
  return "$status"
}

run_preset() {
  local preset=$1
  shift
  quietly cmake --preset "$preset" -DSPECDEC_BUILD_BENCHMARKS=OFF "${llama_options[@]}" || return 1
  quietly cmake --build --preset "$preset" --parallel "$jobs" || return 1
  ctest --preset "$preset" --parallel "$jobs" --no-tests=error "$@" 2>&1 | tee "$log"
}

failed=()
summary=
selection=()
for preset in "${presets[@]}"; do
  printf '\n== %s\n' "$preset"
  began=$SECONDS
  if run_preset "$preset" "${selection[@]}"; then
    result=passed
  else
    result=FAILED
    failed+=("$preset")
  fi
  # ctest's own closing lines, the tests that failed among them.
  closing=$(sed -n '/tests passed,/,$p' "$log" | grep -v '^$' || true)
  summary+="$preset $result in $((SECONDS - began)) s${selection[*]:+, without the slow tests}"$'\n'
  summary+=${closing:-"not built, the messages are above"}$'\n\n'
  selection=(--label-exclude slow)
done

printf '\n== summary\n%s' "$summary"
((${#failed[@]} == 0))
